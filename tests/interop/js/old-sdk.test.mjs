// SDK 4.3.1, the published `latest`: the core flows in both offline modes and both encodings, and side by side with 5.

import assert from 'node:assert/strict';

import { within } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();
const old = (name, options) => world.login(name, { sdk: 4, ...options });

for (const noBinary of [false, true]) {
  const frames = noBinary ? 'text frames' : 'binary frames';

  check(`S005 S020 S155 4.3.1 over ${frames} chats with 5.0.0-rc.8`, async () => {
    const [alice, bob] = world.names('alice', 'bob');
    const [ann, ben] = [await old(alice, { noBinary }), await world.login(bob)];
    const conversation = await ann.startWith([ben], { name: 'two ages' });
    await ann.say(conversation, 'from 4');
    assert.equal((await ben.hears('from 4')).from, ann.id);
    await ben.say(conversation, 'from 5');
    assert.equal((await ann.hears('from 5')).from, ben.id);
    await conversation.send(new ann.sdk.BinaryMessage(new Uint8Array([9, 0, 9]).buffer));
    const binary = await ben.hears(message => message instanceof ben.sdk.BinaryMessage);
    assert.deepEqual([...new Uint8Array(binary.buffer)], [9, 0, 9]);
    const [text, stored] = await conversation.queryMessages({ limit: 2 });
    assert.equal(text.text, 'from 5');
    assert.deepEqual([...new Uint8Array(stored.buffer)], [9, 0, 9]);
  });

  // S220 S348
  check(`S209 S211 4.3.1 in push mode over ${frames} is sent what it missed, twenty of a conversation, once`, async () => {
    const [name] = world.names('bob');
    const [alice] = await world.people('alice');
    const conversation = await alice.startWith([name]);
    const texts = Array.from({ length: 25 }, (_, n) => `missed ${n}`);
    for (const text of texts) await alice.say(conversation, text);
    const ben = await old(name, { push: true, noBinary });
    for (const text of texts.slice(5)) await ben.hears(text);
    assert.deepEqual(ben.events.seen('message').map(([message]) => message.text), texts.slice(5));
    await alice.say(conversation, 'live');
    await ben.hears('live');
    assert.equal(ben.events.seen('message').length, 21);
  });
}

check('S204 S215 4.3.1 counts what it missed and clears it', async () => {
  const [name] = world.names('bob');
  const [alice] = await world.people('alice');
  const conversation = await alice.startWith([name]);
  for (const text of ['a', 'b']) await alice.say(conversation, text);
  const [ben, tablet] = [await old(name), await world.login(name)];
  const [[counted]] = await ben.events.next('unreadmessagescountupdate');
  assert.equal(counted.unreadMessagesCount, 2);
  await tablet.events.next('unreadmessagescountupdate', ([seen]) => seen.unreadMessagesCount === 2);
  await counted.read();
  await tablet.events.next('unreadmessagescountupdate', ([seen]) => seen.unreadMessagesCount === 0);
});

check('S063 S064 4.3.1 makes a new conversation unless it asks for the unique one', async () => {
  const [name] = world.names('alice');
  const ann = await old(name);
  const start = options => ann.client.createConversation({ members: ['bob'], ...options });
  assert.notEqual((await start()).id, (await start()).id);
  assert.equal((await start({ unique: true })).id, (await start({ unique: true })).id);
});

check('S095 S096 S097 S098 4.3.1 sees members come and go', async () => {
  const [alice, bob] = world.names('alice', 'bob');
  const [ann, ben] = [await old(alice), await old(bob)];
  const conversation = await ann.startWith([]);
  await conversation.add([ben.id]);
  assert.deepEqual((await ben.events.next('invited'))[0], { invitedBy: ann.id });
  await ann.events.next('membersjoined', ({ members }) => members.includes(ben.id));
  await conversation.remove([ben.id]);
  assert.deepEqual((await ben.events.next('kicked'))[0], { kickedBy: ann.id });
  assert.deepEqual((await ann.events.next('membersleft'))[0], { members: [ben.id], kickedBy: ann.id });
});

