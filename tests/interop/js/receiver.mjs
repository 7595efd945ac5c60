// A device with SDK 5.0.0-rc.8 that only receives: the peer of `cargo xtask bench spine`. It writes 0 when it is signed in,
// then how many messages its app was handed, whenever another `step` is full. It ends when its input does.

import realtime from 'leancloud-realtime';

// The SDK warns of every receipt that it holds back; writing that down is no part of receiving.
console.warn = () => {};

const [appId, appKey, clientId, step, server] = process.argv.slice(2);
const { Event, Realtime } = realtime;
const client = await new Realtime({ appId, appKey, server, ssl: false }).createIMClient(clientId);
let received = 0;
client.on(Event.MESSAGE, () => {
  received += 1;
  if (received % Number(step) === 0) process.stdout.write(`${received}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
process.stdout.write('0\n');
