// @ts-check

/** @typedef {import('puppeteer-core').Page} Page */

/**
 * Keeps every track that the browser hands out to a page, so that a test sees whether a device is on whatever the page
 * makes of it.
 * @param {Page} page before it is opened
 */
export function watchTracks(page) {
  return page.evaluateOnNewDocument(keepTracks);
}

/**
 * What is on in a page right now.
 * @param {Page} page
 * @returns {Promise<{ kind: 'mic' | 'camera' | 'screen' | 'screen-audio', deviceId: string }[]>}
 */
export function liveTracks(page) {
  return page.evaluate(() =>
    Reflect.get(window, '__tracks')
      .filter((/** @type {any} */ { track }) => track.readyState === 'live')
      .map((/** @type {any} */ { kind, track }) => ({
        kind,
        deviceId: track.getSettings().deviceId,
      })),
  );
}

/**
 * Lets the page wait for the user's choice of a screen, as it does where a person has to choose.
 * @param {Page} page
 * @returns {Promise<() => Promise<void>>} makes the choice
 */
export async function holdScreenPicker(page) {
  await page.evaluate(() => {
    const { mediaDevices } = navigator;
    const pick = mediaDevices.getDisplayMedia.bind(mediaDevices);
    const chosen = new Promise((resolve) => Reflect.set(window, '__choose', resolve));
    mediaDevices.getDisplayMedia = async (options) => {
      await chosen;
      const stream = await pick(options);
      Reflect.set(window, '__picked', true);
      return stream;
    };
  });
  return async () => {
    await page.evaluate(() => Reflect.get(window, '__choose')());
    await page.waitForFunction(() => Reflect.get(window, '__picked'), { polling: 50 });
  };
}

/** Runs in the page. */
function keepTracks() {
  /** @type {{ kind: string, track: MediaStreamTrack }[]} */
  const tracks = [];
  Reflect.set(window, '__tracks', tracks);
  const { mediaDevices } = navigator;
  const keep = (/** @type {MediaStream} */ stream, /** @type {Record<string, string>} */ names) => {
    for (const track of stream.getTracks()) tracks.push({ kind: names[track.kind], track });
    return stream;
  };
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wanted) =>
    keep(await open(wanted), { audio: 'mic', video: 'camera' });
  const share = mediaDevices.getDisplayMedia.bind(mediaDevices);
  mediaDevices.getDisplayMedia = async (wanted) =>
    keep(await share(wanted), { audio: 'screen-audio', video: 'screen' });
}
