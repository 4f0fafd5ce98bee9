// @ts-check
/**
 * The database stops answering under a running call: PostgreSQL stopped, SQLite locked by somebody else. The call must
 * not notice, newcomers are told to come back, and afterwards everything is on record. `OUTAGE_SECONDS` sets how long.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ENGINES } from './support/databases.mjs';
import { closedAfterEachTest } from './support/fixture.mjs';
import { CallLedger } from './support/ledger.mjs';
import { Peer } from './support/peer.mjs';
import { createGroup, startCallOf } from './support/people.mjs';
import { startServer } from './support/server.mjs';
import { Signaling } from './support/signaling.mjs';
import { until } from './support/until.mjs';
import { Camera, Microphone } from './support/wrtc.mjs';

const SECONDS = Number(process.env.OUTAGE_SECONDS ?? 6);

const use = closedAfterEachTest();

for (const engine of ENGINES) {
  test(`a call goes on while ${engine} is away for ${SECONDS} s, and newcomers are told to wait`, async (story) => {
    const server = use(await startServer({}, engine));
    const { database } = server;
    const cast = await gather(server);
    const { alice, bob, dave, log } = cast;
    await database.goAway();
    try {
      const end = performance.now() + SECONDS * 1000;
      const [turns, refusals] = await Promise.all([goOn(cast, end), comeTooEarly(cast, end)]);
      story.diagnostic(`${engine}: ${turns} rounds of talk, ${refusals} refusals`);
    } finally {
      await database.comeBack();
    }
    await until('newcomers are let in', () => dave.ask('POST', `/calls/${log.id}/join`));
    for (const { signaling } of [alice, bob]) {
      await signaling.heard('participant-joined', ({ userId }) => userId === dave.id);
    }
    await talk(cast);
    await until('everything that was told is on record', () => log.compare());
  });
}

/**
 * Alice and Bob see and hear each other, Carol is there without media, and Dave is not in the call.
 * @param {{ url: string }} server
 */
async function gather(server) {
  const { people, call } = await startCallOf(server, ['Alice', 'Bob', 'Carol', 'Dave']);
  const alice = use(await Peer.join(people[0], call));
  const bob = use(await Peer.join(people[1], call));
  const carol = use(await Signaling.connect(people[2]));
  await carol.request('call:join', { callId: call.id });
  const dave = people[3];
  const daves = { socket: use(await Signaling.connect(dave)), group: await createGroup(dave) };
  const camera = use(new Camera({ hue: 200 }));
  const microphone = use(new Microphone());
  await alice.produce('camera', camera.track);
  const mic = await alice.produce('mic', microphone.track);
  const [eyes, ears] = [await bob.eyesOn(alice), await bob.earsOn(alice)];
  await eyes.see(camera);
  await ears.hear(microphone);

  const log = new CallLedger(call.id, people[0]);
  for (const peer of [alice, bob]) listen(peer, log);
  return { alice, bob, carol, people, dave, daves, camera, mic, eyes, log };
}

/**
 * Has everything on record that this peer hears from here on.
 * @param {Peer} peer
 * @param {CallLedger} log
 */
function listen({ userId, signaling }, log) {
  signaling.socket.onAny((name, payload) => log.heard(userId, name, payload));
}

/** @typedef {Awaited<ReturnType<typeof gather>>} Cast */

/**
 * @param {Cast} cast
 * @param {number} end
 */
async function goOn(cast, end) {
  await carolLeaves(cast);
  await bobsConnectionBreaks(cast);
  let turns = 0;
  for (; performance.now() < end; turns += 1) await talk(cast);
  return turns;
}

/**
 * Pictures flow, and what one does the other hears of at once.
 * @param {Cast} cast
 */
async function talk({ alice, bob, camera, mic, eyes, log }) {
  for (const [request, event] of [
    ['media:pause-producer', 'media:producer-paused'],
    ['media:resume-producer', 'media:producer-resumed'],
  ]) {
    await Promise.all([
      alice.signaling.request(request, { producerId: mic.id }),
      bob.signaling.heard(event, undefined, AT_ONCE),
    ]);
  }
  const signal = { callId: log.id, type: 'hello', payload: {} };
  await Promise.all([
    bob.signaling.request('call:signal', signal),
    alice.signaling.heard('call:signal', undefined, AT_ONCE),
  ]);
  await eyes.see(camera, { frames: 5, seconds: 3 });
}

/** @param {Cast} cast */
async function carolLeaves({ carol, alice, bob, log, people }) {
  const isCarol = (/** @type {any} */ { userId }) => userId === people[2].id;
  await Promise.all([
    carol.request('call:leave', { callId: log.id }),
    alice.signaling.heard('participant-left', isCarol, SOON),
    bob.signaling.heard('participant-left', isCarol, SOON),
  ]);
}

/**
 * Whoever is in the call comes back into it by token alone.
 * @param {Cast} cast
 */
async function bobsConnectionBreaks({ bob, people, log }) {
  bob.signaling.vanish();
  const { legId, resumeToken } = bob.joined;
  bob.signaling = await Signaling.connect(people[1]);
  listen(bob, log);
  const joined = await bob.signaling.request('call:join', { callId: log.id, resumeToken });
  assert.deepEqual(
    { legId: joined.legId, resumed: joined.resumed, mediaRestart: joined.mediaRestart },
    { legId, resumed: true, mediaRestart: false },
  );
}

/**
 * Dave tries to start a call and to join one, again and again. Nothing comes of it, and he is told soon enough.
 * @param {Cast} cast
 * @param {number} end
 */
async function comeTooEarly({ dave, daves, log }, end) {
  const { socket, group: groupId } = daves;
  let refusals = 0;
  for (; performance.now() < end - REFUSED_WITHIN_MS; await pause(100)) {
    for (const [what, attempt] of /** @type {[string, () => Promise<any>][]} */ ([
      ['POST /calls', () => dave.startCall(groupId)],
      ['POST /calls/{id}/join', () => dave.ask('POST', `/calls/${log.id}/join`)],
      ['call:join', () => socket.request('call:join', { callId: log.id })],
    ])) {
      const asked = performance.now();
      const refused = await attempt().then(
        (answer) => assert.fail(`${what} is answered with ${JSON.stringify(answer)}`),
        (error) => error,
      );
      const { code, status, retryAfter } = refused;
      assert.equal(code, 'unavailable', `${what}: ${refused}`);
      if (what !== 'call:join') {
        assert.equal(status, 503, what);
        assert.match(String(retryAfter), /^[1-9]\d*$/, `${what}: Retry-After`);
      }
      const waited = Math.round(performance.now() - asked);
      assert(waited <= REFUSED_WITHIN_MS, `${what} was refused after ${waited} ms`);
      refusals += 1;
    }
  }
  assert(refusals >= 3, `each attempt was refused once at least: ${refusals}`);
  return refusals;
}

/** What is told live must not wait for any database… */
const AT_ONCE = { seconds: 1 };
/** …but the first change, by which the server finds out. */
const SOON = { seconds: 2 };
const REFUSED_WITHIN_MS = 4000;
