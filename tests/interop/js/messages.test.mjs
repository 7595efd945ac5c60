// Messages on their way: every kind, order, copies for one's own devices, transient, will, mentions, refusals.
// SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import storage from 'leancloud-storage';

import { until, within } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

/** Two people in a conversation that both know already. */
async function pair(...more) {
  const people = await world.people('alice', 'bob', ...more);
  const conversation = await people[0].startWith(people.slice(1));
  for (const person of people) await person.find(conversation);
  return [...people, conversation];
}

check('S155 S174 S175 S176 S188 a text arrives with the id and the time that its sender was told', async () => {
  const [alice, bob, conversation] = await pair();
  const message = new alice.sdk.TextMessage('hello 船').setAttributes({ mood: { calm: true } });
  assert.equal(message.status, alice.sdk.MessageStatus.NONE);
  const sent = await conversation.send(message);
  assert.match(sent.id, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(sent.status, alice.sdk.MessageStatus.SENT);
  const heard = await bob.hears('hello 船');
  assert.equal(heard.id, sent.id);
  assert.equal(+heard.timestamp, +sent.timestamp);
  assert.equal(heard.cid, conversation.id);
  assert.equal(heard.from, alice.id);
  assert.deepEqual(heard.getAttributes(), { mood: { calm: true } });
  assert.ok(heard instanceof bob.sdk.TextMessage);
  assert.ok(Math.abs(heard.timestamp - Date.now()) < 60_000);
});

check('S087 a message reaches every member and nobody else, and not the device that sent it', async () => {
  const [alice, bob, carol, conversation] = await pair('carol');
  const [dave] = await world.people('dave');
  await alice.say(conversation, 'to all');
  for (const person of [bob, carol]) assert.equal((await person.hears('to all')).from, alice.id);
  const barrier = await bob.startWith([alice, dave]);
  await bob.say(barrier, 'done');
  await Promise.all([alice, dave].map(person => person.hears('done')));
  assert.equal(alice.events.seen('message').length, 1);
  assert.equal(dave.events.seen('message').length, 1);
});

check('S019 S170 a plain text and an unknown type pass through unchanged', async () => {
  const [alice, bob, conversation] = await pair();
  await conversation.send(new alice.sdk.Message('just words'));
  assert.equal((await bob.hears(message => message.content === 'just words')).from, alice.id);
  const unknown = { _lctype: 4711, own: { field: [1, null] } };
  await conversation.send(new alice.sdk.Message(JSON.stringify(unknown)));
  const heard = await bob.hears(message => message.content !== 'just words');
  assert.deepEqual(JSON.parse(typeof heard.content === 'string' ? heard.content : JSON.stringify(heard.content)), unknown);
});

check('S314 S315 S319 an own type with declared fields arrives as itself, caption included', async () => {
  const [alice, bob, conversation] = await pair();
  const registered = person => {
    class Order extends person.sdk.TypedMessage {}
    person.sdk.messageType(12)(Order);
    person.sdk.messageField(['item', 'count'])(Order);
    person.device.realtime.register(Order);
    return Order;
  };
  const [Order, HisOrder] = [alice, bob].map(registered);
  const order = Object.assign(new Order(), { item: 'rope', count: 3 });
  await conversation.send(order.setText('for the boat'));
  const heard = await bob.hears('for the boat');
  assert.ok(heard instanceof HisOrder);
  assert.deepEqual([heard.item, heard.count], ['rope', 3]);
});

check('S155 binary content arrives to the byte, live and in history', async () => {
  const [alice, bob, conversation] = await pair();
  const bytes = Uint8Array.from({ length: 512 }, (_, index) => index % 256);
  await conversation.send(new alice.sdk.BinaryMessage(bytes.buffer));
  const heard = await bob.hears(message => message instanceof bob.sdk.BinaryMessage);
  assert.deepEqual(new Uint8Array(heard.buffer), bytes);
  const [stored] = await (await bob.find(conversation)).queryMessages({ limit: 1 });
  assert.ok(stored instanceof bob.sdk.BinaryMessage);
  assert.deepEqual(new Uint8Array(stored.buffer), bytes);
});

check('S156 S157 S158 S159 S160 S163 S168 pictures, sound, film, files and places keep file, size and caption', async () => {
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => world.login(name, { typed: true })));
  const conversation = await alice.startWith([bob]);
  const metaData = { format: 'png', width: 640, height: 480, size: 18032, duration: 12.5 };
  for (const kind of ['ImageMessage', 'AudioMessage', 'VideoMessage', 'FileMessage']) {
    const file = storage.File.createWithoutData('0123456789abcdef01234567');
    Object.assign(file, { _url: 'https://files.invalid/x.png', _metaData: { ...metaData }, _name: 'x.png' });
    file.attributes = { ...file.attributes, url: file._url, name: 'x.png', metaData: file._metaData };
    await conversation.send(new alice.device.typed[kind](file).setText(`a ${kind}`));
    const heard = await bob.hears(`a ${kind}`);
    assert.ok(heard instanceof bob.device.typed[kind]);
    assert.equal(heard.getFile().url(), 'https://files.invalid/x.png');
    assert.equal(heard.getFile().metaData('width'), 640);
    assert.equal(heard.getFile().metaData('duration'), 12.5);
  }
  const place = new storage.GeoPoint(31.2304, 121.4737);
  await conversation.send(new alice.device.typed.LocationMessage(place).setText('here'));
  const heard = await bob.hears('here');
  assert.equal(heard.getLocation().latitude, 31.2304);
  assert.equal(heard.getLocation().longitude, 121.4737);
});

