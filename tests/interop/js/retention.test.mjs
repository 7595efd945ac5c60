// How long the service keeps what was said, as the app wants it. Messages with old times are loaded, as those of a service
// that an app leaves. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { World, check } from './lib/world.mjs';
import { until } from './lib/wait.mjs';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The limits of the hosted service, and those of its template of a chat room. */
const world = await World.start({ settings: { retention: { messages_days: 180, room_messages_hours: 24 } } });

/** Loads messages of a client into a conversation, each as old as given; the service begins to forget when it starts. */
async function saidLongAgo(from, conversation, ages) {
  const now = Date.now();
  const messages = Object.entries(ages).map(([text, age]) => ({
    conversation: conversation.id, id: `${conversation.id}-${text}`, at: now - age, as_of: now, from: from.id,
    data: JSON.stringify({ _lctype: -1, _lctext: text }),
  }));
  await world.service.rest('POST', '/loads', { messages });
  assert.deepEqual((await from.history(conversation)).sort(), Object.keys(ages).sort(), 'all are there');
}

check('S116 S259 S353 S357 messages are kept for 180 days, and those of a chat room for 24 hours, where the app wants that', async () => {
  const [alice] = await world.people('alice');
  const conversation = await alice.startWith(['bob']);
  const room = await alice.client.createChatRoom({ name: 'pier' });
  await saidLongAgo(alice, conversation, { 'too old': 180 * DAY + HOUR, 'half a year': 180 * DAY - HOUR, young: HOUR });
  await saidLongAgo(alice, room, { yesterday: 25 * HOUR, tonight: 23 * HOUR, 'just now': 60_000 });
  await world.service.stop();
  await world.service.startAgain();
  const again = await alice.again(world);
  await until('the old message is forgotten', async () => (await again.history(conversation)).length === 2);
  assert.deepEqual(await again.history(conversation), ['half a year', 'young']);
  await until('the message of yesterday is forgotten', async () => (await again.history(room)).length === 2);
  const since = await (await again.find(room)).queryMessages({ startTime: Date.now() - DAY, direction: again.sdk.MessageQueryDirection.OLD_TO_NEW, limit: 100 });
  assert.deepEqual(since.map(message => message.text), ['tonight', 'just now'], 'the last 24 hours of the room');
});
