// Log-in and log-out, many clients on one connection, presence, tags: SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { until, within } from './lib/wait.mjs';
import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

check('S003 the router answers with every key that some SDK needs', async () => {
  const answer = await fetch(`${world.url}/v1/route?appId=${world.service.appId}&secure=false&_t=1`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type'), /application\/json/);
  assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  const route = await answer.json();
  assert.match(route.server, /^ws:\/\/127\.0\.0\.1:\d+/);
  assert.match(route.secondary, /^ws:\/\//);
  assert.ok(Number.isInteger(route.ttl) && route.ttl > 0 && route.ttl < 2 ** 31 / 1000);
  assert.equal(typeof route.groupId, 'string');
  assert.equal(typeof route.groupUrl, 'string');
});

check('S003 the app router names this service in every key', async () => {
  const answer = await fetch(`${world.service.url}/2/route?appId=${world.service.appId}`);
  const hosts = await answer.json();
  for (const key of ['api_server', 'engine_server', 'push_server', 'rtm_router_server', 'stats_server']) {
    assert.ok(world.service.url.endsWith(hosts[key]), `${key}: ${hosts[key]}`);
  }
  assert.equal(typeof hosts.ttl, 'number');
});

check('S020 S024 S026 a client id is all that a log-in needs, and a created client is online', async () => {
  const [alice] = await world.people('alice');
  assert.equal(alice.client.id, alice.id);
  assert.deepEqual(await alice.client.ping([alice.id]), [alice.id]);
});

check('S025 an id of 64 characters logs in, one of 65 is refused with 4103', async () => {
  const longest = await world.login('x'.repeat(64));
  assert.equal(longest.client.id.length, 64);
  const device = await world.device();
  await refusedWith(4103, device.login('y'.repeat(65)));
});

check('S025 an id of 64 characters may be Chinese', async () => {
  const name = '舢'.repeat(64);
  assert.equal((await world.login(name)).client.id, name);
});

check('S020 a client without an id is given one', async () => {
  const one = await world.login(undefined);
  const two = await world.login(undefined);
  assert.ok(one.client.id && one.client.id.length <= 64);
  assert.notEqual(one.client.id, two.client.id);
  const conversation = await one.startWith([two]);
  await one.say(conversation, 'who are you?');
  assert.equal((await two.hears('who are you?')).from, one.client.id);
});

check('S027 the same client id asked for twice on a device is the same client', async () => {
  const device = await world.device();
  const [name] = world.names('alice');
  const [one, two] = [await device.login(name), await device.login(name)];
  assert.equal(one.client, two.client);
});

check('S028 several clients share one connection and chat over it', async () => {
  const device = await world.device();
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => device.login(name)));
  const conversation = await alice.startWith([bob]);
  await alice.say(conversation, 'across the table');
  const heard = await bob.hears('across the table');
  assert.equal(heard.from, alice.id);
  await bob.say(conversation, 'and back');
  assert.equal((await alice.hears('and back')).from, bob.id);
});

check('S030 who logged out is offline for the others and hears nothing more', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  await within(bob.client.close(), 'bob logs out');
  await bob.events.next('close', ({ code }) => code === 0);
  assert.deepEqual(await alice.client.ping([bob.id]), []);
  await alice.say(conversation, 'gone?');
  const again = await bob.again(world);
  await again.events.next('unreadmessagescountupdate');
  assert.deepEqual(bob.events.seen('message'), []);
});

check('S030 a log-out leaves the other clients of the connection online', async () => {
  const device = await world.device();
  const [alice, bob] = await Promise.all(world.names('alice', 'bob').map(name => device.login(name)));
  const [carol] = await world.people('carol');
  const conversation = await carol.startWith([alice, bob]);
  await within(bob.client.close(), 'bob logs out');
  assert.deepEqual(await carol.client.ping([alice.id, bob.id]), [alice.id]);
  await carol.say(conversation, 'still there?');
  await alice.hears('still there?');
});

check('S031 a heartbeat is answered', async () => {
  const [alice] = await world.people('alice');
  const { GenericCommand, CommandType } = alice.sdk.Protocols;
  const echo = await within(alice.client._connection.send(new GenericCommand({ cmd: 'echo' })), 'the echo comes back');
  assert.equal(echo.cmd, CommandType.echo);
});

