// @ts-check
/** What was recorded, played on the demo page: all files in step, as they grow, and what is said when one is missing. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertAccessible, assertFits, untilArrived } from './support/accessibility.mjs';
import { launchChromium, launchFirefox } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { countBlanks } from './support/in-page.mjs';
import { startCallOf } from './support/people.mjs';
import {
  readRecording,
  recordFor,
  startRecording,
  stopRecording,
  untilFinished,
  untilTracks,
} from './support/recordings.mjs';

/** With which the app stores captions. */
const SERVICE_TOKEN = 'a service token of more than thirty-two bytes';

const fixture = serverForThisFile({ SERVICE_TOKEN });
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** A finished recording of two, with captions. @type {Tape} */
let tape;

before(async () => {
  browser = await launchChromium();
  tape = await record();
});
after(() => browser?.close());

test('everybody is replayed in step, also after a jump and twice as fast', async () => {
  const alice = await openPlayer(browser, tape);
  await alice.click('replay-toggle');
  await untilInStep(alice, camerasOf(tape.recording), 2_000);
  await alice.page.select('[data-testid="replay-speed"]', '2');
  await seek(alice, 1_000);
  await untilInStep(alice, camerasOf(tape.recording), 4_000);
  await alice.until('it stops at the end', async () =>
    alice.page.$eval('[data-testid="replay-toggle"]', (it) => /Play/.test(it.textContent ?? '')),
  );
});

test('keys move along the recording by seconds', async () => {
  const alice = await openPlayer(browser, tape);
  await alice.page.focus('[data-testid="replay-position"]');
  await alice.page.keyboard.press('ArrowRight');
  await alice.untilReads('replay-time', /^0:05/);
  await alice.page.keyboard.press('ArrowLeft');
  await alice.untilReads('replay-time', /^0:00/);
  await alice.page.keyboard.press('End');
  await alice.untilReads('replay-time', /^(\d:\d\d) \/ \1$/);
});

for (const [name, launch] of Object.entries({ Chromium: launchChromium, Firefox: launchFirefox })) {
  test(`a running recording is watched in ${name}, back and forth, until it is finished`, async () => {
    const { people, call } = await twoInACall();
    const { id } = await startRecording(people[0], call.id);
    await untilTracks(people[0], id, 4, 8_000);
    const watching = name === 'Chromium' ? browser : await launch();
    if (watching !== browser) use(watching);
    const alice = await openPlayer(watching, { groupId: call.groupId, owner: people[0].name });
    // Without a loudspeaker, as on a server, Firefox takes a sound for one that it cannot play.
    if (name === 'Firefox') alice.expectComplaint(/cannot play .* microphone \(Opus\)/);
    await alice.until('it is live', () => follows(alice, true));
    const cameras = () => readRecording(people[0], id).then(camerasOf);
    const late = Math.max(
      ...(await cameras()).map(({ startMs, durationMs }) => startMs + durationMs),
    );
    // It stays close behind what is recorded, also when that goes on.
    await untilInStep(alice, await cameras(), late);
    await alice.screenshot(`replay-live-${name}`);

    await seek(alice, 1_000);
    await alice.until('it is not live any more', () => follows(alice, false));
    const back = await untilInStep(alice, await cameras(), 2_000);
    assert(back < late, `${back} ms are before ${late} ms`);
    await alice.click('replay-live');
    await alice.until('it is live again', () => follows(alice, true));
    await untilInStep(alice, await cameras(), late);

    // The recording moves to the calls that are over, and what is watched goes on.
    await people[0].ask('PATCH', `/calls/${call.id}/end`);
    const recording = await untilFinished(people[0], id);
    await alice.until('it is finished', () =>
      alice.shows('[data-testid="player"][data-live="false"]'),
    );
    await seek(alice, 2_000);
    if (
      await alice.page.$eval('[data-testid="replay-toggle"]', (it) => it.textContent === 'Play')
    ) {
      await alice.click('replay-toggle');
    }
    await untilInStep(alice, camerasOf(recording), 3_000);
  });
}

