// @ts-check
/** Who has not agreed to be recorded is in no file: shown by what all files sound and look like. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { loudestNote, shadesIn } from './support/decoded.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { startCallOf } from './support/people.mjs';
import {
  assertAgrees,
  readRecording,
  startRecording,
  stopRecording,
  untilFinished,
} from './support/recordings.mjs';
import { Sender } from './support/senders.mjs';
import { until } from './support/until.mjs';

/** @typedef {{ hue: number, hertz: number }} Show */

const fixture = serverForThisFile();
const { use } = fixture;

test('nothing of who says no, does not answer or takes back a yes is in any file', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob', 'Carol', 'Dave']);
  const [alice, bob, , dave] = await Promise.all(
    people.map(async (person, index) => use(await Sender.join(person, call, SHOWS[index]))),
  );
  const { id } = await startRecording(people[0], call.id, { consent: 'ask' });
  await answer(alice, true);
  await answer(bob, false);
  await answer(dave, true);
  await until(
    'who agreed is recorded',
    async () => (await long(people[0], id, 2_000)).length === 4,
  );
  // Whatever Dave sends from here on is not to be found.
  await answer(dave, false);
  const takenBackAt = Date.now();
  dave.show(AFTERWARDS);
  await until('two seconds more of Alice are recorded', async () => {
    const tracks = await long(people[0], id, 4_500);
    return tracks.filter(({ userId }) => userId === people[0].id).length === 2;
  });
  await stopRecording(people[0], id);
  const recording = await untilFinished(people[0], id);

  const named = (/** @type {string} */ userId) => people.find(({ id }) => id === userId)?.name;
  const rows = recording.tracks.map(({ userId, source, note, files }) => {
    return `${named(userId)} ${source} ${note ?? ''} ${files.length}`;
  });
  assert.deepEqual(rows.sort(), [
    'Alice camera  1',
    'Alice mic  1',
    'Bob camera declined 0',
    'Bob mic declined 0',
    'Carol camera declined 0',
    'Carol mic declined 0',
    'Dave camera  1',
    'Dave camera declined 0',
    'Dave mic  1',
    'Dave mic declined 0',
  ]);
  const paths = await assertAgrees(recording, `${fixture.server.settings.DATA_DIR}/recordings`);
  assert.equal(paths.length, 4);
  for (const path of paths) {
    const track = recording.tracks.find((track) => path.includes(track.id));
    const owner = people.findIndex(({ id }) => id === track?.userId);
    assert(owner === 0 || owner === 3, `${path} is of ${people[owner]?.name}`);
    await assertShows(path, track?.source ?? '', SHOWS[owner]);
    for (const { id } of [people[1], people[2]]) {
      assert(!(await readFile(path)).includes(id), `${path} names ${id}`);
    }
  }
  const heldBackFrom = takenBackAt - Date.parse(recording.startedAt);
  for (const { userId, source, startMs, durationMs, codec } of recording.tracks) {
    if (userId !== people[3].id || codec === null) continue;
    const after = startMs + durationMs - heldBackFrom;
    assert(after < PACKET_MS, `${source} of Dave was recorded for ${after} ms after his no`);
  }
});

/** What Alice, Bob, Carol and Dave send: each has a colour and a note of their own. */
const SHOWS = [
  { hue: 40, hertz: 400 },
  { hue: 100, hertz: 700 },
  { hue: 160, hertz: 1_000 },
  { hue: 220, hertz: 1_300 },
];
/** What Dave sends once he has taken back his yes. */
const AFTERWARDS = { hue: 70, hertz: 1_600 };
/** More than what lies between a packet's beginning and its end, as both are rounded. */
const PACKET_MS = 100;

/**
 * @param {Sender} sender
 * @param {boolean} accept
 */
function answer({ peer }, accept) {
  return peer.signaling.request('recording:consent', { callId: peer.callId, accept });
}

/**
 * The tracks of which so many milliseconds are recorded.
 * @param {import('./support/people.mjs').Person} person
 * @param {string} id
 * @param {number} milliseconds
 */
async function long(person, id, milliseconds) {
  const { tracks } = await readRecording(person, id);
  return tracks.filter(({ codec, durationMs }) => codec !== null && durationMs >= milliseconds);
}

/**
 * A file has the one picture or note, and none of the others.
 * @param {string} path
 * @param {string} source
 * @param {Show} expected
 */
async function assertShows(path, source, expected) {
  if (source === 'camera') {
    const shades = await shadesIn(path);
    assert(shades.length > 20, `${shades.length} pictures`);
    for (const { u, at } of shades) {
      assert(
        Math.abs(u - expected.hue) < 15,
        `${path}: hue ${u}, not ${expected.hue}, at ${at} ms`,
      );
    }
    return;
  }
  for (const { hertz } of [...SHOWS, AFTERWARDS]) {
    const loudness = await loudestNote(path, hertz);
    const isHeard = loudness > 0.02;
    assert.equal(isHeard, hertz === expected.hertz, `${path}: ${hertz} Hz at ${loudness}`);
  }
}
