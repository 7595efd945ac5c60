// Hooks of an app's own server, and words that it masks, as SDK clients see them. The app's own server is a double in this
// process. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after } from 'node:test';

import { World, check } from './lib/world.mjs';
import { within } from './lib/wait.mjs';

const told = [];
const double = createServer(async (request, response) => {
  let body = '';
  for await (const some of request) body += some;
  const name = request.url.split('/').pop();
  const asked = JSON.parse(body);
  told.push({ name, asked });
  const no = { drop: true, reject: true, code: 4711, detail: 'the app says no' };
  const isNo = /forbidden/.test(asked.content ?? '') || asked.attr?.name === 'forbidden' || asked.members?.includes('forbidden');
  response.end(JSON.stringify({ result: isNo ? no : {} }));
});
double.listen(0, '127.0.0.1');
await once(double, 'listening');
after(() => double.close());

const functions = ['_messageReceived', '_messageUpdate', '_messageSent', '_conversationStart', '_conversationAdd', '_conversationUpdate', '_clientOnline'];
const url = `http://127.0.0.1:${double.address().port}/1.1/functions`;
const world = await World.start({ settings: { hooks: { url, functions }, masked_words: ['gold'] } });

/** Asserts that a call is refused by the app, with its own code. */
async function refusedByApp(code, promise) {
  await assert.rejects(within(promise, 'a refusal'), error => {
    assert.deepEqual([error.code, error.appCode], [code, 4711]);
    return true;
  });
}

check('what the app refuses is refused with its own code, and what it lets pass arrives', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  await refusedByApp(4402, conversation.send(new alice.sdk.TextMessage('forbidden')));
  const message = await alice.say(conversation, 'allowed');
  await bob.hears('allowed');
  assert.ok(!bob.events.seen('message').some(([it]) => it.text === 'forbidden'));
  await refusedByApp(4405, conversation.update(message, new alice.sdk.TextMessage('forbidden too')));
  await refusedByApp(4305, alice.client.createConversation({ members: ['forbidden'], unique: false }));
  await refusedByApp(4305, conversation.add(['forbidden']));
  conversation.name = 'forbidden';
  await refusedByApp(4305, conversation.save());
  const sent = told.find(({ name, asked }) => name === '_messageSent' && asked.msgId === message.id);
  assert.deepEqual([sent.asked.fromPeer, sent.asked.onlinePeers], [alice.id, [bob.id]]);
  assert.ok(told.some(({ name, asked }) => name === '_clientOnline' && asked.peerId === bob.id));
});

check('S343 a masked word reaches nobody, and the sender is told with 4408', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const sent = await alice.say(conversation, 'free gold here');
  await bob.hears('free **** here');
  const [altered, , reason] = await alice.events.next('messageupdate', it => it.id === sent.id);
  assert.deepEqual([altered.text, reason.code], ['free **** here', -4408]);
  assert.deepEqual(await bob.history(conversation), ['free **** here']);
});
