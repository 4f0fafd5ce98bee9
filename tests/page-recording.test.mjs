// @ts-check
/** Recording as people meet it on the demo page: to start it, to be told of it, to refuse it, and to read what is left. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertAccessible, assertFits, untilArrived } from './support/accessibility.mjs';
import { launchChromium } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { keepAnnouncements, keepNoteAtCamera } from './support/in-page.mjs';
import { startCallOf } from './support/people.mjs';
import { readRecording, recordFor, startRecording, untilFinished } from './support/recordings.mjs';
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

test('a moderator records, pauses and stops, and the others are told of each once', async () => {
  const { alice, bob } = await twoInACall();
  await bob.page.evaluate(keepAnnouncements);
  assert(!(await bob.shows('[data-testid="record"]')), 'Bob does not moderate');
  await alice.click('record');
  await alice.click('record-start');
  await bob.untilReads('recording-badge', /^Recording0:0\dstarted by Alice$/);
  await alice.untilReads('recording-badge', /started by you/);
  assert(!(await bob.shows('[data-testid="recording-badge"] button')), 'nothing hides it');
  await bob.untilReads('recording-badge', /0:02/);

  await alice.click('record');
  await alice.click('record-pause');
  await bob.untilReads('recording-badge', /Recording paused/);
  await alice.click('record');
  await alice.click('record-resume');
  await bob.untilReads('recording-badge', /^Recording\d/);
  await alice.click('record');
  await alice.click('record-stop');
  await bob.until('the badge is gone', async () => !(await bob.isShown('recording-badge')));
  await bob.until('all is told', async () => (await announcements(bob)).length > 3);
  assert.deepEqual(await announcements(bob), [
    'Alice is recording this call.',
    'The recording is paused.',
    'The recording goes on.',
    'The recording has stopped.',
  ]);
});

test('a newcomer reads who records the call before the camera opens', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  await people[0].ask('POST', `/calls/${call.id}/join`);
  await startRecording(people[0], call.id);
  const bob = use(await DemoPage.open(browser, address(call), 'Bob'));
  await bob.page.evaluateOnNewDocument(keepNoteAtCamera);
  await bob.page.reload();
  await bob.signIn();
  await bob.untilReads('recording-note', /This call is being recorded\. Alice started/);
  const note = () => bob.page.evaluate(() => Reflect.get(window, 'noteAtCamera'));
  await bob.until('the camera was asked for', async () => (await note()) !== undefined);
  assert.match(await note(), /This call is being recorded/);
  await bob.join();
  await bob.untilReads('recording-badge', /started by Alice/);
});

test('who is asked and says no is not recorded, and may say yes later', async () => {
  const { alice, bob, people, call } = await twoInACall();
  const [aliceId, bobId] = people.map(({ id }) => id);
  await alice.click('record');
  await alice.click('record-ask');
  await alice.click('record-start');
  await bob.untilReads('consent-question', /^Alice is recording this call/);
  await bob.click('consent-no');
  await alice.click('consent-yes');
  await bob.untilReads('my-part', /You are not recorded/);
  await alice.untilReads('my-part', /You agreed/);
  await alice.click('participants');
  await alice.untilReads(
    `participants-panel"] [data-user-id="${aliceId}"] [data-testid="part`,
    /^Agreed/,
  );
  await alice.untilReads(
    `participants-panel"] [data-user-id="${bobId}"] [data-testid="part`,
    /^Declined/,
  );
  const { recording } = /** @type {any} */ (await people[0].call(call.id));
  const ofBob = async () => {
    const { tracks } = await readRecording(people[0], recording.id);
    return tracks.filter(({ userId }) => userId === bobId);
  };
  await until('what Bob sends is noted as declined', async () => {
    const tracks = await ofBob();
    return tracks.length > 0 && tracks.every(({ note }) => note === 'declined');
  });
  assert(
    (await ofBob()).every(({ codec }) => codec === null),
    'and nothing of it is written',
  );

  await bob.click('change-consent');
  await bob.click('consent-yes');
  await bob.untilReads('my-part', /You agreed/);
  await until('Bob is recorded', async () => (await ofBob()).some(({ codec }) => codec !== null));
  await bob.click('change-consent');
  await bob.click('consent-no');
  await bob.untilReads('my-part', /You are not recorded/);
});

