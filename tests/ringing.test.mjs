// @ts-check
/** Ringing, as sockets and REST show it: who rings, on which devices, and what becomes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { createGroup, Refused, signIn, startCallOf } from './support/people.mjs';
import { startServer } from './support/server.mjs';
import { Signaling } from './support/signaling.mjs';

/** @typedef {import('./support/people.mjs').Person} Person */

const fixture = serverForThisFile();
const { use } = fixture;
const connect = async (/** @type {Person} */ person) => use(await Signaling.connect(person));

test('every device of everybody rings, and one answer silences all of that person', async () => {
  const [alice, bob, carol] = await people('Alice', 'Bob', 'Carol');
  const groupId = await createGroup(alice, bob, carol);
  const [phone, laptop, carols] = await Promise.all([connect(bob), connect(bob), connect(carol)]);
  const call = await alice.startCall(groupId);
  for (const socket of [phone, laptop, carols]) {
    const ring = await socket.heard('call:ringing');
    assert.deepEqual(ring.by, { userId: alice.id, name: alice.name });
    assert.deepEqual([ring.callId, ring.groupId, ring.type], [call.id, groupId, 'video']);
    assert.equal(new Date(ring.until).getTime() - new Date(ring.since).getTime(), 60_000);
  }
  const late = await connect(bob);
  assert.equal((await late.heard('call:ringing')).callId, call.id, 'a device that comes later');

  await phone.request('call:join', { callId: call.id });
  for (const socket of [phone, laptop, late]) {
    const end = await socket.heard('call:ring-ended');
    assert.deepEqual(end, { callId: call.id, userId: bob.id, reason: 'answered-elsewhere' });
  }
  assert.equal(carols.heardSoFar('call:ring-ended'), undefined, 'Carol’s goes on');
  await alice.ask('PATCH', `/calls/${call.id}/end`);
  assert.equal((await carols.heard('call:ring-ended')).reason, 'cancelled');
});

test('the caller sees who declines, and a call that everybody declined is over', async () => {
  const [alice, bob, carol] = await people('Alice', 'Bob', 'Carol');
  const groupId = await createGroup(alice, bob, carol);
  const [alices, bobs, carols] = await Promise.all([alice, bob, carol].map(connect));
  const call = await alice.startCall(groupId);
  const joined = await alices.request('call:join', { callId: call.id });
  assert.deepEqual(
    new Map(joined.invitations.map((/** @type {any} */ { userId, status }) => [userId, status])),
    new Map([bob, carol].map(({ id }) => [id, 'ringing'])),
  );

  await bobs.request('call:decline', { callId: call.id });
  const told = await alices.heard('call:invitations');
  assert.deepEqual([told.userIds, told.status, told.by], [[bob.id], 'declined', null]);
  await bobs.request('call:decline', { callId: call.id });
  await carol.ask('POST', `/calls/${call.id}/decline`);
  assert.equal((await carols.heard('call:ring-ended')).reason, 'declined');
  const end = await alices.heard('call:ended');
  assert.equal(end.reason, 'declined');
  assert.equal((await alice.call(call.id)).status, 'cancelled');
});

test('somebody is called in again, and not too soon', async () => {
  const { people: three, call } = await startCallOf(fixture.server, names('Alice', 'Bob', 'Carol'));
  const [alice, bob, carol] = three;
  const [alices, bobs, carols] = await Promise.all(three.map(connect));
  await alices.request('call:join', { callId: call.id });
  await bobs.request('call:join', { callId: call.id });
  await carols.request('call:decline', { callId: call.id });
  const again = { callId: call.id, userIds: [carol.id] };
  await refused(bobs.request('call:ring', again), 'rate_limited');
  await refused(
    alice.ask('POST', `/calls/${call.id}/ring`, { userIds: [crypto.randomUUID()] }),
    'not_found',
  );
  const none = await alice.ask('POST', `/calls/${call.id}/ring`, { userIds: [bob.id] });
  assert.equal(none.seq, (await alice.call(call.id)).seq, 'who is there is not rung');
  const stranger = await signIn(fixture.server, 'Mallory');
  await refused(stranger.ask('POST', `/calls/${call.id}/ring`, again.userIds), 'bad_request');
  await refused(
    stranger.ask('POST', `/calls/${call.id}/ring`, { userIds: again.userIds }),
    'forbidden',
  );
  await refused(stranger.ask('POST', `/calls/${call.id}/decline`), 'forbidden');
  await refused(carol.ask('POST', `/calls/${call.id}/ring`, { userIds: [bob.id] }), 'forbidden');
  const invitations = await alice.all(`/calls/${call.id}/invitations`);
  assert.deepEqual(
    new Set(invitations.map(({ userId, status }) => `${userId} ${status}`)),
    new Set([`${bob.id} answered`, `${carol.id} declined`]),
  );
});

