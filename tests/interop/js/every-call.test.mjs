// Every public method of the SDK's classes that talks to the service, tried on every kind of conversation. Each is served, or
// refused at once with a code of the protocol: none waits for the SDK's time-out. SDKs 5.0.0-rc.8 and 4.3.1 against the service.

import assert from 'node:assert/strict';

import { World, check } from './lib/world.mjs';
import { within } from './lib/wait.mjs';

const world = await World.start();

/** Far below the 20 seconds after which the SDK gives up. */
const AT_ONCE = 5_000;

/** Methods that ask the service for nothing. */
const LOCAL = new Set(`addListener emit eventNames listenerCount listeners off on once removeAllListeners removeListener
  get set toJSON toFullJSON`.split(/\s+/));

/** The methods of a class and its ancestors that are for the public. */
function methodsOf(object) {
  const found = new Set();
  for (let type = Object.getPrototypeOf(object); type && type !== Object.prototype; type = Object.getPrototypeOf(type)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(type))) {
      if (typeof value === 'function' && name !== 'constructor' && !name.startsWith('_') && !LOCAL.has(name)) found.add(name);
    }
  }
  return [...found].sort();
}

/** The outcome of a call: `served`, or the code of the refusal. */
async function outcome(name, call) {
  try {
    const result = await within(Promise.resolve(call()), name, AT_ONCE);
    const [failure] = result?.failures ?? [];
    return failure?.code ?? 'served';
  } catch (error) {
    assert.doesNotMatch(error.message, /time-?out|in vain|waited/i, `${name}: ${error.stack}`);
    return error.code ?? 'refused by the SDK';
  }
}

/** Calls each method of a conversation in the order of the table, and compares what comes of it. */
async function tryAll(sdk, conversation, expected) {
  assert.deepEqual(Object.keys(expected).sort(), methodsOf(conversation), 'the table has every method');
  const said = expected.send === 'served' ? await conversation.send(new sdk.TextMessage('to change')) : new sdk.TextMessage('never sent');
  const taken = expected.send === 'served' ? await conversation.send(new sdk.TextMessage('to recall')) : said;
  const given = {
    send: [new sdk.TextMessage('hello')],
    update: [said, new sdk.TextMessage('changed')],
    recall: [taken],
    queryMessages: [{ limit: 5 }],
    add: [['guest']],
    remove: [['guest']],
    muteMembers: [['guest']],
    unmuteMembers: [['guest']],
    blockMembers: [['other guest']],
    unblockMembers: [['other guest']],
    getMemberInfo: ['bob'],
    updateMemberRole: ['bob', 'Manager'],
  };
  const came = {};
  for (const name of Object.keys(expected)) {
    if (name === 'save') conversation.name = 'another name';
    const call = name === 'createMessagesIterator' ? () => conversation.createMessagesIterator().next() : () => conversation[name](...(given[name] ?? []));
    came[name] = await outcome(name, call);
  }
  assert.deepEqual(came, expected);
}

const READING = { count: 'served', createMessagesIterator: 'served', queryMessages: 'served', read: 'served' };
const SPEAKING = { send: 'served', update: 'served', recall: 'served' };
const LISTS = ['muteMembers', 'queryMutedMembers', 'unmuteMembers', 'blockMembers', 'queryBlockedMembers', 'unblockMembers'];

function all(names, result) {
  return Object.fromEntries(names.map(name => [name, result]));
}

