// @ts-check
/** Every state of the demo page in Chromium: usable by everybody (axe-core), on a small phone, and with a keyboard. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertFits, untilArrived } from './support/accessibility.mjs';
import { launchChromium } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { consumers, tell, watchSocket } from './support/page-socket.mjs';
import { createGroup, signIn } from './support/people.mjs';
import { startServer } from './support/server.mjs';

const fixture = serverForThisFile();
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  browser = await launchChromium();
});
after(() => browser?.close());

const SIZES = {
  wide: { width: 1280, height: 800 },
  narrow: { width: 320, height: 640 },
};

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const scheme of ['light', 'dark']) {
    test(`every state is accessible and fits, ${size} and ${scheme}`, async () => {
      const look = async (/** @type {DemoPage} */ person, /** @type {string} */ state) => {
        await untilArrived(person);
        await person.screenshot(`state-${size}-${scheme}-${state.replaceAll(' ', '-')}`);
        await assertFits(person, state);
        await assertAccessible(person, state);
      };
      await showEveryState(look, async (person) => {
        await person.page.setViewport(viewport);
        await person.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      });
    });
  }
}

test('the sign-in with a token is accessible and fits', async () => {
  const server = use(await startServer({ JWT_SECRET: 'a secret of thirty-two bytes, or more' }));
  const visitor = use(await DemoPage.open(browser, server.url, 'Alice'));
  await visitor.page.setViewport(SIZES.narrow);
  visitor.expectComplaint(/status of 40[34]/);
  await visitor.type('name-input', visitor.name);
  await visitor.click('sign-in');
  await visitor.untilShown('token-form');
  await untilArrived(visitor);
  await visitor.screenshot('state-narrow-light-token');
  await assertFits(visitor, 'the sign-in with a token');
  await assertAccessible(visitor, 'the sign-in with a token');
});

test('the description of the API shows itself under its content policy', async () => {
  const page = await browser.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  const answer = await page.goto(`${fixture.server.url}/docs/`);
  assert.match(answer?.headers()['content-security-policy'] ?? '', /default-src 'none'/);
  await page.waitForSelector('.opblock', { timeout: 20_000 });

  await page.close();
  assert.deepEqual(complaints, []);
});

test('whoever uses the keyboard is always where something is', async () => {
  const { url } = fixture.server;
  const alice = use(await DemoPage.signIn(browser, url, 'Alice'));
  await untilFocusIsOn(alice, '#main', 'after the sign-in');
  const bob = await signIn(fixture.server, 'Bob');
  const groupId = await createGroup(await signIn(fixture.server, 'Alice'), bob);
  const call = await bob.startCall(groupId);
  await alice.page.goto(`${url}/call/${call.id}`);
  await alice.join();
  await untilFocusIsOn(alice, '.call #main', 'after Join');

  await alice.click('enlarge');
  await untilFocusIsOn(alice, '.large [data-testid="enlarge"]', 'after Enlarge');
  await alice.page.keyboard.press('Enter');
  await untilFocusIsOn(alice, '.grid [data-testid="enlarge"]', 'after Show everyone alike');

  await alice.click('participants');
  await untilFocusIsOn(alice, '[data-testid="close-participants"]', 'after People');
  await alice.page.keyboard.press('Escape');
  await untilFocusIsOn(alice, '[data-testid="participants"]', 'after People is closed');

  await bob.ask('PATCH', `/calls/${call.id}/end`);
  await alice.untilShown('call-ended');
  await untilFocusIsOn(alice, '#main', 'after the end');
});

test('an unknown address says that there is nothing, and leads back', async () => {
  const alice = use(await DemoPage.signIn(browser, fixture.server.url, 'Alice'));
  for (const path of ['/anything', '/group', '/call/7/and/more', '/calls/7/verb']) {
    alice.expectComplaint(/status of 404/);
    const response = await alice.page.goto(fixture.server.url + path);
    assert.equal(response?.status(), path.startsWith('/call/') ? 200 : 404, path);
    await alice.untilShown('nothing-here');
  }
  await assertAccessible(alice, 'an unknown address');
  await alice.click('back-home');
  await alice.untilShown('group-list');
});

