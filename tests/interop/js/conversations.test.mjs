// Conversations as rows: created, found again, renamed, changed, muted. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { within } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

check('S060 S061 S074 S081 a conversation has an id of the service, its creator and all members', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  assert.match(conversation.id, /^[0-9a-f]{24}$/);
  const seen = await bob.find(conversation);
  assert.deepEqual(new Set(seen.members), new Set([alice.id, bob.id]));
  assert.equal(seen.creator, alice.id);
});

check('S062 S071 S073 S075 name, custom attributes and times are stored as the creator gave them', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const attr = { topic: 'boats', depth: { metres: 3.5 }, tags: ['a', 'b'], on: true, none: null };
  const made = await alice.startWith([bob], { name: 'Harbour 港', attr, seats: 7, since: new Date(86_400_000) });
  const seen = await bob.find(made);
  assert.equal(seen.name, 'Harbour 港');
  assert.deepEqual(seen.get('attr'), attr);
  assert.equal(seen.get('seats'), 7);
  assert.equal(+seen.get('since'), 86_400_000);
  assert.equal(+seen.createdAt, +made.createdAt);
  assert.ok(seen.updatedAt >= seen.createdAt);
  assert.equal(seen.lastMessageAt, undefined);
  assert.equal(seen.transient, false);
  assert.equal(seen.system, false);
  assert.equal(seen.muted, false);
});

check('S062 a conversation without a name has none', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  assert.equal((await bob.find(await alice.startWith([bob]))).name, undefined);
});

check('S063 S065 S085 unique finds the conversation of the same members, whatever their order and the name', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const made = await alice.startWith([bob], { unique: true, name: 'first', attr: { n: 1 } });
  const other = await bob.startWith([alice], { unique: true, name: 'second', attr: { n: 2 } });
  assert.equal(other.id, made.id);
  const fetched = await (await world.login(bob.id)).find(made);
  assert.equal(fetched.name, 'first');
  assert.deepEqual(fetched.get('attr'), { n: 1 });
  assert.equal(fetched.get('unique'), true);
  assert.match(fetched.get('uniqueId'), /^[0-9a-f]{32}$/);
});

check('S063 unique makes a new conversation for another set of members', async () => {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const two = await alice.startWith([bob], { unique: true });
  const three = await alice.startWith([bob, carol], { unique: true });
  assert.notEqual(two.id, three.id);
});

check('S063 many devices that ask for the same unique conversation at once get one', async () => {
  const people = await world.people('alice', 'bob', 'carol');
  const made = await Promise.all(people.map(person => person.startWith(people, { unique: true })));
  assert.equal(new Set(made.map(conversation => conversation.id)).size, 1);
  const query = people[0].client.getQuery().containsMembers(people.map(person => person.id));
  assert.equal((await query.find()).length, 1);
});

check('S064 without unique every call makes a new conversation', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const [one, two] = [await alice.startWith([bob], { name: 'same' }), await alice.startWith([bob], { name: 'same' })];
  assert.notEqual(one.id, two.id);
});

check('S066 S067 unique has no effect on chat rooms', async () => {
  const [alice] = await world.people('alice');
  const options = { members: [], transient: true, unique: true };
  const [one, two] = [await alice.client.createConversation(options), await alice.client.createConversation(options)];
  assert.notEqual(one.id, two.id);
});

check('S082 a conversation is fetched by its id, also by someone who is not in it', async () => {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const made = await alice.startWith([bob], { name: 'open house' });
  assert.equal((await carol.find(made)).name, 'open house');
  assert.equal(await carol.client.getConversation('0123456789abcdef01234567'), null);
});

