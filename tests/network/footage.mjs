// @ts-check
/** What is before the cameras and microphones: hard enough to encode that every layer needs its whole bit rate. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { Random } from '../support/random.mjs';

const WIDTH = 640;
const HEIGHT = 360;
export const FRAMES_PER_SECOND = 24;
const SECONDS = 3;

/**
 * Writes a video (YUV4MPEG2): a blurred texture that moves in circles, with fresh noise on each frame.
 * @param {string} path
 */
export function writeVideo(path) {
  const source = new Random(1);
  const random = () => source.next() / 2 ** 32;
  const texture = blurredTexture(random);
  const noise = Int8Array.from({ length: 1 << 16 }, () => Math.round((random() - 0.5) * 2 * NOISE));
  const file = openSync(path, 'w');
  writeSync(file, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FRAMES_PER_SECOND}:1 Ip A1:1 C420jpeg\n`);
  const frame = Buffer.alloc((WIDTH * HEIGHT * 3) / 2, 128);
  for (let index = 0; index < FRAMES_PER_SECOND * SECONDS; index += 1) {
    const angle = (index / (FRAMES_PER_SECOND * SECONDS)) * 2 * Math.PI;
    const left = Math.round(RADIUS + RADIUS * Math.cos(angle));
    const top = Math.round(RADIUS + RADIUS * Math.sin(angle));
    const grain = Math.floor(random() * noise.length);
    for (let y = 0; y < HEIGHT; y += 1) {
      for (let x = 0; x < WIDTH; x += 1) {
        const place = y * WIDTH + x;
        const light = texture[(top + y) * TEXTURE + left + x];
        frame[place] = light + noise[(grain + place * 7) % noise.length];
      }
    }
    writeSync(file, 'FRAME\n');
    writeSync(file, frame);
  }
  closeSync(file);
}

/** @param {() => number} random */
function blurredTexture(random) {
  const cells = Array.from({ length: (TEXTURE / CELL + 2) ** 2 }, () => 60 + random() * 130);
  const across = TEXTURE / CELL + 2;
  const texture = new Uint8Array(TEXTURE * TEXTURE);
  for (let y = 0; y < TEXTURE; y += 1) {
    for (let x = 0; x < TEXTURE; x += 1) {
      const [column, row] = [Math.floor(x / CELL), Math.floor(y / CELL)];
      const [right, down] = [(x % CELL) / CELL, (y % CELL) / CELL];
      const at = row * across + column;
      const upper = cells[at] * (1 - right) + cells[at + 1] * right;
      const lower = cells[at + across] * (1 - right) + cells[at + across + 1] * right;
      texture[y * TEXTURE + x] = upper * (1 - down) + lower * down;
    }
  }
  return texture;
}

/**
 * Writes a sound without pauses (WAV, 16 bits, mono): a tone of changing pitch, so that what is missing is audible.
 * @param {string} path
 */
export function writeSound(path) {
  const samples = new Int16Array(SAMPLE_RATE * SECONDS);
  let phase = 0;
  for (let index = 0; index < samples.length; index += 1) {
    const turn = (index / samples.length) * 2 * Math.PI;
    phase += (2 * Math.PI * (440 + 200 * Math.sin(turn * 5))) / SAMPLE_RATE;
    samples[index] = 8000 * Math.sin(phase) + 3000 * Math.sin(phase * 3);
  }
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLE_RATE, 24);
  header.writeUInt32LE(SAMPLE_RATE * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  writeFileSync(path, Buffer.concat([header, Buffer.from(samples.buffer)]));
}

const RADIUS = 60;
/** Pixels on a side of the texture, and of its cells. */
const TEXTURE = 768;
const CELL = 8;
/** Of 255. */
const NOISE = 5;
const SAMPLE_RATE = 48_000;
