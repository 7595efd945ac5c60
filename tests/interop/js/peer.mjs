// A device with SDK 5.0.0-rc.8 that another process drives: one JSON request a line on standard input, one answer a line on
// standard output. The tests of the Java SDK use it as the other side.

import { createInterface } from 'node:readline';

import storage from 'leancloud-storage';

import { contentOf, described, registered } from './contents.mjs';
import { until } from './lib/wait.mjs';
import { Device } from './lib/world.mjs';

let person;
/** The messages that were sent with `sends`, by id. */
const sent = new Map();

const deeds = {
  async login({ url, appId, appKey, clientId, tag }) {
    storage.init({ appId, appKey, serverURL: url });
    person = await new Device(5, { server: url, appId, appKey, ssl: false, typed: true }).login(clientId, { tag });
    registered(person);
    return {};
  },
  async start({ members, ...options }) {
    return { cid: (await person.startWith(members, options)).id };
  },
  async find({ cid }) {
    const { name, members, creator } = await person.find(cid);
    return { name, members, creator };
  },
  async say({ cid, text, receipt }) {
    const { id, timestamp } = await person.say(cid, text, { receipt });
    return { id, timestamp: +timestamp };
  },
  async sends({ cid, content, options }) {
    const message = contentOf(person, content);
    await (await person.find(cid)).send(message, options);
    sent.set(message.id, message);
    return { id: message.id, timestamp: +message.timestamp };
  },
  async gets({ id }) {
    return described(person, await person.hears(message => message.id === id));
  },
  async getsWords({ text }) {
    return described(person, await person.hears(text));
  },
  async contents({ cid }) {
    const messages = await (await person.find(cid)).queryMessages({ limit: 100 });
    return { contents: messages.map(message => described(person, message)) };
  },
  async changes({ cid, id, timestamp, content }) {
    await (await person.find(cid)).update({ id, timestamp: new Date(timestamp) }, contentOf(person, content));
    return {};
  },
  async changed({ id }) {
    const [message] = await person.events.next('messageupdate', message => message.id === id);
    return described(person, message);
  },
  async receipt({ id }) {
    const message = sent.get(id);
    await until('the receipt', () => message.status === person.sdk.MessageStatus.DELIVERED);
    return { deliveredAt: +message.deliveredAt, timestamp: +message.timestamp };
  },
  async readUntil({ cid, timestamp }) {
    const conversation = await person.find(cid);
    await until('the read mark', () => +conversation.lastReadAt >= timestamp);
    return {};
  },
  async cut() {
    person.device.cut();
    await person.events.next('reconnect');
    return {};
  },
  async sendsPicture({ cid, base64, name, text }) {
    const file = new storage.File(name, { base64 }, 'image/png');
    await file.save();
    const conversation = await person.find(cid);
    const { id } = await conversation.send(new person.device.typed.ImageMessage(file).setText(text));
    return { id, url: file.url() };
  },
  async seesPicture({ text }) {
    const file = (await person.hears(text)).getFile();
    const answer = await fetch(file.url());
    const bytes = Buffer.from(await answer.arrayBuffer());
    return { size: file.metaData('size'), width: file.metaData('width'), base64: bytes.toString('base64') };
  },
  async hears({ text }) {
    const { id, from, cid, timestamp, mentioned } = await person.hears(text);
    return { id, from, cid, timestamp: +timestamp, mentioned };
  },
  async edit({ cid, id, timestamp, text }) {
    const conversation = await person.find(cid);
    await conversation.update({ id, timestamp: new Date(timestamp) }, new person.sdk.TextMessage(text));
    return {};
  },
  async recall({ cid, id, timestamp }) {
    await (await person.find(cid)).recall({ id, timestamp: new Date(timestamp) });
    return {};
  },
  async rename({ cid, name, attr }) {
    const conversation = await person.find(cid);
    conversation.name = name;
    Object.entries(attr).forEach(([key, value]) => conversation.set(`attr.${key}`, value));
    await conversation.save();
    return {};
  },
  async add({ cid, members }) {
    await (await person.find(cid)).add(members);
    return {};
  },
  async remove({ cid, members }) {
    await (await person.find(cid)).remove(members);
    return {};
  },
  async room({ name }) {
    return { cid: (await person.client.createChatRoom({ name })).id };
  },
  async temporary({ members, ttl }) {
    return { cid: (await person.client.createTemporaryConversation({ members, ttl })).id };
  },
  async enter({ cid }) {
    await (await person.find(cid)).join();
    return {};
  },
  async leave({ cid }) {
    await (await person.find(cid)).quit();
    return {};
  },
  async count({ cid }) {
    return { count: await (await person.find(cid)).count() };
  },
  async online({ clients }) {
    return { online: await person.client.ping(clients) };
  },
  async join({ cid }) {
    await (await person.find(cid)).join();
    return {};
  },
  async quit({ cid }) {
    await (await person.find(cid)).quit();
    return {};
  },
  async told({ name, cid, member }) {
    const [payload] = await person.events.next(name, ({ members }, conversation) => conversation.id === cid && (!member || members.includes(member)));
    return { members: payload.members, by: payload.invitedBy ?? payload.kickedBy };
  },
  async read({ cid }) {
    await (await person.find(cid)).read();
    return {};
  },
  async unread({ cid, count }) {
    await person.events.next('unreadmessagescountupdate', list => list.some(seen => seen.id === cid && seen.unreadMessagesCount === count));
    return {};
  },
  async event({ name }) {
    const [payload] = await person.events.next(name);
    return { id: payload?.id, text: payload?.text, members: payload?.members, by: payload?.invitedBy ?? payload?.kickedBy ?? payload?.updatedBy };
  },
  async history({ cid }) {
    return { texts: await person.history(cid) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: deed, ...details } = JSON.parse(line);
  let answer;
  try {
    answer = await deeds[deed](details);
  } catch (error) {
    answer = { error: `${error.code ?? ''} ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
