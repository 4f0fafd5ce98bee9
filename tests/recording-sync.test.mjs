// @ts-check
/** People who flash and beep at the same time: how far apart that is in the files of a recording, and in its replay. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from './support/browsers.mjs';
import { beepsIn, distances, flashesIn } from './support/decoded.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { flashAndBeep, watchReplay } from './support/flash-and-beep.mjs';
import { startCallOf } from './support/people.mjs';
import {
  Downloads,
  startRecording,
  stopRecording,
  untilFinished,
  untilTracks,
} from './support/recordings.mjs';

const fixture = serverForThisFile();
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  browser = await launchChromium();
});
after(() => browser?.close());

test('flashes and beeps are in step in the files and on screen, of one person and of two', async (story) => {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const pages = [];
  for (const { name } of people) pages.push(await flashingIn(call, name));
  await pages[1].seesMoving(pages[0]);
  const { id } = await startRecording(people[0], call.id);
  await untilTracks(people[0], id, 4, 10_000);
  await stopRecording(people[0], id);
  const recording = await untilFinished(people[0], id);

  const downloads = use(await Downloads.make());
  const times = new Map();
  for (const track of recording.tracks) {
    assert.equal(track.files.length, 1);
    const path = await downloads.fetch(people[0], recording, track.files[0]);
    const found = track.source === 'mic' ? await beepsIn(path) : await flashesIn(path);
    times.set(
      `${track.userId} ${track.source}`,
      found.map((at) => at + track.files[0].startMs),
    );
  }
  for (const apart of inStep(story, 'in the files', people, times)) {
    assert(
      apart.ms.length >= 8 && apart.ms.every((ms) => Math.abs(ms) <= apart.bound),
      `${apart.ms}`,
    );
  }

  const [alice] = pages;
  await alice.click('end');
  await alice.click('end-confirm');
  await alice.page.goto(`${fixture.server.url}/group/${call.groupId}`);
  await alice.click('recording-summary');
  await alice.click('replay');
  await alice.click('replay-toggle');
  await untilPlayed(alice, 1_000);
  await alice.page.$eval('[data-testid="replay-position"]', (range) => {
    /** @type {HTMLInputElement} */ (range).value = '4000';
    range.dispatchEvent(new Event('input', { bubbles: true }));
  });
  await untilPlayed(alice, 5_000);
  await alice.page.evaluate(() => {
    for (const times of Object.values(Reflect.get(window, '__seen'))) times.length = 0;
  });
  await alice.until(
    'it is played to its end',
    async () =>
      alice.page.$eval('[data-testid="replay-toggle"]', (it) => /Play/.test(it.textContent ?? '')),
    { seconds: 60 },
  );
  const seen = await alice.page.evaluate(() => Reflect.get(window, '__seen'));
  const shown = new Map();
  for (const { userId, source, files } of recording.tracks) {
    shown.set(`${userId} ${source}`, seen[files[0].id]);
  }
  // A busy machine paints single pictures late.
  for (const apart of inStep(story, 'on screen after a jump', people, shown)) {
    assert(apart.ms.length >= 5 && Math.abs(middleOf(apart.ms)) <= apart.bound, `${apart.ms}`);
  }
});

/**
 * How far apart everything is, and how far it may be: 40 ms of one person, 80 ms between two.
 * @param {import('node:test').TestContext} story
 * @param {string} where
 * @param {import('./support/people.mjs').Person[]} people
 * @param {Map<string, number[]>} times of flashes and beeps in ms, by person and source
 */
function inStep(story, where, [alice, bob], times) {
  return /** @type {const} */ ([
    [alice, 'camera', alice, 'mic', 40],
    [bob, 'camera', bob, 'mic', 40],
    [alice, 'camera', bob, 'camera', 80],
    [alice, 'mic', bob, 'mic', 80],
    [alice, 'camera', bob, 'mic', 80],
  ]).map(([one, first, other, second, bound]) => {
    const ms = distances(
      times.get(`${one.id} ${first}`) ?? [],
      times.get(`${other.id} ${second}`) ?? [],
    );
    const told = `${Math.min(...ms).toFixed(0)} to ${Math.max(...ms).toFixed(0)} ms`;
    story.diagnostic(
      `${where}, ${first} of ${one.name} to ${second} of ${other.name}: ` +
        `${told}, median ${middleOf(ms).toFixed(0)} ms, of ${ms.length}`,
    );
    return { ms, bound };
  });
}

/** @param {number[]} values */
function middleOf(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * @param {DemoPage} person who replays a recording
 * @param {number} position in ms
 */
async function untilPlayed(person, position) {
  await person.until(`it is played to ${position} ms`, () =>
    person.page.$eval(
      '[data-testid="replay-position"]',
      (range, least) => /** @type {HTMLInputElement} */ (range).valueAsNumber > least,
      position,
    ),
  );
}

/**
 * Somebody in a call who flashes and beeps.
 * @param {{ id: string }} call
 * @param {string} name
 */
async function flashingIn(call, name) {
  const page = use(await DemoPage.open(browser, `${fixture.server.url}/call/${call.id}`, name));
  await page.page.evaluateOnNewDocument(flashAndBeep, { colour: 'navy', hertz: 1_000 });
  await page.page.evaluateOnNewDocument(watchReplay);
  await page.page.reload();
  await page.signIn();
  await page.join();
  return page;
}
