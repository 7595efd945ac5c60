// Conversation queries: every operator that SDK 5.0.0-rc.8 can write, sorting, paging and the two flags.

import assert from 'node:assert/strict';

import { World, check } from './lib/world.mjs';

const world = await World.start();

/** Five conversations of a fresh person, told apart by `attr.n`; nobody else's have their `attr.mark`. */
async function harbour() {
  const [mark] = world.names('mark');
  const [alice] = await world.people('alice');
  const rows = [
    { members: ['bob'], name: 'Red boat', attr: { n: 1, mark, tags: ['a', 'b'] } },
    { members: ['bob', 'carol'], name: 'Blue boat', attr: { n: 2, mark, tags: ['b'], rare: true } },
    { members: ['carol'], name: 'red Raft', attr: { n: 3, mark, tags: [] } },
    { members: ['dave'], name: 'a.b*c\\Ed', attr: { n: 4, mark, tags: ['a', 'b', 'c'] } },
    { members: ['dave', 'erin'], attr: { n: 5, mark } },
  ];
  const conversations = [];
  for (const { members, ...options } of rows) conversations.push(await alice.startWith(members, options));
  const { ConversationQuery } = alice.sdk;
  const query = () => alice.client.getQuery().equalTo('attr.mark', mark).limit(100);
  const numbers = async built => (await built.find()).map(found => found.get('attr').n);
  return { alice, mark, conversations, ConversationQuery, query, numbers: async built => (await numbers(built)).sort(), inOrder: numbers };
}

check('S276 S277 by default the ten conversations that one is in come, the newest activity first', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const made = [];
  for (let n = 0; n < 12; n += 1) made.push(await alice.startWith([bob], { attr: { n } }));
  await bob.startWith(['carol']);
  for (const n of [3, 11, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10]) await alice.say(made[n], `n${n}`);
  const found = await (await alice.again(world)).client.getQuery().find();
  assert.deepEqual(found.map(conversation => conversation.get('attr').n), [10, 9, 8, 7, 6, 5, 4, 2, 1, 0]);
});

check('S277 S278 by members: one of them, all of them, exactly these', async () => {
  const { query, numbers, alice } = await harbour();
  assert.deepEqual(await numbers(query().containsMembers(['bob'])), [1, 2]);
  assert.deepEqual(await numbers(query().containsMembers(['bob', 'carol'])), [2]);
  assert.deepEqual(await numbers(query().withMembers(['carol', alice.id])), [3]);
  assert.deepEqual(await numbers(query().withMembers(['erin', 'dave'], true)), [5]);
  assert.deepEqual(await numbers(query().sizeEqualTo('m', 3)), [2, 5]);
});

check('S280 S281 S284 equal, not equal, less, greater, and several conditions at once', async () => {
  const { query, numbers } = await harbour();
  assert.deepEqual(await numbers(query().equalTo('attr.n', 2)), [2]);
  assert.deepEqual(await numbers(query().notEqualTo('attr.n', 2)), [1, 3, 4, 5]);
  assert.deepEqual(await numbers(query().lessThan('attr.n', 3)), [1, 2]);
  assert.deepEqual(await numbers(query().lessThanOrEqualTo('attr.n', 3)), [1, 2, 3]);
  assert.deepEqual(await numbers(query().greaterThan('attr.n', 1).lessThan('attr.n', 4)), [2, 3]);
  assert.deepEqual(await numbers(query().greaterThanOrEqualTo('attr.n', 4)), [4, 5]);
  assert.deepEqual(await numbers(query().equalTo('attr.n', '2')), []);
});

check('S282 S283 by text: contains, begins, ends, and a regular expression with flags', async () => {
  const { query, numbers } = await harbour();
  assert.deepEqual(await numbers(query().contains('name', 'boat')), [1, 2]);
  assert.deepEqual(await numbers(query().contains('name', '.b*c\\E')), [4]);
  assert.deepEqual(await numbers(query().startsWith('name', 'Red')), [1]);
  assert.deepEqual(await numbers(query().endsWith('name', 'boat')), [1, 2]);
  assert.deepEqual(await numbers(query().matches('name', /^red/)), [3]);
  assert.deepEqual(await numbers(query().matches('name', /^RED\s(boat|raft)$/i)), [1, 3]);
});

check('S280 by lists: contained in, not contained in, contains all, exists, does not exist', async () => {
  const { query, numbers } = await harbour();
  assert.deepEqual(await numbers(query().containedIn('attr.n', [1, 5, 9])), [1, 5]);
  assert.deepEqual(await numbers(query().notContainsIn('attr.n', [1, 5, 9])), [2, 3, 4]);
  assert.deepEqual(await numbers(query().containsAll('attr.tags', ['a', 'b'])), [1, 4]);
  assert.deepEqual(await numbers(query().sizeEqualTo('attr.tags', 0)), [3]);
  assert.deepEqual(await numbers(query().exists('attr.rare')), [2]);
  assert.deepEqual(await numbers(query().doesNotExist('name')), [5]);
});

check('S280 conditions are combined by or and by and', async () => {
  const { query, numbers, ConversationQuery } = await harbour();
  const one = query().equalTo('attr.n', 1);
  const boats = query().contains('name', 'boat');
  const late = query().greaterThan('attr.n', 4);
  assert.deepEqual(await numbers(ConversationQuery.or(one, late).limit(100)), [1, 5]);
  assert.deepEqual(await numbers(ConversationQuery.and(boats, ConversationQuery.or(one, late)).limit(100)), [1]);
});