check('S188 S202 messages arrive in the order in which the service took them, and once', async () => {
  const [alice, bob, conversation] = await pair();
  const texts = Array.from({ length: 40 }, (_, index) => `n${index}`);
  const sent = await Promise.all(texts.map(text => conversation.send(new alice.sdk.TextMessage(text))));
  for (const text of texts) await bob.hears(text);
  const heard = bob.events.seen('message').map(([message]) => message);
  assert.deepEqual(heard.map(message => message.text), texts);
  const times = sent.map(message => +message.timestamp);
  assert.ok(times.every((time, index) => index === 0 || time > times[index - 1]), 'times increase strictly');
  assert.deepEqual(await bob.history(conversation), texts);
});

check('S188 two who talk at once are heard by everybody in one order', async () => {
  const [alice, bob, carol, conversation] = await pair('carol');
  const his = await bob.find(conversation);
  const sends = [];
  for (let n = 0; n < 15; n += 1) {
    sends.push(conversation.send(new alice.sdk.TextMessage(`a${n}`)));
    sends.push(his.send(new bob.sdk.TextMessage(`b${n}`)));
  }
  await within(Promise.all(sends), 'all are acknowledged');
  const order = await carol.history(conversation);
  assert.equal(order.length, 30);
  await until('carol heard all', () => carol.events.seen('message').length === 30);
  assert.deepEqual(carol.events.seen('message').map(([message]) => message.text), order);
});

check('S312 what one device sends is mirrored to the others of the same person, and is not unread there', async () => {
  const [alice, bob, conversation] = await pair();
  const tablet = await alice.again(world);
  await tablet.find(conversation);
  const sent = await alice.say(conversation, 'from my phone');
  const mirrored = await tablet.hears('from my phone');
  assert.equal(mirrored.id, sent.id);
  assert.equal(mirrored.from, alice.id);
  assert.equal(mirrored.conversation.unreadMessagesCount, 0);
  await bob.hears('from my phone');
  assert.equal((await bob.find(conversation)).unreadMessagesCount, 1);
});

check('S181 S182 a transient message reaches who is online and is kept nowhere', async () => {
  const [alice, bob, conversation] = await pair();
  const sent = await alice.say(conversation, 'is typing', { transient: true });
  assert.match(sent.id, /^[A-Za-z0-9_-]{22}$/);
  await bob.hears('is typing');
  await within(bob.client.close(), 'bob logs out');
  await alice.say(conversation, 'typing again', { transient: true });
  await alice.say(conversation, 'typed');
  assert.deepEqual(await alice.history(conversation), ['typed']);
  const again = await bob.again(world);
  const [[counted]] = await again.events.next('unreadmessagescountupdate');
  assert.equal(counted.unreadMessagesCount, 1);
  assert.deepEqual(again.events.seen('message'), []);
});

