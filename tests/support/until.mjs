// @ts-check
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks `check` again and again until it answers with something truthy, which is returned. Errors of
 * `check` are taken for "not yet", and the last one is told when time is up.
 * @template T
 * @param {string | (() => string)} what the sentence to fail with: "Bob sees Alice's camera"
 * @param {() => T | Promise<T>} check
 * @param {{ seconds?: number }} [options]
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, check, { seconds = 15 } = {}) {
  const deadline = performance.now() + seconds * 1000;
  let last;
  do {
    try {
      const answer = await check();
      if (answer) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await pause(POLL_MS);
  } while (performance.now() < deadline);
  const sentence = typeof what === 'string' ? what : what();
  throw new Error(`Waited ${seconds} s in vain until: ${sentence}`, { cause: last });
}

/**
 * Waits until something has been so for a while.
 * @param {string} what
 * @param {() => boolean | Promise<boolean>} isSo
 * @param {{ seconds?: number }} [options] how long
 */
export async function lasting(what, isSo, { seconds = LASTING_S } = {}) {
  let since = performance.now();
  await until(what, async () => {
    if (!(await isSo())) since = performance.now();
    return performance.now() - since > seconds * 1000;
  });
}

/** Many times longer than a picture or a packet of sound. */
const LASTING_S = 0.8;
const POLL_MS = 50;
