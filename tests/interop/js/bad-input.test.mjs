// Hostile and broken clients: every one of them is answered or cut off with a code of the protocol, and nobody else notices.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { Raw, CommandType, OpType, socketUrl } from './lib/raw.mjs';
import { within } from './lib/wait.mjs';
import { World, check } from './lib/world.mjs';

const world = await World.start();
const { service } = world;
const url = await socketUrl(world);

/** Bytes without a meaning, the same ones for the same seed. */
const bytes = (seed, length) => createHash('shake256', { outputLength: length }).update(`seed ${seed}`).digest();

/** Two people whose chat must go on whatever else happens. Returns a question that fails if it does not. */
async function bystanders() {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  let n = 0;
  return async () => {
    n += 1;
    await alice.say(conversation, `undisturbed ${n}`);
    await bob.hears(`undisturbed ${n}`);
    assert.deepEqual(alice.device.events.seen('disconnect'), []);
  };
}

/** The code with which the service answered: in an `error`, in an `ack`, or as the close code. */
async function refusal(raw) {
  const answered = raw.next(command => command.errorMessage || command.ackMessage?.code).then(({ errorMessage, ackMessage }) => (errorMessage ?? ackMessage).code);
  return within(Promise.race([answered, raw.closed.then(({ code }) => code)]), 'a refusal');
}

check('S004 an unknown app is refused with 4100', async () => {
  const raw = await Raw.connect(url);
  raw.send({ cmd: 'session', op: 'open', appId: 'nobody-s-app-0123456789', peerId: 'x', i: 1, sessionMessage: {} });
  assert.equal(await refusal(raw), 4100);
});

check('S025 an empty client id is refused with 4103, and one of 65 characters', async () => {
  for (const peerId of ['', 'z'.repeat(65)]) {
    const raw = await Raw.connect(url);
    raw.send({ cmd: 'session', op: 'open', appId: service.appId, peerId, i: 1, sessionMessage: {} });
    assert.equal(await refusal(raw), 4103);
  }
});

check('S005 a subprotocol that nobody speaks is refused in the handshake', async () => {
  for (const protocol of ['lc.json.1', 'lc.protobuf2.9', 'chat']) {
    await assert.rejects(Raw.connect(url, { protocol }), /400|subprotocol|Unexpected server response/);
  }
});

check('S005 each of the four subprotocols is echoed and spoken', async () => {
  for (const format of ['protobuf2', 'proto2base64']) {
    for (const version of [1, 3]) {
      const protocol = `lc.${format}.${version}`;
      const raw = await Raw.login(world, ...world.names('raw'), { protocol });
      assert.equal(raw.protocol, protocol);
      assert.equal(raw.opened.op, OpType.opened);
    }
  }
});

check('S005 the subprotocol may come as a query parameter', async () => {
  const raw = await Raw.connect(url, { protocol: null, path: '?subprotocol=lc.proto2base64.3' });
  const opened = await raw.ask({ cmd: 'session', op: 'open', appId: service.appId, peerId: 'mini', sessionMessage: {} });
  assert.equal(opened.op, OpType.opened);
});

check('garbage is refused with 4114, and the others chat on', async () => {
  const chatting = await bystanders();
  for (let seed = 0; seed < 20; seed += 1) {
    const raw = await Raw.connect(url);
    raw.sendFrame(Buffer.concat([Buffer.from([0xff]), bytes(seed, 40)]));
    assert.equal(await refusal(raw), 4114);
    raw.drop();
  }
  const text = await Raw.connect(url, { protocol: 'lc.proto2base64.3' });
  text.sendFrame('this is *not* base64');
  assert.equal(await refusal(text), 4114);
  await chatting();
});

check('random bytes never bring the service down', async () => {
  const chatting = await bystanders();
  const sockets = await Promise.all(Array.from({ length: 10 }, () => Raw.login(world, ...world.names('fuzz'))));
  for (const [index, raw] of sockets.entries()) {
    for (let n = 0; n < 50; n += 1) raw.sendFrame(bytes(index * 50 + n, 1 + ((n * 37) % 300)));
  }
  await chatting();
  sockets.forEach(raw => raw.drop());
  await chatting();
});

check('S177 a frame above 5 KB is refused with 4109, a giant one too', async () => {
  const chatting = await bystanders();
  for (const size of [5 * 1024 + 200, 100_000, 4_000_000]) {
    const raw = await Raw.login(world, ...world.names('big'));
    raw.send({ cmd: 'direct', i: 77, directMessage: { cid: '0123456789abcdef01234567', msg: 'x'.repeat(size) } });
    assert.ok([4109, 1009].includes(await refusal(raw)));
    raw.drop();
  }
  await chatting();
});

