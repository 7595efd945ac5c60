// The live-query client of the storage SDK on the socket of messaging. The service has no live queries: what it does not
// serve is refused at once, and no call waits for the SDK's time-out of 20 seconds.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import initLiveQuery from 'leancloud-realtime-plugin-live-query';

import { World, check } from './lib/world.mjs';
import { until, within } from './lib/wait.mjs';

const require = createRequire(import.meta.url);
const world = await World.start();
const { LiveQueryPlugin } = initLiveQuery;

check('a live-query client logs in and out beside a messaging client on one connection', async () => {
  const [name] = world.names('alice');
  const device = await world.device({ plugins: [LiveQueryPlugin] });
  const alice = await device.login(name);
  const client = await within(device.realtime.createLiveQueryClient('browser-1'), 'the live-query client logs in', 5_000);
  await within(client.close(), 'it logs out', 5_000);
  const conversation = await alice.startWith(['bob']);
  assert.equal((await alice.say(conversation, 'still here')).text, 'still here');
});

check('a live-query client is logged in again by itself after the connection broke', async () => {
  const device = await world.device({ plugins: [LiveQueryPlugin] });
  const client = await within(device.realtime.createLiveQueryClient('browser-2'), 'the live-query client logs in', 5_000);
  const again = new Promise((resolve, reject) => {
    client.on('reconnect', resolve);
    client.on('reconnecterror', reject);
  });
  device.pause();
  device.resume();
  await within(again, 'it is logged in again', 10_000);
});

check('a subscription of a live query is refused at once, in the form of the storage SDK', async () => {
  const AV = require('leancloud-storage/live-query');
  AV.init({ appId: world.service.appId, appKey: world.service.appKey, serverURL: world.service.url });
  const query = new AV.Query('Todo').equalTo('state', 'open');
  await assert.rejects(within(query.subscribe(), 'the subscription is refused', 5_000), error => {
    assert.deepEqual([error.code, error.rawMessage], [119, 'this service has no live queries']);
    return true;
  });
  await assert.rejects(within(AV.request({ method: 'POST', path: '/LiveQuery/unsubscribe', data: {} }), 'so is its end', 5_000), { code: 119 });
  // The SDK logs out by itself and closes its connection, which would open again for ever.
  await until('the connection is closed', () => !AV._config.realtime._openPromise);
});
