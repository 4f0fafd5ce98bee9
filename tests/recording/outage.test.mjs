// @ts-check
/**
 * The database stops answering under calls that are recorded: what runs goes on, what is to stop stops, nothing new
 * begins, and afterwards everything is on record.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES } from '../support/databases.mjs';
import { closedAfterEachTest } from '../support/fixture.mjs';
import { Refused, startCallOf } from '../support/people.mjs';
import {
  assertAgrees,
  decode,
  readRecording,
  startRecording,
  stopRecording,
  untilFinished,
  untilTracks,
} from '../support/recordings.mjs';
import { Sender } from '../support/senders.mjs';
import { startServer } from '../support/server.mjs';
import { lasting, until } from '../support/until.mjs';

const use = closedAfterEachTest();

for (const engine of ENGINES) {
  test(`recordings go on and stop while ${engine} is away, none starts, and all is on record afterwards`, async () => {
    const server = use(await startServer({}, engine));
    const names = ['Alice', 'Bob', 'Carol'];
    const [goesOn, stops, begins] = await Promise.all(names.map((name) => enter(server, name)));
    for (const cast of [goesOn, stops]) {
      cast.id = (await startRecording(cast.person, cast.call.id)).id;
      await untilTracks(cast.person, cast.id, 2, 1_000);
    }
    const before = await readRecording(goesOn.person, goesOn.id);
    await server.database.goAway();
    let stoppedAt = 0;
    try {
      await assertUnavailable(startRecording(begins.person, begins.call.id));
      const { signaling } = stops.sender.peer;
      await signaling.request('recording:stop', { callId: stops.call.id });
      stoppedAt = Date.now();
      const told = await signaling.heard('call:recording', ({ recording }) => recording === null);
      assert.equal(told.reason, 'stopped');
      await assertUnavailable(startRecording(begins.person, begins.call.id));
      await lasting('the other one is recorded', () => true, { seconds: 3 });
    } finally {
      await server.database.comeBack();
    }
    const stopped = await untilFinished(stops.person, stops.id);
    assert.equal(stopped.endReason, 'stopped');
    const lasted = stoppedAt - Date.parse(stopped.startedAt);
    for (const { startMs, durationMs } of stopped.tracks) {
      const end = startMs + durationMs;
      assert(Math.abs(end - lasted) < 500, `stopped after ${lasted} ms, recorded for ${end} ms`);
    }
    await untilLonger(goesOn, before);
    await stopRecording(goesOn.person, goesOn.id);
    const wentOn = await untilFinished(goesOn.person, goesOn.id);
    for (const { holes } of wentOn.tracks) assert.deepEqual(holes, []);
    for (const recording of [stopped, wentOn]) {
      const paths = await assertAgrees(recording, `${server.settings.DATA_DIR}/recordings`);
      assert.equal(paths.length, 2);
      for (const path of paths) await decode(path);
    }
    const { id } = await startRecording(begins.person, begins.call.id);
    await stopRecording(begins.person, id);
    const { items } = await begins.person.ask('GET', `/calls/${begins.call.id}/recordings`);
    assert.deepEqual(
      items.map((/** @type {{ id: string }} */ recording) => recording.id),
      [id],
      'nothing is left of the starts that were refused',
    );
  });
}

/**
 * Somebody in a call of their own.
 * @param {{ url: string }} server
 * @param {string} name
 */
async function enter(server, name) {
  const { people, call } = await startCallOf(server, [name]);
  const [person] = people;
  return { person, call, sender: use(await Sender.join(person, call)), id: '' };
}

/** @param {Promise<unknown>} asked */
async function assertUnavailable(asked) {
  await assert.rejects(asked, (error) => {
    return error instanceof Refused && error.code === 'unavailable' && error.status === 503;
  });
}

/**
 * Until the record knows of what was recorded during the outage.
 * @param {{ person: import('../support/people.mjs').Person, id: string }} cast
 * @param {import('../support/recordings.mjs').Recording} before
 */
function untilLonger({ person, id }, before) {
  return until(
    'the rows have followed',
    async () => {
      const { tracks } = await readRecording(person, id);
      return tracks.every(({ id, durationMs }) => {
        const known = before.tracks.find((track) => track.id === id);
        return durationMs > (known?.durationMs ?? 0) + 3_000;
      });
    },
    { seconds: 30 },
  );
}
