// @ts-check
/** The demo page in Chromium, with a made-up camera and microphone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import {
  enlarge,
  givesUpEncoding,
  limitSending,
  seesSteadily,
  watchSending,
} from './support/layers.mjs';
import { untilPadded } from './support/padding.mjs';
import { shareMuteAndReload } from './support/page-stories.mjs';
import { startCallOf } from './support/people.mjs';
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

test('two people sign in, form a group, call, share a screen, mute, reload, and leave', async () => {
  const { url } = fixture.server;
  const alice = use(await DemoPage.signIn(browser, url, 'Alice Liddell'));
  const bob = use(await DemoPage.signIn(browser, url, 'Bob Dodgson'));

  await alice.type('new-group-name', 'Tea party');
  await alice.click('create-group');
  await alice.untilShown('group-page');
  await alice.type('add-member-input', bob.name);
  await alice.click('add-member');
  await until('Bob is listed', async () =>
    alice.shows(`[data-testid="member-item"][data-user-id="${await bob.userId()}"]`),
  );

  await alice.click('start-video');
  await alice.screenshot('chromium-preview');
  await alice.join();
  await bob.click('incoming-join');
  await bob.join();
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
  // Both beep, so either may be the one who has the floor.
  await alice.until('somebody speaks', () => alice.shows('[data-speaking="true"]'));
  await alice.screenshot('chromium-call');

  await shareMuteAndReload({ alice, bob }, 'chromium');

  await bob.click('leave');
  await until(
    'Bob is gone',
    async () => !(await alice.shows(`[data-testid="tile-${await bob.userId()}-camera"]`)),
  );
  await alice.click('leave');
  for (const person of [alice, bob]) await person.untilShown('history-item');
  await alice.screenshot('chromium-history');
});

test('the end of a call is told to everyone in it', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  await alice.click('end');
  await alice.click('end-confirm');
  for (const person of [alice, bob]) await person.untilShown('call-ended');
  await bob.screenshot('chromium-ended');
});

test('simulcast: all three layers are sent, and the pictures go on through an ICE restart', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  await bob.seesMoving(alice);
  await until(
    'three layers are sent',
    async () => {
      const layers = await alice.outgoing('camera');
      return layers.length === 3 && layers.every(({ framesEncoded = 0 }) => framesEncoded > 10);
    },
    { seconds: 40 },
  );
  const userId = await alice.userId();
  await untilPadded(bob.name, () => bob.incoming(userId, 'camera'));
  await Promise.all([alice.restartIce(), bob.restartIce()]);
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
  for (const person of [alice, bob]) {
    const { transports } = await person.state();
    assert.deepEqual(transports, { send: 'connected', recv: 'connected' });
  }
});

test('an ICE restart takes new credentials for the relay', async () => {
  const server = use(
    await startServer({
      TURN_URLS: 'turn:127.0.0.1:9?transport=udp',
      TURN_SECRET: 'a secret that only the relay and the server know',
    }),
  );
  const { alice, bob } = await twoInACall(server);
  await alice.page.evaluate(() => {
    const { prototype } = RTCPeerConnection;
    const { setConfiguration } = prototype;
    /** @type {(RTCIceServer[] | undefined)[]} */
    const taken = [];
    Object.assign(window, { taken });
    prototype.setConfiguration = function (/** @type {RTCConfiguration} */ configuration) {
      taken.push(configuration.iceServers);
      return setConfiguration.call(this, configuration);
    };
  });
  await alice.restartIce();
  const taken = await alice.page.evaluate(() => Reflect.get(window, 'taken'));
  assert.equal(taken.length, 2, 'one for each transport');
  for (const [relay] of taken) {
    const validSeconds = Number(relay.username.split(':')[0]) - Date.now() / 1000;
    assert(validSeconds > 3500 && validSeconds <= 3601, `${validSeconds}`);
    assert(relay.credential);
  }
  await bob.seesMoving(alice);
});

for (const { query, codec, scalabilityMode } of [
  { query: '?codec=vp9&svc=L3T3', codec: 'video/VP9', scalabilityMode: 'L3T3' },
  { query: '?codec=av1&svc=L3T3', codec: 'video/AV1', scalabilityMode: 'L3T3' },
  { query: '', codec: 'video/VP8', scalabilityMode: 'L1T3' },
  { query: '?codec=h264', codec: 'video/H264' },
]) {
  test(`both see each other in ${codec} ${scalabilityMode ?? 'simulcast'}`, async () => {
    const { alice, bob } = await twoInACall(fixture.server, query);
    await bob.seesMoving(alice);
    await alice.seesMoving(bob);
    const userId = await alice.userId();
    await untilPadded(bob.name, () => bob.incoming(userId, 'camera'));
    await bob.seesMoving(alice);
    const [sent] = await alice.outgoing('camera');
    assert.equal(sent.codec, codec);
    if (scalabilityMode) assert.equal(sent.scalabilityMode, scalabilityMode);
    assert.equal((await bob.incoming(userId, 'camera'))?.codec, codec);
    await bob.screenshot(`chromium-${codec.slice('video/'.length).toLowerCase()}`);
  });
}