test('a browser that cannot play what is being recorded says so, and plays the rest', async () => {
  const { people, call } = await twoInACall('?codec=h264');
  const { id } = await startRecording(people[0], call.id);
  await untilTracks(people[0], id, 4, 3_000);
  const alice = await openPlayer(
    browser,
    { groupId: call.groupId, owner: people[0].name },
    expectH264,
  );
  await alice.untilReads(
    'replay-problems',
    /This browser cannot play your camera \(H\.264\) while it is recorded/,
  );
  await alice.untilReads('replay-problems', /cannot play Bob’s camera \(H\.264\)/);
  await alice.untilReads('replay-time', /^0:0[3-9]/);
  await stopRecording(people[0], id);
});

test('the one who speaks is large, or the one who was chosen, and all are heard', async () => {
  const [alices, bobs] = camerasOf(tape.recording).map(({ userId }) => userId);
  const mic = (/** @type {string} */ userId) =>
    tape.recording.tracks.find((track) => track.userId === userId && track.source === 'mic')?.id;
  const lines = [
    { atMs: 0, speaker: mic(alices) },
    { atMs: 3_000, speaker: mic(bobs) },
    { atMs: 5_000, paused: true },
    { atMs: 5_500, paused: false },
  ];
  const alice = await openPlayer(browser, tape, (person) =>
    answerInstead(person, {
      [`/recordings/${tape.recording.id}/timeline`]: lines
        .map((it) => JSON.stringify(it))
        .join('\n'),
    }),
  );
  const largeIs = (/** @type {string | undefined} */ userId) =>
    alice.until(`${userId} is large`, async () => {
      const large = await alice.page.$$eval(
        '[data-testid="replay-tile"][data-large="true"]',
        (all) => all.map((tile) => tile.getAttribute('data-user-id')),
      );
      return large.length === (userId ? 1 : 0) && large[0] === userId;
    });
  await alice.untilShown('pause-mark');
  await largeIs(undefined);
  await alice.page.select('[data-testid="replay-layout"]', 'speaker');
  await seek(alice, 1_000);
  await largeIs(alices);
  await seek(alice, 3_500);
  await largeIs(bobs);
  await alice.page.select('[data-testid="replay-layout"]', `${alices}-person-0`);
  await largeIs(alices);
  assert.equal(
    await alice.page.$$eval('[data-testid="replay-tile"]:not([hidden])', (all) => all.length),
    1,
  );
  // What is not seen goes on.
  await alice.click('replay-toggle');
  await untilInStep(alice, camerasOf(tape.recording), 4_500);
});

test('who speaks is known of a recorded call', async () => {
  const path = `/recordings/${tape.recording.id}/timeline`;
  const response = await fetch(fixture.server.url + path, {
    headers: { Authorization: `Bearer ${tape.people[0].token}` },
  });
  const notes = (await response.text())
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const mics = tape.recording.tracks.filter(({ source }) => source === 'mic').map(({ id }) => id);
  assert(
    notes.some(({ speaker }) => mics.includes(speaker)),
    JSON.stringify(notes),
  );
});

test('captions are shown with who says them, in the language that was chosen', async () => {
  const alice = await openPlayer(browser, tape);
  assert(!(await alice.isShown('caption-lines')), 'nobody has asked for captions');
  await alice.page.select('[data-testid="replay-captions"]', 'de');
  for (const layout of ['grid', 'speaker', `${tape.people[1].id}-person-0`]) {
    await alice.page.select('[data-testid="replay-layout"]', layout);
    await seek(alice, 1_000);
    await alice.untilReads('caption-lines', /^Alice: Grüß Gott & guten Tag$/);
    await seek(alice, 3_000);
    await alice.untilReads('caption-lines', /^Bob: Servus$/);
  }
  await seek(alice, 5_500);
  await alice.untilReads('caption-lines', /^$/);
  const language = await alice.page.$eval('[data-testid="caption-lines"]', (it) =>
    it.getAttribute('lang'),
  );
  assert.equal(language, 'de');
  await alice.page.select('[data-testid="replay-captions"]', '');
  await alice.until('they are gone', async () => !(await alice.isShown('caption-lines')));
});

