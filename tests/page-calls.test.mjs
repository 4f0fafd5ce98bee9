// @ts-check
/** What the demo page in Chromium knows of calls, how one leaves them, and who is shown and heard in them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertFits } from './support/accessibility.mjs';
import { launchChromium } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { createGroup, signIn, startCallOf } from './support/people.mjs';
import { lasting, until } from './support/until.mjs';

const fixture = serverForThisFile();
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  browser = await launchChromium();
});
after(() => browser?.close());

test('whoever has left a call sees it run without them, and who comes and goes', async () => {
  const { alice, bob, call } = await callOf('Alice', 'Bob');
  await alice.ask('POST', `/calls/${call.id}/join`);
  await bob.join();
  await bob.click('leave');
  await untilReads(bob, 'running-call', /With Alice, since/);
  await lasting('Bob stays out of it', async () => !/you/.test(await read(bob, 'running-call')));
  const carol = await signIn(fixture.server, 'Carol');
  await alice.ask('POST', `/groups/${call.groupId}/members`, { userId: carol.id });
  await carol.ask('POST', `/calls/${call.id}/join`);
  await untilReads(bob, 'running-call', /With Alice and someone, since/);
});

test('an older word on a call does not bring back what a newer one has changed', async () => {
  const { alice, bob, call } = await callOf('Alice', 'Bob');
  await bob.untilShown('preview');
  const old = await alice.call(call.id);
  await alice.ask('PATCH', `/calls/${call.id}/end`);
  await bob.untilShown('call-ended');
  // The history that the group page asks for comes late, and still has the call running.
  await bob.page.setRequestInterception(true);
  bob.page.on('request', (request) => {
    const late = request.url().includes(`/calls/group/${call.groupId}`);
    if (!late) return request.continue();
    return request.respond({
      contentType: 'application/json',
      body: JSON.stringify({ items: [old] }),
    });
  });
  await bob.page.click('[data-testid="call-ended"] a');
  await bob.untilShown('no-history');
  assert(!(await bob.shows('[data-testid="running-call"]')), 'the call is over');
});

test('the preview says who is in the call now', async () => {
  const { alice, bob, call } = await callOf('Alice', 'Bob');
  await untilReads(bob, 'preview', /One person is in the call/);
  const carol = await signIn(fixture.server, 'Carol');
  await alice.ask('POST', `/groups/${call.groupId}/members`, { userId: carol.id });
  await carol.ask('POST', `/calls/${call.id}/join`);
  await untilReads(bob, 'preview', /2 people are in the call/);
});

test('the Back button asks before it leaves a call', async () => {
  const { server } = fixture;
  const [alice, bobsApi] = [await signIn(server, 'Alice'), await signIn(server, 'Bob')];
  const groupId = await createGroup(alice, bobsApi);
  await alice.startCall(groupId);
  const bob = use(await DemoPage.signIn(browser, `${server.url}/group/${groupId}`, 'Bob'));
  await bob.click('join-call');
  await bob.join();
  await bob.page.goBack();
  await bob.click('stay');
  await bob.untilInCall();
  assert.match(bob.page.url(), /\/call\//);
  await bob.page.goBack();
  await bob.click('leave-confirm');
  await bob.untilShown('group-page');
  await untilReads(bob, 'running-call', /With Alice, since/);
  await bob.page.goForward();
  await bob.untilShown('preview');
});

test('joining another call asks first, and one can stay', async () => {
  const { alice, bob, call } = await callOf('Alice', 'Bob');
  await bob.join();
  const other = await createGroup(alice, await signIn(fixture.server, 'Bob'));
  const second = await alice.startCall(other);
  await bob.click('incoming-join');
  await bob.click('stay');
  assert.equal((await bob.state()).callId, call.id);
  await bob.click('incoming-join');
  await bob.click('leave-confirm');
  await bob.join();
  assert.equal((await bob.state()).callId, second.id);
});

test('who was removed is told so and not offered to try again', async () => {
  const { alice, bob, call } = await callOf('Alice', 'Bob');
  await bob.join();
  await alice.ask('DELETE', `/calls/${call.id}/participants/${await bob.userId()}`);
  await untilReads(bob, 'call-unavailable', /You were removed/);
  assert(!(await bob.shows('[data-testid="retry"]')));
  await bob.page.reload();
  await bob.join({ refused: true });
  await untilReads(bob, 'call-unavailable', /You were removed/);
  assert(!(await bob.shows('[data-testid="retry"]')));
});

test('showing everyone alike ends with the share: the next screen is large again', async () => {
  const { alice: api, bob, call } = await callOf('Alice', 'Bob');
  const alice = use(await DemoPage.signIn(browser, address(call), api.name));
  await bob.join();
  await alice.join();
  const screen = `.large [data-testid="tile-${api.id}-screen"]`;
  await alice.click('screen');
  await until('the screen is large', () => bob.shows(screen));
  await bob.click('enlarge');
  await bob.until('everyone is alike', async () => !(await bob.shows('.stage > .large')));
  await alice.click('screen');
  await until('the screen is gone', async () => !(await bob.shows('[data-source="screen"]')));
  await alice.click('screen');
  await until('the next screen is large', () => bob.shows(screen));
});

test('one’s own second device is seen but not heard', async () => {
  const { bob, call } = await callOf('Alice', 'Bob');
  await bob.join();
  const second = use(await DemoPage.signIn(browser, address(call), bob.name));
  await second.join();
  const alice = use(await DemoPage.signIn(browser, address(call), 'Alice'));
  await alice.join();
  for (const device of [bob, second]) {
    await device.seesMoving(alice);
    await until('the other device is seen', async () =>
      device.page.$eval('[data-testid="call"]', (it) => /other device/.test(it.textContent ?? '')),
    );
    await until('the other device’s sound has come', async () =>
      Boolean(await device.incoming(await bob.userId(), 'mic')),
    );
    await lasting('only Alice is played', async () => (await sounds(device)) === 1);
  }
  await until('Alice hears both', async () => (await sounds(alice)) === 2);
});

test('more than nine people come in pages, and whoever speaks is on the first', async () => {
  const crowd = Array.from({ length: 11 }, (_, n) => `Guest ${n + 1}`);
  const { people, call } = await startCallOf(fixture.server, ['Alice', ...crowd, 'Zoe']);
  for (const guest of people.slice(1, -1)) await guest.ask('POST', `/calls/${call.id}/join`);
  const alice = use(await DemoPage.signIn(browser, address(call), 'Alice'));
  await alice.join();
  await until('nine are shown', async () => (await tiles(alice)).length === 9);
  await untilReads(alice, 'page-number', /1 of 2/);
  assert((await tiles(alice)).includes(`tile-${people[0].id}-camera`), 'oneself among them');
  await alice.click('next-page');
  await until('the others are shown', async () => (await tiles(alice)).length === 3);
  await alice.click('previous-page');

  const zoe = use(await DemoPage.signIn(browser, address(call), 'Zoe'));
  await zoe.join();
  await until('whoever speaks is on the first page', async () =>
    (await tiles(alice)).includes(`tile-${await zoe.userId()}-camera`),
  );
  assert.equal((await tiles(alice)).length, 9);
  await assertAccessible(alice, 'pages of people');
  await alice.page.setViewport({ width: 320, height: 640 });
  await assertFits(alice, 'pages of people');
  await alice.screenshot('state-narrow-light-pages');
});

test('a picture on another page is not sent until somebody turns to it', async () => {
  const crowd = Array.from({ length: 11 }, (_, n) => `Guest ${n + 1}`);
  const { people, call } = await startCallOf(fixture.server, ['Alice', ...crowd, 'Zoe']);
  for (const guest of people.slice(1, -1)) await guest.ask('POST', `/calls/${call.id}/join`);
  const zoe = use(await DemoPage.signIn(browser, address(call), 'Zoe'));
  await zoe.untilShown('device-audioinput');
  await zoe.click('preview-mic');
  await zoe.join();
  const alice = use(await DemoPage.signIn(browser, address(call), 'Alice'));
  await alice.join();
  const userId = await zoe.userId();
  await until('Zoe’s camera has come', () => alice.incoming(userId, 'camera'));
  assert(!(await tiles(alice)).includes(`tile-${userId}-camera`), 'Zoe is on another page');
  let packets = -1;
  await lasting('nothing comes of Zoe', async () => {
    const before = packets;
    packets = (await alice.incoming(userId, 'camera'))?.packetsReceived ?? 0;
    return packets === before;
  });
  await alice.click('next-page');
  await alice.seesMoving(zoe);
});

/** @param {import('./support/people.mjs').Call} call */
function address(call) {
  return `${fixture.server.url}/call/${call.id}`;
}

/**
 * The first one has the API in their hands, and a call; the second one has the page, at the way into it.
 * @param {string} first
 * @param {string} second
 */
async function callOf(first, second) {
  const { people, call } = await startCallOf(fixture.server, [first, second]);
  const bob = use(await DemoPage.signIn(browser, address(call), second));
  return { alice: people[0], bob, call };
}

/**
 * @param {DemoPage} person
 * @param {string} testId
 */
function read(person, testId) {
  return person.page.$eval(`[data-testid="${testId}"]`, ({ textContent }) => textContent ?? '');
}

/**
 * @param {DemoPage} person
 * @param {string} testId
 * @param {RegExp} words
 */
async function untilReads(person, testId, words) {
  let text = '';
  await person.until(
    () => `${person.name} reads ${words}; what is there is: ${text}`,
    async () => {
      text = await read(person, testId);
      return words.test(text);
    },
  );
}

/** @param {DemoPage} person */
function sounds(person) {
  return person.page.$$eval('audio', (all) => all.filter(({ paused }) => !paused).length);
}

/** @param {DemoPage} person */
function tiles(person) {
  return person.page.$$eval('.tile', (all) => all.map((tile) => tile.getAttribute('data-testid')));
}
