// @ts-check
/**
 * The server dies at random moments while calls begin to be recorded, are recorded and stop. Whatever is there when it is
 * back can be played, and the record says what it is. `KILLS` sets how often on each engine, `SEED` repeats a run.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ENGINES } from './support/databases.mjs';
import { createGroup, Refused, signIn } from './support/people.mjs';
import { Random } from './support/random.mjs';
import {
  assertAgrees,
  decode,
  mediaIn,
  RUNNING,
  readRecording,
  startRecording,
  stopRecording,
  untilFinished,
} from './support/recordings.mjs';
import { Sender } from './support/senders.mjs';
import { startServer } from './support/server.mjs';
import { until } from './support/until.mjs';

/** @typedef {import('./support/people.mjs').Person} Person */
/** @typedef {import('./support/recordings.mjs').Recording} Recording */

const KILLS = Number(process.env.KILLS ?? 2);
const SEED = Number(process.env.SEED ?? randomInt(2 ** 31));

for (const engine of ENGINES) {
  test(`after each of ${KILLS} kills every file of a recording opens and is on record on ${engine}`, async (story) => {
    const random = new Random(SEED);
    let server = await startServer(SETTINGS, engine);
    const places = await Promise.all(NAMES.map((name) => prepare(server, name)));
    const count = { kills: 0, recordings: 0, files: 0 };
    try {
      while (count.kills < KILLS) {
        for (const place of places) await enterCall(place, random);
        const doomed = server;
        const acting = places.map((place) => recordUntilGone(place, doomed, random));
        await pause(random.between(0, 3_000));
        await doomed.crash();
        await Promise.all(acting);
        count.kills += 1;
        server = server.restart();
        await server.ready();
        await assertNoOrphans(places, server);
        for (const place of places) count.files += await checkSettled(place, server);
      }
      for (const place of places) {
        await leaveCall(place);
        await until('all recordings are settled', async () =>
          (await recordingsOf(place)).every(({ status }) => !RUNNING.has(status)),
        );
        count.files += await checkSettled(place, server);
        count.recordings += place.checked.size;
      }
    } catch (cause) {
      const { message } = /** @type {Error} */ (cause);
      const told = `SEED=${SEED} KILLS=${KILLS}, after kill ${count.kills}: ${message}`;
      throw new Error(told, { cause });
    } finally {
      for (const { sender } of places) sender?.vanish();
      await server.close();
    }
    assert(count.files > 0, 'something was recorded');
    story.diagnostic(
      `${engine}: ${count.kills} kills, ${count.recordings} recordings, ${count.files} files checked, SEED=${SEED}`,
    );
  });
}

test('what a power cut tears off or fills with zeros is cut off, and all that was synced is there', async (story) => {
  const random = new Random(SEED);
  let server = await startServer({ ...SETTINGS, RECORDING_SYNC_SECONDS: '3' });
  const { person, groupId } = await prepare(server, 'Ada');
  const call = await person.startCall(groupId);
  const sender = await Sender.join(person, call);
  try {
    const { id } = await startRecording(person, call.id);
    const folder = join(folderOf(server), id);
    await until(
      'two files were synced, and have grown since then',
      async () => {
        const states = await syncStates(folder);
        const grown = states.filter(({ synced, size }) => synced > 0 && size > synced + 1_000);
        return grown.length === 2;
      },
      { seconds: 30 },
    );
    await server.crash();
    sender.vanish();
    const states = await syncStates(folder);
    for (const state of states) story.diagnostic(await tear(state, random));
    server = server.restart();
    await server.ready();
    const isSo = (/** @type {Recording} */ { status }) => status === 'incomplete';
    const recording = await untilFinished(person, id, isSo);
    assert.equal(recording.endReason, 'server-restart');
    const paths = await assertAgrees(recording, folderOf(server));
    assert.deepEqual(paths, states.map(({ path }) => path).sort());
    for (const { path, synced } of states) {
      const { size } = await stat(path);
      assert(size >= synced, `${path} has ${size} bytes`);
      const { seconds } = await decode(path);
      const track = recording.tracks.find(({ id }) => path.includes(id));
      const told = track?.durationMs ?? 0;
      assert(Math.abs(seconds - told / 1_000) < 0.1, `${seconds} s, and ${told} ms on record`);
    }
  } catch (cause) {
    throw new Error(`SEED=${SEED}: ${/** @type {Error} */ (cause).message}`, { cause });
  } finally {
    sender.vanish();
    await server.close();
  }
});

/**
 * @typedef {object} Place where somebody has one call after another
 * @property {Person} person
 * @property {string} groupId
 * @property {string | undefined} callId the call that runs, or ran when the server died
 * @property {Sender | undefined} sender
 * @property {Set<string>} acknowledged recordings whose start was answered
 * @property {Set<string>} checked recordings that were found right, and do not change any more
 */

/**
 * @param {import('./support/server.mjs').Server} server
 * @param {string} name
 * @returns {Promise<Place>}
 */
async function prepare(server, name) {
  const person = await signIn(server, name);
  const groupId = await createGroup(person);
  const [acknowledged, checked] = [new Set(), new Set()];
  return { person, groupId, callId: undefined, sender: undefined, acknowledged, checked };
}

/**
 * Into the call from before the crash, whose recording goes on then, or into another.
 * @param {Place} place
 * @param {Random} random
 */
