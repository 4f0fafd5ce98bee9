// @ts-check
/** What a recording comes down to. */

/**
 * @typedef {import('./call.mjs').Recording} Recording
 *
 * @typedef {object} Second of one camera, as the subscriber sees it
 * @property {number} frames decoded, per second
 * @property {number} height of the last one
 *
 * @typedef {object} Figures
 * @property {number} framesPerSecond of one camera, on average
 * @property {number} poorSeconds the share of seconds with fewer than five frames, of all cameras
 * @property {Record<number, number>} heights the share of seconds by height of the picture; 0: no frame
 * @property {number} freezes how often a picture stood still, by the browser's definition
 * @property {number} frozenSeconds how long in total, of all cameras
 * @property {number} concealed the share of the sound that was made up and is no silence
 * @property {number} concealedAll the share of the sound that was made up
 * @property {number} kbitPerSecond of media that came
 * @property {number} linkKbitPerSecond that the server sent towards the link
 * @property {{ p50: number, p95: number }} queueMs of the link
 * @property {number} queueDrops packets
 * @property {number} lateMs the link's scheduling error, of 99 % of its packets
 * @property {string[]} limited by what the publishers' encoders were limited; bandwidth is not expected
 */

/**
 * @param {Recording} recording
 * @returns {Figures}
 */
export function figuresOf({ moments, seconds, link }) {
  const spans = moments.slice(1).map((moment, index) => ({ from: moments[index], to: moment }));
  const cameras = spans.flatMap(({ from, to }) => camerasOf(from, to));
  const [first, last] = [moments[0], moments[moments.length - 1]];
  const sound = sumOf(first, last, 'audio');
  const video = sumOf(first, last, 'video');
  const received = [sound, video].reduce(
    (sum, it) => sum + it.bytesReceived + it.headerBytesReceived,
    0,
  );
  const { concealedSamples, silentConcealedSamples, totalSamplesReceived } = sound;
  const { lateMs, queueMs, dropped } = link.down;
  const sent = seconds.map(({ down }) => down.sent.bytes);
  return {
    framesPerSecond: meanOf(cameras.map(({ frames }) => frames)),
    poorSeconds: shareOf(cameras, ({ frames }) => frames < POOR),
    heights: heightsOf(cameras),
    freezes: video.freezeCount,
    frozenSeconds: video.totalFreezesDuration,
    concealed: (concealedSamples - silentConcealedSamples) / totalSamplesReceived,
    concealedAll: concealedSamples / totalSamplesReceived,
    kbitPerSecond: (received * 8) / secondsBetween(first, last) / 1000,
    linkKbitPerSecond: (meanOf(sent) * 8) / 1000,
    queueMs,
    queueDrops: dropped.queue,
    lateMs: Math.max(lateMs.p99, link.up.lateMs.p99),
    limited: limitsOf(moments),
  };
}

/**
 * Why a recording says nothing about the server, if so.
 * @param {Figures} figures
 */
export function faultOf({ lateMs, limited }) {
  if (limited.includes('cpu')) return 'an encoder had too little CPU';
  if (lateMs > LATEST_MS) return `the link was ${lateMs.toFixed(1)} ms late`;
}

/**
 * @param {import('./call.mjs').Moment} from
 * @param {import('./call.mjs').Moment} to
 * @returns {Second[]}
 */
function camerasOf(from, to) {
  return inbound(to, 'video').map((row) => {
    const before = from.received.find(({ id }) => id === row.id);
    const decoded = (row.framesDecoded ?? 0) - (before?.framesDecoded ?? 0);
    const frames = decoded / secondsBetween(from, to);
    return { frames, height: frames > 0 ? row.frameHeight : 0 };
  });
}

/**
 * @param {import('./call.mjs').Moment} from
 * @param {import('./call.mjs').Moment} to
 */
function secondsBetween(from, to) {
  return (to.at - from.at) / 1000;
}

/**
 * What the counters of a kind have grown by, all streams together.
 * @param {import('./call.mjs').Moment} from
 * @param {import('./call.mjs').Moment} to
 * @param {'audio' | 'video'} kind
 * @returns {Record<string, number>}
 */
function sumOf(from, to, kind) {
  const total = (/** @type {import('./call.mjs').Moment} */ moment, /** @type {string} */ name) =>
    inbound(moment, kind).reduce((sum, row) => sum + (row[name] ?? 0), 0);
  return Object.fromEntries(COUNTERS.map((name) => [name, total(to, name) - total(from, name)]));
}

/**
 * @param {import('./call.mjs').Moment} moment
 * @param {'audio' | 'video'} kind
 */
function inbound({ received }, kind) {
  return received.filter((row) => row.type === 'inbound-rtp' && row.kind === kind);
}

/** @param {Second[]} cameras */
function heightsOf(cameras) {
  const heights = [...new Set(cameras.map(({ height }) => height))].sort((a, b) => b - a);
  return Object.fromEntries(
    heights.map((height) => [height, shareOf(cameras, (second) => second.height === height)]),
  );
}

/** @param {import('./call.mjs').Moment[]} moments */
function limitsOf(moments) {
  const rows = moments.flatMap(({ sent }) => sent.flat()).filter(({ kind }) => kind === 'video');
  const reasons = rows.map(({ qualityLimitationReason }) => qualityLimitationReason ?? 'none');
  return [...new Set(reasons)].filter((reason) => reason !== 'none').sort();
}

/** @param {number[]} values */
function meanOf(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * @template T
 * @param {T[]} all
 * @param {(one: T) => boolean} is
 */
function shareOf(all, is) {
  return all.filter(is).length / all.length;
}

/** Frames per second below which nobody calls it a moving picture. */
const POOR = 5;
const LATEST_MS = 5;
const COUNTERS = [
  'bytesReceived',
  'headerBytesReceived',
  'concealedSamples',
  'silentConcealedSamples',
  'totalSamplesReceived',
  'freezeCount',
  'totalFreezesDuration',
];
