// Comings and goings, and who is told of them: the matrix of members' events. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();
const MEMBER_EVENTS = ['invited', 'kicked', 'membersjoined', 'membersleft'];

/** Alice's conversation with Bob; Carol is online and outside. The events of its creation have been handed out. */
async function trio() {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const conversation = await alice.startWith([bob]);
  for (const person of [alice, bob]) {
    await person.events.next('invited');
    await person.events.next('membersjoined');
  }
  return { alice, bob, carol, conversation };
}

/** The member events that came after `before`, once everything that was under way has arrived. */
async function newEvents(person, before, speaker, conversation) {
  await speaker.say(conversation, `up to here, ${person.id}`);
  await person.hears(`up to here, ${person.id}`);
  return person.events.order(...MEMBER_EVENTS).slice(before);
}

check('S072 S097 creation invites every member, the creator too, and tells them who is in', async () => {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const conversation = await alice.startWith([bob, carol]);
  for (const person of [alice, bob, carol]) {
    const [{ invitedBy }, joined] = await person.events.next('invited');
    assert.equal(invitedBy, alice.id);
    assert.equal(joined.id, conversation.id);
    const [{ members, invitedBy: by }] = await person.events.next('membersjoined');
    assert.deepEqual(new Set(members), new Set([alice.id, bob.id, carol.id]));
    assert.equal(by, alice.id);
  }
});

check('S063 finding an existing unique conversation tells nobody anything', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob], { unique: true });
  await bob.events.next('membersjoined');
  await alice.startWith([bob], { unique: true });
  assert.deepEqual(await newEvents(bob, 0, alice, conversation), ['invited', 'membersjoined']);
});

check('S090 S094 S095 S099 an added member is invited, and everybody sees who joined', async () => {
  const { alice, bob, carol, conversation } = await trio();
  const result = await conversation.add([carol.id]);
  assert.deepEqual(result.successfulClientIds, [carol.id]);
  assert.deepEqual(result.failures, []);
  assert.ok(conversation.members.includes(carol.id));
  const [{ invitedBy }, joined] = await carol.events.next('invited');
  assert.equal(invitedBy, alice.id);
  assert.equal(joined.id, conversation.id);
  for (const person of [alice, bob, carol]) {
    const [payload] = await person.events.next('membersjoined');
    assert.deepEqual(payload, { members: [carol.id], invitedBy: alice.id });
  }
  assert.deepEqual(await newEvents(alice, 2, bob, conversation), ['membersjoined']);
  assert.deepEqual(await newEvents(carol, 0, bob, conversation), ['invited', 'membersjoined']);
});

check('S090 several members are added at once, and who is in already stays in', async () => {
  const { alice, bob, carol, conversation } = await trio();
  const result = await conversation.add([bob.id, carol.id, 'dave']);
  assert.deepEqual(new Set(result.successfulClientIds), new Set([bob.id, carol.id, 'dave']));
  const [{ members }] = await alice.events.next('membersjoined');
  assert.deepEqual(new Set(members), new Set([carol.id, 'dave']));
  const fetched = await (await bob.again(world)).find(conversation);
  assert.deepEqual(new Set(fetched.members), new Set([alice.id, bob.id, carol.id, 'dave']));
  assert.deepEqual(await newEvents(bob, 2, alice, conversation), ['membersjoined']);
});

check('S092 S096 S098 S100 a removed member is kicked, and the others see who left', async () => {
  const { alice, bob, carol, conversation } = await trio();
  await conversation.add([carol.id]);
  await carol.events.next('membersjoined');
  const result = await conversation.remove([carol.id]);
  assert.deepEqual(result.successfulClientIds, [carol.id]);
  assert.ok(!conversation.members.includes(carol.id));
  const [{ kickedBy }, left] = await carol.events.next('kicked');
  assert.equal(kickedBy, alice.id);
  assert.equal(left.id, conversation.id);
  for (const person of [alice, bob]) {
    const [payload] = await person.events.next('membersleft');
    assert.deepEqual(payload, { members: [carol.id], kickedBy: alice.id });
  }
  const elsewhere = await bob.startWith([carol]);
  await carol.events.next('membersjoined', (_, joined) => joined.id === elsewhere.id);
  assert.deepEqual(await newEvents(carol, 0, bob, elsewhere), ['invited', 'membersjoined', 'kicked', 'invited', 'membersjoined']);
});