check('S077 a new name reaches every member, and every device', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const tablet = await alice.again(world);
  const conversation = await alice.startWith([bob], { name: 'old' });
  // A device that still reads the conversation would show what it read over what it is told.
  for (const person of [bob, tablet, alice]) await person.events.next('membersjoined');
  const before = conversation.updatedAt;
  conversation.name = 'new';
  await within(conversation.save(), 'the name is saved');
  assert.ok(conversation.updatedAt > before);
  for (const person of [bob, tablet, alice]) {
    const [{ attributes, updatedBy }, changed] = await person.events.next('conversationinfoupdated');
    assert.deepEqual(attributes, { name: 'new' });
    assert.equal(updatedBy, alice.id);
    assert.equal(changed.name, 'new');
  }
  assert.equal((await (await world.login(bob.id)).find(conversation)).name, 'new');
});

check('S071 one attribute is changed without touching its neighbours', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob], { attr: { colour: 'red', size: 1 } });
  await bob.find(conversation);
  conversation.set('attr.colour', 'blue').set('attr.extra', { deep: [1] });
  await within(conversation.save(), 'the attributes are saved');
  const [, changed] = await bob.events.next('conversationinfoupdated');
  const wanted = { colour: 'blue', size: 1, extra: { deep: [1] } };
  assert.deepEqual(changed.get('attr'), wanted);
  assert.deepEqual((await (await world.login(bob.id)).find(conversation)).get('attr'), wanted);
});

check('S071 two members change different attributes at once and neither is lost', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const hers = await alice.startWith([bob], { attr: {} });
  const his = await bob.find(hers);
  await Promise.all([hers.set('attr.a', 1).save(), his.set('attr.b', 2).save()]);
  assert.deepEqual((await (await world.login(bob.id)).find(hers)).get('attr'), { a: 1, b: 2 });
});

check('S071 operations add, add once, remove, count up and delete', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob], { attr: { list: [1, 2], set: ['x'], rest: [1, 2, 1], hits: 5, gone: 1 } });
  conversation
    .set('attr.list', { __op: 'Add', objects: [2] })
    .set('attr.set', { __op: 'AddUnique', objects: ['x', 'y'] })
    .set('attr.rest', { __op: 'Remove', objects: [1] })
    .set('attr.hits', { __op: 'Increment', amount: -2 })
    .set('attr.gone', { __op: 'Delete' });
  await within(conversation.save(), 'the operations are saved');
  // On a device of its own: one that is in already applies the notification of the change, which carries the operations.
  const after = (await (await world.login(bob.id)).find(conversation)).get('attr');
  assert.deepEqual(after, { list: [1, 2, 2], set: ['x', 'y'], rest: [2], hits: 3 });
});

check('S071 who is not a member may not change a conversation: 4309', async () => {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const conversation = await alice.startWith([bob], { name: 'ours' });
  const seen = await carol.find(conversation);
  seen.name = 'mine';
  await refusedWith(4309, seen.save());
  assert.equal((await (await world.login(bob.id)).find(conversation)).name, 'ours');
});

check('S078 S079 a member mutes a conversation for herself, and unmutes it', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  await bob.find(conversation);
  await within(conversation.mute(), 'muted');
  assert.deepEqual((await bob.client.getConversation(conversation.id, true)).mutedMembers, [alice.id]);
  await within(conversation.unmute(), 'unmuted');
  assert.deepEqual((await bob.client.getConversation(conversation.id, true)).mutedMembers, []);
});

check('S088 S095 events of a conversation are raised on its object too', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await bob.find(await alice.startWith([bob]));
  const heard = new Promise(resolve => conversation.once('message', resolve));
  const joined = new Promise(resolve => conversation.on('membersjoined', payload => payload.members.includes('carol') && resolve(payload)));
  await bob.events.next('membersjoined');
  await alice.say(conversation, 'on the object');
  assert.equal((await within(heard, 'the message event')).text, 'on the object');
  await (await alice.find(conversation)).add(['carol']);
  assert.equal((await within(joined, 'the membersjoined event')).invitedBy, alice.id);
});

check('S082 an update or a member change of an unknown conversation is refused with 4303', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  conversation.id = '0123456789abcdef01234567';
  conversation.name = 'nowhere';
  await refusedWith(4303, conversation.save());
  await refusedWith(4303, conversation.add(['carol']));
  await refusedWith(4303, conversation.count());
});
