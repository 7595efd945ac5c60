// SDK 5.0.0-rc.8 over text frames (`noBinary`): the whole chat once more in the other encoding.

import assert from 'node:assert/strict';

import { until } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();
const text = { noBinary: true };

check('S005 S020 S061 S155 a chat over text frames, with every kind of content', async () => {
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => world.login(name, text)));
  const conversation = await alice.startWith([bob], { name: '文', attr: { n: 1 } });
  await bob.events.next('invited');
  await alice.say(conversation, 'words 字');
  assert.equal((await bob.hears('words 字')).from, alice.id);
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  await conversation.send(new alice.sdk.BinaryMessage(bytes.buffer));
  const heard = await bob.hears(message => message instanceof bob.sdk.BinaryMessage);
  assert.deepEqual(new Uint8Array(heard.buffer), bytes);
  const [first, second] = await (await bob.find(conversation)).queryMessages();
  assert.equal(first.text, 'words 字');
  assert.deepEqual(new Uint8Array(second.buffer), bytes);
});

check('S005 S087 text and binary devices of one conversation understand each other', async () => {
  const [alice, bob] = world.names('alice', 'bob');
  const [ann, ben] = [await world.login(alice, text), await world.login(bob)];
  const mirror = await world.login(alice);
  const conversation = await ann.startWith([ben]);
  await ann.say(conversation, 'from text');
  for (const person of [ben, mirror]) await person.hears('from text');
  await ben.say(conversation, 'from binary');
  for (const person of [ann, mirror]) await person.hears('from binary');
});

check('S005 S295 S204 S226 unread, edits and refusals after a reconnect over text frames', async () => {
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => world.login(name, text)));
  const conversation = await alice.startWith([bob]);
  const sent = await alice.say(conversation, 'original');
  await bob.hears('original');
  bob.device.pause();
  await alice.seesGone(bob);
  await conversation.update(sent, new alice.sdk.TextMessage('changed'));
  await alice.say(conversation, 'missed');
  bob.device.resume();
  assert.equal((await bob.events.next('messageupdate'))[0].text, 'changed');
  const his = await bob.find(conversation);
  await until('it is counted', () => his.unreadMessagesCount === 2);
  assert.deepEqual(await bob.history(conversation), ['changed', 'missed']);
  await refusedWith(4403, his.recall({ id: sent.id, timestamp: sent.timestamp }));
});
