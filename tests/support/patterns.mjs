// @ts-check
/** Pictures that say which one they are, so that each picture of a file can be compared with the one that was sent. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import wrtc from '@roamhq/wrtc';
import { Random } from './random.mjs';

const run = promisify(execFile);

const WIDTH = 512;
const HEIGHT = 288;
/** Blocks of 32 pixels: encoders cut pictures at multiples of 16. */
const BLOCK = 32;
const COLUMNS = WIDTH / BLOCK;
const ROWS = HEIGHT / BLOCK;
const [DARK, LIGHT] = [64, 192];

/** A camera whose every picture is another pattern of dark and light blocks, with its number in the first row. */
export class NumberedCamera {
  constructor({ fps = 15 } = {}) {
    const source = new wrtc.nonstandard.RTCVideoSource();
    this.track = source.createTrack();
    this.count = 0;
    const frame = { width: WIDTH, height: HEIGHT, data: new Uint8Array((WIDTH * HEIGHT * 3) / 2) };
    frame.data.fill(128, WIDTH * HEIGHT);
    this.timer = setInterval(() => {
      this.count += 1;
      frame.data.set(pattern(this.count));
      source.onFrame(frame);
    }, 1000 / fps);
  }

  close() {
    clearInterval(this.timer);
    this.track.stop();
  }
}

/**
 * The pictures of a file: the number that each shows, and how much it is like the picture of that number that was sent,
 * in dB (PSNR). A picture with a part of another one is far from both.
 * @param {string} path
 */
export async function numberedPicturesIn(path) {
  const asPlanes = ['-vf', `scale=${WIDTH}:${HEIGHT}`, '-pix_fmt', 'gray', '-f', 'rawvideo', '-'];
  const { stdout } = await run(
    'ffmpeg',
    ['-v', 'error', '-i', path, '-fps_mode', 'passthrough', ...asPlanes],
    { encoding: 'buffer', maxBuffer: 1 << 30 },
  );
  const pictures = [];
  for (let at = 0; at < stdout.length; at += WIDTH * HEIGHT) {
    const luma = stdout.subarray(at, at + WIDTH * HEIGHT);
    const number = numberIn(luma);
    pictures.push({ number, psnr: psnr(luma, pattern(number)) });
  }
  return pictures;
}

/**
 * The luma of a picture.
 * @param {number} number
 */
function pattern(number) {
  const random = new Random(number);
  const luma = new Uint8Array(WIDTH * HEIGHT);
  for (let row = 0; row < ROWS; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      const bit = row === 0 ? (number >> column) & 1 : random.next() & 1;
      fill(luma, row, column, bit ? LIGHT : DARK);
    }
  }
  return luma;
}

/**
 * @param {Uint8Array} luma
 * @param {number} row
 * @param {number} column
 * @param {number} value
 */
function fill(luma, row, column, value) {
  for (let y = row * BLOCK; y < (row + 1) * BLOCK; y += 1) {
    luma.fill(value, y * WIDTH + column * BLOCK, y * WIDTH + (column + 1) * BLOCK);
  }
}

/** @param {Uint8Array} luma */
function numberIn(luma) {
  let number = 0;
  for (let column = 0; column < COLUMNS; column += 1) {
    const middle = luma[(BLOCK / 2) * WIDTH + column * BLOCK + BLOCK / 2];
    if (middle > (DARK + LIGHT) / 2) number |= 1 << column;
  }
  return number;
}

/**
 * @param {Uint8Array} found
 * @param {Uint8Array} sent
 */
function psnr(found, sent) {
  let sum = 0;
  for (let index = 0; index < sent.length; index += 1) sum += (found[index] - sent[index]) ** 2;
  return 10 * Math.log10(255 ** 2 / (sum / sent.length));
}