test('a file that fails to load is asked for again, and what stays away is told', async () => {
  let failing = 2;
  let asked = 0;
  const mine = camerasOf(tape.recording).find(({ userId }) => userId === tape.people[0].id);
  const file = mine?.files[0].id ?? '';
  const alice = await openPlayer(browser, tape, async (person) => {
    person.expectComplaint(/503/);
    person.expectComplaint(/Could not load your camera/);
    await interceptRequests(person, (request) => {
      const isOurs = request.url().endsWith('/links') && request.postData()?.includes(file);
      if (!isOurs) return undefined;
      asked += 1;
      failing -= 1;
      return failing < 0 ? undefined : unavailable;
    });
  });
  await alice.click('replay-toggle');
  await untilInStep(alice, camerasOf(tape.recording), 1_000);
  assert.equal(asked, 3);
  await alice.click('replay-close');

  failing = Number.POSITIVE_INFINITY;
  asked = 0;
  await alice.click('replay');
  await alice.click('replay-toggle');
  await alice.until('it is told', () => alice.isShown('replay-problems'), { seconds: 30 });
  await alice.untilReads('replay-problems', /Could not load your camera\. The server is not ready/);
  assert.equal(asked, 6, 'it was tried a few times, and not for ever');
  await alice.until('the other goes on', async () =>
    (await cameraTimes(alice)).some((at) => at > 1),
  );

  failing = 0;
  await alice.click('replay-retry');
  await alice.until('nothing is missing', async () => !(await alice.isShown('replay-problems')));
  await seek(alice, 1_000);
  if (await alice.page.$eval('[data-testid="replay-toggle"]', (it) => it.textContent === 'Play')) {
    await alice.click('replay-toggle');
  }
  await untilInStep(alice, camerasOf(tape.recording), 2_000);
});

test('a camera goes on from part to part, and no moment is blank', async () => {
  const [mine, bobs] = camerasOf(tape.recording);
  // As if Alice's phone was turned: from 3 s on the picture comes from another file.
  const turned = {
    ...mine,
    files: [mine.files[0], { ...bobs.files[0], part: 1, startMs: 3_000 }],
  };
  const tracks = tape.recording.tracks.filter((track) => track !== bobs);
  const parts = { ...tape.recording, tracks: tracks.map((it) => (it === mine ? turned : it)) };
  const alice = await openPlayer(browser, tape, (person) =>
    answerInstead(person, { [`/recordings/${tape.recording.id}`]: parts }),
  );
  const shown = () =>
    alice.page.$eval('[data-testid="player"] video[data-shown]', (element) => {
      const { currentSrc, readyState } = /** @type {HTMLVideoElement} */ (element);
      return readyState > 1 ? currentSrc : '';
    });
  await seek(alice, 1_500);
  await alice.until('the first part is shown', async () =>
    (await shown()).includes(mine.files[0].id),
  );
  await alice.page.evaluate(
    countBlanks,
    `[data-testid="replay-tile"][data-user-id="${mine.userId}"]`,
  );
  await alice.click('replay-toggle');
  await alice.until('the second part is shown', async () =>
    (await shown()).includes(bobs.files[0].id),
  );
  await alice.until('it plays', async () => (await cameraTimes(alice)).some((at) => at > 0.5));
  assert.equal(await alice.page.evaluate(() => Reflect.get(window, 'blanks')), 0);
});

for (const [name, launch] of Object.entries({ Chromium: launchChromium, Firefox: launchFirefox })) {
  test(`the picture of a turned phone stands upright in ${name}`, async () => {
    // It is 32 by 16 pixels, and to be turned by 90 degrees.
    const turned = await readFile(join(import.meta.dirname, '../web-demo/public/turned.webm'));
    const watching = name === 'Chromium' ? browser : use(await launch());
    const cameras = camerasOf(tape.recording).flatMap(({ files }) => files.map(({ id }) => id));
    const alice = await openPlayer(watching, tape, (person) =>
      interceptRequests(person, (request) => {
        const isCamera = cameras.some((id) => request.url().includes(`/recordings/files/${id}`));
        return isCamera ? { contentType: 'video/webm', body: turned } : undefined;
      }),
    );
    await seek(alice, 200);
    await alice.until('the browser or the page turns it', () =>
      alice.page.$eval('[data-testid="player"] video[data-shown]', (element) => {
        const video = /** @type {HTMLVideoElement} */ (element);
        const { videoWidth, videoHeight, dataset } = video;
        if (videoWidth === 0) return false;
        return videoHeight > videoWidth ? dataset.turn === undefined : dataset.turn === '90';
      }),
    );
    const fits = await alice.page.$eval('[data-testid="player"] video[data-shown]', (video) => {
      const [picture, tile] = [video, video.closest('figure')].map((it) =>
        it?.getBoundingClientRect(),
      );
      return (
        picture && tile && picture.width <= tile.width + 1 && picture.height <= tile.height + 1
      );
    });
    assert(fits, 'it stays in its tile');
  });
}

