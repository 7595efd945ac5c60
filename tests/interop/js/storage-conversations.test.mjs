// The conversations of the storage SDK, two generations of it: an app's own server makes, changes, finds and deletes them
// as rows of a class, and speaks in them. The clients are SDK 5.0.0-rc.8.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { World, check } from './lib/world.mjs';
import { within } from './lib/wait.mjs';

const require = createRequire(import.meta.url);
const world = await World.start();
const { appId, appKey, masterKey, url } = world.service;
const storage3 = require('leancloud-storage-3');
const storage4 = require('leancloud-storage');
storage3.init({ appId, appKey, masterKey, serverURLs: url });
storage4.init({ appId, appKey, masterKey, serverURL: url });

const MASTER = { useMasterKey: true };

/** The payload of a text message. */
function text(words) {
  return { _lctype: -1, _lctext: words };
}

for (const [version, storage] of [['3.11.1', storage3], ['4.x', storage4]]) {
  /** A row of the class that stands for a conversation whose id is known. */
  const rowOf = id => storage.Object.createWithoutData('_Conversation', id);

  check(`storage ${version} makes a conversation with members, and they are told`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const made = new storage.Conversation('Tea', { isSystem: false, isTransient: false });
    made.addMember(alice.id);
    made.addMember(bob.id);
    made.set('attr', { room: 7 });
    await within(made.save(null, MASTER), 'the conversation is saved');
    const [, invited] = await alice.events.next('invited');
    assert.equal(invited.id, made.id);
    await alice.say(made.id, 'hello');
    await bob.hears('hello');
    const found = await within(rowOf(made.id).fetch({}, MASTER), 'the row is read');
    assert.deepEqual([found.get('name'), found.get('attr')], ['Tea', { room: 7 }]);
    assert.deepEqual([...found.get('m')].sort(), [alice.id, bob.id].sort());
    assert.ok(found.get('lm') instanceof Date);
  });

  check(`storage ${version} changes columns and members, and the clients see both`, async () => {
    const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
    const conversation = await alice.startWith([bob], { name: 'Tea' });
    const row = rowOf(conversation.id);
    row.set('name', 'Coffee');
    row.addUnique('m', carol.id);
    await within(row.save(null, MASTER), 'the row is saved');
    await carol.events.next('invited');
    await bob.events.next('membersjoined', ({ members }) => members.includes(carol.id));
    const [{ attributes }] = await bob.events.next('conversationinfoupdated');
    assert.equal(attributes.name, 'Coffee');
    const taken = rowOf(conversation.id);
    taken.remove('m', bob.id);
    await within(taken.save(null, MASTER), 'the row is saved');
    await bob.events.next('kicked');
    const after = await carol.client.getConversation(conversation.id, true);
    assert.deepEqual(after.members.sort(), [alice.id, carol.id].sort());
  });

  check(`a change that storage ${version} cannot make is refused as a whole`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const conversation = await alice.startWith([bob]);
    const lists = rowOf(conversation.id);
    lists.set('m', [alice.id]);
    await assert.rejects(within(lists.save(null, MASTER), 'the change is refused'), /m is changed by AddUnique or Remove alone/);
    const fixed = rowOf(conversation.id);
    fixed.addUnique('m', 'carol');
    fixed.set('c', 'mallory');
    await assert.rejects(within(fixed.save(null, MASTER), 'the change is refused'), { code: 4307 });
    const after = await alice.client.getConversation(conversation.id, true);
    assert.deepEqual([after.members.sort(), after.creator], [[alice.id, bob.id].sort(), alice.id]);
  });

  check(`storage ${version} speaks in a conversation, a chat room and a service conversation`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const { id } = await alice.startWith([bob]);
    const row = rowOf(id);
    const sent = await within(row.send('editor', text('to all'), {}, MASTER), 'the message is sent');
    const heard = await bob.hears('to all');
    assert.deepEqual([heard.from, heard.id], ['editor', sent['msg-id']]);
    await alice.hears('to all');

    const room = await alice.client.createChatRoom({});
    await room.join();
    await within(rowOf(room.id).send('editor', text('in the room'), { transient: true }, MASTER), 'the message is sent');
    await alice.hears('in the room');

    const news = new storage.Conversation('News', { isSystem: true });
    await within(news.save(null, MASTER), 'the service conversation is saved');
    await within(news.send('editor', text('for bob'), { toClients: [bob.id] }, MASTER), 'the message is sent');
    assert.equal((await bob.hears('for bob')).cid, news.id);
    await within(news.broadcast('editor', text('for everybody'), {}, MASTER), 'the message is sent');
    await Promise.all([alice.hears('for everybody'), bob.hears('for everybody')]);
  });

  check(`storage ${version} finds and counts conversations, and deletes one`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const [mark] = world.names('mark');
    const ids = [];
    for (const name of ['a', 'b', 'c']) ids.push((await alice.startWith([bob], { name, mark })).id);
    const query = () => new storage.Query('_Conversation').equalTo('mark', mark);
    const found = await within(query().containedIn('name', ['a', 'c']).descending('name').find(MASTER), 'the rows are found');
    assert.deepEqual(found.map(row => row.get('name')), ['c', 'a']);
    assert.equal(await within(query().count(MASTER), 'the rows are counted'), 3);
    await within(rowOf(ids[1]).destroy(MASTER), 'the row is deleted');
    assert.equal(await within(query().count(MASTER), 'the rows are counted'), 2);
    await assert.rejects(within(new storage.Query('_Conversation').get(ids[1], MASTER), 'the row is asked for'), { code: 101 });
    assert.equal(await alice.client.getConversation(ids[1], true), null);
  });

  check(`without the master key storage ${version} is refused at once`, async () => {
    const [alice] = await world.people('alice');
    const { id } = await alice.startWith(['bob']);
    for (const call of [
      () => new storage.Conversation('Tea').save(),
      () => rowOf(id).fetch(),
      () => rowOf(id).send('editor', text('no')),
      () => rowOf(id).broadcast('editor', text('no')),
      () => new storage.Query('_Conversation').find(),
      () => rowOf(id).destroy(),
    ]) {
      await assert.rejects(within(call(), 'the call is refused', 5_000), { code: 401 });
    }
  });
}

check('a message is edited and recalled over the older interface, and subscribers are spoken to', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const { id } = await alice.startWith([bob]);
  const older = (method, path, body) => world.service.rest(method, path, body, { version: '1.1' });
  const payload = words => JSON.stringify(text(words));
  const first = await older('POST', '/messages', { from_peer: 'editor', conv_id: id, message: payload('frist') });
  await bob.hears('frist');
  const named = { from_peer: 'editor', conv_id: id, msg_id: first['msg-id'], timestamp: first.timestamp };
  await older('PUT', '/patch/message', { ...named, message: payload('first') });
  const [changed] = await bob.events.next('messageupdate');
  assert.equal(changed.text, 'first');
  await older('PUT', '/patch/message', { ...named, recall: true });
  await bob.events.next('messagerecall');
  const { objectId } = await world.service.rest('POST', '/service-conversations', { name: 'News' });
  await (await alice.find(objectId)).join();
  await older('POST', '/broadcast/subscriber', { from_peer: 'editor', conv_id: objectId, message: payload('to subscribers') });
  await alice.hears('to subscribers');
  await assert.rejects(older('POST', '/messages', { from_peer: 'editor', conv_id: 'f'.repeat(24), message: 'x' }), { status: 404 });
});