async function enterCall(place, random) {
  const { person, groupId } = place;
  if (random.chance(1 / 2)) await leaveCall(place);
  place.sender?.vanish();
  if (place.callId) {
    try {
      place.sender = await Sender.join(person, { id: place.callId });
      return;
    } catch (error) {
      // Nobody came back to it in time.
      if (!(error instanceof Refused && error.code === 'call_ended')) throw error;
    }
  }
  place.callId = (await person.startCall(groupId)).id;
  place.sender = await Sender.join(person, { id: place.callId });
}

/** @param {Place} place */
async function leaveCall(place) {
  place.sender?.vanish();
  place.sender = undefined;
  if (place.callId) await place.person.ask('PATCH', `/calls/${place.callId}/end`);
  place.callId = undefined;
}

/**
 * Starts, pauses and stops recordings until the server does not answer any more.
 * @param {Place} place
 * @param {import('./support/server.mjs').Server} doomed
 * @param {Random} random
 */
async function recordUntilGone({ person, callId, acknowledged }, doomed, random) {
  try {
    for (;;) {
      const id = await startOrFind(person, callId ?? '');
      acknowledged.add(id);
      await pause(random.between(0, 1_500));
      if (random.chance(1 / 4)) {
        await person.ask('PATCH', `/recordings/${id}/pause`, { paused: true });
        await pause(random.between(0, 300));
        await person.ask('PATCH', `/recordings/${id}/pause`, { paused: false });
        await pause(random.between(0, 1_000));
      }
      await stopRecording(person, id);
      await pause(random.between(0, 300));
    }
  } catch (error) {
    if (!doomed.process.killed) throw error;
  }
}

/**
 * @param {Person} person
 * @param {string} callId
 */
async function startOrFind(person, callId) {
  try {
    return (await startRecording(person, callId)).id;
  } catch (error) {
    if (!(error instanceof Refused && error.code === 'already_recording')) throw error;
    const [latest] = (await person.ask('GET', `/calls/${callId}/recordings`)).items;
    return latest.id;
  }
}

/**
 * @param {Place} place
 * @returns {Promise<Recording[]>}
 */
function recordingsOf({ person, groupId }) {
  return person.all(`/recordings/group/${groupId}`);
}

/**
 * Compares rows and files of all recordings that are finished. Returns the number of files that were opened.
 * @param {Place} place
 * @param {import('./support/server.mjs').Server} server
 */
async function checkSettled(place, server) {
  const all = await recordingsOf(place);
  for (const id of place.acknowledged) {
    assert(
      all.some((recording) => recording.id === id),
      `recording ${id} was acknowledged, and is not on record`,
    );
  }
  let files = 0;
  for (const { id, status } of all) {
    if (RUNNING.has(status) || place.checked.has(id)) continue;
    assert(['ready', 'incomplete'].includes(status), `${id} is ${status}`);
    const paths = await assertAgrees(await readRecording(place.person, id), folderOf(server));
    for (const path of paths) await decode(path);
    files += paths.length;
    place.checked.add(id);
  }
  return files;
}

/**
 * Every folder belongs to a recording. A server on a new database keeps what it does not know.
 * @param {Place[]} places
 * @param {import('./support/server.mjs').Server} server
 */
async function assertNoOrphans(places, server) {
  const known = new Set();
  for (const place of places) for (const { id } of await recordingsOf(place)) known.add(id);
  if (known.size === 0) return;
  /** @type {string[]} */
  let orphans = [];
  await until(
    () => `no files are left of recordings that are not on record: ${orphans}`,
    async () => {
      const names = await readdir(folderOf(server));
      orphans = names.filter((name) => UUID.test(name) && !known.has(name));
      return orphans.length === 0;
    },
  );
}

/** @param {import('./support/server.mjs').Server} server */
function folderOf({ settings }) {
  return join(settings.DATA_DIR, 'recordings');
}

/**
 * How long the files of a recording are, and up to which length they were on the disk at their last sync, as they note
 * themselves where their index will be.
 * @param {string} folder
 */
async function syncStates(folder) {
  const states = [];
  for (const name of (await mediaIn(folder)).sort()) {
    const path = join(folder, name);
    const bytes = await readFile(path);
    const noted = Number(bytes.readBigUInt64BE(bytes.indexOf(SEGMENT) + 12 + 9));
    states.push({ path, size: bytes.length, synced: noted <= bytes.length ? noted : 0 });
  }
  return states;
}

/**
 * Does what a power cut may do to what was written after the last sync. Returns it in words.
 * @param {{ path: string, size: number, synced: number }} state
 * @param {Random} random
 */
async function tear({ path, size, synced }, random) {
  const begin = random.between(synced, size - 1);
  const end = random.between(begin + 1, size);
  const damage = random.pick(['torn off', 'zeros', 'noise', 'zeros within']);
  const last = damage === 'zeros within' ? end : size;
  const byte = () => (damage === 'noise' ? random.between(0, 255) : 0);
  if (damage === 'torn off') await truncate(path, begin);
  else {
    const file = await open(path, 'r+');
    await file.write(Buffer.from(Array.from({ length: last - begin }, byte)), 0, null, begin);
    await file.close();
  }
  return `${damage} from ${begin} to ${last} of ${size}, synced up to ${synced}: ${basename(path)}`;
}

const NAMES = ['Ada', 'Ben', 'Cleo'];
const SETTINGS = {
  RESUME_SECONDS: '3',
  UNATTACHED_SECONDS: '3',
  RING_SECONDS: '0',
  RATE_LIMIT_PER_USER: '0',
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The id of the element that holds everything behind the head. */
const SEGMENT = Buffer.from('18538067', 'hex');
