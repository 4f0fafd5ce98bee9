// @ts-check
/**
 * What happens to calls when nobody does anything: unanswered, disconnected, through a crash of the server, and when a
 * second server is started on their database.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES } from './support/databases.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { Peer } from './support/peer.mjs';
import { startCallOf } from './support/people.mjs';
import { freePort, Server, startServer } from './support/server.mjs';
import { Signaling } from './support/signaling.mjs';
import { until } from './support/until.mjs';
import { Camera } from './support/wrtc.mjs';

const fixture = serverForThisFile({ RING_SECONDS: '2', RESUME_SECONDS: '2' });
const { use } = fixture;

test('a call that nobody answers is cancelled', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Caller', 'Callee']);
  const callee = use(await Signaling.connect(people[1]));
  const ended = await callee.heard('call:ended', ({ callId }) => callId === call.id);
  assert.equal(ended.reason, 'timeout');
  const record = await people[0].call(call.id);
  assert.equal(record.status, 'cancelled');
  assert.equal(record.endReason, 'timeout');
});

test('a lost connection keeps its leg for a while, and then ends it', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Steady', 'Lost']);
  const steady = use(await Peer.join(people[0], call));
  const lost = use(await Peer.join(people[1], call));

  lost.vanish();
  assert.deepEqual((await people[0].call(call.id)).participants, [steady.userId, lost.userId]);
  const left = await steady.signaling.heard('participant-left');
  assert.equal(left.userId, lost.userId);
  assert.equal(left.reason, 'connection-lost');
});

test('a crash of the server ends no call that somebody comes back to', async () => {
  const first = await startServer({ RESUME_SECONDS: '2' });
  const { people, call } = await startCallOf(first, ['Returning', 'Gone']);
  const before = use(await Peer.join(people[0], call, { device: 'laptop' }));
  const gone = use(await Peer.join(people[1], call, { device: 'phone' }));
  await first.crash();

  const second = use(first.restart());
  await second.ready();
  const again = use(await Peer.join(people[0], call, { device: 'laptop' }));
  assert.notEqual(again.joined.call.webrtcRoomId, before.joined.call.webrtcRoomId);
  assert(again.joined.epoch > before.joined.epoch, 'events are numbered anew, by a new owner');
  const left = await again.signaling.heard('participant-left');
  assert.equal(left.userId, gone.userId);
  assert.equal(left.reason, 'server-restart');
  await again.produce('camera', use(new Camera()).track);

  await again.leave();
  const record = await people[0].call(call.id);
  assert.equal(record.status, 'ended');
  assert.equal(record.endReason, 'last-left');
});

for (const engine of ENGINES) {
  test(`a second server on one ${engine} is refused, and takes no call from the first`, async () => {
    const first = use(await startServer({}, engine));
    const { people, call } = await startCallOf(first, ['Alice', 'Bob']);
    const alice = use(await Peer.join(people[0], call));

    const port = String(await freePort());
    const second = new Server(first.database, { ...first.settings, PORT: port });
    try {
      await until('the second server gives up', () => second.process.exitCode !== null);
    } finally {
      await second.crash();
    }
    assert.notEqual(second.process.exitCode, 0, second.log);
    assert.match(second.log, new RegExp(`belongs to another server.*${first.process.pid}`));

    assert.equal((await people[0].call(call.id)).epoch, alice.joined.epoch);
    use(await Peer.join(people[1], call));
    await alice.signaling.heard('participant-joined');
  });
}
