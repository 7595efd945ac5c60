// An app's own settings: signatures required, edits and recalls forbidden, limits lowered. SDK 5.0.0-rc.8.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';

import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start({
  settings: {
    signatures: { login: true, conversation: true },
    features: { edit: false, recall: false },
    limits: { members: 3 },
  },
});
const { appId, masterKey } = world.service;

/** The answer of an app's own server: the text's signature, with a time and a nonce. */
function signed(...parts) {
  const [timestamp, nonce] = [Date.now(), Math.random().toString(36).slice(2)];
  const text = parts.map(part => (part === 'TIME' ? timestamp : part === 'NONCE' ? nonce : part)).join(':');
  return { signature: createHmac('sha1', masterKey).update(text).digest('hex'), timestamp, nonce };
}

const signatureFactory = clientId => signed(appId, clientId, '', 'TIME', 'NONCE');

function conversationSignatureFactory(cid, clientId, members, action) {
  const targets = [...members].sort().join(':');
  if (action === 'create') return signed(appId, clientId, targets, 'TIME', 'NONCE');
  return signed(appId, clientId, cid, targets, 'TIME', 'NONCE', action);
}

/** Logs in with signatures for everything, or with those that are given instead. */
async function login(name, options = {}) {
  const device = await world.device();
  return device.login(name, { signatureFactory, conversationSignatureFactory, ...options });
}

check('S328 S329 a log-in needs the signature of the app, and a wrong one is refused with 4102', async () => {
  const [name] = world.names('alice');
  const alice = await login(name);
  assert.deepEqual(await alice.client.ping([name]), [name]);
  await refusedWith(4102, (await world.device()).login(name));
  await refusedWith(4102, login(name, { signatureFactory: async () => signatureFactory('somebody else') }));
});

check('S329 a reconnect shows its token and needs no signature', async () => {
  const [name] = world.names('alice');
  let asked = 0;
  const counting = clientId => {
    asked += 1;
    return signatureFactory(clientId);
  };
  const alice = await login(name, { signatureFactory: counting });
  alice.device.cut();
  await alice.events.next('reconnect');
  assert.equal(asked, 1);
});

check('S330 creating, adding and removing need a signature each, and leaving does not: 4302', async () => {
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => login(name)));
  const conversation = await alice.startWith([bob]);
  assert.deepEqual((await conversation.add(['carol'])).successfulClientIds, ['carol']);
  assert.deepEqual((await conversation.remove(['carol'])).successfulClientIds, ['carol']);
  const unsigned = await login(bob.id, { conversationSignatureFactory: undefined });
  const his = await unsigned.find(conversation);
  await refusedWith(4302, unsigned.client.createConversation({ members: [alice.id], unique: false }));
  await refusedWith(4302, his.add(['carol']));
  await his.quit();
  assert.deepEqual((await alice.client.getConversation(conversation.id, true)).members, [alice.id]);
});

check('S223 edits and recalls can be forbidden: 4406 and 4407', async () => {
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => login(name)));
  const conversation = await alice.startWith([bob]);
  const sent = await alice.say(conversation, 'for ever');
  await refusedWith(4406, conversation.update(sent, new alice.sdk.TextMessage('changed')));
  await refusedWith(4407, conversation.recall(sent));
  assert.deepEqual(await bob.history(conversation), ['for ever']);
});

// S346
check('S083 a conversation with more members than allowed is refused with 4304', async () => {
  const [alice] = await Promise.all(world.names('alice').map(name => login(name)));
  await refusedWith(4304, alice.client.createConversation({ members: ['b', 'c', 'd'], unique: false }));
  const conversation = await alice.startWith(['b', 'c']);
  await assert.rejects(
    conversation.add(['d']).then(({ failures }) => Promise.reject(failures[0])),
    error => error?.code === 4304,
  );
});