const SIZES = {
  wide: { width: 1280, height: 800 },
  tablet: { width: 768, height: 1024 },
  narrow: { width: 360, height: 640 },
};

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const scheme of ['light', 'dark']) {
    test(`every state of a replay is accessible and fits, ${size} and ${scheme}`, async () => {
      const damaged = {
        ...tape.recording,
        tracks: tape.recording.tracks.map((track) =>
          track.source === 'camera' ? { ...track, holes: [{ fromMs: 1_500, toMs: 2_500 }] } : track,
        ),
      };
      const alice = await openPlayer(browser, tape, async (person) => {
        await person.page.setViewport(viewport);
        await person.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        await answerInstead(person, { [`/recordings/${tape.recording.id}`]: damaged });
      });
      const look = async (/** @type {string} */ state) => {
        await untilArrived(alice);
        await alice.screenshot(`replay-${size}-${scheme}-${state}`);
        await assertFits(alice, state);
        await assertAccessible(alice, state);
      };
      await seek(alice, 1_000);
      await untilPainted(alice);
      await look('everyone');
      await alice.page.select('[data-testid="replay-captions"]', 'de');
      await alice.untilReads('caption-lines', /Grüß Gott/);
      await look('captions');
      await alice.page.select('[data-testid="replay-layout"]', 'speaker');
      await seek(alice, 2_000);
      await alice.untilShown('replay-missing');
      await look('speaker');
      await alice.page.select('[data-testid="replay-layout"]', `${tape.people[1].id}-person-0`);
      await look('single');
    });
  }
}

for (const [size, viewport] of Object.entries(SIZES)) {
  test(`a live replay with problems is accessible and fits, ${size}`, async () => {
    const { people, call } = await twoInACall('?codec=h264');
    const { id } = await startRecording(people[0], call.id);
    await untilTracks(people[0], id, 4, 3_000);
    const alice = await openPlayer(
      browser,
      { groupId: call.groupId, owner: people[0].name },
      async (person) => {
        expectH264(person);
        await person.page.setViewport(viewport);
      },
    );
    await alice.untilShown('replay-problems');
    await untilArrived(alice);
    await alice.screenshot(`replay-${size}-live`);
    await assertFits(alice, 'live');
    await assertAccessible(alice, 'live');
    await stopRecording(people[0], id);
  });
}

/**
 * @typedef {Awaited<ReturnType<typeof record>>} Tape
 * @typedef {import('./support/recordings.mjs').Recording} Recording
 * @typedef {import('puppeteer-core').HTTPRequest} Request
 * @typedef {import('puppeteer-core').ResponseForRequest} Answer
 */

/** Two people are recorded for some seconds; then their call is over. */
async function record() {
  const { people, call, pages } = await meet();
  const id = await recordFor(people[0], call.id, 7_000);
  for (const person of pages) await person.close();
  const recording = await untilFinished(people[0], id);
  const response = await fetch(`${fixture.server.url}/recordings/${id}/captions/de`, {
    method: 'PUT',
    headers: { Authorization: `Bearer ${SERVICE_TOKEN}`, 'Content-Type': 'text/vtt' },
    body: captionsOf(people),
  });
  assert.equal(response.status, 201);
  const { groupId } = call;
  return {
    people,
    groupId,
    owner: people[0].name,
    recording: await readRecording(people[0], recording.id),
  };
}

/** @param {import('./support/people.mjs').Person[]} people */
function captionsOf([alice, bob]) {
  return `WEBVTT

NOTE by a test

greeting
00:00.500 --> 00:02.000 line:90%
<v ${alice.id}>Grüß <i>Gott</i> &amp; guten Tag

00:00:02.500 --> 00:00:04.000
<v ${bob.id}>Servus</v>
`;
}

/** As `meet`; the windows are closed when the test is over. @param {string} [query] */
async function twoInACall(query) {
  const { people, call, pages } = await meet(query);
  for (const person of pages) use(person);
  return { people, call };
}

