// Owners, managers and members; who is silenced and who is blocked. SDK 5.0.0-rc.8 against the service.

import assert from 'node:assert/strict';

import { World, check, refusedWith } from './lib/world.mjs';

const world = await World.start();

/** Alice owns the conversation; Bob, Carol and Dave are members. The events of its creation have been handed out. */
async function four() {
  const [alice, bob, carol, dave] = await world.people('alice', 'bob', 'carol', 'dave');
  const conversation = await alice.startWith([bob, carol, dave]);
  for (const person of [alice, bob, carol, dave]) {
    await person.events.next('invited');
    await person.events.next('membersjoined');
  }
  const his = await bob.find(conversation);
  return { alice, bob, carol, dave, conversation, his };
}

/** The codes and the clients of what failed in part. */
function failed({ failures }) {
  return failures.map(({ code, clientIds }) => ({ code, clientIds: [...clientIds].sort() }));
}

check('the owner makes a manager, every member is told, and the table of roles says so', async () => {
  const { alice, bob, carol, conversation, his } = await four();
  await conversation.updateMemberRole(bob.id, alice.sdk.ConversationMemberRole.MANAGER);
  for (const person of [alice, bob, carol]) {
    const [{ member, memberInfo, updatedBy }] = await person.events.next('memberinfoupdated');
    assert.deepEqual([member, memberInfo.role, updatedBy], [bob.id, 'Manager', alice.id]);
  }
  const table = await (await carol.find(conversation)).getAllMemberInfo({ noCache: true });
  const roles = Object.fromEntries(table.map(({ memberId, role }) => [memberId, role]));
  assert.deepEqual([roles[alice.id], roles[bob.id], roles[carol.id]], ['Owner', 'Manager', 'Member']);
  await conversation.updateMemberRole(bob.id, alice.sdk.ConversationMemberRole.MEMBER);
  await bob.events.next('memberinfoupdated', ({ memberInfo }) => memberInfo.role === 'Member');
  assert.equal((await his.getMemberInfo(bob.id)).role, 'Member');
});

check('only the owner gives roles, the owner keeps hers and cannot leave: 4320, 4324', async () => {
  const { alice, bob, carol, conversation, his } = await four();
  await refusedWith(4320, his.updateMemberRole(carol.id, 'Manager'));
  await conversation.updateMemberRole(bob.id, 'Manager');
  await refusedWith(4320, his.updateMemberRole(carol.id, 'Manager'));
  await refusedWith(4317, conversation.updateMemberRole('nobody', 'Manager'));
  await refusedWith(4324, conversation.quit());
  assert.deepEqual(failed(await his.remove([alice.id])), [{ code: 4324, clientIds: [alice.id] }]);
});

check('a manager removes members but no manager, and a member removes nobody: 4320', async () => {
  const { bob, carol, dave, conversation, his } = await four();
  await refusedWith(4320, his.remove([carol.id]));
  await conversation.updateMemberRole(bob.id, 'Manager');
  await conversation.updateMemberRole(dave.id, 'Manager');
  const result = await his.remove([carol.id, dave.id]);
  assert.deepEqual(result.successfulClientIds, [carol.id]);
  assert.deepEqual(failed(result), [{ code: 4320, clientIds: [dave.id] }]);
  const [{ kickedBy }] = await carol.events.next('kicked');
  assert.equal(kickedBy, bob.id);
});

check('a silenced member reads on but cannot send until the silence ends: 4563', async () => {
  const { alice, bob, carol, conversation, his } = await four();
  assert.deepEqual((await conversation.muteMembers([bob.id])).successfulClientIds, [bob.id]);
  const [{ mutedBy }] = await bob.events.next('muted');
  assert.equal(mutedBy, alice.id);
  for (const person of [alice, bob, carol]) {
    const [told] = await person.events.next('membersmuted');
    assert.deepEqual(told, { mutedBy: alice.id, members: [bob.id] });
  }
  await refusedWith(4563, his.send(new bob.sdk.TextMessage('let me')));
  await alice.say(conversation, 'listen');
  await bob.hears('listen');
  assert.deepEqual((await his.queryMutedMembers()).results, [bob.id]);
  assert.deepEqual((await conversation.unmuteMembers(bob.id)).successfulClientIds, [bob.id]);
  const [{ unmutedBy }] = await bob.events.next('unmuted');
  assert.equal(unmutedBy, alice.id);
  await carol.events.next('membersunmuted');
  await bob.say(conversation, 'thanks');
  await alice.hears('thanks');
  assert.deepEqual((await his.queryMutedMembers()).results, []);
});

