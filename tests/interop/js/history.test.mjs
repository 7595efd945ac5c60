// The past of a conversation: pages in both directions, end points, types, who may read it. SDK 5.0.0-rc.8.

import assert from 'node:assert/strict';

import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

/** A conversation in which alice has said n0, n1, … */
async function told(count) {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const sent = await Promise.all(Array.from({ length: count }, (_, n) => conversation.send(new alice.sdk.TextMessage(`n${n}`))));
  const page = async options => (await conversation.queryMessages(options)).map(message => message.text);
  return { alice, bob, conversation, sent, page };
}

const texts = (from, to) => Array.from({ length: to - from }, (_, index) => `n${from + index}`);

check('S258 S260 S152 the newest come by default, twenty of them, in the order of time', async () => {
  const { page, conversation, sent } = await told(25);
  assert.deepEqual(await page(), texts(5, 25));
  assert.deepEqual(await page({ limit: 3 }), texts(22, 25));
  assert.deepEqual(await page({ limit: 100 }), texts(0, 25));
  assert.deepEqual(await page({ limit: 0 }), []);
  const [last] = await conversation.queryMessages({ limit: 1 });
  assert.deepEqual([last.id, +last.timestamp, last.from, last.cid], [sent[24].id, +sent[24].timestamp, sent[24].from, conversation.id]);
});

check('S262 S263 an iterator walks back to the beginning, without a hole and without a repeat', async () => {
  const { conversation } = await told(23);
  const iterator = conversation.createMessagesIterator({ limit: 5 });
  const pages = [];
  for (;;) {
    const { value, done } = await iterator.next();
    pages.push(value.map(message => message.text));
    if (done) break;
  }
  assert.deepEqual(pages, [texts(18, 23), texts(13, 18), texts(8, 13), texts(3, 8), texts(0, 3)]);
});

check('S262 a page of a thousand long messages is whole, so an iterator does not take it for the end', async () => {
  const [alice] = await world.people('alice');
  const conversation = await alice.startWith([]);
  const text = 'x'.repeat(4800);
  for (let n = 0; n < 10; n += 1) {
    await Promise.all(Array.from({ length: 101 }, () => conversation.send(new alice.sdk.TextMessage(text))));
  }
  const iterator = conversation.createMessagesIterator({ limit: 1000 });
  const first = await iterator.next();
  assert.deepEqual([first.value.length, first.done], [1000, false]);
  const second = await iterator.next();
  assert.deepEqual([second.value.length, second.done], [10, true]);
});

check('S262 the last page of an even number of pages is empty and done', async () => {
  const { conversation } = await told(4);
  const iterator = conversation.createMessagesIterator({ limit: 2 });
  assert.equal((await iterator.next()).done, false);
  assert.equal((await iterator.next()).done, false);
  assert.deepEqual(await iterator.next(), { value: [], done: true });
});

check('S260 forwards in time: from the beginning, from a message, up to a message', async () => {
  const { alice, page, sent } = await told(10);
  const { OLD_TO_NEW } = alice.sdk.MessageQueryDirection;
  const start = n => ({ startTime: sent[n].timestamp, startMessageId: sent[n].id });
  const end = n => ({ endTime: sent[n].timestamp, endMessageId: sent[n].id });
  assert.deepEqual(await page({ direction: OLD_TO_NEW, limit: 3 }), texts(0, 3));
  assert.deepEqual(await page({ direction: OLD_TO_NEW, limit: 3, ...start(4) }), texts(5, 8));
  assert.deepEqual(await page({ direction: OLD_TO_NEW, startClosed: true, limit: 3, ...start(4) }), texts(4, 7));
  assert.deepEqual(await page({ direction: OLD_TO_NEW, ...start(4), ...end(7) }), texts(5, 7));
  assert.deepEqual(await page({ direction: OLD_TO_NEW, ...start(4), ...end(7), endClosed: true }), texts(5, 8));
  assert.deepEqual(await page({ direction: OLD_TO_NEW, ...start(9) }), []);
});

check('S263 S153 backwards in time: before a message, down to a message, closed or open at either end', async () => {
  const { page, sent } = await told(10);
  const start = n => ({ startTime: sent[n].timestamp, startMessageId: sent[n].id });
  const end = n => ({ endTime: sent[n].timestamp, endMessageId: sent[n].id });
  assert.deepEqual(await page({ limit: 3, ...start(6) }), texts(3, 6));
  assert.deepEqual(await page({ limit: 3, ...start(6), startClosed: true }), texts(4, 7));
  assert.deepEqual(await page({ ...start(6), ...end(2) }), texts(3, 6));
  assert.deepEqual(await page({ ...start(6), startClosed: true, ...end(2), endClosed: true }), texts(2, 7));
  assert.deepEqual(await page({ startTime: sent[6].timestamp }), texts(0, 6));
  assert.deepEqual(await page({ startTime: sent[6].timestamp, startClosed: true }), texts(0, 7));
  assert.deepEqual(await page({ ...start(0) }), []);
});

check('S264 by the type of the message', async () => {
  const { alice, conversation, page } = await told(3);
  const typed = type => new alice.sdk.Message(JSON.stringify({ _lctype: type, _lctext: `type ${type}` }));
  await conversation.send(typed(-5));
  await conversation.send(typed(7));
  await conversation.send(new alice.sdk.BinaryMessage(new Uint8Array([1]).buffer));
  await alice.say(conversation, 'n3');
  assert.deepEqual(await page({ type: -1 }), texts(0, 4));
  assert.deepEqual(await page({ type: -1, limit: 2 }), texts(2, 4));
  assert.equal((await conversation.queryMessages({ type: 7 })).length, 1);
  assert.equal((await conversation.queryMessages({ type: 9 })).length, 0);
});

check('S258 a conversation without messages has an empty history', async () => {
  const { page } = await told(0);
  assert.deepEqual(await page(), []);
});

check('S106 who was added later reads everything', async () => {
  const { conversation } = await told(3);
  const [carol] = await world.people('carol');
  await conversation.add([carol.id]);
  assert.deepEqual(await carol.history(conversation), texts(0, 3));
});

check('S258 the history of a conversation that one is not in is refused with 4312, of an unknown one too', async () => {
  const { bob, conversation } = await told(1);
  const [carol] = await world.people('carol');
  const seen = await carol.find(conversation);
  await refusedWith(4312, seen.queryMessages());
  seen.id = '0123456789abcdef01234567';
  await refusedWith(4303, seen.queryMessages());
  assert.deepEqual(await bob.history(conversation), ['n0']);
});

check('S258 many pages of one conversation asked for at once are all answered', async () => {
  const { alice, bob, conversation } = await told(12);
  const his = await bob.find(conversation);
  const pages = await Promise.all(Array.from({ length: 12 }, (_, n) => his.queryMessages({ limit: n + 1 })));
  assert.deepEqual(pages.map(page => page.length), Array.from({ length: 12 }, (_, n) => n + 1));
  assert.equal(pages[11][0].from, alice.id);
});