check('S020 every command without a session is refused with 4105', async () => {
  const cid = '0123456789abcdef01234567';
  const commands = [
    { cmd: 'conv', op: 'query', convMessage: { where: { data: '{}' } } },
    { cmd: 'conv', op: 'start', convMessage: { m: ['a'] } },
    { cmd: 'direct', directMessage: { cid, msg: 'hi' } },
    { cmd: 'logs', logsMessage: { cid } },
    { cmd: 'patch', op: 'modify', patchMessage: { patches: [{ cid, mid: 'x', timestamp: 1, recall: true }] } },
    { cmd: 'session', op: 'close' },
    { cmd: 'session', op: 'query', sessionMessage: { sessionPeerIds: ['a'] } },
    { cmd: 'blacklist', op: 'query', blacklistMessage: { srcCid: cid } },
  ];
  const raw = await Raw.connect(url);
  for (const [index, command] of commands.entries()) {
    raw.send({ ...command, i: 100 + index });
    const answer = await raw.next(received => received.i === 100 + index, `an answer to ${command.cmd}/${command.op}`);
    assert.equal(answer.errorMessage?.code ?? answer.ackMessage?.code, 4105, `${command.cmd}/${command.op}`);
  }
});

check('S020 nobody speaks for a client id that is not logged in on her connection', async () => {
  const [alice, bob] = await world.people('alice', 'bob');
  const conversation = await alice.startWith([bob]);
  const mallory = await Raw.login(world, ...world.names('mallory'));
  const answer = await mallory.ask({ cmd: 'direct', peerId: alice.id, directMessage: { cid: conversation.id, msg: 'I am alice' } });
  assert.equal(answer.errorMessage?.code ?? answer.ackMessage?.code, 4105);
  assert.deepEqual(await bob.history(conversation), []);
});

check('S305 a forged session token is refused with 4112', async () => {
  const raw = await Raw.connect(url);
  const answer = await raw.ask({ cmd: 'session', op: 'open', appId: service.appId, peerId: 'alice', sessionMessage: { r: true, st: 'f0rged' } });
  assert.equal(answer.cmd, CommandType.error);
  assert.equal(answer.errorMessage.code, 4112);
});

check('S305 the token of another client id is refused with 4112', async () => {
  const [name] = world.names('alice');
  const alice = await Raw.login(world, name);
  const { st } = alice.opened.sessionMessage;
  const raw = await Raw.connect(url);
  const answer = await raw.ask({ cmd: 'session', op: 'open', appId: service.appId, peerId: 'mallory', sessionMessage: { r: true, st } });
  assert.equal(answer.errorMessage?.code, 4112);
});

check('every operation of the schema is answered, and none hangs or breaks the connection', async () => {
  const raw = await Raw.login(world, ...world.names('curious'));
  const silent = new Set(['ack', 'read', 'login', 'rcp', 'unread', 'data', 'presence', 'loggedin', 'loggedout', 'goaway', 'error']);
  const cid = '0123456789abcdef01234567';
  let i = 1000;
  for (const cmd of ['session', 'conv', 'blacklist', 'report', 'patch', 'room', 'pubsub', 'logs', 'direct', 'logout']) {
    assert.ok(!silent.has(cmd));
    const operations = ['session', 'conv', 'blacklist'].includes(cmd) ? Object.keys(OpType) : ['open'];
    for (const op of operations) {
      if (cmd === 'session' && ['close', 'open'].includes(op)) continue;
      i += 1;
      const body = { conv: { convMessage: { cid } }, blacklist: { blacklistMessage: { srcCid: cid } } }[cmd] ?? {};
      raw.send({ cmd, op, i, ...body });
      await raw.next(received => received.i === i, `an answer to ${cmd}/${op}`);
    }
  }
  const echo = await raw.ask({ cmd: 'echo' });
  assert.equal(echo.cmd, CommandType.echo);
});

check('a socket that floods is answered or cut off, and the others chat on', async () => {
  const chatting = await bystanders();
  const raw = await Raw.login(world, ...world.names('flood'));
  for (let n = 0; n < 5000; n += 1) raw.send({ cmd: 'conv', op: 'query', i: n + 10, convMessage: { where: { data: '{}' } } });
  await chatting();
  raw.drop();
  await chatting();
});
