// A client without an SDK: frames as a test wants them, for what no SDK would send and to see answers bare.

import { createRequire } from 'node:module';

import WebSocket from './socket.mjs';
import { within } from './wait.mjs';

const { Protocols } = createRequire(import.meta.url)('leancloud-realtime');
export const { GenericCommand, CommandType, OpType } = Protocols;

export class Raw {
  #socket;
  #serial = 0;
  #received = [];
  #waiting = [];
  #isText;

  /** Connects with the given subprotocol; `null` proposes none. Fails as the handshake does. */
  static async connect(url, { protocol = 'lc.protobuf2.3', path = '', headers } = {}) {
    const raw = new Raw();
    const address = url.replace(/^http/, 'ws') + path;
    raw.#socket = new WebSocket(address, protocol ?? [], { headers });
    raw.#isText = `${protocol}${path}`.includes('base64');
    raw.closed = new Promise(resolve => raw.#socket.once('close', (code, reason) => resolve({ code, reason })));
    raw.#socket.on('message', data => raw.#note(data));
    await within(
      new Promise((resolve, reject) => {
        raw.#socket.once('open', resolve);
        raw.#socket.on('error', reject);
      }),
      'the handshake',
    );
    return raw;
  }

  /** Connects where the router of this service says, and logs a client id in. */
  static async login(world, clientId, { session = {}, ...options } = {}) {
    const raw = await Raw.connect(await socketUrl(world), options);
    raw.opened = await raw.ask({
      cmd: 'session',
      op: 'open',
      appId: world.service.appId,
      peerId: clientId,
      sessionMessage: { ua: 'raw/1', configBitmap: 0xbb, ...session },
    });
    return raw;
  }

  /** The subprotocol that the service chose. */
  get protocol() {
    return this.#socket.protocol;
  }

  /** Sends a command as it is given. */
  send(fields) {
    const command = new GenericCommand(fields);
    this.sendFrame(this.#isText ? command.toBase64() : Buffer.from(command.toArrayBuffer()));
  }

  /** Sends bytes (a binary frame) or a string (a text frame). */
  sendFrame(data) {
    this.#socket.send(data);
  }

  /** Sends a command with a number of its own and returns its answer. */
  async ask(fields) {
    this.#serial += 1;
    const i = fields.i ?? this.#serial;
    this.send({ ...fields, i });
    return this.next(command => command.i === i, `the answer to ${fields.cmd}/${fields.op ?? ''}`);
  }

  /** The next command that fits and was not handed out yet. */
  next(fits, what = 'a command') {
    const index = this.#received.findIndex(fits);
    if (index >= 0) return Promise.resolve(this.#received.splice(index, 1)[0]);
    return within(new Promise(resolve => this.#waiting.push({ fits, resolve })), what);
  }

  /** The next notification of this command, and operation if one is named. */
  notified(cmd, op) {
    const fits = command => command.i === null && command.cmd === CommandType[cmd] && (!op || command.op === OpType[op]);
    return this.next(fits, `the notification ${cmd}/${op ?? ''}`);
  }

  /** The commands that have arrived and nobody asked for. */
  get left() {
    return this.#received;
  }

  drop() {
    this.#socket.terminate();
  }

  #note(data) {
    const command = GenericCommand.decode(data);
    const index = this.#waiting.findIndex(({ fits }) => fits(command));
    if (index >= 0) this.#waiting.splice(index, 1)[0].resolve(command);
    else this.#received.push(command);
  }
}

/** The address to which the router sends the clients of this service. */
export async function socketUrl(world) {
  const answer = await fetch(`${world.service.url}/v1/route?appId=${world.service.appId}&secure=false`);
  return (await answer.json()).server;
}

/** The fields of a decoded message that are present. */
export function fieldsOf(message) {
  return Object.keys(message).filter(key => message[key] !== null && !(Array.isArray(message[key]) && !message[key].length));
}
