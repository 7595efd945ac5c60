// Push: who is offline is pushed to, over the app's own server, which is a double in this process. SDK 5.0.0-rc.8.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after } from 'node:test';

import { World, check } from './lib/world.mjs';
import { until, within } from './lib/wait.mjs';

const pushed = [];
let hook = {};
const double = createServer(async (request, response) => {
  let body = '';
  for await (const some of request) body += some;
  if (request.url === '/push') pushed.push(JSON.parse(body));
  response.end(JSON.stringify({ result: request.url === '/push' ? {} : hook }));
});
double.listen(0, '127.0.0.1');
await once(double, 'listening');
after(() => double.close());

const base = `http://127.0.0.1:${double.address().port}`;
const template = { alert: '${fromClientId} in ${convId}', badge: 'Increment' };
const world = await World.start({
  settings: {
    push: { enabled: true, webhook: `${base}/push`, template },
    hooks: { url: `${base}/hooks`, functions: ['_receiversOffline'] },
  },
});

/** A device of a client announces itself as the SDKs for phones do. */
async function announce(client, deviceToken) {
  const answer = await fetch(`${world.service.url}/1.1/installations`, {
    method: 'POST',
    headers: { 'X-LC-Id': world.service.appId, 'X-LC-Key': world.service.appKey, 'Content-Type': 'application/json' },
    body: JSON.stringify({ deviceType: 'ios', deviceToken, channels: [client] }),
  });
  assert.equal(answer.status, 201);
}

/** The next push to a device. */
async function pushTo(deviceToken) {
  await until(`a push to ${deviceToken}`, () => pushed.some(it => it.deviceToken === deviceToken));
  return pushed.splice(pushed.findIndex(it => it.deviceToken === deviceToken), 1)[0];
}

// S354
check('S244 S245 S251 S255 who is offline is pushed what the template says, and who is online is not', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const [carol] = world.names('carol');
  await announce(bob.id, `t-${bob.id}`);
  await announce(carol, `t-${carol}`);
  const conversation = await alice.startWith([bob, carol]);
  await alice.say(conversation, 'hello');
  const push = await pushTo(`t-${carol}`);
  assert.equal(push.payload.alert, `${alice.id} in ${conversation.id}`);
  assert.equal(push.payload.badge, 1);
  assert.equal(push.client, carol);
  const week = push.expiresAt - push.payload.sampan.timestamp / 1000;
  assert.ok(Math.abs(week - 7 * 86_400) < 60, `it expires after ${week} s`);
  await bob.hears('hello');
  await alice.say(conversation, 'again');
  assert.equal((await pushTo(`t-${carol}`)).payload.badge, 2);
  assert.ok(!pushed.some(it => it.deviceToken === `t-${bob.id}`));
});

check('S246 S248 S252 S253 S254 push data of a message go before the template, and its control fields stay here', async () => {
  const [alice] = await world.people('alice');
  const [carol] = world.names('carol');
  await announce(carol, `t-${carol}`);
  const conversation = await alice.startWith([carol]);
  const pushData = { alert: 'own', category: 'chat', _profile: 'dev', _apns_team_id: 'T2', key: 7 };
  await alice.say(conversation, 'hello', { pushData });
  const push = await pushTo(`t-${carol}`);
  assert.equal(push.payload.alert, 'own');
  assert.equal(push.payload.key, 7);
  assert.deepEqual([push.profile, push.apnsTeamId], ['dev', 'T2']);
  assert.ok(!Object.keys(push.payload).some(key => key.startsWith('_')));
});

check('S247 S248 the hook of the app goes before both', async () => {
  const [alice] = await world.people('alice');
  const [carol] = world.names('carol');
  await announce(carol, `t-${carol}`);
  const conversation = await alice.startWith([carol]);
  hook = { pushMessage: JSON.stringify({ alert: 'from the hook' }) };
  try {
    await alice.say(conversation, 'hello', { pushData: { alert: 'own' } });
    assert.equal((await pushTo(`t-${carol}`)).payload.alert, 'from the hook');
  } finally {
    hook = {};
  }
});

check('S257 a conversation that a member muted pushes it nothing', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const [carol] = world.names('carol');
  await announce(bob.id, `t-${bob.id}`);
  await announce(carol, `t-${carol}`);
  const conversation = await alice.startWith([bob, carol]);
  const his = await bob.find(conversation);
  await within(his.mute(), 'bob mutes');
  await within(bob.client.close(), 'bob signs out');
  await alice.seesGone(bob);
  await alice.say(conversation, 'quiet');
  await pushTo(`t-${carol}`);
  const other = await alice.startWith([bob]);
  await alice.say(other, 'loud');
  const push = await pushTo(`t-${bob.id}`);
  assert.equal(push.payload.sampan.conversation, other.id);
});
