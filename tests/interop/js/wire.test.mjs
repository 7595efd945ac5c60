// Answers seen bare: what the SDKs that cannot run here (Swift, C#, older ones) need to find in them, field by field.

import assert from 'node:assert/strict';

import { Raw, CommandType, OpType, fieldsOf, socketUrl } from './lib/raw.mjs';
import { until } from './lib/wait.mjs';
import { World, check } from './lib/world.mjs';

const world = await World.start();

/** Raw clients of fresh names, each on a connection of its own. */
async function raws(...bases) {
  return Promise.all(world.names(...bases).map(async name => Object.assign(await Raw.login(world, name), { name })));
}

/** A conversation of these raw clients; what its creation caused has been handed out. */
async function started(creator, ...others) {
  const answer = await creator.ask({ cmd: 'conv', op: 'start', convMessage: { m: [creator, ...others].map(({ name }) => name), attr: { data: '{"name":"n"}' } } });
  for (const raw of [creator, ...others]) {
    await raw.notified('conv', 'joined');
    await raw.notified('conv', 'members_joined');
  }
  return answer.convMessage.cid;
}

const say = (raw, cid, msg, more = {}) => raw.ask({ cmd: 'direct', directMessage: { cid, msg, ...more } });
const numberOf = long => long.toNumber();

check('S020 opened carries peer, server time, token and its life, and no code', async () => {
  const [name] = world.names('alice');
  const { opened } = await Raw.login(world, name);
  assert.equal(opened.op, OpType.opened);
  assert.equal(opened.peerId, name);
  assert.ok(Math.abs(numberOf(opened.serverTs) - Date.now()) < 60_000);
  assert.ok(opened.sessionMessage.st.length > 8);
  assert.ok(opened.sessionMessage.stTtl > 60 && opened.sessionMessage.stTtl < 2_147_483);
  assert.equal(opened.sessionMessage.code, null);
});

check('S030 closed carries an empty session message and no code', async () => {
  const [alice] = await raws('alice');
  const closed = await alice.ask({ cmd: 'session', op: 'close' });
  assert.equal(closed.op, OpType.closed);
  assert.deepEqual(fieldsOf(closed.sessionMessage), []);
});

check('S031 an echo copies its number, also 0 and negative ones, and has none if there was none', async () => {
  const [alice] = await raws('alice');
  for (const i of [-65535, 0, 5]) assert.equal((await alice.ask({ cmd: 'echo', i })).i, i);
  alice.send({ cmd: 'echo', peerId: alice.name });
  await alice.notified('echo');
});

check('S031 a session is opened again with its token alone, without a number too, after a restart too', async () => {
  const [name] = world.names('alice');
  const first = await Raw.login(world, name, { session: { tag: 'Mobile', deviceId: 'd1' } });
  const { st } = first.opened.sessionMessage;
  const again = await Raw.login(world, name, { session: { r: true, st } });
  assert.equal(again.opened.op, OpType.opened);
  await world.service.stop();
  await world.service.startAgain();
  const late = await Raw.connect(await socketUrl(world));
  late.send({ cmd: 'session', op: 'open', appId: world.service.appId, peerId: name, sessionMessage: { r: true, st } });
  const opened = await late.notified('session', 'opened');
  assert.equal(opened.peerId, name);
  assert.ok(opened.sessionMessage.st);
  const rival = await Raw.login(world, name, { session: { tag: 'Mobile', deviceId: 'd2', r: true } });
  assert.equal(rival.opened.errorMessage?.code ?? rival.opened.sessionMessage?.code, 4111);
});

check('S305 a tag whose holder is another device: r decides who stays, the same device replaces itself', async () => {
  const [name] = world.names('alice');
  const open = (deviceId, r) => Raw.login(world, name, { session: { tag: 'Mobile', deviceId, r } });
  const first = await open('d1', false);
  const zombie = await open('d1', true);
  assert.equal(zombie.opened.op, OpType.opened);
  const refused = await open('d2', true);
  assert.equal(refused.opened.errorMessage?.code ?? refused.opened.sessionMessage?.code, 4111);
  const second = await open('d2', false);
  assert.equal(second.opened.op, OpType.opened);
  const kicked = await zombie.notified('session', 'closed');
  assert.deepEqual([kicked.service, kicked.peerId, kicked.sessionMessage.code, kicked.sessionMessage.reason], [2, name, 4111, 'SESSION_CONFLICT']);
  assert.ok(!first.left.some(command => command.cmd === CommandType.session));
});