test('an answer holds while the connection is lost', async () => {
  const { alice, bob } = await twoInACall();
  await alice.click('record');
  await alice.click('record-ask');
  await alice.click('record-start');
  await bob.click('consent-yes');
  await bob.untilReads('my-part', /You agreed/);
  bob.expectComplaint(/ERR_INTERNET_DISCONNECTED/);
  await bob.page.setOfflineMode(true);
  await bob.untilShown('connection-banner');
  await bob.page.setOfflineMode(false);
  await bob.until('the banner is gone', async () => !(await bob.isShown('connection-banner')));
  await bob.untilReads('my-part', /You agreed/);
  assert(!(await bob.isShown('consent-question')), 'and is not asked for again');
});

test('what was recorded is downloaded and deleted from the history', async () => {
  const { alice, bob, people, call } = await twoInACall();
  const id = await recordFor(people[0], call.id, 2_500);
  await alice.click('end');
  await alice.click('end-confirm');
  await bob.page.goto(`${fixture.server.url}/group/${call.groupId}`);
  await alice.page.goto(bob.page.url());
  await alice.until('it is ready', () =>
    alice.shows('[data-testid="recording"][data-status="ready"]'),
  );
  await alice.untilReads('recording-summary', /Ready\d+ s · [\d.]+ (kB|MB)/);
  await alice.click('recording-summary');
  await alice.until(
    'all is listed',
    async () => (await alice.page.$$('[data-testid="track"]')).length === 4,
  );

  const folder = await mkdtemp(join(tmpdir(), 'switchyard-download-'));
  try {
    await downloadInto(alice, folder);
    await alice.click('download');
    const name = await downloaded(alice, folder);
    assert.match(name, /\.webm$/);
    const bytes = await readFile(join(folder, name));
    assert.equal(bytes.readUInt32BE(0), EBML, 'it is a Matroska file');
  } finally {
    await rm(folder, { recursive: true });
  }

  assert(!(await bob.shows('[data-testid="recording-delete"]')), 'Bob may not delete it');
  await alice.click('recording-delete');
  await alice.click('recording-delete-confirm');
  for (const person of [alice, bob]) {
    await person.until('it is gone', async () => !(await person.isShown('recording')));
  }
  assert.equal((await readRecording(people[0], id)).status, 'deleted');
});

test('what is missing is told in words', async () => {
  const { alice, people, call } = await twoInACall();
  const id = await recordFor(people[0], call.id, 1_000);
  await alice.click('end');
  await alice.click('end-confirm');
  const whole = await untilFinished(people[0], id);
  const damaged = { ...whole, status: 'incomplete', endReason: 'disk-full' };
  damaged.tracks = whole.tracks.map((track) => {
    const holes = track.source === 'camera' ? [{ fromMs: 0, toMs: 12_000 }] : [];
    return { ...track, holes, concealedMs: track.source === 'mic' ? 3_200 : 0 };
  });
  await alice.page.setRequestInterception(true);
  alice.page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    const json = (/** @type {object} */ body) =>
      request.respond({ contentType: 'application/json', body: JSON.stringify(body) });
    if (pathname === `/recordings/${id}`) return json(damaged);
    if (pathname.startsWith('/recordings/group/')) return json({ items: [damaged] });
    return request.continue();
  });
  await alice.page.goto(`${fixture.server.url}/group/${call.groupId}`);
  await alice.untilReads('recording-summary', /Incomplete/);
  await alice.click('recording-summary');
  await alice.untilReads(
    'recording-inside',
    /Something is missing\. The disk of the server is full/,
  );
  await alice.untilReads('holes', /12 s of Bob’s camera are missing/);
  await alice.untilReads('holes', /3 s of your microphone were lost and are silent/);
  await alice.untilReads('recording-access', /everybody who was in the call/);
  await alice.click('replay');
  await alice.untilReads('replay-missing', /Picture missing/);
  const gap = await alice.page.$eval('[data-testid="gap"]', (mark) => mark.getAttribute('title'));
  assert.equal(gap, 'Bob’s camera is missing');
  const said = await alice.page.$eval(
    '[data-testid="replay-position"]',
    (range) => range.ariaValueText,
  );
  assert.match(said ?? '', /^0:00 of .*, Bob’s camera is missing/);
});

test('a server that does not record offers it to nobody', async () => {
  const server = use(await startServer({ RECORDING: 'off' }));
  const { call } = await startCallOf(server, ['Alice', 'Bob']);
  const alice = use(await DemoPage.signIn(browser, `${server.url}/call/${call.id}`, 'Alice'));
  await alice.join();
  await alice.untilShown('end');
  assert(!(await alice.isShown('record')), 'though Alice moderates');
});