check('S089 S101 who joins by herself is told, and so is everybody', async () => {
  const { alice, bob, carol, conversation } = await trio();
  const joined = await carol.find(conversation);
  await joined.join();
  assert.ok(joined.members.includes(carol.id));
  const [{ invitedBy }] = await carol.events.next('invited');
  assert.equal(invitedBy, carol.id);
  for (const person of [alice, bob, carol]) {
    const [payload] = await person.events.next('membersjoined');
    assert.deepEqual(payload, { members: [carol.id], invitedBy: carol.id });
  }
});

check('S091 S102 who quits is told, and so are those who stay', async () => {
  const { alice, bob, conversation } = await trio();
  await (await bob.find(conversation)).quit();
  const [{ kickedBy }] = await bob.events.next('kicked');
  assert.equal(kickedBy, bob.id);
  const [payload] = await alice.events.next('membersleft');
  assert.deepEqual(payload, { members: [bob.id], kickedBy: bob.id });
  assert.deepEqual((await (await bob.again(world)).find(conversation)).members, [alice.id]);
});

check('S310 every device of a member is told', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const [tablet, phone] = [await alice.again(world), await bob.again(world)];
  const conversation = await alice.startWith([bob]);
  for (const device of [tablet, bob, phone]) {
    const [, joined] = await device.events.next('invited');
    assert.equal(joined.id, conversation.id);
  }
});

check('S105 the invitation comes before the first message', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  await alice.say(conversation, 'welcome');
  await bob.hears('welcome');
  assert.deepEqual(bob.events.order('invited', 'membersjoined', 'message'), ['invited', 'membersjoined', 'message']);
});

check('S103 who was offline at that moment is not told at the next log-in', async () => {
  const [alice] = await world.people('alice');
  const [name] = world.names('bob');
  const conversation = await alice.startWith([name]);
  const bob = await world.login(name);
  assert.deepEqual(await newEvents(bob, 0, alice, conversation), []);
  assert.ok((await bob.find(conversation)).members.includes(name));
});

check('S104 the members are counted by the service', async () => {
  const { bob, carol, conversation } = await trio();
  assert.equal(await conversation.count(), 2);
  await conversation.add([carol.id, 'dave']);
  assert.equal(await (await bob.find(conversation)).count(), 4);
});

check('S106 who left and came back reads what was said meanwhile', async () => {
  const { alice, bob, conversation } = await trio();
  const his = await bob.find(conversation);
  await alice.say(conversation, 'before');
  await his.quit();
  await alice.say(conversation, 'meanwhile');
  await refusedWith(4312, his.queryMessages());
  await his.join();
  assert.deepEqual(await bob.history(conversation), ['before', 'meanwhile']);
});

check('S093 who was removed neither hears nor sends any more, and hears again when added again', async () => {
  const { alice, bob, carol, conversation } = await trio();
  const his = await bob.find(conversation);
  await conversation.remove([bob.id]);
  await bob.events.next('kicked');
  await refusedWith(4401, his.send(new bob.sdk.TextMessage('may I?')));
  await alice.say(conversation, 'not for bob');
  await conversation.add([bob.id, carol.id]);
  await bob.events.next('invited');
  await alice.say(conversation, 'for bob');
  await bob.hears('for bob');
  assert.deepEqual(bob.events.seen('message').map(([message]) => message.text), ['for bob']);
});

check('S090 who is not a member may not add others', async () => {
  const { carol, alice, conversation } = await trio();
  const seen = await carol.find(conversation);
  await assert.rejects(seen.add(['dave']), error => error.code === 4317 || error.code === 4309);
  assert.equal((await (await alice.again(world)).find(conversation)).members.length, 2);
});
