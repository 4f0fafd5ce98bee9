// @ts-check
/**
 * The demo page in Firefox, alone and with Chromium on the other end. The shared screen is a canvas: Firefox asks
 * which window to share in a dialog that nobody can answer here.
 */
import { after, before, test } from 'node:test';
import { launchChromium, launchFirefox } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { untilPadded } from './support/padding.mjs';
import { shareMuteAndReload } from './support/page-stories.mjs';
import { createGroup, signIn } from './support/people.mjs';

const fixture = serverForThisFile();
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let firefox;

before(async () => {
  firefox = await launchFirefox();
});
after(() => firefox?.close());

test('two people call, share a screen, mute, reload, and leave', async () => {
  const { alice, bob } = await twoInACall(firefox, firefox);
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
  await alice.screenshot('firefox-call');

  await alice.drawInsteadOfScreen();
  await shareMuteAndReload({ alice, bob }, 'firefox');

  await Promise.all([alice.restartIce(), bob.restartIce()]);
  await bob.seesMoving(alice);

  await bob.click('leave');
  await alice.click('leave');
  for (const person of [alice, bob]) await person.untilShown('history-item');
});

test('Firefox and Chromium see each other', async () => {
  const chromium = await launchChromium();
  use(chromium);
  const { alice, bob } = await twoInACall(firefox, chromium);
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
  for (const [viewer, sender] of [
    [alice, bob],
    [bob, alice],
  ]) {
    const userId = await sender.userId();
    await untilPadded(viewer.name, () => viewer.incoming(userId, 'camera'));
    await viewer.seesMoving(sender);
  }
});

/**
 * @param {import('puppeteer-core').Browser} alices
 * @param {import('puppeteer-core').Browser} bobs
 */
async function twoInACall(alices, bobs) {
  const { server } = fixture;
  const [owner, member] = [await signIn(server, 'Alice'), await signIn(server, 'Bob')];
  const groupId = await createGroup(owner, member);
  const alice = use(await DemoPage.signIn(alices, `${server.url}/group/${groupId}`, owner.name));
  await alice.click('start-video');
  await alice.join();
  const bob = use(await DemoPage.signIn(bobs, `${server.url}/group/${groupId}`, member.name));
  await bob.click('join-call');
  await bob.join();
  return { alice, bob };
}
