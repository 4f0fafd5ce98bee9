// @ts-check
/** What can be seen and heard in a recorded file, as ffmpeg decodes it. Times are in ms from the first sample. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** @typedef {{ at: number, y: number, u: number, v: number }} Shade the mean colour of a picture, from 0 to 255 */

/**
 * The mean colour of each picture.
 * @param {string} path
 * @returns {Promise<Shade[]>}
 */
export async function shadesIn(path) {
  const { stdout } = await run(
    'ffmpeg',
    [
      ...['-v', 'error', '-i', path, '-fps_mode', 'passthrough'],
      ...['-vf', 'scale=64:36:flags=area,signalstats,metadata=print:file=-', '-f', 'null', '-'],
    ],
    { maxBuffer: 1 << 28 },
  );
  return stdout
    .split('frame:')
    .slice(1)
    .map((picture) => {
      const value = (/** @type {RegExp} */ pattern) => Number(picture.match(pattern)?.[1]);
      return {
        at: 1_000 * value(/pts_time:([\d.]+)/),
        y: value(/YAVG=([\d.]+)/),
        u: value(/UAVG=([\d.]+)/),
        v: value(/VAVG=([\d.]+)/),
      };
    });
}

/**
 * All sound of a file, as one channel.
 * @param {string} path
 */
export async function soundIn(path) {
  const asSamples = ['-ac', '1', '-ar', String(SAMPLE_RATE), '-f', 's16le', '-'];
  const { stdout } = await run('ffmpeg', ['-v', 'error', '-i', path, ...asSamples], {
    encoding: 'buffer',
    maxBuffer: 1 << 28,
  });
  return new Int16Array(stdout.buffer, stdout.byteOffset, Math.floor(stdout.length / 2));
}

/**
 * When the picture becomes white.
 * @param {string} path
 */
export async function flashesIn(path) {
  const shades = await shadesIn(path);
  return rises(shades.map(({ at, y }) => ({ at, on: y > 128 })));
}

/**
 * When it stops being silent.
 * @param {string} path
 */
export async function beepsIn(path) {
  const sound = await soundIn(path);
  const states = [];
  for (let begin = 0; begin + WINDOW <= sound.length; begin += WINDOW) {
    const window = sound.subarray(begin, begin + WINDOW);
    states.push({ at: (1_000 * begin) / SAMPLE_RATE, on: loudness(window) > LOUD });
  }
  // A wave passes zero: silence is what lasts.
  return rises(states, 200);
}

/**
 * How loud a note is in the loudest tenth of a second of a file, from 0 to 1 of full scale (Goertzel's algorithm).
 * @param {string} path
 * @param {number} hertz
 */
export async function loudestNote(path, hertz) {
  const sound = await soundIn(path);
  const length = SAMPLE_RATE / 10;
  let most = 0;
  for (let begin = 0; begin + length <= sound.length; begin += length / 2) {
    const amplitude = noteIn(sound.subarray(begin, begin + length), hertz);
    most = Math.max(most, amplitude / 32_768);
  }
  return most;
}

/**
 * What lies between each of these times and the nearest of the others, in ms; positive if the other comes later.
 * @param {number[]} times
 * @param {number[]} others
 */
export function distances(times, others) {
  return times.flatMap((at) => {
    const near = others.map((other) => other - at).filter((apart) => Math.abs(apart) < 500);
    return near.length ? [near.reduce((a, b) => (Math.abs(a) < Math.abs(b) ? a : b))] : [];
  });
}

/**
 * When something goes on, after it was off for a while.
 * @param {{ at: number, on: boolean }[]} states
 * @param {number} [offMs]
 */
function rises(states, offMs = 0) {
  const times = [];
  let offSince = Number.POSITIVE_INFINITY;
  for (const { at, on } of states) {
    if (!on) offSince = Math.min(offSince, at);
    else {
      if (at - offSince > offMs) times.push(at);
      offSince = Number.POSITIVE_INFINITY;
    }
  }
  return times;
}

/** @param {Int16Array} samples */
function loudness(samples) {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length);
}

/**
 * @param {Int16Array} samples
 * @param {number} hertz
 */
function noteIn(samples, hertz) {
  const turn = 2 * Math.cos((2 * Math.PI * hertz) / SAMPLE_RATE);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + turn * last - before, last];
  const power = last ** 2 + before ** 2 - turn * last * before;
  return (2 * Math.sqrt(Math.max(0, power))) / samples.length;
}

const SAMPLE_RATE = 48_000;
/** Samples of 5 ms. */
const WINDOW = SAMPLE_RATE / 200;
const LOUD = 1_000;
