// Log-in with the session of an account: the app's own server, which is a double in this process, says whose session it is,
// and the service signs the log-in. SDKs 5.0.0-rc.8 and 4.3.1 against an app that wants log-ins signed.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after } from 'node:test';

import { World, check, refusedWith } from './lib/world.mjs';
import { within } from './lib/wait.mjs';

const sessions = new Map();
const double = createServer(async (request, response) => {
  let body = '';
  for await (const some of request) body += some;
  assert.equal(request.url, '/hooks/_rtmClientSign');
  const { sessionToken } = JSON.parse(body);
  response.statusCode = sessionToken === 'broken' ? 500 : 200;
  response.end(JSON.stringify({ result: sessions.get(sessionToken) ?? {} }));
});
double.listen(0, '127.0.0.1');
await once(double, 'listening');
after(() => double.close());

const url = `http://127.0.0.1:${double.address().port}/hooks`;
const world = await World.start({ settings: { signatures: { login: true }, hooks: { url, functions: ['_rtmClientSign'] } } });

/** An account that is logged in, as the storage SDK has it. */
function account(id, token = `session-of-${id}`) {
  return { id, getSessionToken: () => token };
}

for (const [version, sdk] of [['5.0.0-rc.8', 5], ['4.3.1', 4]]) {
  check(`${version} logs in with the session of an account, and again after a broken connection`, async () => {
    const [alice, bob] = world.names('alice', 'bob');
    for (const id of [alice, bob]) sessions.set(`session-of-${id}`, { clientId: id });
    const hers = await (await world.device({ sdk })).login(account(alice));
    const his = await (await world.device({ sdk })).login(account(bob));
    assert.equal(hers.id, alice);
    const conversation = await hers.startWith([bob]);
    hers.device.cut();
    await hers.events.next('reconnect');
    await hers.say(conversation, 'hello');
    await his.hears('hello');
  });

  check(`${version} with a session that is not the account's, or that nobody knows, does not get in`, async () => {
    const [alice, eve] = world.names('alice', 'eve');
    sessions.set(`session-of-${alice}`, { clientId: alice });
    sessions.set(`session-of-${eve}`, { reject: true, code: 4321, detail: 'barred' });
    const device = await world.device({ sdk });
    const log_in = user => within(device.realtime.createIMClient(user), 'the log-in is answered', 10_000);
    await refusedWith(4102, log_in(account(eve, `session-of-${alice}`)), 'the session of somebody else');
    await assert.rejects(log_in(account(`${alice}-x`, 'made up')), 'a session that nobody knows');
    await assert.rejects(log_in(account(eve)), 'a session that the app refuses');
    await assert.rejects(log_in(account(alice, 'broken')), 'a server that fails lets nobody in');
    await refusedWith(4102, log_in(alice), 'a log-in without a signature');
  });
}
