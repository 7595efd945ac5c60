// Temporary conversations and chat rooms: SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { until, within } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

check('S068 a temporary conversation is known by its id, lives for its time and carries messages', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.client.createTemporaryConversation({ members: [bob.id], ttl: 3600 });
  assert.match(conversation.id, /^_tmp:/);
  const seconds = (conversation.expiredAt - Date.now()) / 1000;
  assert.ok(seconds > 3500 && seconds <= 3601, `${seconds}`);
  await conversation.send(new alice.sdk.TextMessage('for now'));
  const heard = await bob.hears('for now');
  assert.equal(heard.conversation.id, conversation.id);
  assert.ok(heard.conversation instanceof bob.sdk.TemporaryConversation);
  assert.equal(heard.conversation.expired, false);
  assert.deepEqual(await bob.history(conversation), ['for now']);
});

check('S068 the same members share one temporary conversation during its life', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const one = await alice.client.createTemporaryConversation({ members: [bob.id], ttl: 3600 });
  const two = await bob.client.createTemporaryConversation({ members: [alice.id], ttl: 3600 });
  assert.equal(one.id, two.id);
});

check('S068 a missed message of a temporary conversation is counted at log-in', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.client.createTemporaryConversation({ members: [name], ttl: 3600 });
  await conversation.send(new alice.sdk.TextMessage('missed'));
  const bob = await world.login(name);
  const [[counted]] = await bob.events.next('unreadmessagescountupdate');
  assert.equal(counted.id, conversation.id);
  assert.equal(counted.lastMessage.text, 'missed');
});

check('S068 an expired temporary conversation takes no more messages', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.client.createTemporaryConversation({ members: [bob.id], ttl: 1 });
  const his = await bob.find(conversation);
  await until('it has expired', () => his.expired && conversation.expired);
  await refusedWith(4323, conversation.send(new alice.sdk.TextMessage('too late')));
  conversation.expiredAt = new Date(Date.now() + 60_000);
  await refusedWith(4323, conversation.queryMessages());
  assert.equal(await (await alice.again(world)).client.getConversation(conversation.id), null);
});

/** Alice's room with Bob inside; Carol is online and outside. */
async function room() {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const made = await alice.client.createChatRoom({ name: 'the pier' });
  const his = await bob.find(made);
  await within(his.join(), 'bob enters');
  return { alice, bob, carol, made, his };
}

check('S067 S108 S109 S111 a chat room has no list of members, and counts who is inside', async () => {
  const { alice, bob, carol, made } = await room();
  assert.equal(await made.count(), 2);
  await (await carol.find(made)).join();
  assert.equal(await made.count(), 3);
  await within(carol.client.close(), 'carol logs out');
  assert.equal(await made.count(), 2);
  const fetched = await (await bob.again(world)).find(made);
  assert.ok(fetched instanceof bob.sdk.ChatRoom || fetched.transient);
  assert.deepEqual(fetched.members, []);
  assert.deepEqual(alice.events.order('membersjoined', 'membersleft', 'invited'), []);
});

check('S114 those inside hear a message, those outside do not, and it is kept in history', async () => {
  const { alice, bob, carol, made, his } = await room();
  await alice.say(made, 'ahoy');
  await bob.hears('ahoy');
  await his.send(new bob.sdk.TextMessage('ahoy yourself'), { priority: bob.sdk.MessagePriority.HIGH });
  await alice.hears('ahoy yourself');
  await (await carol.find(made)).send(new carol.sdk.TextMessage('from the shore'));
  for (const person of [alice, bob]) await person.hears('from the shore');
  assert.deepEqual(carol.events.seen('message'), []);
  assert.deepEqual(bob.events.seen('message').map(([message]) => message.text), ['ahoy', 'from the shore']);
  assert.deepEqual(await carol.history(made), ['ahoy', 'ahoy yourself', 'from the shore']);
});

check('S110 who left a chat room hears nothing and misses nothing', async () => {
  const { alice, bob, made, his } = await room();
  await his.quit();
  assert.equal(await made.count(), 1);
  await alice.say(made, 'empty here');
  await within(bob.client.close(), 'bob logs out');
  const again = await bob.again(world);
  const conversation = await alice.startWith([bob]);
  await alice.say(conversation, 'barrier');
  await again.hears('barrier');
  assert.equal(again.events.seen('message').length, 1);
  assert.equal((await again.find(made)).unreadMessagesCount, 0);
});

// S356
check('S112 entering another chat room leaves the first', async () => {
  const { alice, bob, carol, made } = await room();
  const other = await carol.client.createChatRoom({ name: 'the beach' });
  await (await bob.find(other)).join();
  await until('bob is in one room', async () => (await made.count()) === 1 && (await other.count()) === 2);
  await alice.say(made, 'not for bob');
  await carol.say(other, 'for bob');
  await bob.hears('for bob');
  assert.equal(bob.events.seen('message').length, 1);
});

check('S113 after a broken connection one is inside again without entering', async () => {
  const { alice, bob, made } = await room();
  bob.device.cut();
  await bob.events.next('reconnect');
  await alice.say(made, 'welcome back');
  await bob.hears('welcome back');
});

check('S119 messages of every priority reach those inside while they keep up', async () => {
  const { alice, bob, made } = await room();
  const { MessagePriority, TextMessage } = alice.sdk;
  const own = await alice.find(made);
  for (const [name, priority] of Object.entries(MessagePriority)) {
    await own.send(new TextMessage(name), { priority });
    await bob.hears(name);
  }
});
