// @ts-check
/** What the demo page in Chromium does with little bandwidth: what it asks for, and what it says of what does not come. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { countArrivals, pretendHidden } from './support/in-page.mjs';
import { enlarge } from './support/layers.mjs';
import { asked, consumers, tell, told, watchSocket } from './support/page-socket.mjs';
import { startCallOf } from './support/people.mjs';
import { startServer } from './support/server.mjs';
import { lasting } from './support/until.mjs';

const fixture = serverForThisFile({ MEDIA_ADAPTATION: 'true' });
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  browser = await launchChromium();
});
after(() => browser?.close());

test('a camera that the connection is too slow for says so on its last picture, until it comes again', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  const tile = await tileOf(alice, 'camera');
  await bob.until('Bob is told of his bandwidth', async () => {
    const [bandwidth] = await told(bob, 'media:bandwidth');
    return bandwidth?.estimate > 0;
  });
  const camera = await consumerOf(bob, 'camera');

  await sendLayers(bob, camera, null);
  await bob.until('the tile says so', async () => (await withheld(bob)).length === 1);
  assert.deepEqual(await withheld(bob), ['Paused: your connection is slow']);
  assert(await bob.shows(`${tile} video`), 'the last picture stays');
  assert.match(await labelOf(bob, tile), /camera paused/);
  assert.equal(await announced(bob), 'Alice’s camera is paused: your connection is slow.');

  await sendLayers(bob, camera, 0);
  await bob.until('the tile says nothing', async () => (await withheld(bob)).length === 0);
  assert.match(await labelOf(bob, tile), /camera on/);
  await bob.seesMoving(alice);
});

test('a screen says it too, sound never, and several pictures are announced together', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  await alice.click('screen');
  await bob.seesMoving(alice, 'screen');

  for (const { id } of await consumers(bob)) await sendLayers(bob, id, null);
  await bob.until('both tiles say so', async () => (await withheld(bob)).length === 2);
  assert.deepEqual(await withheld(bob), [
    'Screen paused: your connection is slow',
    'Paused: your connection is slow',
  ]);
  assert.equal(await announced(bob), '2 pictures are paused: your connection is slow.');

  await alice.click('camera');
  await bob.until('a camera that is off says nothing', async () => {
    return (await withheld(bob)).length === 1;
  });
});

test('a camera that only waits for its next key frame does not flash', async () => {
  const { bob } = await twoInACall(fixture.server);
  const camera = await consumerOf(bob, 'camera');
  await bob.page.evaluate(countArrivals, '[data-testid="withheld"]');
  await sendLayers(bob, camera, null);
  await sendLayers(bob, camera, 1);
  await sendLayers(bob, camera, null);
  await bob.until('the tile says so', async () => (await withheld(bob)).length === 1);
  assert.equal(await arrivals(bob), 1);
});

test('a server that divides no bandwidth does not stop a video because of the connection', async () => {
  const server = use(await startServer({ MEDIA_ADAPTATION: 'false' }));
  const { bob } = await twoInACall(server);
  const camera = await consumerOf(bob, 'camera');
  await sendLayers(bob, camera, null);
  const isSilent = async () => (await withheld(bob)).length === 0;
  await lasting('the tile says nothing', isSilent, { seconds: 2 });
  const bandwidth = { estimate: 100_000, used: 40_000, wanted: 2_000_000 };
  await tell(bob, 'media:bandwidth', { callId: await callId(bob), ...bandwidth });
  await bob.until('the tile says so', async () => !(await isSilent()));
});

test('the size and the weight of a picture follow its tile, and are told only when they change', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  const camera = await consumerOf(bob, 'camera');
  await untilLayersAre(bob, [1]);
  assert.deepEqual(await asked(bob, 'media:set-priority'), []);

  await enlarge(bob, alice);
  await untilLayersAre(bob, [1, 2]);
  await bob.until('Alice’s camera comes first', async () => {
    return (await asked(bob, 'media:set-priority')).length === 1;
  });
  assert.deepEqual(await asked(bob, 'media:set-priority'), [{ consumerId: camera, priority: 255 }]);

  await bob.click('enlarge');
  await untilLayersAre(bob, [1, 2, 1]);
  await bob.until('Alice’s camera is like others', async () => {
    return (await asked(bob, 'media:set-priority')).length === 2;
  });
  assert.deepEqual((await asked(bob, 'media:set-priority'))[1], {
    consumerId: camera,
    priority: null,
  });

  await bob.page.setViewport({ width: 960, height: 640 });
  await lasting('a little less room changes nothing', async () => {
    return (await layers(bob)).length === 3;
  });
  await bob.page.setViewport({ width: 320, height: 400 });
  await untilLayersAre(bob, [1, 2, 1, 0]);
});

test('a screen is asked for whole, however small its tile', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  await untilLayersAre(bob, [1]);
  await alice.click('screen');
  await bob.seesMoving(alice, 'screen');
  const screen = await consumerOf(bob, 'screen');
  await enlarge(bob, alice);
  await untilLayersAre(bob, [1, 0, 2]);
  const about = (/** @type {any} */ { consumerId }) => consumerId === screen;
  assert(!(await asked(bob, 'media:set-preferred-layers')).some(about));
  assert(!(await asked(bob, 'media:set-priority')).some(about), 'it comes first by default');
});