check('S286 sorted by one key or by several, upwards and downwards', async () => {
  const { query, inOrder } = await harbour();
  assert.deepEqual(await inOrder(query().ascending('attr.n')), [1, 2, 3, 4, 5]);
  assert.deepEqual(await inOrder(query().descending('attr.n')), [5, 4, 3, 2, 1]);
  assert.deepEqual(await inOrder(query().exists('name').ascending('name')), [2, 1, 4, 3]);
  assert.deepEqual(await inOrder(query().ascending('attr.mark').addDescending('attr.n')), [5, 4, 3, 2, 1]);
  assert.deepEqual(await inOrder(query().ascending('createdAt')), [1, 2, 3, 4, 5]);
});

check('S279 S291 a page has a size and a place', async () => {
  const { query, inOrder } = await harbour();
  assert.deepEqual(await inOrder(query().ascending('attr.n').limit(2)), [1, 2]);
  assert.deepEqual(await inOrder(query().ascending('attr.n').limit(2).skip(3)), [4, 5]);
  assert.deepEqual(await inOrder(query().ascending('attr.n').skip(9)), []);
  assert.deepEqual(await inOrder(query().limit(0)), []);
});

check('S285 by the time of the last message and of creation', async () => {
  const { alice, conversations, query, numbers } = await harbour();
  await alice.say(conversations[1], 'earlier');
  const { timestamp } = await alice.say(conversations[2], 'later');
  assert.deepEqual(await numbers(query().greaterThan('lm', new Date(timestamp - 1))), [3]);
  assert.deepEqual(await numbers(query().lessThan('lm', timestamp)), [2]);
  assert.deepEqual(await numbers(query().lessThan('createdAt', new Date(0))), []);
  assert.deepEqual(await numbers(query().greaterThan('updatedAt', new Date(0))), [1, 2, 3, 4, 5]);
});

check('S287 S141 a compact result leaves the members out', async () => {
  const { alice, mark } = await harbour();
  const device = await alice.again(world);
  const find = compact => device.client.getQuery().equalTo('attr.mark', mark).equalTo('attr.n', 1).compact(compact).find();
  assert.deepEqual((await find(true))[0].members, []);
  assert.deepEqual(new Set((await find(false))[0].members), new Set([alice.id, 'bob']));
});

check('S288 the last message comes with the result on demand, text or binary', async () => {
  const { alice, conversations, mark } = await harbour();
  const sent = await alice.say(conversations[0], 'newest');
  await conversations[1].send(new alice.sdk.BinaryMessage(new Uint8Array([1, 0, 255]).buffer));
  const device = await alice.again(world);
  const find = refreshed => device.client.getQuery().equalTo('attr.mark', mark).ascending('attr.n').withLastMessagesRefreshed(refreshed).find();
  assert.equal((await find(false))[0].lastMessage, undefined);
  const [text, binary, none] = await find(true);
  assert.equal(text.lastMessage.text, 'newest');
  assert.equal(text.lastMessage.id, sent.id);
  assert.equal(text.lastMessage.from, alice.id);
  assert.equal(+text.lastMessage.timestamp, +sent.timestamp);
  assert.equal(+text.lastMessageAt, +sent.timestamp);
  assert.deepEqual([...new Uint8Array(binary.lastMessage.buffer)], [1, 0, 255]);
  assert.equal(none.lastMessage, undefined);
});

check('S115 chat rooms are found among all, and by their flag alone', async () => {
  const [mark] = world.names('mark');
  const [alice, bob] = await world.people('alice', 'bob');
  await alice.startWith([bob], { attr: { mark } });
  const room = await alice.client.createChatRoom({ attr: { mark } });
  const all = await bob.client.getQuery().equalTo('attr.mark', mark).find();
  assert.equal(all.length, 2);
  const rooms = await bob.client.getChatRoomQuery().equalTo('attr.mark', mark).find();
  assert.deepEqual(rooms.map(found => found.id), [room.id]);
  assert.equal(rooms[0].transient, true);
});

check('S283 a broken regular expression is refused and harms nobody', async () => {
  const { query, numbers } = await harbour();
  await assert.rejects(query()._addCondition('name', '$regex', '([').find(), error => error.code === 4310);
  assert.deepEqual(await numbers(query().equalTo('attr.n', 1)), [1]);
});

check('S281 S284 S371 dates, keys deep in attributes, and what is not there', async () => {
  const [alice] = await world.people('alice');
  const [mark] = world.names('mark');
  const when = new Date(5_000);
  const { id } = await alice.startWith(['bob'], { mark, when, nested: { deep: { x: 3, when } } });
  const finds = async build => (await build(alice.client.getQuery().equalTo('mark', mark)).find()).map(found => found.id);
  for (const key of ['when', 'nested.deep.when']) {
    assert.deepEqual(await finds(query => query.equalTo(key, when)), [id], key);
    assert.deepEqual(await finds(query => query.lessThan(key, new Date(5_001))), [id], key);
    assert.deepEqual(await finds(query => query.greaterThan(key, when)), [], key);
  }
  assert.deepEqual(await finds(query => query.greaterThanOrEqualTo('nested.deep.x', 3)), [id]);
  assert.deepEqual(await finds(query => query.equalTo('nowhere', null)), [id]);
  const read = await alice.client.getConversation(id, true);
  assert.deepEqual(read.get('when'), when, 'a date comes back as one');
});

check('S082 many conversations are fetched by their ids in one call, and those that are not there are none', async () => {
  const [alice] = await world.people('alice');
  const made = [];
  for (let n = 0; n < 30; n += 1) made.push((await alice.startWith(['bob'])).id);
  const reader = await alice.again(world);
  const found = await reader.client.getConversations([...made, 'f'.repeat(24)]);
  assert.deepEqual(found.map(conversation => conversation?.id), [...made, undefined]);
});
