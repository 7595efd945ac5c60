// Missed messages, on every device, and the calls that clear them: SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { until, within } from './lib/wait.mjs';
import { World, check } from './lib/world.mjs';

const world = await World.start();

/** The next announcement about this conversation, as the device then sees it. */
async function counted(person, conversation, fits = () => true) {
  const about = list => list.find(updated => updated.id === conversation.id);
  const [list] = await person.events.next('unreadmessagescountupdate', all => about(all) && fits(about(all)));
  return about(list);
}

check('S204 S205 S210 S213 S218 at log-in every conversation with missed messages is counted, with its last message', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const [one, two] = [await alice.startWith([name]), await alice.startWith([name])];
  for (const text of ['a', 'b', 'c']) await alice.say(one, text);
  const last = await alice.say(two, 'd');
  const bob = await world.login(name);
  const [seenOne, seenTwo] = [await counted(bob, one), await bob.find(two)];
  await until('both are counted', () => seenTwo.unreadMessagesCount > 0);
  assert.equal(seenOne.unreadMessagesCount, 3);
  assert.equal(seenOne.lastMessage.text, 'c');
  assert.equal(seenTwo.unreadMessagesCount, 1);
  assert.equal(seenTwo.lastMessage.id, last.id);
  assert.equal(seenTwo.lastMessage.from, alice.id);
  assert.equal(+seenTwo.lastMessageAt, +last.timestamp);
  assert.equal(seenOne.unreadMessagesMentioned, false);
});

check('S204 who missed nothing is told nothing', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const again = await bob.again(world);
  await alice.say(conversation, 'live');
  await again.hears('live');
  assert.equal(again.events.seen('unreadmessagescountupdate').length, 1);
  assert.equal((await again.find(conversation)).unreadMessagesCount, 1);
});

check('S206 S208 S215 S311 reading on one device clears the count on the other', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.startWith([name]);
  await alice.say(conversation, 'a');
  await alice.say(conversation, 'b');
  const [phone, tablet] = [await world.login(name), await world.login(name)];
  for (const device of [phone, tablet]) assert.equal((await counted(device, conversation)).unreadMessagesCount, 2);
  const his = await phone.find(conversation);
  assert.deepEqual(await phone.history(conversation), ['a', 'b']);
  await his.read();
  assert.equal((await counted(tablet, conversation, seen => seen.unreadMessagesCount === 0)).unreadMessagesMentioned, false);
  const later = await world.login(name);
  await alice.say(conversation, 'c');
  await later.hears('c');
  assert.equal((await later.find(conversation)).unreadMessagesCount, 1);
});

check('S207 several conversations are marked as read in one call', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversations = [await alice.startWith([name]), await alice.startWith([name])];
  for (const conversation of conversations) await alice.say(conversation, 'hello');
  const [phone, tablet] = [await world.login(name), await world.login(name)];
  for (const conversation of conversations) await until('it is counted', async () => (await phone.find(conversation)).unreadMessagesCount === 1);
  await Promise.all(conversations.map(async conversation => (await phone.find(conversation)).read()));
  for (const conversation of conversations) {
    await until('it is cleared on the tablet', async () => (await tablet.find(conversation)).unreadMessagesCount === 0);
  }
});

check('S214 messages that arrive live count too, until they are read', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  for (const text of ['a', 'b']) {
    await alice.say(conversation, text);
    await bob.hears(text);
  }
  assert.equal((await bob.find(conversation)).unreadMessagesCount, 2);
  const again = await bob.again(world);
  assert.equal((await counted(again, conversation)).unreadMessagesCount, 2);
});

check('S213 the count is absolute: unread before and during an absence add up', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  await alice.say(conversation, 'live');
  await bob.hears('live');
  bob.device.pause();
  await alice.seesGone(bob);
  await alice.say(conversation, 'missed');
  bob.device.resume();
  assert.equal((await counted(bob, conversation, seen => seen.unreadMessagesCount === 2)).lastMessage.text, 'missed');
});

check('S236 a missed mention is flagged until it is read', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.startWith([name]);
  await conversation.send(new alice.sdk.TextMessage('bob!').setMentionList([name]));
  await alice.say(conversation, 'and something else');
  const bob = await world.login(name);
  const seen = await counted(bob, conversation);
  assert.equal(seen.unreadMessagesMentioned, true);
  await seen.read();
  await until('the service knows', () => hasRead(alice, conversation));
  await alice.say(conversation, 'no mention');
  const later = await world.login(name);
  assert.equal((await counted(later, conversation)).unreadMessagesMentioned, false);
});

/** True if the service knows that the other one has read everything in this person's conversation. */
async function hasRead(author, conversation) {
  const own = await author.find(conversation);
  await own.fetchReceiptTimestamps();
  return +own.lastReadAt >= +own.lastMessageAt;
}

check('S312 one\'s own messages, recalled ones among them, are not unread for oneself', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const sent = await alice.say(conversation, 'mine');
  await conversation.recall(sent);
  const again = await alice.again(world);
  await (await bob.find(conversation)).send(new bob.sdk.TextMessage('yours'));
  await again.hears('yours');
  assert.equal((await again.find(conversation)).unreadMessagesCount, 1);
  assert.equal(again.events.seen('unreadmessagescountupdate').length, 1);
});

check('S205 a message after joining is unread, those before are not', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const [name] = world.names('carol');
  const conversation = await alice.startWith([bob]);
  await alice.say(conversation, 'before');
  await conversation.add([name]);
  await alice.say(conversation, 'after');
  const carol = await world.login(name);
  assert.equal((await counted(carol, conversation)).unreadMessagesCount, 1);
});

check('S204 a count stops at 100', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.startWith([name]);
  await within(Promise.all(Array.from({ length: 103 }, (_, n) => conversation.send(new alice.sdk.TextMessage(`n${n}`)))), 'all are sent');
  const bob = await world.login(name);
  assert.equal((await counted(bob, conversation)).unreadMessagesCount, 100);
});

check('S208 what was read while away stays read after the next log-in', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const tablet = await bob.again(world);
  await tablet.find(conversation);
  await alice.say(conversation, 'read me');
  for (const device of [bob, tablet]) await device.hears('read me');
  tablet.device.pause();
  await (await bob.find(conversation)).read();
  await until('the read is known', () => hasRead(alice, conversation));
  tablet.device.resume();
  await tablet.events.next('reconnect');
  await counted(tablet, conversation, seen => seen.unreadMessagesCount === 0);
});