/**
 * @param {(person: DemoPage, state: string) => Promise<void>} look
 * @param {(person: DemoPage) => Promise<unknown>} prepare
 */
async function showEveryState(look, prepare) {
  const { server } = fixture;
  const visitor = use(await DemoPage.open(browser, server.url, 'Alice Liddell'));
  await prepare(visitor);
  await watchSocket(visitor);
  await visitor.untilShown('name-input');
  await look(visitor, 'sign-in');

  const owner = await signIn(server, 'Bob Dodgson');
  const alice = await signIn(server, 'Alice Liddell');
  const groupId = await createGroup(owner, alice);
  const past = await owner.startCall(groupId);
  await owner.ask('PATCH', `/calls/${past.id}/end`);
  await visitor.signIn();
  await visitor.untilShown('group-item');
  await look(visitor, 'groups');
  await visitor.page.goto(`${server.url}/group/${groupId}`);
  await visitor.untilShown('history-item');
  await look(visitor, 'group');

  const call = await owner.startCall(groupId);
  await visitor.untilShown('incoming-call');
  await look(visitor, 'incoming call');
  await visitor.click('incoming-join');
  await visitor.untilShown('device-videoinput');
  await visitor.until('the mirror shows Alice', () => visitor.shows('.mirror video'));
  await look(visitor, 'preview');

  const bob = use(await DemoPage.signIn(browser, `${server.url}/call/${call.id}`, owner.name));
  await prepare(bob);
  await bob.join();
  await visitor.join();
  await visitor.seesMoving(bob);
  await look(visitor, 'call');
  await bob.untilShown('end');
  await look(bob, 'call of their own');
  await bob.click('screen');
  await visitor.seesMoving(bob, 'screen');
  await look(visitor, 'call with a screen');
  const resume = await withholdAll(visitor);
  await look(visitor, 'call on a slow connection');
  await visitor.click('enlarge');
  await look(visitor, 'call on a slow connection of equals');
  await visitor.click('enlarge');
  await resume();
  await visitor.click('participants');
  await look(visitor, 'call with people');
  await visitor.click('close-participants');
  await visitor.click('settings');
  await look(visitor, 'call with devices');
  await visitor.page.keyboard.press('Escape');
  await visitor.page.goBack();
  await visitor.untilShown('stay');
  await look(visitor, 'call with a question');
  await visitor.click('stay');
  const permit = `/calls/${call.id}/participants/${alice.id}`;
  await owner.ask('PATCH', permit, { canPublish: [] });
  await visitor.untilSaid(/turned off/);
  await look(visitor, 'call as a listener');

  await owner.ask('DELETE', permit);
  await visitor.untilShown('call-unavailable');
  await look(visitor, 'removed');
  await owner.ask('PATCH', permit, { admitted: true });
  await visitor.page.reload();
  await visitor.join();
  await owner.ask('PATCH', `/calls/${call.id}/end`);
  await visitor.untilShown('call-ended');
  await look(visitor, 'call ended');
}

/**
 * Lets a person's page be told that the connection is too slow for any video.
 * @param {DemoPage} person
 * @returns {Promise<() => Promise<void>>} lets videos come again
 */
async function withholdAll(person) {
  const { callId } = await person.state();
  const tellLayers = async (/** @type {number | null} */ layer) => {
    for (const { id: consumerId } of await consumers(person)) {
      const layers = { callId, consumerId, spatialLayer: layer, temporalLayer: layer };
      await tell(person, 'media:consumer-layers', layers);
    }
  };
  await tell(person, 'media:bandwidth', { callId, estimate: 50_000, used: 40_000, wanted: 2e6 });
  await tellLayers(null);
  await person.until('both pictures have stopped', async () => {
    return (await person.page.$$('[data-testid="withheld"]')).length === 2;
  });
  return () => tellLayers(0);
}

/**
 * @param {DemoPage} person
 * @param {string} selector
 * @param {string} when
 */
function untilFocusIsOn(person, selector, when) {
  return person.until(`the focus is on ${selector} ${when}`, () =>
    person.page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector),
  );
}
