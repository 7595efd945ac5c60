// Files: uploaded by the storage SDK, two generations of it, sent by the realtime SDK, downloaded by another client.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

import { check, World } from './lib/world.mjs';
import { within } from './lib/wait.mjs';

const require = createRequire(import.meta.url);
const world = await World.start();
const { appId, appKey, masterKey, url } = world.service;
const storage3 = require('leancloud-storage-3');
const storage4 = require('leancloud-storage');
storage3.init({ appId, appKey, masterKey, serverURLs: url });
storage4.init({ appId, appKey, masterKey, serverURL: url });

/** The bytes behind a URL, and the headers that came with them. */
async function download(address, headers) {
  const answer = await within(fetch(address, { headers }), 'a download answers');
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
}

for (const [version, storage] of [['3.11.1', storage3], ['4.x', storage4]]) {
  check(`S156 S165 S169 an image that storage ${version} uploads is sent and read byte by byte by somebody else`, async () => {
    const names = world.names('alice', 'bob');
    const [alice, bob] = await Promise.all(names.map(name => world.login(name, { typed: storage })));
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31 + (at >> 8)) % 251));
    const file = new storage.File('holiday.png', bytes, 'image/png');
    file.metaData('width', 640);
    await within(file.save(), 'the file is uploaded');
    assert.match(file.id, /^[0-9a-f]{24}$/);
    const conversation = await alice.startWith([bob]);
    await conversation.send(new alice.device.typed.ImageMessage(file).setText('a picture'));
    const heard = await bob.hears('a picture');
    assert.ok(heard instanceof bob.device.typed.ImageMessage);
    assert.equal(heard.getFile().id, file.id);
    assert.equal(heard.getFile().metaData('width'), 640);
    const read = await download(heard.getFile().url());
    assert.equal(read.headers.get('content-type'), 'image/png');
    assert.equal(createHash('sha256').update(read.bytes).digest('hex'), createHash('sha256').update(bytes).digest('hex'));
    const rest = await download(heard.getFile().url(), { Range: 'bytes=299990-' });
    assert.equal(rest.status, 206);
    assert.deepEqual(rest.bytes, bytes.subarray(299_990));
  });

  check(`S168 what is known of a file is asked by storage ${version} by its id, and the operator takes it away`, async () => {
    const file = new storage.File('note.txt', Buffer.from('a note'));
    await within(file.save(), 'the file is uploaded');
    const known = await within(storage.File.createWithoutData(file.id).fetch(), 'the file is found');
    assert.equal(known.get('name'), 'note.txt');
    assert.equal(known.get('mime_type'), 'text/plain');
    assert.equal(known.url(), file.url());
    assert.equal(known.metaData('size'), 6);
    assert.equal((await download(file.url())).bytes.toString(), 'a note');
    await assert.rejects(file.destroy(), { code: 401 });
    await within(file.destroy({ useMasterKey: true }), 'the file is taken away');
    assert.equal((await download(file.url())).status, 404);
    await assert.rejects(storage.File.createWithoutData(file.id).fetch(), { code: 101 });
  });

  check(`S166 a file elsewhere is named by storage ${version} and nothing is uploaded`, async () => {
    const file = storage.File.withURL('cat.jpg', 'https://files.invalid/cat.jpg', { width: 10 });
    await within(file.save(), 'the file is named');
    assert.equal(file.url(), 'https://files.invalid/cat.jpg');
    const known = await within(storage.File.createWithoutData(file.id).fetch(), 'the file is found');
    assert.equal(known.url(), 'https://files.invalid/cat.jpg');
    assert.equal(known.metaData('width'), 10);
  });
}

check('S164 what could run a script in a browser is saved and not shown, whoever uploads it', async () => {
  const file = new storage4.File('page.html', Buffer.from('<script>alert(1)</script>'), 'text/html');
  await within(file.save(), 'the file is uploaded');
  const { headers } = await download(file.url());
  assert.equal(headers.get('content-type'), 'application/octet-stream');
  assert.match(headers.get('content-disposition'), /^attachment/);
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
});
