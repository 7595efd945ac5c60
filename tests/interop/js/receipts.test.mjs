// Delivered and read: receipts and marks, as the sender sees them. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { until, within } from './lib/wait.mjs';
import { World, check } from './lib/world.mjs';

const world = await World.start();

/** Alice and Bob in a conversation that both know. */
async function pair() {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  return { alice, bob, conversation, his: await bob.find(conversation) };
}

const event = (conversation, name) => within(new Promise(resolve => conversation.once(name, resolve)), name);

check('S184 S191 S194 S197 a receipt that was asked for tells that and when a message was delivered', async () => {
  const { alice, bob, conversation } = await pair();
  const delivered = event(conversation, 'lastdeliveredatupdate');
  const sent = await alice.say(conversation, 'with a receipt', { receipt: true });
  await bob.hears('with a receipt');
  await delivered;
  assert.equal(sent.status, alice.sdk.MessageStatus.DELIVERED);
  assert.ok(sent.deliveredAt >= sent.timestamp);
  assert.equal(+conversation.lastDeliveredAt, +sent.deliveredAt);
});

check('S191 a message that did not ask is not receipted, whatever its receiver does', async () => {
  const { alice, bob, conversation, his } = await pair();
  const plain = await alice.say(conversation, 'no receipt');
  await bob.hears('no receipt');
  const asked = await alice.say(conversation, 'a receipt', { receipt: true });
  await bob.hears('a receipt');
  await until('the second is delivered', () => asked.status === alice.sdk.MessageStatus.DELIVERED);
  await his.read();
  assert.equal(plain.status, alice.sdk.MessageStatus.SENT);
});

check('S198 S199 a read mark reaches the sender of receipted messages', async () => {
  const { alice, bob, conversation, his } = await pair();
  const sent = await alice.say(conversation, 'read me', { receipt: true });
  await bob.hears('read me');
  const read = event(conversation, 'lastreadatupdate');
  await his.read();
  await read;
  assert.ok(conversation.lastReadAt >= sent.timestamp);
});

check('S197 S199 the marks can be asked for, whether receipts were wanted or not', async () => {
  const { alice, bob, conversation, his } = await pair();
  const first = await alice.say(conversation, 'one');
  await within(conversation.fetchReceiptTimestamps(), 'the marks');
  await bob.hears('one');
  await until('one is delivered', async () => +(await conversation.fetchReceiptTimestamps()).lastDeliveredAt >= +first.timestamp);
  await his.read();
  await until('one is read', async () => +(await conversation.fetchReceiptTimestamps()).lastReadAt >= +first.timestamp);
  const mark = +conversation.lastReadAt;
  await alice.say(conversation, 'two');
  await bob.hears('two');
  assert.equal(+(await conversation.fetchReceiptTimestamps()).lastReadAt, mark);
});

check('S197 the marks of every member of a group can be asked for', async () => {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const conversation = await alice.startWith([bob, carol]);
  await alice.say(conversation, 'to the group');
  await Promise.all([bob, carol].map(person => person.hears('to the group')));
  await (await bob.find(conversation)).read();
  await until('bob has read and carol has not', async () => {
    const tuples = await conversation._fetchAllReceiptTimestamps();
    const [his, hers] = [bob, carol].map(person => tuples.find(tuple => tuple.pid === person.id));
    return his?.lastReadAt > 0 && hers?.lastDeliveredAt > 0 && !(hers.lastReadAt > 0);
  });
});

check('S175 history shows a delivered message as delivered', async () => {
  const { alice, bob, conversation } = await pair();
  await alice.say(conversation, 'sent');
  await bob.hears('sent');
  const { DELIVERED } = alice.sdk.MessageStatus;
  await until('it is delivered', async () => (await conversation.queryMessages({ limit: 1 }))[0].status === DELIVERED);
  const [message] = await conversation.queryMessages({ limit: 1 });
  assert.ok(message.deliveredAt >= message.timestamp);
});

check('S197 a message that nobody received is not delivered', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.startWith([name]);
  const sent = await alice.say(conversation, 'anyone?', { receipt: true });
  const [message] = await conversation.queryMessages({ limit: 1 });
  assert.equal(message.status, alice.sdk.MessageStatus.SENT);
  assert.equal(sent.status, alice.sdk.MessageStatus.SENT);
  assert.ok(!(+conversation.lastDeliveredAt > 0));
});

check('S197 S202 a receipt that was missed is told after a reconnect', async () => {
  const { alice, bob, conversation } = await pair();
  bob.device.pause();
  await alice.seesGone(bob);
  const sent = await alice.say(conversation, 'while you were out', { receipt: true });
  alice.device.pause();
  bob.device.resume();
  await bob.events.next('unreadmessagescountupdate');
  const his = await bob.find(conversation);
  await his.queryMessages({ limit: 1 });
  await his.read();
  const tablet = await alice.again(world);
  const hers = await tablet.find(conversation);
  await until('bob has read', async () => +(await hers.fetchReceiptTimestamps()).lastReadAt >= +sent.timestamp);
  alice.device.resume();
  await alice.events.next('reconnect');
  await until('alice knows', async () => +(await conversation.fetchReceiptTimestamps()).lastReadAt >= +sent.timestamp);
});
