// Service conversations from end to end: an app's own server makes them and speaks over REST, SDK clients subscribe and
// hear. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();
const { service } = world;

/** A service conversation with a name of its own. */
async function serviceConversation(name) {
  const { objectId } = await service.rest('POST', '/service-conversations', { name });
  return objectId;
}

function text(message, rest = {}) {
  return { from_client: 'editor', message: JSON.stringify({ _lctype: -1, _lctext: message }), ...rest };
}

check('S010 S070 a client subscribes to a service conversation, hears it, and leaves it', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const id = await serviceConversation('News');
  const hers = await alice.find(id);
  assert.equal(hers.system, true);
  await hers.join();
  assert.deepEqual(await service.rest('GET', `/service-conversations/${id}/subscribers/count`), { count: 1 });
  await service.rest('POST', `/service-conversations/${id}/broadcasts`, text('first'));
  const heard = await alice.hears('first');
  assert.deepEqual([heard.from, heard.cid], ['editor', id]);
  await (await bob.find(id)).join();
  await hers.quit();
  await service.rest('POST', `/service-conversations/${id}/broadcasts`, text('second'));
  await bob.hears('second');
  assert.deepEqual(alice.events.seen('message').map(([message]) => message.text), ['first']);
  assert.deepEqual(await alice.history(id), ['first', 'second'], 'what is for all can be read by all');
});

check('S010 a client is told of what came while it was away, and reads it', async () => {
  const [name] = world.names('alice');
  const id = await serviceConversation('Digest');
  await service.rest('POST', `/service-conversations/${id}/subscribers`, { client_id: name }, { key: service.appKey });
  await service.rest('POST', `/service-conversations/${id}/broadcasts`, text('missed'));
  const alice = await world.login(name);
  const [conversations] = await alice.events.next('unreadmessagescountupdate');
  const own = conversations.find(it => it.id === id);
  assert.equal(own.unreadMessagesCount, 1);
  await own.read();
  const { count } = await service.rest('GET', `/clients/${name}/unread-count?conv_id=${id}`);
  assert.ok(count <= 1);
});

check('S010 S070 what a service says to one client is for it alone', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const id = await serviceConversation('Support');
  await (await bob.find(id)).join();
  await service.rest('POST', `/service-conversations/${id}/messages`, text('only for alice', { to_clients: [alice.id] }));
  const heard = await alice.hears('only for alice');
  assert.equal(heard.cid, id);
  assert.deepEqual(await alice.history(id), ['only for alice']);
  assert.deepEqual(await bob.history(id), []);
  await alice.say(id, 'thanks');
  assert.deepEqual(await bob.history(id), []);
  const rows = await service.rest('GET', `/service-conversations/${id}/messages`);
  assert.deepEqual(rows.map(row => JSON.parse(row.data)._lctext), ['thanks', 'only for alice']);
});

check('S010 a broadcast reaches every client of the app, those who sign in later too', async () => {
  const [alice] = await world.people('alice');
  const [late] = world.names('late');
  const id = await serviceConversation('Everybody');
  const { 'msg-id': mid } = await service.rest('POST', '/broadcasts', text('to everybody', { conv_id: id }));
  await alice.hears('to everybody');
  const bob = await world.login(late);
  await bob.hears('to everybody');
  await service.rest('DELETE', `/broadcasts/${mid}`);
});

check('nobody but its operator makes or changes a service conversation', async () => {
  const [alice] = await world.people('alice');
  const id = await serviceConversation('Fixed');
  const hers = await alice.find(id);
  hers.name = 'Mine';
  await refusedWith(4309, hers.save());
  await refusedWith(4314, hers.add(['bob']));
  await assert.rejects(service.rest('POST', '/service-conversations', {}, { key: service.appKey }), { status: 401 });
});

check('S274 the history of a conversation made under a given id comes in the rows of the hosted service', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const objectId = '5f0c0e3a9d1f2b0006a1b2c3';
  await service.rest('POST', '/conversations', { objectId, m: [alice.id, bob.id], name: 'moved' });
  await alice.events.next('invited', (_, conversation) => conversation.id === objectId);
  await alice.say(objectId, 'after the move');
  await bob.hears('after the move');
  const [row] = await service.rest('GET', `/conversations/${objectId}/messages`);
  assert.deepEqual([row['conv-id'], row.from, row.bin, row['is-conv']], [objectId, alice.id, false, true]);
  const [own] = await service.rest('GET', `/clients/${alice.id}/messages`);
  assert.equal(own['msg-id'], row['msg-id']);
  assert.ok((await service.rest('GET', '/messages')).some(it => it['msg-id'] === row['msg-id']));
});

check('an app\'s own server speaks as a client, edits and recalls, and clients see it at once', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const said = await service.rest('POST', `/conversations/${conversation.id}/messages`, text('draft', { from_client: alice.id }));
  const heard = await bob.hears('draft');
  assert.equal(heard.from, alice.id);
  await alice.hears('draft');
  const path = `/conversations/${conversation.id}/messages/${said['msg-id']}`;
  await service.rest('PUT', path, text('final', { from_client: alice.id, timestamp: said.timestamp }));
  const [edited] = await bob.events.next('messageupdate');
  assert.equal(edited.text, 'final');
  await service.rest('PUT', `${path}/recall`, { from_client: alice.id, timestamp: said.timestamp });
  const [recalled] = await bob.events.next('messagerecall');
  assert.equal(recalled.id, said['msg-id']);
});

check('an app\'s own server adds and removes members, and everybody is told', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([]);
  await service.rest('POST', `/conversations/${conversation.id}/members`, { client_ids: [bob.id] });
  await bob.events.next('invited');
  await alice.events.next('membersjoined', ({ members }) => members.includes(bob.id));
  await service.rest('DELETE', `/conversations/${conversation.id}/members`, { client_ids: [bob.id] });
  await bob.events.next('kicked');
  await alice.events.next('membersleft');
  assert.deepEqual(await service.rest('GET', `/conversations/${conversation.id}/members`), { result: [alice.id] });
  assert.deepEqual(await service.rest('POST', '/clients/check-online', { client_ids: [alice.id, 'nobody'] }), { results: [alice.id] });
});

check('S366 the server of an app reads the history of a conversation, of a client and of the whole app', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const [one, other] = [await alice.startWith([bob]), await bob.startWith([alice])];
  await alice.say(one, 'first');
  await bob.say(other, 'second');
  await alice.say(other, 'third');
  const texts = rows => rows.map(row => JSON.parse(row.data)._lctext);
  const read = path => service.rest('GET', path);
  assert.deepEqual(texts(await read(`/conversations/${other.id}/messages`)), ['third', 'second']);
  assert.deepEqual(texts(await read(`/clients/${alice.id}/messages`)), ['third', 'first']);
  assert.deepEqual(texts(await read('/messages?limit=3')), ['third', 'second', 'first']);
  const [newest] = await read('/messages?limit=1');
  assert.deepEqual([newest['conv-id'], newest.from], [other.id, alice.id]);
  const place = `timestamp=${newest.timestamp}&msgid=${newest['msg-id']}`;
  assert.deepEqual(texts(await read(`/messages?limit=2&${place}`)), ['second', 'first'], 'the next page follows');
  await assert.rejects(service.rest('GET', '/messages', undefined, { key: service.appKey }), { status: 401 });
});