check('S231 S232 S233 S235 S236 S238 mentions travel with every kind of message and raise the flag of those meant', async () => {
  const [alice, bob, carol, conversation] = await pair('carol');
  await conversation.send(new alice.sdk.TextMessage('bob!').setMentionList([bob.id, 'dave']));
  const [forBob, forCarol] = [await bob.hears('bob!'), await carol.hears('bob!')];
  assert.deepEqual(forBob.mentionList, [bob.id, 'dave']);
  assert.equal(forBob.mentioned, true);
  assert.equal(forCarol.mentioned, false);
  assert.equal((await bob.find(conversation)).unreadMessagesMentioned, true);
  const binary = new alice.sdk.BinaryMessage(new Uint8Array([7]).buffer);
  await conversation.send(binary.setMentionList([bob.id]).mentionAll());
  const forAll = await carol.hears(message => message.mentionedAll === true);
  assert.deepEqual([forAll.mentioned, forAll.mentionList], [true, [bob.id]]);
  const stored = await (await carol.find(conversation)).queryMessages();
  assert.deepEqual(stored.map(message => [message.mentionedAll === true, message.mentionList]), [
    [false, [bob.id, 'dave']],
    [true, [bob.id]],
  ]);
});

check('S187 S246 a push text, a receipt and other options are accepted together', async () => {
  const [alice, bob, conversation] = await pair();
  const pushData = { alert: 'new message', badge: 'Increment', sound: 'gong.mp3', _profile: 'dev', own: 1 };
  await alice.say(conversation, 'with options', { receipt: true, pushData, priority: alice.sdk.MessagePriority.HIGH });
  await bob.hears('with options');
});

check('S186 S239 S241 S243 a will is sent when its author disappears, and is not in history', async () => {
  const [alice, bob, conversation] = await pair();
  await alice.say(conversation, 'my last words', { will: true });
  await alice.say(conversation, 'still alive');
  await bob.hears('still alive');
  assert.equal(bob.events.seen('message').length, 1);
  alice.device.cut();
  const heard = await bob.hears('my last words');
  assert.equal(heard.from, alice.id);
  assert.deepEqual(await bob.history(conversation), ['still alive']);
});

check('S240 S242 only the last will counts, and a log-out forgets it', async () => {
  const [alice, bob, conversation] = await pair();
  const other = await alice.startWith([bob]);
  await alice.say(conversation, 'the first will', { will: true });
  await alice.say(other, 'the last will', { will: true });
  alice.device.cut();
  await bob.hears('the last will');
  await alice.events.next('reconnect');
  await alice.say(conversation, 'a will that is forgotten', { will: true });
  await within(alice.client.close(), 'alice logs out');
  const back = await alice.again(world);
  await back.say(conversation, 'I am back');
  await bob.hears('I am back');
  assert.deepEqual(bob.events.seen('message').map(([message]) => message.text), ['the last will', 'I am back']);
});

check('S087 who is not a member is refused with 4401, and nobody hears it', async () => {
  const [alice, bob, conversation] = await pair();
  const [carol] = await world.people('carol');
  const seen = await carol.find(conversation);
  const message = new carol.sdk.TextMessage('let me in');
  await refusedWith(4401, seen.send(message));
  assert.equal(message.status, carol.sdk.MessageStatus.FAILED);
  await refusedWith(4401, seen.send(new carol.sdk.TextMessage('psst'), { transient: true }));
  await alice.say(conversation, 'among us');
  await bob.hears('among us');
  assert.equal(bob.events.seen('message').length, 1);
  assert.deepEqual(await bob.history(conversation), ['among us']);
});

check('S087 a message to a conversation that does not exist is refused with 4401', async () => {
  const [alice, , conversation] = await pair();
  conversation.id = '0123456789abcdef01234567';
  await refusedWith(4401, conversation.send(new alice.sdk.TextMessage('anybody?')));
});

check('S177 a message of 4 KB arrives, and one above the limit of 5 KB is refused with 4109', async () => {
  const [alice, bob, conversation] = await pair();
  const long = 'x'.repeat(4096);
  await conversation.send(new alice.sdk.TextMessage(long));
  await bob.hears(long);
  await refusedWith(4109, conversation.send(new alice.sdk.TextMessage('x'.repeat(5200))));
  await alice.say(conversation, 'short again');
  await bob.hears('short again');
});
