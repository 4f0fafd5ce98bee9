// @ts-check
/** What people do in a call, by clicking, whatever browser they use. */
import { until } from './until.mjs';

/** @typedef {import('./demo-page.mjs').DemoPage} DemoPage */

/**
 * One shares a screen, mutes, and is heard again; the other reloads. Each step is seen on the other side.
 * @param {{ alice: DemoPage, bob: DemoPage }} people
 * @param {string} browser begins the names of the screenshots
 */
export async function shareMuteAndReload({ alice, bob }, browser) {
  await alice.click('screen');
  await bob.seesMoving(alice, 'screen');
  await bob.screenshot(`${browser}-screen`);
  await alice.click('screen');
  await until('the screen is gone', async () => !(await bob.shows('[data-source="screen"]')));

  await alice.click('mic');
  await bob.seesMuted(alice, true);
  await bob.hearsNothingOf(alice);
  await bob.screenshot(`${browser}-muted`);
  await alice.click('mic');
  await bob.seesMuted(alice, false);

  await bob.page.reload();
  await bob.untilInCall();
  await bob.seesMoving(alice);
  await alice.seesMoving(bob);
}