test('who may record by the server’s rule is offered it, and sees who may watch', async () => {
  const server = use(await startServer({ RECORDING_BY: 'members', RECORDING_ACCESS: 'members' }));
  const { people, call } = await startCallOf(server, ['Alice', 'Bob']);
  await people[0].ask('POST', `/calls/${call.id}/join`);
  const bob = use(await DemoPage.signIn(browser, `${server.url}/call/${call.id}`, 'Bob'));
  await bob.join();
  assert(!(await bob.isShown('end')), 'Bob does not moderate');
  await bob.click('record');
  await bob.click('record-start');
  await bob.untilReads('recording-badge', /started by you/);
  await bob.click('leave');
  await bob.click('recording-summary');
  await bob.untilReads('recording-access', /all members of the group/);
});

const SIZES = {
  wide: { width: 1280, height: 800 },
  narrow: { width: 320, height: 640 },
};

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const scheme of ['light', 'dark']) {
    test(`every state of a recording is accessible and fits, ${size} and ${scheme}`, async () => {
      const prepare = async (/** @type {DemoPage} */ person) => {
        await person.page.setViewport(viewport);
        await person.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      };
      await showEveryState(prepare, async (person, state) => {
        await untilArrived(person);
        await person.screenshot(`recording-${size}-${scheme}-${state.replaceAll(' ', '-')}`);
        await assertFits(person, state);
        await assertAccessible(person, state);
      });
    });
  }
}

/**
 * @param {(person: DemoPage) => Promise<void>} prepare
 * @param {(person: DemoPage, state: string) => Promise<void>} look
 */
async function showEveryState(prepare, look) {
  const names = ['Wilhelmina Featherstonehaugh', 'Bob'];
  const { people, call } = await startCallOf(fixture.server, names);
  const [owner, other] = people;
  const alice = use(await DemoPage.signIn(browser, address(call), owner.name));
  const bob = use(await DemoPage.signIn(browser, address(call), other.name));
  await prepare(alice);
  await prepare(bob);
  await alice.join();
  await alice.click('record');
  await look(alice, 'before recording');
  await alice.click('record-ask');
  await alice.click('record-start');
  await alice.untilShown('consent-question');
  await look(alice, 'consent');
  await alice.click('consent-yes');
  await alice.untilReads('my-part', /You agreed/);
  await bob.untilReads('recording-note', /Wilhelmina/);
  await look(bob, 'preview');
  await bob.join();
  await bob.click('consent-no');
  await bob.untilReads('my-part', /not/);
  await look(bob, 'badge');
  await alice.click('participants');
  await look(alice, 'people');
  await alice.click('close-participants');
  await alice.click('record');
  await look(alice, 'while recording');
  await alice.click('record-pause');
  await alice.untilReads('recording-badge', /paused/);
  await look(alice, 'paused');
  await alice.click('end');
  await alice.click('end-confirm');
  await alice.page.goto(`${fixture.server.url}/group/${call.groupId}`);
  await alice.until('it is ready', () =>
    alice.shows('[data-testid="recording"][data-status="ready"]'),
  );
  await alice.click('recording-summary');
  await alice.untilShown('track');
  await look(alice, 'history');
  await alice.click('recording-delete');
  await look(alice, 'deleting');
}

/** Two people who hear and see each other. The first one moderates. */
async function twoInACall() {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const [alice, bob] = [
    use(await DemoPage.signIn(browser, address(call), 'Alice')),
    use(await DemoPage.signIn(browser, address(call), 'Bob')),
  ];
  await alice.join();
  await bob.join();
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
  return { alice, bob, people, call };
}

/** @param {import('./support/people.mjs').Call} call */
function address(call) {
  return `${fixture.server.url}/call/${call.id}`;
}

/**
 * @param {DemoPage} person
 * @param {string} folder
 */
async function downloadInto(person, folder) {
  const session = await person.page.createCDPSession();
  await session.send('Page.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
}

/**
 * The name of the file that was downloaded.
 * @param {DemoPage} person
 * @param {string} folder
 */
async function downloaded(person, folder) {
  let name = '';
  await person.until('it is downloaded', async () => {
    name = (await readdir(folder)).find((file) => !file.endsWith('.crdownload')) ?? '';
    return name !== '';
  });
  return name;
}

/** @param {DemoPage} person */
function announcements(person) {
  return person.page.evaluate(() => Reflect.get(window, 'announcements'));
}

/** What a Matroska file begins with. */
const EBML = 0x1a45dfa3;
