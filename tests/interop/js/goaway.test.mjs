// The service is stopped for a while: it tells its clients to go, they go by themselves, and they come back.

import assert from 'node:assert/strict';

import { Raw, socketUrl } from './lib/raw.mjs';
import { World, check } from './lib/world.mjs';

const world = await World.start();

for (const sdk of [5, 4]) {
  check(`S292 S300 S301 a stopping service sends its clients away, and SDK ${sdk} comes back when it is there again`, async () => {
    const [his, hers] = world.names('bob', 'alice');
    const bob = await world.login(his, { sdk });
    const alice = await world.login(hers, { sdk });
    const conversation = await alice.startWith([bob]);
    await alice.say(conversation, 'before');
    await bob.hears('before');
    const [other] = world.names('stubborn');
    const stubborn = await Raw.login(world, other);
    const gone = world.service.stop();
    for (const person of [alice, bob]) await person.events.next('disconnect');
    // They left when they were told and were not cut off: who stays is still served.
    await stubborn.ask({ cmd: 'session', op: 'query', peerId: other, sessionMessage: { sessionPeerIds: [his] } });
    stubborn.drop();
    assert.equal(await gone, 0);
    await world.service.startAgain();
    for (const person of [alice, bob]) await person.events.next('reconnect');
    await bob.say(conversation, 'after');
    await alice.hears('after');
  });
}

check('goaway comes once on a connection, however many clients are on it, and nobody comes in meanwhile', async () => {
  const [one, two] = world.names('one', 'two');
  const raw = await Raw.login(world, one);
  await raw.ask({ cmd: 'session', op: 'open', peerId: two, sessionMessage: { ua: 'raw/1' } });
  const url = await socketUrl(world);
  const gone = world.service.stop();
  const goaway = await raw.notified('goaway');
  assert.equal(goaway.peerId, one);
  // The routers answer on, sockets are turned away, and what stands still works.
  assert.equal(await socketUrl(world), url);
  await assert.rejects(Raw.connect(url), /503/);
  const online = await raw.ask({ cmd: 'session', op: 'query', peerId: one, sessionMessage: { sessionPeerIds: [two] } });
  assert.deepEqual(online.sessionMessage.onlineSessionPeerIds, [two]);
  assert.deepEqual(raw.left, []);
  raw.drop();
  assert.equal(await gone, 0);
  await world.service.startAgain();
});

check('who does not leave is cut off in the end', async () => {
  const raw = await Raw.login(world, world.names('stubborn')[0]);
  assert.equal(await world.service.stop(), 0);
  assert.equal((await raw.closed).code, 1000);
  await world.service.startAgain();
});
