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
  assertInStep(story, 'in the files', people, times, 8);

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
  assertInStep(story, 'on screen after a jump', people, shown, 5);
});

/**
 * Fails unless what one person does is 40 ms apart at most, and what two do 80 ms.
 * @param {import('node:test').TestContext} story
 * @param {string} where
 * @param {import('./support/people.mjs').Person[]} people
 * @param {Map<string, number[]>} times of flashes and beeps in ms, by person and source
 * @param {number} least how many there are
 */
function assertInStep(story, where, [alice, bob], times, least) {
  for (const [one, first, other, second, bound] of /** @type {const} */ ([
    [alice, 'camera', alice, 'mic', 40],
    [bob, 'camera', bob, 'mic', 40],
    [alice, 'camera', bob, 'camera', 80],
    [alice, 'mic', bob, 'mic', 80],
    [alice, 'camera', bob, 'mic', 80],
  ])) {
    const apart = distances(
      times.get(`${one.id} ${first}`) ?? [],
      times.get(`${other.id} ${second}`) ?? [],
    );
    story.diagnostic(
      `${where}, ${first} of ${one.name} to ${second} of ${other.name}: ${told(apart)}`,
    );
    assert(apart.length >= least, `${apart.length} of them`);
    assert(
      apart.every((ms) => Math.abs(ms) <= bound),
      `${apart}`,
    );
  }
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

/** @param {number[]} apart */
function told(apart) {
  const sorted = apart.toSorted((a, b) => a - b).map(Math.round);
  const median = sorted[Math.floor(sorted.length / 2)];
  return `${sorted[0]} to ${sorted.at(-1)} ms, median ${median} ms, of ${sorted.length}`;
}
