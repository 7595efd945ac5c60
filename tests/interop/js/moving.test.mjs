// The afternoon of docs/moving.md, done: an app with history at one service is saved, loaded into another, and goes on there. SDK
// 5.0.0-rc.8. `SAMPAN_MESSAGES=20000 node --test moving.test.mjs` does it at length and tells how long each step takes,
// and how much processor time.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';

import { Service, binary } from './lib/service.mjs';
import { World, check } from './lib/world.mjs';
import { PATIENCE, until, within } from './lib/wait.mjs';

const run = promisify(execFile);
const COUNT = Number(process.env.SAMPAN_MESSAGES ?? 120);
const PATIENT = COUNT > 1000 ? 60 * PATIENCE : PATIENCE;
/** Messages that are on their way at once. */
const AT_ONCE = 50;
/** The most messages that a page of the old service holds. */
const PAGE = 50;

// The old service plays the hosted one: its answers are short pages, so that a crawl has to turn many.
const world = await World.start({ settings: { limits: { history_page: PAGE, query_page: PAGE } } });
const folder = await mkdtemp(path.join(tmpdir(), 'sampan-moving-'));
after(() => rm(folder, { recursive: true, force: true }));

/** Runs `sampan-migrate` to its end and returns what it says. */
async function migrate(...args) {
  const env = { ...process.env, SAMPAN_MASTER_KEY: world.service.masterKey };
  const { stdout } = await within(run(binary('sampan-migrate'), args, { env, maxBuffer: 1 << 30 }), `sampan-migrate ${args[0]}`, PATIENT);
  return stdout;
}

/** The processor time of a process and of its children that have ended, in seconds; 0 where the system does not tell. */
async function processorTime(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
  const [user, system, childUser, childSystem] = fields.length === 4 ? fields : [0, 0, 0, 0];
  return { own: (user + system) / 100, children: (childUser + childSystem) / 100 };
}

/** Does a step and tells how long it took, where somebody asked for length. */
async function step(what, does, service = world.service) {
  const times = async () => [await processorTime('self'), await processorTime(service.pid)];
  const [begun, [test, asked]] = [process.hrtime.bigint(), await times()];
  const done = await does();
  const took = Number(process.hrtime.bigint() - begun) / 1e9;
  const [testNow, askedNow] = await times();
  const of = { SDK: testNow.own - test.own, 'sampan-migrate': testNow.children - test.children, service: askedNow.own - asked.own };
  const told = Object.entries(of).map(([who, seconds]) => `${who} ${seconds.toFixed(1)} s`).join(', ');
  if (process.env.SAMPAN_MESSAGES) console.log(`${what}: ${took.toFixed(1)} s; processor time: ${told}`);
  return done;
}

/** A conversation as a person sees it: every message with its id, time, sender and content. */
async function seen(person, conversation, count) {
  const own = await person.find(conversation);
  const all = [];
  for (let iterator = own.createMessagesIterator({ limit: PAGE }); all.length < count; ) {
    const { value, done } = await within(iterator.next(), 'a page of history');
    all.unshift(...value);
    if (done) break;
  }
  return all.map(({ id, timestamp, from, type, text }) => ({ id, at: +timestamp, from, type, text }));
}

check('D05 D06 an app moves to another service in an afternoon, and goes on with its history there', async () => {
  const [alice, bob, carl] = await world.people('alice', 'bob', 'carl');
  const tea = await alice.startWith([bob, carl], { name: 'Tea', topic: 'milk', attributes: { colour: 'red' } });
  await step(`${COUNT} messages are said`, async () => {
    for (let n = 0; n < COUNT; n += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, COUNT - n) }, (_, index) => tea.send(new alice.sdk.TextMessage(`n${n + index}`)));
      await within(Promise.all(some), 'messages are acknowledged', PATIENT);
    }
  });
  const wrong = await bob.say(tea, 'wrnog');
  const his = await bob.find(tea);
  await within(his.update(wrong, new bob.sdk.TextMessage('right')), 'an edit');
  await within(his.recall(await bob.say(tea, 'never mind')), 'a recall');
  await within((await carl.find(tea)).mute(), 'carl asks for no push');
  const count = COUNT + 2;
  const before = await seen(alice, tea, count);
  assert.equal(before.length, count);

  // A crawl leaves messages younger than the service's clock tells to the next run: so it is run until all is saved.
  const archive = path.join(folder, 'saved');
  const pace = ['--settle', '0ms', '--days', '1', '--start-rate', '60000', '--max-rate', '60000', '--check', '100'];
  const crawl = () => migrate('crawl', '--server', world.service.url, '--app', world.service.appId, '--archive', archive, ...pace);
  await step('crawl', () =>
    until(`${count} messages are saved`, async () => {
      await crawl();
      const saved = (await migrate('messages', archive)).trim().split('\n');
      return saved.length === count && saved.some(line => line.includes('right'));
    }, PATIENT));
  assert.match(await migrate('verify', archive), /\b0 damaged/);

  const data = path.join(folder, 'data');
  const report = path.join(folder, 'left.jsonl');
  const load = () => migrate('load', '--archive', archive, '--data', data, '--app', world.service.appId, '--report', report);
  await step('load', load);
  assert.equal(await readFile(report, 'utf8'), '', 'no row is left');
  assert.match(await load(), new RegExp(`${count} message: known already`), 'loading again changes nothing');
  world.switchOff();

  const there = await Service.start({ data });
  after(() => there.discard());
  // The one line that an app changes.
  const moved = { server: there.url };
  const again = async (person, options) => (await world.device({ ...moved, ...options })).login(person.id);
  const [alice2, bob2] = [await again(alice), await again(bob)];
  await step('history is read', async () => assert.deepEqual(await seen(alice2, tea, count), before), there);
  const found = await bob2.find(tea);
  assert.deepEqual([found.name, found.creator, [...found.members].sort()], ['Tea', alice.id, [alice.id, bob.id, carl.id].sort()]);
  assert.deepEqual([found.get('topic'), found.get('attributes')?.colour ?? found.get('attr.colour')], ['milk', 'red']);
  assert.deepEqual([found.mutedMembers, found.unreadMessagesCount], [[carl.id], 0], 'mutes are kept; what was loaded is read');
  const carl2 = await again(carl);

  // A later load goes into the service while its clients go on.
  const intoRunning = ['--server', there.url, '--archive', archive, '--app', world.service.appId];
  assert.match(await migrate('load', ...intoRunning), new RegExp(`${count} message: known already`));
  await alice2.say(tea, 'here we are');
  assert.equal((await bob2.hears('here we are')).from, alice.id);
  await bob2.say(tea, 'it is the same');
  assert.equal((await carl2.hears('it is the same')).from, bob.id);
  const after_ = await seen(bob2, tea, count + 2);
  assert.deepEqual(after_.slice(0, count), before);
  assert.deepEqual(after_.slice(count).map(message => message.text), ['here we are', 'it is the same']);
}, { timeout: 2 * PATIENT + 90_000 });