check('S020 a token is renewed on the open session', async () => {
  const [alice] = await raws('alice');
  const refreshed = await alice.ask({ cmd: 'session', op: 'refresh', sessionMessage: { st: alice.opened.sessionMessage.st } });
  assert.equal(refreshed.op, OpType.refreshed);
  assert.ok(refreshed.sessionMessage.st && refreshed.sessionMessage.stTtl > 60);
});

check('S020 the login command of the Java SDK names the app and is not answered', async () => {
  const raw = await Raw.connect(await socketUrl(world));
  raw.send({ cmd: 'login', appId: world.service.appId, installationId: 'i1' });
  const opened = await raw.ask({ cmd: 'session', op: 'open', peerId: 'java', sessionMessage: {} });
  assert.equal(opened.op, OpType.opened);
  assert.deepEqual(raw.left, []);
});

check('S061 S063 started has id, date and unique id, and says whether the conversation was there', async () => {
  const [alice] = await raws('alice');
  const start = () => alice.ask({ cmd: 'conv', op: 'start', convMessage: { m: ['zoe', alice.name], unique: true } });
  const [made, found] = [await start(), await start()];
  assert.equal(made.op, OpType.started);
  assert.match(made.convMessage.cdate, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.match(made.convMessage.uniqueId, /^[0-9a-f]{32}$/);
  assert.equal(found.convMessage.cid, made.convMessage.cid);
  assert.equal(found.convMessage.uniqueId, made.convMessage.uniqueId);
});

check('S095 S099 a change of members has one time in its answer and in all its notifications', async () => {
  const [alice, bob, carol] = await raws('alice', 'bob', 'carol');
  const cid = await started(alice, bob);
  const { convMessage: answer } = await alice.ask({ cmd: 'conv', op: 'add', convMessage: { cid, m: [carol.name] } });
  assert.deepEqual(answer.allowedPids, [carol.name]);
  assert.ok(answer.udate);
  const joined = await carol.notified('conv', 'joined');
  for (const command of [joined, ...(await Promise.all([alice, bob, carol].map(raw => raw.notified('conv', 'members_joined'))))]) {
    assert.equal(command.service, 2);
    assert.equal(command.notificationType, 1);
    assert.ok(command.peerId);
    assert.ok(numberOf(command.serverTs) > 0);
    assert.equal(command.convMessage.udate, answer.udate);
    assert.equal(command.convMessage.initBy, alice.name);
  }
});

check('S077 updated has the changes as submitted and the values that result', async () => {
  const [alice, bob] = await raws('alice', 'bob');
  const cid = await started(alice, bob);
  const data = '{"attr.list":{"__op":"Add","objects":[1]},"name":"x"}';
  const { convMessage: answer } = await alice.ask({ cmd: 'conv', op: 'update', convMessage: { cid, attr: { data } } });
  assert.deepEqual(JSON.parse(answer.attrModified.data), { attr: { list: [1] }, name: 'x' });
  for (const raw of [alice, bob]) {
    const { convMessage, service } = await raw.notified('conv', 'updated');
    assert.equal(service, 2);
    assert.deepEqual(JSON.parse(convMessage.attr.data), JSON.parse(data));
    assert.deepEqual(JSON.parse(convMessage.attrModified.data), { attr: { list: [1] }, name: 'x' });
    assert.deepEqual([convMessage.udate, convMessage.initBy], [answer.udate, alice.name]);
  }
});

// S073
check('S076 S288 a result object has the last message with its kind, dates as objects and lists never null', async () => {
  const [alice] = await raws('alice');
  const cid = await started(alice);
  const sent = await say(alice, cid, 'hi');
  const { convMessage } = await alice.ask({ cmd: 'conv', op: 'query', convMessage: { where: { data: JSON.stringify({ objectId: cid }) }, flag: 2 } });
  const [row] = JSON.parse(convMessage.results.data);
  assert.deepEqual([row.msg, row.bin, row.msg_mid, row.msg_from, row.msg_timestamp], ['hi', false, sent.ackMessage.uid, alice.name, numberOf(sent.ackMessage.t)]);
  assert.deepEqual(row.lm, { __type: 'Date', iso: new Date(numberOf(sent.ackMessage.t)).toISOString() });
  assert.deepEqual([row.m, row.c, row.name, row.conv_type], [[alice.name], alice.name, 'n', 1]);
  const none = await alice.ask({ cmd: 'conv', op: 'query', convMessage: { where: { data: '{"objectId":"nothing"}' } } });
  assert.equal(none.op, OpType.results);
  assert.deepEqual(JSON.parse(none.convMessage.results.data), []);
});

check('S188 an ack has id, time and conversation and no code, a refused one has a code and an id too', async () => {
  const [alice, bob] = await raws('alice', 'bob');
  const cid = await started(alice);
  const { ackMessage: accepted } = await say(alice, cid, 'hi');
  assert.deepEqual(fieldsOf(accepted).sort(), ['cid', 't', 'uid']);
  const { cmd, ackMessage: refused } = await say(bob, cid, 'hi');
  assert.equal(cmd, CommandType.ack);
  assert.deepEqual([refused.code, refused.reason], [4401, 'INVALID_MESSAGING_TARGET']);
  assert.ok(refused.uid && refused.t);
});

check('S203 S271 the same token sent again is answered with the first id and delivered once', async () => {
  const [alice, bob] = await raws('alice', 'bob');
  const cid = await started(alice, bob);
  const once = await say(alice, cid, 'once', { dt: 'token-1' });
  const twice = await say(alice, cid, 'once', { dt: 'token-1' });
  assert.equal(twice.ackMessage.uid, once.ackMessage.uid);
  assert.equal(numberOf(twice.ackMessage.t), numberOf(once.ackMessage.t));
  const other = await say(alice, cid, 'other', { dt: 'token-2' });
  assert.notEqual(other.ackMessage.uid, once.ackMessage.uid);
  assert.equal((await bob.notified('direct')).directMessage.msg, 'once');
  assert.equal((await bob.notified('direct')).directMessage.msg, 'other');
  await world.service.kill();
  await world.service.startAgain();
  const late = await Raw.login(world, alice.name);
  const thrice = await say(late, cid, 'once', { dt: 'token-1' });
  assert.equal(thrice.ackMessage.uid, once.ackMessage.uid);
  const { logsMessage } = await late.ask({ cmd: 'logs', logsMessage: { cid } });
  assert.deepEqual(logsMessage.logs.map(({ data }) => data), ['once', 'other']);
});

check('S174 a delivered message has service, peer, id, time and kind of conversation, and no other content field', async () => {
  const [alice, bob] = await raws('alice', 'bob');
  const cid = await started(alice, bob);
  const { ackMessage } = await say(alice, cid, 'hi');
  const { service, peerId, directMessage } = await bob.notified('direct');
  assert.deepEqual([service, peerId], [2, bob.name]);
  assert.deepEqual([directMessage.id, numberOf(directMessage.timestamp)], [ackMessage.uid, numberOf(ackMessage.t)]);
  assert.deepEqual([directMessage.fromPeerId, directMessage.cid, directMessage.binaryMsg, directMessage.transient], [alice.name, cid, null, null]);
});

check('S191 S199 receipts name message, reader and time; delivered ones do not say read', async () => {
  const [alice, bob] = await raws('alice', 'bob');
  const cid = await started(alice, bob);
  const { ackMessage } = await say(alice, cid, 'hi', { r: true });
  const { directMessage } = await bob.notified('direct');
  bob.send({ cmd: 'ack', ackMessage: { cid, mid: directMessage.id } });
  const delivered = await alice.notified('rcp');
  assert.deepEqual([delivered.service, delivered.rcpMessage.id, delivered.rcpMessage.cid, delivered.rcpMessage.from], [2, ackMessage.uid, cid, bob.name]);
  assert.equal(delivered.rcpMessage.read, null);
  bob.send({ cmd: 'read', readMessage: { convs: [{ cid, timestamp: directMessage.timestamp, mid: directMessage.id }] } });
  const read = await alice.notified('rcp');
  assert.deepEqual([read.rcpMessage.read, read.rcpMessage.id, read.rcpMessage.from], [true, ackMessage.uid, bob.name]);
});

check('S208 a read without time or id reads everything, and every session of the reader is told zero', async () => {
  const [alice] = await raws('alice');
  const [name] = world.names('bob');
  const bob = Object.assign(await Raw.login(world, name), { name });
  const cid = await started(alice, bob);
  await say(alice, cid, 'a');
  await say(alice, cid, 'b');
  const tablet = await Raw.login(world, name);
  const before = (await tablet.notified('unread')).unreadMessage;
  assert.ok(numberOf(before.notifTime) > 0);
  assert.deepEqual(before.convs.map(({ cid: id, unread }) => [id, unread]), [[cid, 2]]);
  bob.send({ cmd: 'read', readMessage: { convs: [{ cid }] } });
  for (const session of [bob, tablet]) {
    const { unreadMessage } = await session.notified('unread');
    assert.deepEqual(unreadMessage.convs.map(({ cid: id, unread }) => [id, unread]), [[cid, 0]]);
  }
});

check('S260 history takes its page size by either name, absent points as absent, and dates ascend', async () => {
  const [alice] = await raws('alice');
  const cid = await started(alice);
  for (const text of ['a', 'b', 'c']) await say(alice, cid, text);
  const page = async fields => (await alice.ask({ cmd: 'logs', op: 'open', logsMessage: { cid, ...fields } })).logsMessage.logs.map(({ data }) => data);
  assert.deepEqual(await page({ l: 2 }), ['b', 'c']);
  assert.deepEqual(await page({ limit: 2 }), ['b', 'c']);
  assert.deepEqual(await page({ limit: 2, t: 0, tt: 0, mid: '', tmid: '' }), ['b', 'c']);
  assert.deepEqual(await page({ limit: 2, direction: 2 }), ['a', 'b']);
  assert.deepEqual(await page({ limit: 5000 }), ['a', 'b', 'c']);
});

check('S226 modified carries the time of the patch, its notification no code', async () => {
  const [alice, bob] = await raws('alice', 'bob');
  const cid = await started(alice, bob);
  const { ackMessage } = await say(alice, cid, 'hi');
  const item = { cid, mid: ackMessage.uid, timestamp: ackMessage.t, data: 'changed' };
  const answer = await alice.ask({ cmd: 'patch', op: 'modify', patchMessage: { patches: [item] } });
  assert.equal(answer.op, OpType.modified);
  const { service, op, patchMessage } = await bob.notified('patch', 'modify');
  assert.deepEqual([service, op], [2, OpType.modify]);
  const [patch] = patchMessage.patches;
  assert.equal(numberOf(patch.patchTimestamp), numberOf(answer.patchMessage.lastPatchTime));
  assert.deepEqual([patch.data, patch.recall, patch.patchCode, patch.patchReason, patch.from], ['changed', false, null, null, alice.name]);
  const recall = await alice.ask({ cmd: 'patch', op: 'modify', patchMessage: { patches: [{ ...item, data: undefined, recall: true }] } });
  assert.equal(recall.op, OpType.modified);
  const [recalled] = (await bob.notified('patch', 'modify')).patchMessage.patches;
  assert.equal(recalled.recall, true);
  assert.equal(JSON.parse(recalled.data)._lctype, -127);
});

check('S209 S202 on a push-mode session what is not acknowledged comes again, what is does not', async () => {
  const [alice] = await raws('alice');
  const [name] = world.names('bob');
  const { convMessage } = await alice.ask({ cmd: 'conv', op: 'start', convMessage: { m: [alice.name, name] } });
  const { cid } = convMessage;
  for (const text of ['a', 'b']) await say(alice, cid, text);
  const push = { protocol: 'lc.protobuf2.1' };
  const first = await Raw.login(world, name, push);
  const [a, b] = [await first.notified('direct'), await first.notified('direct')];
  assert.deepEqual([a, b].map(({ directMessage: { msg, offline } }) => [msg, offline]), [['a', true], ['b', true]]);
  first.send({ cmd: 'ack', ackMessage: { cid, mid: a.directMessage.id } });
  first.drop();
  const second = await Raw.login(world, name, push);
  const again = await second.notified('direct');
  assert.deepEqual([again.directMessage.msg, again.directMessage.id], ['b', b.directMessage.id]);
  second.send({ cmd: 'ack', ackMessage: { cid, tots: again.directMessage.timestamp } });
  await until('nothing is left', async () => {
    const third = await Raw.login(world, name, push);
    await third.ask({ cmd: 'echo' });
    const empty = third.left.every(({ cmd }) => cmd !== CommandType.direct);
    third.drop();
    return empty;
  });
});