// Where nobody has a mark, 5.0.0-rc.8 asks for none.
for (const [version, sdk, marks] of [['5.0.0-rc.8', 5, 'served'], ['4.3.1', 4, 4314]]) {
  const people = (...bases) => Promise.all(world.names(...bases).map(name => world.login(name, { sdk })));

  check(`${version}: every call on a normal conversation is served or refused at once`, async () => {
    const [alice] = await people('alice');
    const conversation = await alice.startWith(['bob']);
    await tryAll(alice.sdk, conversation, {
      ...SPEAKING, ...READING, ...all(LISTS, 'served'),
      fetch: 'served', fetchReceiptTimestamps: 'served', save: 'served', mute: 'served', unmute: 'served',
      add: 'served', getAllMemberInfo: 'served', getMemberInfo: 'served', updateMemberRole: 'served', remove: 'served',
      join: 'served', quit: 4324,
    });
  });

  check(`${version}: every call on a chat room is served or refused at once`, async () => {
    const [alice] = await people('alice');
    const room = await alice.client.createChatRoom({ name: 'pier' });
    await tryAll(alice.sdk, room, {
      ...SPEAKING, ...READING, ...all(LISTS, 'served'),
      fetch: 'served', fetchReceiptTimestamps: marks, save: 'served', mute: 'served', unmute: 'served',
      add: 4314, remove: 4314, join: 'served', quit: 'served',
    });
  });

  check(`${version}: every call on a service conversation is served or refused at once`, async () => {
    const [alice] = await people('alice');
    const { objectId } = await world.service.rest('POST', '/service-conversations', { name: 'News' });
    const service = await alice.find(objectId);
    await tryAll(alice.sdk, service, {
      ...SPEAKING, ...READING, ...all(LISTS, 4314),
      fetch: 'served', fetchReceiptTimestamps: marks, save: 4309,
      subscribe: 'served', mute: 'served', unmute: 'served', unsubscribe: 'served', add: 4314, remove: 4314, join: 'served', quit: 'served',
    });
  });

  check(`${version}: every call on a temporary conversation is served or refused at once`, async () => {
    const [alice] = await people('alice');
    const conversation = await alice.client.createTemporaryConversation({ members: ['bob'] });
    await tryAll(alice.sdk, conversation, { ...SPEAKING, ...READING, fetchReceiptTimestamps: 'served' });
  });

  check(`${version}: every call of a stranger is served or refused at once`, async () => {
    const [alice, eve] = await people('alice', 'eve');
    const conversation = await eve.find(await alice.startWith(['bob']));
    await tryAll(eve.sdk, conversation, {
      send: 4401, update: 'refused by the SDK', recall: 'refused by the SDK',
      ...all(['count', 'fetchReceiptTimestamps'], 4317), ...all(['createMessagesIterator', 'queryMessages'], 4312),
      ...all(['muteMembers', 'unmuteMembers', 'blockMembers', 'unblockMembers', 'updateMemberRole'], 4320),
      ...all(['queryMutedMembers', 'queryBlockedMembers', 'add', 'remove', 'getAllMemberInfo', 'getMemberInfo'], 4317),
      ...all(['save', 'mute', 'unmute'], 4309), read: 'served', fetch: 'served', quit: 'served', join: 'served',
    });
  });

  check(`${version}: every call of a client is served at once`, async () => {
    const [alice] = await people('alice');
    const { client } = alice;
    const conversation = await alice.startWith(['bob']);
    const calls = {
      createConversation: () => client.createConversation({ members: ['carol'] }),
      createChatRoom: () => client.createChatRoom({}),
      createTemporaryConversation: () => client.createTemporaryConversation({ members: ['carol'] }),
      getConversation: () => client.getConversation(conversation.id, true),
      getConversations: () => client.getConversations([conversation.id], true),
      getQuery: () => client.getQuery().find(),
      getChatRoomQuery: () => client.getChatRoomQuery().find(),
      getServiceConversationQuery: () => client.getServiceConversationQuery().find(),
      markAllAsRead: () => client.markAllAsRead([conversation]),
      parseMessage: () => client.parseMessage({ cid: conversation.id, id: 'x', from: 'bob', data: 'hi', timestamp: Date.now() }),
      parseConversation: () => client.parseConversation({ objectId: conversation.id, m: [] }),
      ping: () => client.ping(['bob']),
      close: () => client.close(),
    };
    const methods = methodsOf(client);
    const came = {};
    for (const name of methods) {
      assert.ok(calls[name], `the table has ${name}`);
      if (name !== 'close') came[name] = await outcome(name, calls[name]);
    }
    came.close = await outcome('close', calls.close);
    assert.deepEqual(came, all(methods, 'served'));
  });
}
