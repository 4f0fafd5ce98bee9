// @ts-check
import { until } from './until.mjs';

/**
 * Waits until somebody's packets were padded. Headers are whole words (RFC 3550 §5.1), so bytes of headers and padding
 * that are not have padding among them.
 * @param {string} name
 * @param {() => Promise<{ headerBytesReceived?: number } | undefined>} incoming the counters of a stream
 */
export async function untilPadded(name, incoming) {
  await until(
    `${name} has got padded packets`,
    async () => ((await incoming())?.headerBytesReceived ?? 0) % 4 !== 0,
    { seconds: 30 },
  );
}
