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

test('flashes and beeps of one person, and of two, are in step in the files and on screen', async (story) => {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const pages = [];
  for (const { name } of people) pages.push(await flashingIn(call, name));
  await pages[1].seesMoving(pages[0]);
  const { id } = await startRecording(people[0], call.id);
  await untilTracks(people[0], id, 4, 12_000);
  await stopRecording(people[0], id);
  const recording = await untilFinished(people[0], id);

  const downloads = use(await Downloads.make());
  const times = new Map();
  for (const track of recording.tracks) {
    assert.equal(track.files.length, 1);
    const path = await downloads.fetch(people[0], recording, track.files[0]);
    const found = track.source === 'mic' ? await beepsIn(path) : await flashesIn(path);
    assert(found.length >= 10, `${found.length} of ${track.source} in ${track.durationMs} ms`);
    times.set(
      `${track.userId} ${track.source}`,
      found.map((at) => at + track.files[0].startMs),
    );
  }
  const [alice, bob] = people.map(({ id }) => id);
  for (const [one, other, bound] of /** @type {[string, string, number][]} */ ([
    [`${alice} camera`, `${alice} mic`, 40],
    [`${bob} camera`, `${bob} mic`, 40],
    [`${alice} camera`, `${bob} camera`, 80],
    [`${alice} mic`, `${bob} mic`, 80],
    [`${alice} camera`, `${bob} mic`, 80],
  ])) {
    const apart = distances(times.get(one), times.get(other));
    story.diagnostic(`in the files, ${named(one)} to ${named(other)}: ${told(apart)}`);
    assert(apart.length >= 10 && apart.every((ms) => Math.abs(ms) <= bound), `${apart}`);
  }

  function named(/** @type {string} */ track) {
    return people.reduce((text, { id, name }) => text.replace(id, name), track);
  }
});

/**
 * Somebody in a call who flashes and beeps.
 * @param {{ id: string }} call
 * @param {string} name
 */
async function flashingIn(call, name) {
  const page = use(await DemoPage.open(browser, 'about:blank', name));
  await page.page.evaluateOnNewDocument(flashAndBeep, { colour: 'navy', hertz: 1_000 });
  await page.page.evaluateOnNewDocument(watchReplay);
  await page.page.goto(`${fixture.server.url}/call/${call.id}`);
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
