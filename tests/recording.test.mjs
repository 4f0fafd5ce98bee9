// @ts-check
/** Calls that are recorded: what is in the files, who may read them, and what a crash leaves. */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launchChromium } from './support/browsers.mjs';
import { engineOfThisRun } from './support/databases.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { Refused, signIn, startCallOf } from './support/people.mjs';
import {
  Downloads,
  decode,
  packetTimes,
  RUNNING,
  readRecording,
  startRecording,
  stopRecording,
  untilFinished,
  untilTracks,
} from './support/recordings.mjs';
import { startServer } from './support/server.mjs';
import { until } from './support/until.mjs';

const fixture = serverForThisFile();
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  browser = await launchChromium();
});
after(() => browser?.close());

const CODECS = [
  { query: '', codec: 'vp8', container: 'webm' },
  { query: '?codec=vp9&svc=L3T3', codec: 'vp9', container: 'webm' },
  { query: '?codec=h264', codec: 'h264', container: 'x-matroska' },
  { query: '?codec=av1&svc=L3T3', codec: 'av1', container: 'webm' },
  { query: '?codec=av1&svc=S2T1', codec: 'av1', container: 'webm' },
];
// The record of a codec is in a database as that of any other, so one is enough where the database is what is tested.
const recorded = engineOfThisRun() === 'SQLite' ? CODECS : CODECS.slice(0, 1);

for (const { query, codec, container } of recorded) {
  test(`each microphone and camera of a call in ${codec}${query && ` (${query})`} becomes a file that others decode`, async () => {
    const { people, call } = await twoInACall(fixture.server, query);
    const [alice] = people;
    const begun = await startRecording(alice, call.id);
    assert.equal(begun.status, 'recording');
    const from = Date.now();
    await untilTracks(alice, begun.id, 4, 4_000);
    await stopRecording(alice, begun.id);
    const lasted = (Date.now() - from) / 1_000;
    const recording = await untilFinished(alice, begun.id);
    assert.equal(recording.endReason, 'stopped');

    const downloads = use(await Downloads.make());
    for (const person of people) {
      for (const source of ['mic', 'camera']) {
        const tracks = recording.tracks.filter(
          (track) => track.userId === person.id && track.source === source,
        );
        assert.equal(tracks.length, 1, `${source} of ${person.name}`);
        const [track] = tracks;
        assert.equal(track.files.length, 1);
        const [file] = track.files;
        const path = await downloads.fetch(alice, recording, file);
        const found = await decode(path);
        assert.equal(found.codec, source === 'mic' ? 'opus' : codec);
        if (source === 'camera') assert.equal(file.contentType, `video/${container}`);
        assert(Math.abs(found.seconds - track.durationMs / 1_000) < 0.3, `${found.seconds} s`);
        assert(found.seconds > 3 && found.seconds < lasted + 1, `${found.seconds} of ${lasted} s`);
        const times = await packetTimes(path);
        assert(
          times.every((at, index) => index === 0 || at > times[index - 1]),
          'times rise',
        );
        if (source === 'camera') {
          assert(found.packets / found.seconds > 10, `${found.packets} pictures`);
          assert.equal(found.frames, found.packets, 'one picture per time');
          assert(found.width >= 320 && found.height >= 180, `${found.width} x ${found.height}`);
        }
      }
    }
  });
}

test('a recording that a crash cuts short opens, and says why it is incomplete', async () => {
  let server = await startServer({ RESUME_SECONDS: '2' });
  try {
    const { people, call, pages } = await twoInACall(server, '');
    const [alice] = people;
    const begun = await startRecording(alice, call.id);
    await untilTracks(alice, begun.id, 4, 3_000);
    await server.crash();
    for (const person of pages) {
      person.expectComplaint(/getUserMedia/);
      await person.page.goto('about:blank');
    }
    server = server.restart();
    await server.ready();
    const recording = await untilFinished(
      alice,
      begun.id,
      ({ status }) => status === 'incomplete' || status === 'ready',
    );
    assert.equal(recording.status, 'incomplete');
    const downloads = use(await Downloads.make());
    assert.equal(recording.tracks.length, 4);
    for (const { files, note, spans, startMs, durationMs } of recording.tracks) {
      assert.equal(files.length, 1);
      assert.equal(note, 'interrupted');
      assert((spans.at(-1)?.toMs ?? 0) >= startMs + durationMs, 'it was on while it was written');
      const { seconds } = await decode(await downloads.fetch(alice, recording, files[0]));
      assert(seconds > 1.5, `${seconds} s of at least 3`);
      assert(Math.abs(seconds - durationMs / 1_000) < 0.1, `${durationMs} ms in the record`);
    }
  } finally {
    await server.close();
  }
});

