// Pages of which web origins may connect: SDK 5.0.0-rc.8 against the service, with the origin that a browser would name.

import assert from 'node:assert/strict';

import WebSocket from 'ws';

import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start({ settings: { origins: ['https://chat.example.org'] } });

/** A device in a browser that shows a page of this origin. */
async function page(origin) {
  const device = await world.device();
  class FromPage extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { origin });
    }
  }
  device.sdk.setAdapters({ WebSocket: FromPage });
  return device;
}

check('S340 a page of the app may log in, a page of another origin is refused with 4110, and a program is not asked', async () => {
  const [alice, bob, eve] = world.names('alice', 'bob', 'eve');
  const person = await (await page('https://chat.example.org')).login(alice);
  const program = await world.login(bob);
  const online = await program.client.ping([alice, bob, eve]);
  assert.deepEqual(online.sort(), [alice, bob].sort());
  await refusedWith(4110, (await page('https://evil.example.org')).login(eve));
  assert.deepEqual(await person.client.ping([eve]), []);
});