test('a picture that is scrolled out of the strip is not sent until it is scrolled in', async () => {
  const guests = ['Guest 1', 'Guest 2', 'Guest 3'];
  const { alice, bob } = await twoInACall(fixture.server, guests);
  await bob.page.setViewport({ width: 320, height: 640 });
  await alice.click('screen');
  await bob.seesMoving(alice, 'screen');
  const camera = await consumerOf(bob, 'camera');

  await bob.page.$eval('.strip', (strip) => strip.scrollTo({ left: strip.scrollWidth }));
  await bob.until('Alice’s camera is stopped', async () => {
    return (await asked(bob, 'media:pause-consumer')).length > 0;
  });
  assert.deepEqual(await asked(bob, 'media:pause-consumer'), [{ consumerIds: [camera] }]);
  await bob.page.$eval('.strip', (strip) => strip.scrollTo({ left: 0 }));
  await bob.seesMoving(alice);
});

test('a window behind others is sent no pictures after a while, and all of them once it is in front', async () => {
  const { alice, bob } = await twoInACall(fixture.server);
  const camera = await consumerOf(bob, 'camera');
  await bob.page.evaluate(countArrivals, '[data-testid="withheld"]');
  await bob.page.evaluate(pretendHidden, true);
  await bob.page.evaluate(pretendHidden, false);
  await bob.page.evaluate(pretendHidden, true);
  await bob.until('the pictures are stopped', async () => {
    return (await asked(bob, 'media:pause-consumer')).length > 0;
  });
  await bob.until('the server has said that nothing is sent', async () => {
    const events = await told(bob, 'media:consumer-layers');
    return events.findLast((it) => it.consumerId === camera)?.spatialLayer === null;
  });
  assert.deepEqual(await asked(bob, 'media:pause-consumer'), [{ consumerIds: [camera] }]);

  await bob.page.evaluate(pretendHidden, false);
  await bob.seesMoving(alice);
  assert.deepEqual((await asked(bob, 'media:resume-consumer')).at(-1), { consumerIds: [camera] });
  assert.equal(await arrivals(bob), 0, 'nobody said that the connection is slow');
});

/**
 * Alice and Bob have the page and see each other; what Bob's page and the server say to each other is kept.
 * @param {import('./support/server.mjs').Server} server
 * @param {string[]} [guests] are in the call too, and send nothing
 */
async function twoInACall(server, guests = []) {
  const { people, call } = await startCallOf(server, ['Alice', 'Bob', ...guests]);
  for (const guest of people.slice(2)) await guest.ask('POST', `/calls/${call.id}/join`);
  const address = `${server.url}/call/${call.id}`;
  const alice = use(await DemoPage.signIn(browser, address, 'Alice'));
  const bob = use(await DemoPage.signIn(browser, server.url, 'Bob'));
  await watchSocket(bob);
  await bob.page.goto(address);
  await alice.join();
  await bob.join();
  await bob.seesMoving(alice);
  return { alice, bob };
}

/**
 * @param {DemoPage} viewer
 * @param {'camera' | 'screen'} source
 * @returns {Promise<string>} the consumer by which the viewer sees it
 */
async function consumerOf(viewer, source) {
  const found = (await consumers(viewer)).find(({ appData }) => appData.source === source);
  assert(found, `${viewer.name} receives a ${source}`);
  return found.id;
}

/**
 * @param {DemoPage} person
 * @param {string} consumerId
 * @param {number | null} layer
 */
async function sendLayers(person, consumerId, layer) {
  const data = { consumerId, spatialLayer: layer, temporalLayer: layer };
  await tell(person, 'media:consumer-layers', { callId: await callId(person), ...data });
}

/** @param {DemoPage} person */
async function callId(person) {
  return (await person.state()).callId;
}

/**
 * @param {DemoPage} person
 * @param {'camera' | 'screen'} source
 */
async function tileOf(person, source) {
  return `[data-testid="tile-${await person.userId()}-${source}"]`;
}

/**
 * What tiles say of pictures that do not come.
 * @param {DemoPage} person
 */
function withheld(person) {
  return person.page.$$eval('[data-testid="withheld"]', (all) =>
    all.map((it) => it.textContent?.trim()),
  );
}

/**
 * @param {DemoPage} person
 * @param {string} tile
 */
function labelOf(person, tile) {
  return person.page.$eval(tile, (it) => it.getAttribute('aria-label') ?? '');
}

/** @param {DemoPage} person */
function announced(person) {
  return person.page.$eval('[data-testid="announcer"]', (it) => it.textContent);
}

/** @param {DemoPage} person */
function arrivals(person) {
  return person.page.evaluate(() => Reflect.get(window, '__arrivals'));
}

/**
 * The picture sizes that were asked for, the oldest first.
 * @param {DemoPage} person
 */
async function layers(person) {
  const wishes = await asked(person, 'media:set-preferred-layers');
  return wishes.map(({ spatialLayer }) => spatialLayer);
}

/**
 * @param {DemoPage} person
 * @param {number[]} wanted
 */
async function untilLayersAre(person, wanted) {
  let found = '';
  await person.until(
    () => `${person.name} asks for the sizes ${wanted}; so far: ${found}`,
    async () => {
      found = String(await layers(person));
      return found === String(wanted);
    },
  );
}