test('who loses the membership is not rung any more', async () => {
  const {
    people: three,
    groupId,
    call,
  } = await startCallOf(fixture.server, names('Alice', 'Bob', 'Carol'));
  const [alice, , carol] = three;
  const carols = await connect(carol);
  await carols.heard('call:ringing');
  await alice.ask('DELETE', `/groups/${groupId}/members/${carol.id}`);
  const end = await carols.heard('call:ring-ended');
  assert.deepEqual([end.callId, end.reason], [call.id, 'cancelled']);
  const [missed] = [await carol.all('/calls/user/missed')];
  assert.deepEqual(missed, [], 'the calls of others are not told');
});

test('who does not want to be disturbed hears nothing, and finds the call among the missed', async () => {
  const [alice, bob] = await people('Alice', 'Bob');
  const groupId = await createGroup(alice, bob);
  assert.equal((await bob.ask('PATCH', '/users/me', { doNotDisturb: true })).doNotDisturb, true);
  assert.equal((await bob.ask('GET', '/users/me')).doNotDisturb, true);
  const [alices, bobs] = await Promise.all([alice, bob].map(connect));
  const call = await alice.startCall(groupId);
  await bobs.heard('call:created');
  const joined = await alices.request('call:join', { callId: call.id });
  const told = [{ userId: bob.id, status: 'ringing' }];
  assert.deepEqual(joined.invitations, told, 'the caller sees no difference');
  await alices.request('call:end', { callId: call.id });
  await bobs.heard('call:ended');
  assert.equal(bobs.heardSoFar('call:ringing'), undefined);

  const [missed, ...others] = await bob.all('/calls/user/missed');
  assert.deepEqual(others, []);
  assert.equal(missed.callId, call.id);
  assert.deepEqual(
    [missed.status, missed.invitedById, missed.invitedByName, missed.seenAt],
    ['cancelled', alice.id, alice.name, null],
  );
  await bob.ask('PATCH', '/calls/user/missed', { seenUntil: missed.rungAt });
  assert.notEqual((await bob.all('/calls/user/missed'))[0].seenAt, null);
});

test('the caller learns who is busy, of calls in groups that both are in', async () => {
  const [alice, bob, carol] = await people('Alice', 'Bob', 'Carol');
  const shared = await createGroup(alice, bob);
  const secret = await createGroup(bob, carol);
  const [ours, theirs] = [await createGroup(alice, bob, carol), secret];
  const alices = await connect(alice);
  await bob.startCall(shared);
  await carol.startCall(theirs);
  const call = await alice.startCall(ours);
  const busy = await alices.heard('call:busy');
  assert.deepEqual(busy, { callId: call.id, userIds: [bob.id] });
});

test('nobody answers in time: the call is cancelled, and missed', async () => {
  const server = use(await startServer({ RING_SECONDS: '1' }));
  const { people: two, call } = await startCallOf(server, ['Alice', 'Bob']);
  const [alice, bob] = two;
  const bobs = await connect(bob);
  assert.equal((await bobs.heard('call:ring-ended')).reason, 'missed');
  assert.equal((await bobs.heard('call:ended')).reason, 'timeout');
  const [missed] = await bob.all('/calls/user/missed');
  assert.deepEqual([missed.callId, missed.status], [call.id, 'missed']);
  assert.deepEqual(await alice.all('/calls/user/missed'), [], 'the caller missed nothing');
});

test('a ring outlasts a crash of the server', async () => {
  let server = await startServer();
  try {
    const { people: two, call } = await startCallOf(server, ['Alice', 'Bob']);
    const [, bob] = two;
    await server.crash();
    server = server.restart();
    await server.ready();
    const bobs = await connect(bob);
    const ring = await bobs.heard('call:ringing');
    assert.deepEqual([ring.callId, ring.by.name], [call.id, 'Alice']);
    await bobs.request('call:decline', { callId: call.id });
    assert.equal((await bobs.heard('call:ended')).reason, 'declined');
  } finally {
    await server.close();
  }
});

/** New people: nobody has a call from another test. @param {...string} called */
function people(...called) {
  return Promise.all(names(...called).map((name) => signIn(fixture.server, name)));
}

let story = 0;

/** Names that no other test uses. @param {...string} called */
function names(...called) {
  story += 1;
  return called.map((name) => `${name} of ringing story ${story}`);
}

/**
 * @param {Promise<any>} asked
 * @param {string} code
 */
function refused(asked, code) {
  return assert.rejects(asked, (error) => error instanceof Refused && error.code === code);
}
