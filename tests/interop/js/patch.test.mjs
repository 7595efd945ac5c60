// Edited and recalled messages, live, in history, for every device, and after an absence. SDK 5.0.0-rc.8.

import assert from 'node:assert/strict';

import { until, within } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

/** Alice has said "original" to Bob, who heard it. */
async function said(...options) {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const his = await bob.find(conversation);
  const sent = await alice.say(conversation, 'original', ...options);
  await bob.hears('original');
  const edit = (message, text) => within(conversation.update(message, new alice.sdk.TextMessage(text)), 'the edit is accepted');
  return { alice, bob, conversation, his, sent, edit };
}

check('S226 S228 an edit reaches the others and keeps id, time and place', async () => {
  const { alice, bob, conversation, sent, edit } = await said();
  await alice.say(conversation, 'next');
  const edited = await edit(sent, 'changed');
  assert.equal(edited.id, sent.id);
  const [message, seen] = await bob.events.next('messageupdate');
  assert.equal(message.text, 'changed');
  assert.equal(message.id, sent.id);
  assert.equal(+message.timestamp, +sent.timestamp);
  assert.equal(message.from, alice.id);
  assert.ok(message.updatedAt > message.timestamp);
  assert.equal(seen.id, conversation.id);
  const [stored, next] = await (await bob.find(conversation)).queryMessages();
  assert.deepEqual([stored.text, next.text], ['changed', 'next']);
  assert.equal(+stored.updatedAt, +message.updatedAt);
});

check('S225 S227 S162 a recall takes the content away everywhere and leaves a recalled message', async () => {
  const { alice, bob, conversation, his, sent } = await said();
  const recalled = await within(conversation.recall(sent), 'the recall is accepted');
  assert.ok(recalled instanceof alice.sdk.RecalledMessage);
  const [message] = await bob.events.next('messagerecall');
  assert.ok(message instanceof bob.sdk.RecalledMessage);
  assert.deepEqual([message.id, +message.timestamp, message.from], [sent.id, +sent.timestamp, alice.id]);
  const [stored] = await his.queryMessages();
  assert.ok(stored instanceof bob.sdk.RecalledMessage);
  assert.equal(stored.id, sent.id);
});

check('S226 a message is edited again and again, with other mentions and as another kind', async () => {
  const { alice, bob, conversation, his, sent } = await said();
  const second = new alice.sdk.TextMessage('second').setMentionList([bob.id]).setAttributes({ n: 2 });
  await conversation.update(sent, second);
  const [message] = await bob.events.next('messageupdate');
  assert.deepEqual([message.text, message.mentioned, message.getAttributes()], ['second', true, { n: 2 }]);
  await conversation.update(sent, new alice.sdk.BinaryMessage(new Uint8Array([5, 0, 6]).buffer));
  // The SDK takes a live patch's bytes, which its protobuf library wrapped, for a message of no kind.
  const [binary] = await bob.events.next('messageupdate');
  assert.deepEqual([...new Uint8Array(binary.content.toArrayBuffer())], [5, 0, 6]);
  const [stored] = await his.queryMessages();
  assert.deepEqual([...new Uint8Array(stored.buffer)], [5, 0, 6]);
});

check('S228 S312 the other devices of the author see the edit too', async () => {
  const { alice, sent, edit } = await said();
  const tablet = await alice.again(world);
  await edit(sent, 'changed');
  const [message] = await tablet.events.next('messageupdate');
  assert.equal(message.text, 'changed');
  assert.deepEqual(alice.events.seen('messageupdate'), []);
});

check('S227 S228 edits and recalls of the time offline are caught up with after a reconnect', async () => {
  const { alice, bob, conversation, sent, edit } = await said();
  const other = await alice.say(conversation, 'other');
  await bob.hears('other');
  bob.device.pause();
  await alice.seesGone(bob);
  await edit(sent, 'changed');
  await edit(sent, 'changed twice');
  await conversation.recall(other);
  bob.device.resume();
  const [changed] = await bob.events.next('messageupdate', message => message.text === 'changed twice');
  assert.equal(changed.id, sent.id);
  const [recalled] = await bob.events.next('messagerecall');
  assert.equal(recalled.id, other.id);
});

check('S228 what was caught up with is not told again after the next reconnect', async () => {
  const { alice, bob, conversation, sent, edit } = await said();
  await edit(sent, 'changed');
  await bob.events.next('messageupdate');
  bob.device.cut();
  await bob.events.next('reconnect');
  await alice.say(conversation, 'barrier');
  await bob.hears('barrier');
  await edit(sent, 'changed again');
  const [message] = await bob.events.next('messageupdate');
  assert.equal(message.text, 'changed again');
});

check('S230 the last message of a conversation and the unread one show the edit', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.startWith([name]);
  const sent = await alice.say(conversation, 'original');
  await conversation.update(sent, new alice.sdk.TextMessage('changed'));
  const bob = await world.login(name);
  const [[counted]] = await bob.events.next('unreadmessagescountupdate');
  assert.deepEqual([counted.unreadMessagesCount, counted.lastMessage.text, counted.lastMessage.id], [1, 'changed', sent.id]);
  const query = (await bob.again(world)).client.getQuery().equalTo('objectId', conversation.id).withLastMessagesRefreshed();
  const [found] = await query.find();
  assert.equal(found.lastMessage.text, 'changed');
  assert.ok(found.lastMessage.updatedAt > found.lastMessage.timestamp);
});

// S361
check('S224 the message of somebody else can be neither edited nor recalled: 4403', async () => {
  const { bob, his, sent } = await said();
  const pointer = { id: sent.id, timestamp: sent.timestamp };
  await refusedWith(4403, his.update(pointer, new bob.sdk.TextMessage('forged')));
  await refusedWith(4403, his.recall(pointer));
  assert.deepEqual(await bob.history(his), ['original']);
});

check('S224 an unknown message, or a known one at a wrong time, is refused with 4404', async () => {
  const { alice, conversation, sent } = await said();
  const edit = pointer => conversation.update(pointer, new alice.sdk.TextMessage('forged'));
  await refusedWith(4404, edit({ id: 'AAAAAAAAAAAAAAAAAAAAAA', timestamp: sent.timestamp }));
  await refusedWith(4404, edit({ id: sent.id, timestamp: new Date(sent.timestamp - 1) }));
  assert.deepEqual(await alice.history(conversation), ['original']);
});

check('S224 there is no time limit for a pointer that the device never sent itself', async () => {
  const { alice, bob, conversation, sent } = await said();
  const tablet = await alice.again(world);
  const own = await tablet.find(conversation);
  await own.update({ id: sent.id, timestamp: sent.timestamp }, new tablet.sdk.TextMessage('from the tablet'));
  const [message] = await bob.events.next('messageupdate');
  assert.equal(message.text, 'from the tablet');
  await alice.events.next('messageupdate', seen => seen.text === 'from the tablet');
});

check('S225 a recalled message stays recalled, and its unread count stays', async () => {
  const { alice, bob, conversation, sent } = await said();
  await conversation.recall(sent);
  await bob.events.next('messagerecall');
  const again = await bob.again(world);
  await again.events.next('unreadmessagescountupdate');
  const seen = await again.find(conversation);
  await until('it is counted', () => seen.unreadMessagesCount === 1);
  assert.ok(seen.lastMessage instanceof again.sdk.RecalledMessage);
  assert.equal((await alice.history(conversation)).length, 1);
});
