// A device with SDK 5.0.0-rc.8 that comes back after an absence: the peer of `cargo xtask bench catchup`. It asks for all
// conversations and for the newest messages of each, four at a time, and writes down how many its app was handed.

import realtime from 'leancloud-realtime';

console.warn = () => {};

const [appId, appKey, clientId, each, messages, server] = process.argv.slice(2);
const { Realtime } = realtime;
process.stdout.write('ready\n');
const client = await new Realtime({ appId, appKey, server, ssl: false }).createIMClient(clientId);
const conversations = await client.getQuery().containsMembers([clientId]).limit(1000).find();
let received = 0;
const waiting = conversations.filter(({ name }) => name?.startsWith('talk '));
const work = async () => {
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    received += (await next.queryMessages({ limit: Number(each) })).length;
  }
};
await Promise.all([work(), work(), work(), work()]);
if (received < Number(messages)) throw new Error(`${received} of ${messages} messages came`);
process.stdin.on('end', () => process.exit(0)).resume();
process.stdout.write(`${JSON.stringify({ messages: received })}\n`);
