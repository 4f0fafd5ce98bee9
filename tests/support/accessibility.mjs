// @ts-check
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** @typedef {import('./demo-page.mjs').DemoPage} DemoPage */

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * Until nothing moves any more: what is on its way in has another place and contrast until it has arrived.
 * @param {DemoPage} person
 */
export function untilArrived(person) {
  return person.until('everything has arrived', () =>
    person.page.evaluate(() =>
      document.getAnimations().every(({ playState, effect }) => {
        const endless = effect?.getComputedTiming().endTime === Number.POSITIVE_INFINITY;
        return playState !== 'running' || endless;
      }),
    ),
  );
}

/**
 * Fails if axe-core finds anything that keeps people from using what is shown.
 * @param {DemoPage} person
 * @param {string} state what is shown
 */
export async function assertAccessible(person, state) {
  await person.page.evaluate(AXE);
  const { violations } = await person.page.evaluate(() => Reflect.get(window, 'axe').run());
  const found = violations.map(
    (/** @type {any} */ { id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map((/** @type {any} */ node) => node.html).join(' ')}`,
  );
  assert.deepEqual(found, [], `what axe finds in ${state}`);
}

/**
 * Fails if one has to scroll sideways, or if something one must reach is beyond the edge.
 * @param {DemoPage} person
 * @param {string} state what is shown
 */
export async function assertFits(person, state) {
  const outside = await person.page.evaluate(() => {
    const { clientWidth } = document.documentElement;
    return [...document.querySelectorAll('button, a, input, select, h1, h2')]
      .filter((element) => element.checkVisibility() && !element.matches('.skip'))
      .filter((element) => !element.closest('.strip'))
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.left < 0 || box.right > clientWidth + 0.5)
      .map(({ element }) => element.outerHTML)
      .concat(document.documentElement.scrollWidth > clientWidth ? ['the page itself'] : []);
  });
  assert.deepEqual(outside, [], `what is beyond the edge in ${state}`);
}
