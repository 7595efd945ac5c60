// Devices with an official SDK on them, and the service that they talk to.
//
// The SDK allows one `Realtime` per app in a process. Each device here loads a copy of the SDK of its own instead, so that
// a test may have as many as it likes; classes (`TextMessage`, …) are then the device's: `device.sdk.TextMessage`.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createRequire } from 'node:module';

import storage from 'leancloud-storage';
import initTypedMessages from 'leancloud-realtime-plugin-typed-messages';

import { Service } from './service.mjs';
import { PATIENCE, Recorder, until, within } from './wait.mjs';
import { watchFrames } from '../frames.mjs';
import { secureFront } from './secure.mjs';
import { FILE } from './report.mjs';

const require = createRequire(import.meta.url);
const PACKAGES = { 5: 'leancloud-realtime', 4: 'leancloud-realtime-4' };
storage.init({ appId: 'not-used', appKey: 'not-used', serverURL: 'http://127.0.0.1:9' });
let serial = 0;
let current;

/**
 * A test with a limit; its devices are switched off afterwards. Its title begins with the rows of the feature table that
 * it covers.
 */
export function check(title, body, { timeout = 90_000 } = {}) {
  test(title, { timeout }, async t => {
    // For the runner this function is the test's file.
    t.diagnostic(`${FILE}${process.argv[1]}`);
    try {
      await body();
    } finally {
      current?.switchOff();
    }
  });
}

/** One service and any number of devices, for all tests of a file; everything is closed after the last of them. */
export class World {
  #devices = [];
  #frames;
  #front;

  static async start(options) {
    const world = new World();
    current = world;
    world.service = await Service.start(options);
    after(() => world.#end());
    if (process.env.SAMPAN_FRAMES) world.#frames = await watchFrames(world.service.url);
    return world;
  }

  /** The service's address for clients: its own, or that of the proxy that shows the frames. */
  get url() {
    return this.#frames?.url ?? this.service.url;
  }

  /** Names that no other test of this file uses: `alice` becomes `alice-7`. */
  names(...bases) {
    serial += 1;
    return bases.map(base => `${base}-${serial}`);
  }

  /**
   * A device that nobody is logged in on. `sdk`: 5 (5.0.0-rc.8) or 4 (4.3.1). `noBinary`: text frames. `push`: offline
   * messages are pushed (4 only). `typed`: with the plug-in for media messages, and the storage SDK given. The rest is what `Realtime` takes.
   */
  async device({ sdk = 5, push = false, ...rest } = {}) {
    const options = sdk === 4 ? { server: await this.#secureHost(), pushOfflineMessages: push } : { server: this.url };
    const device = new Device(sdk, { appId: this.service.appId, appKey: this.service.appKey, ssl: false, ...options, ...rest });
    this.#devices.push(device);
    return device;
  }

  /** A client id, logged in on a device of its own. */
  async login(clientId, { tag, isReconnect, ...device } = {}) {
    return (await this.device(device)).login(clientId, { tag, isReconnect });
  }

  /** Clients of fresh names, each logged in on a device of its own. */
  async people(...bases) {
    return Promise.all(this.names(...bases).map(name => this.login(name)));
  }

  /** Closes the connections of all devices so far. */
  switchOff() {
    for (const device of this.#devices.splice(0)) device.dispose();
  }

  /** 4.3.1 insists on `https`: it gets a front with a certificate that this process trusts. */
  async #secureHost() {
    this.#front ??= await secureFront(this.url);
    return this.#front.host;
  }

  async #end() {
    this.switchOff();
    await this.#frames?.close();
    await this.#front?.close();
    await this.service.discard();
  }
}

/** A copy of an SDK with its one connection. */
export class Device {
  constructor(version, { typed = false, plugins = [], ...options }) {
    this.sdk = fresh(PACKAGES[version]);
    if (typed) this.typed = initTypedMessages(typed === true ? storage : typed, this.sdk);
    const names = Object.values(this.sdk.Event);
    const recorder = { name: 'recorder', onIMClientCreate: client => (client.recorder = new Recorder(client, names, client.id)) };
    const all = [recorder, ...(typed ? [this.typed.TypedMessagesPlugin] : []), ...plugins];
    this.realtime = new this.sdk.Realtime({ ...options, plugins: all });
    this.events = new Recorder(this.realtime, names, 'the engine');
  }

  /** Logs a client id in. Without one the service is asked for one. */
  async login(clientId, options = {}) {
    const client = await within(this.realtime.createIMClient(clientId, options), `${clientId} logs in`);
    this.connection = client._connection;
    return new Person(this, client);
  }

  /** Cuts the cable: the socket ends without a word, and the SDK begins to reconnect. */
  cut() {
    this.connection._ws.terminate();
  }

  /** Goes offline and stays so until `resume`. */
  pause() {
    this.realtime.pause();
  }

  resume() {
    this.realtime.resume();
  }

  /** Closes the connection and forgets the SDK's timers, which would keep the process for their 20 seconds. */
  dispose() {
    const close = connection => {
      if (connection.can('close')) connection.close();
      Object.values(connection._commands).forEach(({ timeout }) => clearTimeout(timeout));
    };
    this.realtime._openPromise?.then(close, () => {});
  }
}

/** A copy of a package that nobody else has. */
function fresh(name) {
  const file = require.resolve(name);
  delete require.cache[file];
  return require(file);
}

/** A logged-in client id: the SDK's client, and a memory of its events. */
class Person {
  constructor(device, client) {
    this.device = device;
    this.sdk = device.sdk;
    this.client = client;
    this.id = client.id;
    this.events = client.recorder;
  }

  /** A conversation with these people that nobody else's test shares. */
  async startWith(others, options = {}) {
    const members = others.map(other => other.id ?? other);
    return within(this.client.createConversation({ members, unique: false, ...options }), 'a conversation starts');
  }

  /** This person's own object of a conversation. */
  async find(conversation) {
    const found = await within(this.client.getConversation(conversation.id ?? conversation), 'a conversation is found');
    assert.ok(found, `${this.id} finds ${conversation.id ?? conversation}`);
    return found;
  }

  /** Sends a text and returns the message. */
  async say(conversation, text, options) {
    const own = await this.find(conversation);
    return within(own.send(new this.sdk.TextMessage(text), options), `"${text}" is acknowledged`);
  }

  /** The next message that fits, by its text or by a question. */
  async hears(expected) {
    const fits = typeof expected === 'function' ? expected : message => message.text === expected;
    const [message, conversation] = await this.events.next('message', fits);
    return Object.assign(message, { conversation });
  }

  /** The texts of the conversation's history as the service has it. */
  async history(conversation, options = { limit: 100 }) {
    const own = await this.find(conversation);
    const messages = await within(own.queryMessages(options), 'history answers');
    return messages.map(message => message.text ?? message.content);
  }

  /** Waits until the service knows that these client ids are away. */
  async seesGone(...others) {
    const ids = others.map(other => other.id ?? other);
    await until(`${ids} are offline`, async () => (await this.client.ping(ids)).length === 0);
  }

  /** Another login of this person on a device of its own. */
  async again(world, options) {
    return world.login(this.id, options);
  }
}

/** Asserts that a promise fails with this code of the service. */
export async function refusedWith(code, promise, what = `a refusal with ${code}`) {
  await assert.rejects(within(promise, what, PATIENCE), error => {
    assert.equal(error.code, code, `${what}: got ${error.code} ${error.name} ${error.message}`);
    return true;
  });
}
