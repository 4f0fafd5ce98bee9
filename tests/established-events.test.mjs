// @ts-check
/**
 * The six events that clients have always known, and the answer to a join, as unmodified socket.io-client gets them:
 * every key and every value is in `snapshots/`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { createGroup, signIn } from './support/people.mjs';
import { Signaling } from './support/signaling.mjs';
import { assertSnapshot } from './support/snapshot.mjs';

const fixture = serverForThisFile();
const { use } = fixture;

for (const transport of ['polling', 'websocket']) {
  test(`the established events keep their payloads over ${transport}`, async () => {
    const connect = async (/** @type {import('./support/people.mjs').Person} */ person) =>
      use(await Signaling.connect(person, { transports: [transport] }));
    const alice = await signIn(fixture.server, `Alice by ${transport}`);
    const bob = await signIn(fixture.server, `Bob by ${transport}`);
    const groupId = await createGroup(alice, bob);
    const bobs = await connect(bob);
    /** @type {Record<string, string>} */
    const known = { [groupId]: 'id of the group' };
    for (const [name, person] of Object.entries({ Alice: alice, Bob: bob })) {
      known[person.id] = `id of ${name}`;
      known[person.name] = `name of ${name}`;
    }
    const shows = (/** @type {string} */ name, /** @type {any} */ payload) =>
      assertSnapshot(name, payload, known);
    shows('active-calls when there are none', await bobs.heard('active-calls'));

    const metadata = { topic: 'tea', seats: [1, null, { soft: true }] };
    const call = await alice.ask('POST', '/calls', { groupId, metadata });
    known[call.id] = 'id of the call';
    shows('call:created', await bobs.heard('call:created'));
    const alices = await connect(alice);
    shows('active-calls', await alices.heard('active-calls'));

    const first = await alices.request('call:join', { callId: call.id });
    known[first.legId] = 'id of Alice’s leg';
    const second = await bobs.request('call:join', { callId: call.id });
    known[second.legId] = 'id of Bob’s leg';
    shows('answer to call:join', second);
    const isBob = (/** @type {any} */ { userId }) => userId === bob.id;
    shows('participant-joined', await alices.heard('participant-joined', isBob));

    await bobs.request('call:signal', {
      callId: call.id,
      type: 'offer',
      payload: { sdp: 'v=0', list: [1, null] },
      targetUserId: alice.id,
    });
    shows('call:signal', await alices.heard('call:signal'));

    await bobs.request('call:leave', { callId: call.id });
    shows('participant-left', await alices.heard('participant-left', isBob));
    await alices.request('call:leave', { callId: call.id });
    for (const socket of [alices, bobs]) {
      shows('call:ended', await socket.heard('call:ended'));
    }
    assert.equal(alices.socket.io.engine.transport.name, transport);
  });
}

test('a call that nobody answered tells its end without a duration', async () => {
  const alice = await signIn(fixture.server, 'Alice');
  const groupId = await createGroup(alice);
  const alices = use(await Signaling.connect(alice));
  const { id } = await alice.startCall(groupId, 'audio');
  await alice.ask('PATCH', `/calls/${id}/end`, { reason: 'cancelled' });
  const known = { [id]: 'id of the call', [groupId]: 'id of the group' };
  assertSnapshot('call:ended unanswered', await alices.heard('call:ended'), known);
});
