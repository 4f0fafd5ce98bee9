// @ts-check
/**
 * @typedef {object} Limits one direction of a link, as crates/link/src/linux/settings.rs reads it
 * @property {[second: number, bitsPerSecond: number][]} [rate]
 * @property {number} [queueMs]
 * @property {number} delayMs
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {number} publishers
 * @property {number} seconds for how long the call is watched
 * @property {Limits} down from the server to the subscriber
 * @property {Limits} up
 */

const DELAY_MS = 15;
const up = { delayMs: DELAY_MS };

/** @type {Scenario[]} */
export const SCENARIOS = [
  {
    name: 'clean',
    publishers: 1,
    seconds: 40,
    down: { delayMs: DELAY_MS },
    up,
  },
  {
    name: '1 Mbit/s',
    publishers: 1,
    seconds: 50,
    down: { rate: [[0, 1_000_000]], queueMs: 300, delayMs: DELAY_MS },
    up,
  },
  {
    name: '3, 0.6, 3 Mbit/s',
    publishers: 1,
    seconds: 60,
    down: {
      rate: [
        [0, 3_000_000],
        [20, 600_000],
        [40, 3_000_000],
      ],
      queueMs: 1000,
      delayMs: DELAY_MS,
    },
    up,
  },
  {
    name: '300 kbit/s, two publishers',
    publishers: 2,
    seconds: 50,
    down: { rate: [[0, 300_000]], queueMs: 300, delayMs: DELAY_MS },
    up,
  },
];
