// @ts-check
/** Cameras that are sent in layers, and how much of them a viewer gets. */
import { CAMERA_FRAMES_PER_SECOND } from './browsers.mjs';
import { keepSenders, limitVideo, sendToItself, videoBytesSent } from './in-page.mjs';
import { lasting, until } from './until.mjs';

/**
 * @typedef {import('./demo-page.mjs').DemoPage} DemoPage
 * @typedef {import('puppeteer-core').Page} Page
 */

/**
 * Counts what is sent, and lets no video have more than a bit rate, in bit/s. To be called before the page joins a call.
 * @param {DemoPage} sender
 * @param {number} [maxBitrate]
 */
export async function watchSending(sender, maxBitrate) {
  await sender.page.evaluate(keepSenders, maxBitrate);
}

/**
 * Gives what a person sends another limit, and waits until its largest layer is as wide as this or less.
 * @param {DemoPage} sender after `watchSending`
 * @param {number} maxBitrate in bit/s
 * @param {number} width in pixels
 */
export async function limitSending(sender, maxBitrate, width) {
  await sender.page.evaluate(limitVideo, maxBitrate);
  await sender.until(`${sender.name} sends no more than ${width} pixels`, async () => {
    const [{ frameWidth = Number.POSITIVE_INFINITY }] = await sender.outgoing('camera');
    return frameWidth <= width;
  });
}

/**
 * Gives the camera of a person most of the window, and the others a narrow strip.
 * @param {DemoPage} viewer
 * @param {DemoPage} person
 */
export async function enlarge(viewer, person) {
  const tile = `[data-testid="tile-${await person.userId()}-camera"]`;
  const button = viewer.page.locator(`${tile} [data-testid="enlarge"]`);
  await button.setWaitForStableBoundingBox(false).click();
  await viewer.until(`${viewer.name} has enlarged ${person.name}`, () =>
    viewer.shows(`.large ${tile}`),
  );
}

/**
 * Until the camera of a person has come in one size for a while, at nearly its full rate.
 * @param {DemoPage} viewer
 * @param {DemoPage} sender
 * @param {number} [width] in pixels; any, but the same all the time, if left out
 * @returns {Promise<number>} which part of the sender's bytes came
 */
export async function seesSteadily(viewer, sender, width) {
  let begin = await counters(viewer, sender);
  let last = begin;
  await viewer.until(
    () =>
      `${viewer.name} sees ${sender.name} ${width ?? 'all the time as many'} pixels wide and steadily; ` +
      `${last.width} pixels and ${last.decoded - begin.decoded} frames came in ${last.at - begin.at} ms`,
    async () => {
      last = await counters(viewer, sender);
      if (last.width !== (width ?? begin.width)) begin = last;
      if (last.at - begin.at < STEADY_MS) return false;
      if (last.decoded - begin.decoded >= ENOUGH_FRAMES) return true;
      begin = last;
      return false;
    },
    { seconds: 30 },
  );
  return (last.received - begin.received) / (last.sent - begin.sent);
}

/**
 * Until a browser that sends to itself, without any server, has encoded a few frames and then no more.
 * @param {Page} page
 * @param {{ mimeType: string, encoding: RTCRtpEncodingParameters }} what
 */
export async function givesUpEncoding(page, what) {
  await page.evaluate(sendToItself, what);
  let frames = 0;
  const isSame = async () => {
    const before = frames;
    frames = await page.evaluate(() => Reflect.get(window, '__framesEncoded')());
    return frames === before;
  };
  await until('a frame is encoded', async () => !(await isSame()));
  await lasting('no more frames are encoded', isSame);
}

/**
 * @param {DemoPage} viewer
 * @param {DemoPage} sender
 */
async function counters(viewer, sender) {
  const row = await viewer.incoming(await sender.userId(), 'camera');
  const sent = await sender.page.evaluate(videoBytesSent);
  return {
    at: Math.round(performance.now()),
    width: row?.frameWidth,
    decoded: row?.framesDecoded ?? 0,
    received: row?.bytesReceived ?? 0,
    sent,
  };
}

const STEADY_MS = 3000;
const ENOUGH_FRAMES = 0.85 * CAMERA_FRAMES_PER_SECOND * (STEADY_MS / 1000);
