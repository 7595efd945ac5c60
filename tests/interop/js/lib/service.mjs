// A `sampan-service` process of its own for one test file: started on a free port with a data folder of its own,
// restarted or killed at will, always gone at the end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { within } from './wait.mjs';

const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const running = new Set();
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')));

/** Where a program is: beside `SAMPAN_SERVICE_BIN`, or what `cargo build -p sampan-service -p sampan-migrate` leaves. */
export function binary(name = 'sampan-service') {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(REPOSITORY, 'target');
  const service = process.env.SAMPAN_SERVICE_BIN ?? path.join(target, 'debug', 'sampan-service');
  const found = path.join(path.dirname(service), name === 'sampan-service' ? path.basename(service) : name);
  if (!existsSync(found)) {
    throw new Error(`no ${name} at ${found}: run \`cargo build -p ${name}\` or set SAMPAN_SERVICE_BIN`);
  }
  return found;
}

/** A service process and what is needed to reach it. Its data folder and its port outlive a restart. */
export class Service {
  appId = 'interop-app-0123456789ab';
  appKey = 'interop-key';
  masterKey = 'interop-master';
  #folder;
  #data;
  #settings;
  #port = 0;
  #child;
  #log = '';

  /** Starts a service. `settings` are those of its app, if they are not to be the defaults; `data` is a folder to go on with. */
  static async start({ settings, data } = {}) {
    const service = new Service();
    service.#folder = await mkdtemp(path.join(tmpdir(), 'sampan-interop-'));
    service.#data = data ?? path.join(service.#folder, 'data');
    if (settings !== undefined) {
      service.#settings = path.join(service.#folder, 'settings.json');
      await writeFile(service.#settings, JSON.stringify({ [service.appId]: settings }));
    }
    await service.#spawn();
    return service;
  }

  /** The base URL of router and REST. */
  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The number of the process. */
  get pid() {
    return this.#child.pid;
  }

  /** The process's words on its standard error so far. */
  get log() {
    return this.#log;
  }

  /** Asks over REST as the app's own server does, and returns the body of the answer; a refusal throws. */
  async rest(method, path, body, { key = `${this.masterKey},master`, version = '1.2' } = {}) {
    const answer = await fetch(`${this.url}/${version}/rtm${path}`, {
      method,
      headers: { 'X-LC-Id': this.appId, 'X-LC-Key': key, 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${JSON.stringify(said)}`), { code: said.code, status: answer.status });
    return said;
  }

  /** Ends the process as an operator would (SIGTERM) and waits until it is gone. Returns its exit code. */
  async stop() {
    return this.#end('SIGTERM');
  }

  /** Ends the process as a crash would: no warning, no clean-up. */
  async kill() {
    return this.#end('SIGKILL');
  }

  /** Starts the process again, on the same port and with the same data. */
  async startAgain() {
    await this.#spawn();
  }

  /** Ends the process and forgets its data. */
  async discard() {
    if (this.#child) await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #spawn() {
    const args = ['--listen', `127.0.0.1:${this.#port}`, '--data', this.#data];
    args.push('--app', `${this.appId}:${this.appKey}:${this.masterKey}`);
    if (this.#settings) args.push('--settings', this.#settings);
    // The service has a variable of this name with another meaning.
    const { SAMPAN_LOG, ...env } = process.env;
    const child = spawn(binary(), args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    running.add(child);
    child.once('exit', () => running.delete(child));
    child.stderr.setEncoding('utf8').on('data', text => {
      this.#log += text;
      if (SAMPAN_LOG) process.stderr.write(text);
    });
    this.#child = child;
    this.#port = await within(this.#announcedPort(child), 'the service says where it listens', 30_000);
  }

  #announcedPort(child) {
    return new Promise((resolve, reject) => {
      let said = '';
      child.stdout.setEncoding('utf8').on('data', text => {
        said += text;
        const address = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
        if (address) resolve(Number(address[1]));
      });
      child.once('error', reject);
      child.once('exit', code => reject(new Error(`the service ended with ${code}: ${said}${this.#log}`)));
    });
  }

  async #end(signal) {
    const child = this.#child;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = once(child, 'exit');
    child.kill(signal);
    const [code] = await within(gone, `the service ends after ${signal}`, 15_000);
    return code;
  }
}