test('what was written right before a crash is kept, and said whose it is', async () => {
  let server = await startServer({ RESUME_SECONDS: '2' });
  try {
    const { people, call, pages } = await twoInACall(server, '');
    const [alice, bob] = people;
    const begun = await startRecording(alice, call.id);
    const folder = join(server.settings.DATA_DIR, 'recordings', begun.id);
    await until('four files have bytes', async () => {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.webm'));
      const files = await Promise.all(names.map((name) => stat(join(folder, name))));
      return files.filter(({ size }) => size > 0).length === 4;
    });
    await server.crash();
    for (const person of pages) {
      person.expectComplaint(/getUserMedia/);
      await person.page.goto('about:blank');
    }
    server = server.restart();
    await server.ready();
    const recording = await untilFinished(alice, begun.id, ({ status }) => !RUNNING.has(status));
    const whose = recording.tracks.map(({ userId, source, codec, files }) => {
      assert.equal(files.length, 1);
      return `${userId} ${source} ${codec}`;
    });
    const expected = [alice, bob].flatMap(({ id }) => [`${id} mic opus`, `${id} camera vp8`]);
    assert.deepEqual(whose.sort(), expected.sort());
  } finally {
    await server.close();
  }
});

test('a recording goes on in new files when the server is back and the call goes on', async () => {
  let server = await startServer();
  try {
    const { people, call, pages } = await twoInACall(server, '');
    const [alice] = people;
    const begun = await startRecording(alice, call.id);
    await untilTracks(alice, begun.id, 4, 2_000);
    const files = (/** @type {import('./support/recordings.mjs').Recording} */ { tracks }) =>
      tracks.flatMap((track) => track.files);
    for (const page of pages) page.expectComplaint(/./);
    await server.crash();
    server = server.restart();
    await server.ready();
    const before = files(await readRecording(alice, begun.id)).length;
    await pages[1].seesMoving(pages[0]);
    await until('four more files grow', async () => {
      const recording = await readRecording(alice, begun.id);
      return recording.status === 'recording' && files(recording).length >= before + 4;
    });
    await stopRecording(alice, begun.id);
    const recording = await untilFinished(alice, begun.id, ({ status }) => !RUNNING.has(status));
    assert.equal(recording.status, 'incomplete', 'the crash cost up to a second');
    const downloads = use(await Downloads.make());
    for (const file of files(recording))
      await decode(await downloads.fetch(alice, recording, file));
  } finally {
    await server.close();
  }
});

test('only who belongs to the call may read, and a link is good for one file, unaltered', async () => {
  const { people, call } = await twoInACall(fixture.server, '');
  const [alice, bob] = people;
  const stranger = await signIn(fixture.server, 'Mallory');
  const refused = (/** @type {Promise<any>} */ asked, /** @type {string} */ code) =>
    assert.rejects(asked, (error) => error instanceof Refused && error.code === code);

  await refused(startRecording(bob, call.id), 'forbidden');
  await refused(startRecording(stranger, call.id), 'forbidden');
  const begun = await startRecording(alice, call.id, { mode: 'audio' });
  await refused(startRecording(alice, call.id), 'already_recording');
  await untilTracks(alice, begun.id, 2, 2_000);
  await stopRecording(alice, begun.id);
  const recording = await untilFinished(alice, begun.id);
  assert(recording.tracks.every(({ source }) => source === 'mic'));

  await refused(readRecording(stranger, begun.id), 'forbidden');
  assert.equal((await readRecording(bob, begun.id)).id, begun.id, 'Bob was in the call');
  const [one, other] = recording.tracks.flatMap(({ files }) => files);
  const { url } = await alice.ask('POST', `/recordings/${begun.id}/links`, { fileId: one.id });
  const link = new URL(url, alice.url);
  const status = async (/** @type {string} */ address, /** @type {object} */ headers = {}) =>
    (await fetch(address, { headers: { ...headers } })).status;
  assert.equal(await status(link.href), 200);
  assert.equal(await status(link.href, { Range: 'bytes=0-99' }), 206);
  assert.equal(await status(link.href, { Range: `bytes=${one.bytes}-` }), 416);
  assert.equal(await status(link.href.replace(one.id, other.id)), 403, 'another file');
  const last = link.href.at(-1) === 'A' ? 'B' : 'A';
  assert.equal(await status(link.href.slice(0, -1) + last), 403, 'altered');

  await alice.ask('DELETE', `/recordings/${begun.id}`);
  await until('the file is gone', async () => [403, 404, 410].includes(await status(link.href)));
});

/**
 * @param {{ url: string }} server
 * @param {string} query how the page sends video
 */
async function twoInACall(server, query) {
  const { people, call } = await startCallOf(server, ['Alice', 'Bob']);
  const pages = [];
  for (const { name } of people) {
    const page = use(await DemoPage.signIn(browser, `${server.url}/call/${call.id}${query}`, name));
    await page.join();
    pages.push(page);
  }
  await pages[1].seesMoving(pages[0]);
  return { people, call, pages };
}
