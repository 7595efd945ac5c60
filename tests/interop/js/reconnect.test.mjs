// The network or the service goes away and comes back: SDK 5.0.0-rc.8.

import assert from 'node:assert/strict';

import { within } from './lib/wait.mjs';
import { World, check } from './lib/world.mjs';

const world = await World.start();

check('S292 S293 S294 S295 S300 a lost connection is announced, retried after a second and restored', async () => {
  const [alice] = await world.people('alice');
  alice.device.cut();
  await alice.device.events.next('disconnect');
  assert.deepEqual(await alice.device.events.next('schedule'), [0, 1000]);
  assert.deepEqual(await alice.device.events.next('retry'), [0]);
  await alice.device.events.next('reconnect');
  await alice.events.next('reconnect');
  assert.deepEqual(await alice.client.ping([alice.id]), [alice.id]);
});

check('S297 S298 the engine reconnects first, then each of its clients logs in again and says so', async () => {
  const device = await world.device();
  const order = [];
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => device.login(name)));
  device.realtime.on('reconnect', () => order.push('engine'));
  for (const person of [alice, bob]) person.client.on('reconnect', () => order.push(person.id));
  device.cut();
  await Promise.all([alice, bob].map(person => person.events.next('reconnect')));
  assert.equal(order[0], 'engine');
  assert.deepEqual(new Set(order.slice(1)), new Set([alice.id, bob.id]));
  for (const person of [alice, bob]) {
    assert.deepEqual(person.events.order('disconnect', 'schedule', 'retry', 'reconnect'), ['disconnect', 'schedule', 'retry', 'reconnect']);
  }
});

check('S296 going offline and online again restores the session', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  alice.device.pause();
  await alice.device.events.next('offline');
  await bob.seesGone(alice);
  alice.device.resume();
  await alice.device.events.next('online');
  await alice.events.next('reconnect');
  assert.deepEqual(await bob.client.ping([alice.id]), [alice.id]);
});

check('S299 a manual retry between schedule and retry reconnects at once', async () => {
  const [alice] = await world.people('alice');
  alice.device.cut();
  await alice.device.events.next('schedule');
  alice.device.realtime.retry();
  await alice.events.next('reconnect');
  assert.deepEqual(await alice.client.ping([alice.id]), [alice.id]);
});

check('S215 messages of the time offline are counted after a reconnect, and the later ones arrive live', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  await bob.find(conversation);
  bob.device.pause();
  await alice.seesGone(bob);
  await alice.say(conversation, 'one');
  await alice.say(conversation, 'two');
  bob.device.resume();
  const [[counted]] = await bob.events.next('unreadmessagescountupdate', ([updated]) => updated.unreadMessagesCount === 2);
  assert.equal(counted.id, conversation.id);
  assert.equal(counted.lastMessage.text, 'two');
  await alice.say(conversation, 'three');
  await bob.hears('three');
  assert.deepEqual(await bob.history(conversation), ['one', 'two', 'three']);
  assert.equal(bob.events.seen('message').length, 1);
});

check('S103 S298 membership changes of the time offline are told after a reconnect of the same login', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const before = await alice.startWith([bob]);
  await bob.events.next('invited', (_, conversation) => conversation.id === before.id);
  bob.device.pause();
  await alice.seesGone(bob);
  const conversation = await alice.startWith([bob]);
  await before.remove([bob.id]);
  bob.device.resume();
  const [{ invitedBy }] = await bob.events.next('invited', (_, invitedTo) => invitedTo.id === conversation.id);
  assert.equal(invitedBy, alice.id);
  const [{ kickedBy }] = await bob.events.next('kicked', (_, left) => left.id === before.id);
  assert.equal(kickedBy, alice.id);
});

check('S031 a restart of the service is survived by every client, with its session and its tag', async () => {
  const device = await world.device();
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => device.login(name, { tag: 'Mobile' })));
  const conversation = await alice.startWith([bob]);
  // The SDK waits for answers of the old connection to what it asks again: nothing may be under way.
  await bob.find(conversation);
  assert.equal(await world.service.stop(), 0);
  await device.events.next('disconnect');
  await world.service.startAgain();
  await Promise.all([alice, bob].map(person => person.events.next('reconnect')));
  await alice.say(conversation, 'after the restart');
  await bob.hears('after the restart');
  const second = await world.login(alice.id, { tag: 'Mobile' });
  await alice.events.next('conflict');
  assert.deepEqual(second.events.seen('conflict'), []);
});

check('S190 a send while the connection is down fails and can be repeated afterwards', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  for (const person of [alice, bob]) await person.events.next('membersjoined');
  alice.device.pause();
  const message = new alice.sdk.TextMessage('later');
  await assert.rejects(within(conversation.send(message), 'the send fails'), /Connection unavailable/);
  assert.equal(message.status, alice.sdk.MessageStatus.FAILED);
  alice.device.resume();
  await alice.events.next('reconnect');
  await within(conversation.send(message), 'the same message is sent again');
  await bob.hears('later');
  assert.deepEqual(await bob.history(conversation), ['later']);
});
