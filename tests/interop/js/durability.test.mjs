// Acknowledged work survives: an orderly restart, and the process being killed in mid-work.

import assert from 'node:assert/strict';

import { World, check } from './lib/world.mjs';

const world = await World.start();

/** Takes the service away and brings it back; everybody who was online logs in again by herself. */
async function interrupted(how, ...people) {
  await world.service[how]();
  await Promise.all(people.map(person => person.events.next('disconnect')));
  await world.service.startAgain();
  await Promise.all(people.map(person => person.events.next('reconnect')));
}

for (const how of ['stop', 'kill']) {
  const title = { stop: 'a restart', kill: 'kill -9' }[how];

  check(`S258 an acknowledged message is in history exactly once after ${title}`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const conversation = await alice.startWith([bob]);
    await alice.say(conversation, 'one');
    const last = await alice.say(conversation, 'two');
    await interrupted(how, alice, bob);
    assert.deepEqual(await bob.history(conversation), ['one', 'two']);
    const next = await alice.say(conversation, 'three');
    assert.ok(next.timestamp > last.timestamp);
    await bob.hears('three');
    assert.deepEqual(await bob.history(conversation), ['one', 'two', 'three']);
  });

  check(`S073 conversations, attributes, members and mutes are as before after ${title}`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const conversation = await alice.startWith([bob], { unique: true, name: 'old', attr: { a: 1 } });
    conversation.name = 'new';
    await conversation.set('attr.b', [2]).save();
    await conversation.add(['carol', 'dave']);
    await conversation.remove(['dave']);
    await conversation.mute();
    const before = await (await alice.again(world)).find(conversation);
    await interrupted(how, alice);
    const after = await (await alice.again(world)).find(conversation);
    assert.deepEqual(after.toFullJSON(), before.toFullJSON());
    assert.deepEqual([after.name, after.get('attr'), after.members.length], ['new', { a: 1, b: [2] }, 3]);
    assert.deepEqual(after.mutedMembers, [alice.id]);
    const [carol] = await world.people('erin');
    const made = await carol.startWith([alice], { unique: true });
    assert.equal((await alice.startWith([carol], { unique: true })).id, made.id);
  });

  check(`S225 S226 edits and recalls are as before after ${title}`, async () => {
    const [alice, bob] = await world.people('alice', 'bob');
    const conversation = await alice.startWith([bob]);
    const [one, two] = [await alice.say(conversation, 'one'), await alice.say(conversation, 'two')];
    await conversation.update(one, new alice.sdk.TextMessage('edited'));
    await conversation.recall(two);
    await interrupted(how, bob);
    const [first, second] = await (await bob.find(conversation)).queryMessages();
    assert.equal(first.text, 'edited');
    assert.ok(second instanceof bob.sdk.RecalledMessage);
  });

  check(`S204 S215 unread counts and read marks are as before after ${title}`, async () => {
    const [alice] = await world.people('alice');
    const [name] = world.names('bob');
    const [read, unread] = [await alice.startWith([name]), await alice.startWith([name])];
    for (const conversation of [read, unread]) await alice.say(conversation, 'hello');
    const bob = await world.login(name);
    const his = await bob.find(read);
    await bob.events.next('unreadmessagescountupdate');
    const tablet = await world.login(name);
    await tablet.events.next('unreadmessagescountupdate');
    const cleared = tablet.events.next('unreadmessagescountupdate', list => list.some(seen => seen.id === read.id && seen.unreadMessagesCount === 0));
    await his.read();
    await cleared;
    await interrupted(how, alice);
    const later = await world.login(name);
    const [list] = await later.events.next('unreadmessagescountupdate');
    assert.deepEqual(list.map(seen => [seen.id, seen.unreadMessagesCount]), [[unread.id, 1]]);
  });
}

check('S258 messages of many senders that were acknowledged before kill -9 are all there, once, in order', async () => {
  const people = await world.people('alice', 'bob', 'carol', 'dave');
  const conversation = await people[0].startWith(people.slice(1));
  const own = await Promise.all(people.map(person => person.find(conversation)));
  const acknowledged = [];
  let running = true;
  const senders = people.map(async (person, index) => {
    const lost = person.device.events.next('disconnect').then(() => undefined);
    for (let n = 0; running && n < 400; n += 1) {
      const message = new person.sdk.TextMessage(`${index}/${n}`);
      const sent = await Promise.race([own[index].send(message).catch(() => undefined), lost]);
      if (!sent || sent.status !== person.sdk.MessageStatus.SENT) return;
      acknowledged.push(sent);
      if (acknowledged.length === 60) {
        running = false;
        await world.service.kill();
      }
    }
  });
  await Promise.all(senders);
  await world.service.startAgain();
  await Promise.all(people.map(person => person.events.next('reconnect')));
  const history = await own[0].queryMessages({ limit: 100 });
  const ids = history.map(message => message.id);
  assert.equal(new Set(ids).size, ids.length);
  const kept = history.filter(message => acknowledged.some(sent => sent.id === message.id));
  assert.equal(kept.length, acknowledged.length);
  const inOrder = acknowledged.toSorted((one, two) => one.timestamp - two.timestamp);
  assert.deepEqual(kept.map(message => message.text), inOrder.map(message => message.text));
});
