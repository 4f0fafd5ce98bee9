// @ts-check
/** Pictures that say which one they are, so that each picture of a file can be compared with the one that was sent. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import wrtc from '@roamhq/wrtc';
import { Random } from './random.mjs';

const run = promisify(execFile);

const WIDTH = 512;
const HEIGHT = 288;
/** In pixels: encoders cut pictures at multiples of 16. The number is in the sixteen blocks at the top. */
const BLOCK = 32;
const COLUMNS = WIDTH / BLOCK;
const ROWS = HEIGHT / BLOCK;
const [DARK, LIGHT] = [64, 192];
/** The same in all pictures, and so much of it that encoders rather take a block from the picture before. */
const GRAIN = grain();
/** So many pictures a block stays as it is: a decoder that misses a picture shows that for as long. */
const TURN = 12;

/** A camera that films dark and light blocks, of which some change in each picture, with its number in the first row. */
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
 * The pictures of a file: the number that each shows, and how many of its blocks are not those of the picture of that number
 * that was sent. A picture in which something of another one is left has such blocks, however coarse it is.
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
    const found = bitsIn(stdout.subarray(at, at + WIDTH * HEIGHT));
    const number = numberOf(found);
    const sent = bitsOf(number);
    pictures.push({ number, wrong: found.filter((bit, index) => bit !== sent[index]).length });
  }
  return pictures;
}

/**
 * The luma of a picture.
 * @param {number} number
 */
function pattern(number) {
  const luma = new Uint8Array(WIDTH * HEIGHT);
  for (const [index, bit] of bitsOf(number).entries()) {
    const { x, y } = placeOf(index);
    for (let row = y; row < y + BLOCK; row += 1) {
      for (let at = row * WIDTH + x; at < row * WIDTH + x + BLOCK; at += 1) {
        luma[at] = (bit ? LIGHT : DARK) + GRAIN[at];
      }
    }
  }
  return luma;
}

/**
 * Which blocks of a picture are light, row by row.
 * @param {number} number
 */
function bitsOf(number) {
  return Array.from({ length: COLUMNS * ROWS }, (_, index) => {
    if (index < COLUMNS) return (number >> index) & 1;
    const turn = Math.floor((number + index) / TURN);
    return new Random(turn * COLUMNS * ROWS + index).next() >>> 31;
  });
}

/** @param {number[]} bits */
function numberOf(bits) {
  return bits.slice(0, COLUMNS).reduce((sum, bit, index) => sum | (bit << index), 0);
}

/**
 * As in `bitsOf`, by the mean of the middle of each block.
 * @param {Uint8Array} luma
 */
function bitsIn(luma) {
  return Array.from({ length: COLUMNS * ROWS }, (_, index) => {
    const { x, y } = placeOf(index);
    const edge = BLOCK / 4;
    let sum = 0;
    for (let row = y + edge; row < y + BLOCK - edge; row += 1) {
      for (let at = x + edge; at < x + BLOCK - edge; at += 1) sum += luma[row * WIDTH + at];
    }
    return sum / (BLOCK / 2) ** 2 > (DARK + LIGHT) / 2 ? 1 : 0;
  });
}

function grain() {
  const random = new Random(1);
  return Int8Array.from({ length: WIDTH * HEIGHT }, () => random.between(-20, 20));
}

/** @param {number} index */
function placeOf(index) {
  return { x: (index % COLUMNS) * BLOCK, y: Math.floor(index / COLUMNS) * BLOCK };
}
