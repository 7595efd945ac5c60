// Shows what an SDK and the service say to each other: a proxy between them that prints every frame decoded.
//
//   node frames.mjs http://127.0.0.1:8080        then point a client at the address that is printed
//   SAMPAN_FRAMES=1 node --test messages.test.mjs   all clients of the tests go through it

import http from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import WebSocket, { WebSocketServer } from './lib/socket.mjs';

const { Protocols } = createRequire(import.meta.url)('leancloud-realtime');
const { GenericCommand, CommandType, OpType } = Protocols;

/** One line for a frame of either encoding: command, operation, then every field that is present. */
export function describe(frame, isText) {
  try {
    const command = GenericCommand.decode(isText ? frame.toString() : frame);
    const { cmd, op, ...rest } = present(command);
    const name = nameOf(CommandType, cmd) + (op === undefined ? '' : `/${nameOf(OpType, op)}`);
    return `${name} ${JSON.stringify(rest)}`;
  } catch (error) {
    return `(not a command: ${error.message}) ${frame.toString('hex').slice(0, 80)}`;
  }
}

function nameOf(names, value) {
  return Object.keys(names).find(name => names[name] === value) ?? value;
}

/** The set fields of a decoded message, with numbers and bytes in a readable form. */
function present(value) {
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.toNumber === 'function') return value.toNumber();
  if (typeof value.toBase64 === 'function' && value.buffer) return `base64:${value.toBase64()}`;
  if (Array.isArray(value)) return value.map(present);
  const fields = Object.keys(value).filter(key => value[key] !== null && !(Array.isArray(value[key]) && !value[key].length));
  return Object.fromEntries(fields.map(key => [key, present(value[key])]));
}

/** Starts the proxy in front of `target`. Every line goes to `print`. Returns its `url` and `close`. */
export async function watchFrames(target, print = line => process.stderr.write(`${line}\n`)) {
  const proxy = new Proxy(target, print);
  await proxy.listen();
  return proxy;
}

class Proxy {
  #target;
  #print;
  #server;
  #sockets;
  #socketUrl;
  #connections = 0;

  constructor(target, print) {
    this.#target = target;
    this.#socketUrl = target.replace(/^http/, 'ws');
    this.#print = print;
    this.#server = http.createServer((request, response) => this.#forward(request, response));
    this.#sockets = new WebSocketServer({ server: this.#server, handleProtocols: protocols => [...protocols][0] });
    this.#sockets.on('connection', (client, request) => this.#splice(client, request));
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  listen() {
    return new Promise(resolve => this.#server.listen(0, '127.0.0.1', resolve));
  }

  close() {
    this.#sockets.clients.forEach(client => client.terminate());
    this.#server.closeAllConnections();
    return new Promise(resolve => this.#server.close(resolve));
  }

  /** Passes a request on; in the router's answer this proxy takes the service's place. */
  async #forward(request, response) {
    const body = [];
    for await (const chunk of request) body.push(chunk);
    const { host, connection, 'content-length': length, ...headers } = request.headers;
    const hasBody = !['GET', 'HEAD'].includes(request.method);
    const answer = await fetch(this.#target + request.url, {
      method: request.method,
      headers,
      body: hasBody ? Buffer.concat(body) : undefined,
    });
    this.#print(`http ${request.method} ${request.url} ${answer.status}`);
    let text = await answer.text();
    if (request.url.startsWith('/v1/route') && answer.ok) text = this.#rewritten(JSON.parse(text));
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
    response.end(text);
  }

  #rewritten(route) {
    this.#socketUrl = route.server;
    const here = this.url.replace(/^http/, 'ws');
    return JSON.stringify({ ...route, server: here, secondary: here });
  }

  /** Joins a client's socket with one to the service. */
  #splice(client, request) {
    this.#connections += 1;
    const label = `#${this.#connections}`;
    const proposed = request.headers['sec-websocket-protocol'];
    const isText = proposed?.includes('base64');
    const service = new WebSocket(this.#socketUrl, proposed?.split(/\s*,\s*/));
    const early = [];
    service.on('open', () => early.splice(0).forEach(data => service.send(data)));
    client.on('message', data => {
      this.#print(`${label} → ${describe(data, isText)}`);
      if (service.readyState === WebSocket.OPEN) service.send(data);
      else early.push(data);
    });
    service.on('message', data => {
      this.#print(`${label} ← ${describe(data, isText)}`);
      if (client.readyState === WebSocket.OPEN) client.send(data);
    });
    client.on('close', code => {
      this.#print(`${label} → closed ${code}`);
      service.terminate();
    });
    service.on('close', (code, reason) => {
      this.#print(`${label} ← closed ${code} ${reason}`);
      if (code === 1000 || code >= 3000) client.close(code, reason);
      else client.terminate();
    });
    service.on('error', error => this.#print(`${label} ← ${error.message}`));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const proxy = await watchFrames(process.argv[2], line => console.log(line));
  console.log(`point a client at ${proxy.url}`);
}