check('S225 S226 S227 S228 4.3.1 edits, recalls, and catches up after a broken connection', async () => {
  const [alice, bob] = world.names('alice', 'bob');
  const [ann, ben] = [await old(alice), await old(bob)];
  const conversation = await ann.startWith([ben]);
  const [one, two] = [await ann.say(conversation, 'one'), await ann.say(conversation, 'two')];
  await ben.hears('two');
  await conversation.update(one, new ann.sdk.TextMessage('edited'));
  assert.equal((await ben.events.next('messageupdate'))[0].text, 'edited');
  ben.device.pause();
  await ann.seesGone(ben);
  await within(conversation.recall(two), 'recalled');
  ben.device.resume();
  assert.equal((await ben.events.next('messagerecall'))[0].id, two.id);
});

check('S305 S309 4.3.1 is thrown out by a later log-in with its tag, also by 5', async () => {
  const [name] = world.names('alice');
  const ann = await old(name, { tag: 'Mobile' });
  await world.login(name, { tag: 'Mobile' });
  assert.equal((await ann.events.next('conflict'))[0].reason, 'SESSION_CONFLICT');
});

check('S103 S295 4.3.1 reconnects and learns what it was not told', async () => {
  const [alice, bob] = world.names('alice', 'bob');
  const [ann, ben] = [await old(alice), await old(bob)];
  const before = await ann.startWith([ben]);
  await ben.events.next('membersjoined');
  ben.device.pause();
  await ann.seesGone(ben);
  const conversation = await ann.startWith([ben]);
  ben.device.resume();
  await ben.events.next('reconnect');
  await ben.events.next('invited', (_, joined) => joined.id === conversation.id);
  await ann.say(before, 'and on');
  await ben.hears('and on');
});

check('S191 S197 4.3.1 is told that its message was delivered', async () => {
  const [alice, bob] = world.names('alice', 'bob');
  const [ann, ben] = [await old(alice), await old(bob)];
  const conversation = await ann.startWith([ben]);
  const delivered = new Promise(resolve => conversation.once('lastdeliveredatupdate', resolve));
  const sent = await ann.say(conversation, 'hello', { receipt: true });
  await ben.hears('hello');
  await within(delivered, 'delivered');
  assert.equal(sent.status, ann.sdk.MessageStatus.DELIVERED);
});

check('S087 S224 4.3.1 is refused like everybody else', async () => {
  const [name] = world.names('carol');
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const sent = await alice.say(conversation, 'ours');
  const carol = await old(name);
  const seen = await carol.find(conversation);
  await refusedWith(4401, seen.send(new carol.sdk.TextMessage('hi')));
  await refusedWith(4312, seen.queryMessages());
  await refusedWith(4401, seen.recall({ id: sent.id, timestamp: sent.timestamp }));
});

check('S212 clients in either mode get what they missed in one conversation', async () => {
  const [alice] = await world.people('alice');
  const [bob, carol] = world.names('bob', 'carol');
  const inPush = { sdk: 4, push: true };
  const both = [await world.login(bob), await world.login(carol, inPush)];
  const conversation = await alice.startWith([bob, carol]);
  await Promise.all(both.map(person => person.events.next('membersjoined')));
  await Promise.all(both.map(person => person.client.close()));
  await alice.seesGone(bob, carol);
  await alice.say(conversation, 'missed');
  const counted = await world.login(bob);
  const [[own]] = await counted.events.next('unreadmessagescountupdate');
  assert.deepEqual([own.id, own.unreadMessagesCount], [conversation.id, 1]);
  const pushed = await world.login(carol, inPush);
  await pushed.hears('missed');
  assert.deepEqual(counted.events.seen('message'), [], 'who counts is sent nothing');
});

for (const push of [false, true]) {
  const mode = push ? 'push mode, at this service,' : 'unread mode';

  check(`S199 S200 4.3.1 in ${mode} sends read receipts when it reads`, async () => {
    const [alice, bob] = world.names('alice', 'bob');
    const ann = await old(alice);
    const conversation = await ann.startWith([bob]);
    await ann.say(conversation, 'missed', { receipt: true });
    const ben = await old(bob, { push });
    if (push) await ben.hears('missed');
    else await ben.events.next('unreadmessagescountupdate');
    const delivered = new Promise(resolve => conversation.once('lastdeliveredatupdate', resolve));
    const sent = await ann.say(conversation, 'live', { receipt: true });
    await ben.hears('live');
    await within(delivered, 'delivered');
    assert.ok(!(+conversation.lastReadAt > 0), 'nothing was read yet');
    const read = new Promise(resolve => conversation.once('lastreadatupdate', resolve));
    await (await ben.find(conversation)).read();
    await within(read, 'read');
    assert.ok(conversation.lastReadAt >= sent.timestamp);
  });
}