for (const { codec, mode, widths, maxBitrate } of [
  { codec: 'vp9', mode: 'L3T3_KEY', widths: { medium: 640, large: 1280, small: 320 } },
  { codec: 'vp9', mode: 'S2T1', widths: { medium: 1280, large: 1280, small: 640 } },
  { codec: 'vp9', mode: 'S3T3', widths: { medium: 640, large: 1280, small: 320 } },
  { codec: 'av1', mode: 'L3T3_KEY', widths: { medium: 640, large: 1280, small: 320 } },
  { codec: 'av1', mode: 'S2T1', widths: { medium: 1280, large: 1280, small: 640 } },
  // Two layers of the three announced: with bandwidth for the third Chromium gives up, as the next test shows.
  {
    codec: 'av1',
    mode: 'S3T3',
    widths: { medium: 640, large: 640, small: 320 },
    maxBitrate: 350_000,
  },
]) {
  test(`a viewer of ${codec} ${mode} gets the layer that there is room for, and no other`, async () => {
    const { alice, bob } = await aliceSeenByBob(codec, mode, maxBitrate);
    await seesSteadily(bob, alice, widths.medium);
    await enlarge(bob, alice);
    await seesSteadily(bob, alice, widths.large);
    await enlarge(bob, bob);
    await seesSteadily(bob, alice, widths.small);
    await enlarge(bob, alice);
    const part = await seesSteadily(bob, alice, widths.large);
    // Under a limit Chromium fills up with padding, which counts as sent.
    if (!maxBitrate) assert(part < 0.9, `${part} of what Alice sends comes to Bob`);
    const [sent] = await alice.outgoing('camera');
    assert.equal(sent.codec.toLowerCase(), `video/${codec}`);
    assert.equal(sent.scalabilityMode, mode);
  });
}

for (const { codec, mode, width, maxBitrate } of [
  { codec: 'vp9', mode: 'L3T3_KEY', width: 1280, maxBitrate: 1_500_000 },
  { codec: 'vp9', mode: 'S3T3', width: 1280, maxBitrate: 1_500_000 },
  { codec: 'av1', mode: 'L3T3_KEY', width: 1280, maxBitrate: 1_500_000 },
  { codec: 'av1', mode: 'S3T3', width: 640, maxBitrate: 350_000 },
]) {
  test(`a viewer of ${codec} ${mode} goes on seeing while there is bandwidth for the lowest layer only`, async () => {
    const { alice, bob } = await aliceSeenByBob(codec, mode, maxBitrate);
    await enlarge(bob, alice);
    await seesSteadily(bob, alice, width);
    await limitSending(alice, 120_000, 320);
    await seesSteadily(bob, alice);
    await limitSending(alice, maxBitrate, width);
    await seesSteadily(bob, alice, width);
  });
}

// Its encoder fails at the picture after the first that has all three: "Corrupt frame detected".
test('AV1 in three independent layers is given up by Chromium itself, without a server', async () => {
  const { page } = use(await DemoPage.open(browser, fixture.server.url, 'Alice'));
  const encoding = { scalabilityMode: 'S3T3', maxBitrate: 1_500_000 };
  await givesUpEncoding(page, { mimeType: 'video/AV1', encoding });
});

test('both see each other over IPv6', async () => {
  const server = use(await startServer({ HOST: '::1', MEDIA_HOST: '::1' }));
  const { alice, bob } = await twoInACall(server);
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
});

/**
 * @param {{ url: string }} server
 * @param {string} [query] how the page sends video
 * @param {Record<string, (page: DemoPage) => Promise<void>>} [preparations] what somebody does before joining, by name
 */
async function twoInACall(server, query = '', preparations = {}) {
  const { people, call } = await startCallOf(server, ['Alice', 'Bob']);
  const address = `${server.url}/call/${call.id}${query}`;
  const pages = [];
  for (const { name } of people) {
    const page = use(await DemoPage.signIn(browser, address, name));
    await preparations[name]?.(page);
    await page.join();
    pages.push(page);
  }
  const [alice, bob] = pages;
  return { alice, bob };
}

/**
 * Two in a call, of whom one sends a camera in layers, and the other none.
 * @param {string} codec
 * @param {string} mode
 * @param {number} [maxBitrate] of all layers together, in bit/s
 */
function aliceSeenByBob(codec, mode, maxBitrate) {
  return twoInACall(fixture.server, `?codec=${codec}&svc=${mode}`, {
    Alice: (page) => watchSending(page, maxBitrate),
    Bob: (page) => page.click('preview-camera'),
  });
}