// S352
check('S057 S058 S059 of the first 20 ids that are asked for, those online are named', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const strangers = Array.from({ length: 19 }, (_, index) => `nobody-${index}`);
  assert.deepEqual(await alice.client.ping([bob.id, ...strangers]), [bob.id]);
  assert.deepEqual(await alice.client.ping([...strangers, 'nobody-19', bob.id]), []);
  assert.deepEqual(await alice.client.ping(['nobody']), []);
});

check('S305 S307 S309 a later log-in with the same tag throws the earlier out', async () => {
  const [name, other] = world.names('alice', 'bob');
  const first = await world.login(name, { tag: 'Mobile' });
  const second = await world.login(name, { tag: 'Mobile' });
  const [{ reason }] = await first.events.next('conflict');
  assert.equal(reason, 'SESSION_CONFLICT');
  const bob = await world.login(other);
  await bob.say(await bob.startWith([name]), 'only one of you');
  await second.hears('only one of you');
  assert.deepEqual(first.events.seen('message'), []);
});

check('S305 who was thrown out is refused with 4111 when it reconnects, and the active device stays', async () => {
  const [name, companion, other] = world.names('alice', 'companion', 'bob');
  const device = await world.device();
  await device.login(companion);
  const first = await device.login(name, { tag: 'Pad' });
  const second = await world.login(name, { tag: 'Pad' });
  await first.events.next('conflict');
  device.cut();
  const [error] = await first.events.next('reconnecterror');
  assert.equal(error.code, 4111);
  const bob = await world.login(other);
  await bob.say(await bob.startWith([name]), 'who is here?');
  await second.hears('who is here?');
  assert.deepEqual(second.events.seen('conflict'), []);
});

check('S305 the conflict of one client leaves the other clients of the connection alone', async () => {
  const [name, companion, other] = world.names('alice', 'companion', 'bob');
  const device = await world.device();
  const [stays, goes] = [await device.login(companion), await device.login(name, { tag: 'Web' })];
  await world.login(name, { tag: 'Web' });
  await goes.events.next('conflict');
  const bob = await world.login(other);
  await bob.say(await bob.startWith([stays]), 'undisturbed');
  await stays.hears('undisturbed');
});

check('S306 S308 S310 without a tag, or with different tags, devices live side by side and all hear', async () => {
  const [name, other] = world.names('alice', 'bob');
  const tags = [undefined, undefined, 'Mobile', 'Web', 'default', 'default'];
  const devices = [];
  for (const tag of tags) devices.push(await world.login(name, { tag }));
  const bob = await world.login(other);
  await bob.say(await bob.startWith([name]), 'to all of you');
  for (const device of devices) {
    await device.hears('to all of you');
    assert.deepEqual(device.events.seen('conflict'), []);
  }
});

check('S305 a reconnect of the tagged device itself is not a conflict', async () => {
  const [name] = world.names('alice');
  const alice = await world.login(name, { tag: 'Mobile' });
  for (const _ of [1, 2]) {
    alice.device.cut();
    await alice.events.next('reconnect');
  }
  assert.deepEqual(alice.events.seen('conflict'), []);
  assert.deepEqual(await alice.client.ping([alice.id]), [alice.id]);
});

check('S306 a device is present until its last connection is gone', async () => {
  const [name, other] = world.names('alice', 'bob');
  const [one, two, bob] = [await world.login(name), await world.login(name), await world.login(other)];
  await within(one.client.close(), 'one device logs out');
  assert.deepEqual(await bob.client.ping([name]), [name]);
  two.device.pause();
  await until('alice is offline', async () => (await bob.client.ping([name])).length === 0);
});

check('S004 an app that the service does not know is refused with 4100', async () => {
  const device = await world.device({ appId: 'some-other-app-012345678' });
  await refusedWith(4100, device.login('alice'));
});

check('S030 what was sent before a log-out is acknowledged, and the same device logs in again', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const texts = ['one', 'two', 'three', 'four', 'five'];
  const sends = texts.map(text => conversation.send(new alice.sdk.TextMessage(text)));
  const closed = alice.client.close();
  await within(Promise.all([...sends, closed]), 'all is answered');
  for (const text of texts) await bob.hears(text);
  const again = await alice.device.login(alice.id);
  assert.equal((await again.say(conversation, 'back')).text, 'back');
});