check('a blocked member is out, hears nothing, and comes in again only when unblocked: 4548, 4401', async () => {
  const { alice, bob, carol, conversation, his } = await four();
  assert.deepEqual((await conversation.blockMembers([bob.id])).successfulClientIds, [bob.id]);
  assert.equal((await bob.events.next('blocked'))[0].blockedBy, alice.id);
  assert.equal((await bob.events.next('kicked'))[0].kickedBy, alice.id);
  for (const person of [alice, carol]) {
    assert.deepEqual((await person.events.next('membersblocked'))[0], { blockedBy: alice.id, members: [bob.id] });
    assert.deepEqual((await person.events.next('membersleft'))[0], { kickedBy: alice.id, members: [bob.id] });
  }
  await refusedWith(4548, his.join());
  assert.deepEqual(failed(await conversation.add([bob.id])), [{ code: 4548, clientIds: [bob.id] }]);
  await refusedWith(4548, his.send(new bob.sdk.TextMessage('hello?')));
  assert.deepEqual((await conversation.queryBlockedMembers()).results, [bob.id]);
  assert.deepEqual((await conversation.unblockMembers([bob.id])).successfulClientIds, [bob.id]);
  assert.equal((await bob.events.next('unblocked'))[0].unblockedBy, alice.id);
  await carol.events.next('membersunblocked');
  await refusedWith(4401, his.send(new bob.sdk.TextMessage('and now?')));
  await his.join();
  await bob.say(conversation, 'back again');
  await alice.hears('back again');
});

check('a member silences and blocks nobody, and nobody does it to the owner: 4320', async () => {
  const { alice, bob, carol, conversation, his } = await four();
  await refusedWith(4320, his.muteMembers([carol.id]));
  await refusedWith(4320, his.blockMembers([carol.id]));
  await refusedWith(4320, his.unblockMembers([carol.id]));
  await conversation.updateMemberRole(bob.id, 'Manager');
  const result = await his.muteMembers([carol.id, alice.id]);
  assert.deepEqual(result.successfulClientIds, [carol.id]);
  assert.deepEqual(failed(result), [{ code: 4320, clientIds: [alice.id] }]);
});

check('long lists come in pages', async () => {
  const { conversation } = await four();
  const many = Array.from({ length: 7 }, (_, n) => `guest-${n}`);
  await conversation.blockMembers(many);
  await conversation.muteMembers(many);
  for (const ask of ['queryBlockedMembers', 'queryMutedMembers']) {
    const first = await conversation[ask]({ limit: 4 });
    assert.equal(first.results.length, 4);
    const second = await conversation[ask]({ limit: 4, next: first.next });
    assert.deepEqual([...first.results, ...second.results], many);
    assert.ok(!second.next, `${second.next}`);
  }
});

check('in a chat room the creator silences and blocks, and who is blocked is outside', async () => {
  const [alice, bob, carol] = await world.people('alice', 'bob', 'carol');
  const room = await alice.client.createChatRoom({ name: 'the pier' });
  for (const person of [bob, carol]) await (await person.find(room)).join();
  const his = await bob.find(room);
  await room.muteMembers([bob.id]);
  await bob.events.next('muted');
  await refusedWith(4563, his.send(new bob.sdk.TextMessage('ahoy')));
  await room.unmuteMembers([bob.id]);
  await bob.say(room, 'ahoy');
  await carol.hears('ahoy');
  await refusedWith(4320, his.muteMembers([carol.id]));
  await room.blockMembers([bob.id]);
  await bob.events.next('blocked');
  assert.equal(await room.count(), 2);
  await carol.say(room, 'not for bob');
  await alice.hears('not for bob');
  await refusedWith(4548, his.join());
  assert.deepEqual(bob.events.seen('message').map(([message]) => message.text), []);
});

check('what a member missed about roles and lists is told after a reconnect', async () => {
  const { bob, carol, conversation } = await four();
  bob.device.pause();
  await carol.seesGone(bob);
  await conversation.updateMemberRole(bob.id, 'Manager');
  await conversation.muteMembers([carol.id]);
  bob.device.resume();
  const [{ memberInfo }] = await bob.events.next('memberinfoupdated');
  assert.equal(memberInfo.role, 'Manager');
  assert.deepEqual((await bob.events.next('membersmuted'))[0].members, [carol.id]);
});