/** @param {string} [query] */
async function meet(query = '') {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const address = `${fixture.server.url}/call/${call.id}${query}`;
  const pages = [
    await DemoPage.signIn(browser, address, 'Alice'),
    await DemoPage.signIn(browser, address, 'Bob'),
  ];
  for (const person of pages) await person.join();
  await pages[0].seesMoving(pages[1]);
  await pages[1].seesMoving(pages[0]);
  return { people, call, pages };
}

/**
 * Opens the player of a group's newest recording.
 * @param {import('puppeteer-core').Browser} where
 * @param {{ groupId: string, owner: string }} of
 * @param {(person: DemoPage) => void | Promise<void>} [prepare]
 */
async function openPlayer(where, { groupId, owner }, prepare = () => undefined) {
  const person = use(await DemoPage.signIn(where, fixture.server.url, owner));
  await prepare(person);
  await person.page.goto(`${fixture.server.url}/group/${groupId}`);
  await person.click('recording-summary');
  await person.click('replay');
  await person.untilShown('player');
  return person;
}

/** @param {DemoPage} person */
function expectH264(person) {
  person.expectComplaint(/This browser cannot play .* \(H\.264\)/);
}

/**
 * @param {DemoPage} person
 * @param {(request: Request) => Partial<Answer> | undefined} answer undefined for what the server is to answer
 */
async function interceptRequests(person, answer) {
  await person.page.setRequestInterception(true);
  person.page.on('request', (request) => {
    const answered = answer(request);
    return answered ? request.respond(answered) : request.continue();
  });
}

/**
 * @param {DemoPage} person
 * @param {Record<string, object | string>} answers by path
 */
function answerInstead(person, answers) {
  return interceptRequests(person, (request) => {
    const body = answers[new URL(request.url()).pathname];
    if (body === undefined) return undefined;
    if (typeof body === 'string') return { contentType: 'application/jsonl', body };
    return { contentType: 'application/json', body: JSON.stringify(body) };
  });
}

const unavailable = {
  status: 503,
  contentType: 'application/problem+json',
  body: JSON.stringify({ code: 'unavailable', title: 'Not ready' }),
};

/** @param {Recording} recording */
function camerasOf({ tracks }) {
  return tracks.filter(({ source }) => source === 'camera');
}

/**
 * @param {DemoPage} person
 * @param {boolean} wanted
 */
function follows(person, wanted) {
  return person.shows(`[data-testid="replay-live"][aria-pressed="${wanted}"]`);
}

/**
 * @param {DemoPage} person
 * @param {number} position in milliseconds
 */
function seek(person, position) {
  return person.page.$eval(
    '[data-testid="replay-position"]',
    (range, value) => {
      /** @type {HTMLInputElement} */ (range).value = String(value);
      range.dispatchEvent(new Event('input', { bubbles: true }));
    },
    position,
  );
}

/** @param {DemoPage} person */
function cameraTimes(person) {
  return person.page.$$eval('[data-testid="player"] video[data-shown]', (all) =>
    all.map((video) => /** @type {HTMLVideoElement} */ (video).currentTime),
  );
}

/** @param {DemoPage} person */
function untilPainted(person) {
  return person.until('both pictures are there', () =>
    person.page.$$eval('[data-testid="player"] video[data-shown]', (all) => {
      const ready = all.filter((video) => /** @type {HTMLVideoElement} */ (video).readyState > 1);
      return ready.length === 2;
    }),
  );
}

/**
 * Waits until two pictures have got so far, at the same time of the recording, which is returned.
 * @param {DemoPage} person who replays it
 * @param {{ startMs: number }[]} tracks those of the pictures, in order
 * @param {number} position in milliseconds
 */
async function untilInStep(person, tracks, position) {
  /** @type {number[]} */
  let times = [];
  await person.until(
    () => `the pictures are in step after ${position} ms: ${times}`,
    async () => {
      const seconds = await cameraTimes(person);
      times = seconds.map((at, index) => at * 1_000 + tracks[index].startMs);
      const isFar = times.length === 2 && Math.min(...times) > position;
      return isFar && Math.abs(times[0] - times[1]) < 150;
    },
    { seconds: 30 },
  );
  return Math.min(...times);
}
