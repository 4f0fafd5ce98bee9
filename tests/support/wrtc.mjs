// @ts-check
/** libwebrtc inside Node: made-up cameras and microphones, and eyes and ears for what arrives. */
import wrtc from '@roamhq/wrtc';
import { lasting, until } from './until.mjs';

const { RTCVideoSource, RTCVideoSink, RTCAudioSource, RTCAudioSink } = wrtc.nonstandard;

/**
 * Answers the local description as it was set, without candidates. The native one must not be read: another thread
 * adds candidates to it as they are found, and whoever reads it meanwhile now and then crashes
 * (https://github.com/node-webrtc/node-webrtc/issues/696).
 */
class PeerConnection extends wrtc.RTCPeerConnection {
  /** @type {RTCSessionDescriptionInit | undefined} */
  #local;

  /** @param {RTCConfiguration} [configuration] */
  constructor(configuration) {
    super(configuration);
    const native = Reflect.get(this, '_pc');
    Object.defineProperty(native, 'localDescription', { get: () => this.#local });
  }

  /**
   * @override
   * @param {RTCSessionDescriptionInit} description
   */
  async setLocalDescription(description) {
    await super.setLocalDescription(description);
    this.#local = description;
  }
}

// What mediasoup-client's handler for Chromium expects of a browser.
Reflect.set(globalThis, 'RTCPeerConnection', PeerConnection);
for (const name of /** @type {const} */ ([
  'RTCSessionDescription',
  'RTCIceCandidate',
  'RTCRtpTransceiver',
  'MediaStream',
  'MediaStreamTrack',
])) {
  Reflect.set(globalThis, name, wrtc[name]);
}

/** A camera that films one colour, crossed by a moving bar. */
export class Camera {
  /**
   * `grain` makes pictures of many packets each.
   * @param {{ hue?: number, width?: number, height?: number, fps?: number, grain?: boolean }} [options]
   */
  constructor({ hue = 128, width = 640, height = 360, fps = 15, grain = false } = {}) {
    const source = new RTCVideoSource();
    const frame = { width, height, data: new Uint8Array((width * height * 3) / 2) };
    let count = 0;
    this.hue = hue;
    this.track = source.createTrack();
    this.timer = setInterval(() => {
      count += 1;
      paint(frame, this.hue, count);
      if (grain) roughen(frame);
      source.onFrame(frame);
    }, 1000 / fps);
  }

  close() {
    clearInterval(this.timer);
    this.track.stop();
  }
}

/**
 * I420: a grey plane with a white bar at `count`, then both colour planes filled with `hue`.
 * @param {{ width: number, height: number, data: Uint8Array }} frame
 * @param {number} hue
 * @param {number} count
 */
function paint({ width, height, data }, hue, count) {
  const pixels = width * height;
  data.fill(90, 0, pixels);
  data.fill(hue, pixels);
  const left = (count * 16) % (width - BAR_PX);
  for (let row = 0; row < height; row += 1) {
    data.fill(230, row * width + left, row * width + left + BAR_PX);
  }
}

/**
 * Darkens every pixel at random.
 * @param {{ width: number, height: number, data: Uint8Array }} frame
 */
function roughen({ width, height, data }) {
  for (let pixel = 0; pixel < width * height; pixel += 1) data[pixel] -= Math.random() * 60;
}

/** A microphone that hums one note. */
export class Microphone {
  /** @param {{ hertz?: number }} [options] */
  constructor({ hertz = 440 } = {}) {
    const source = new RTCAudioSource();
    const samples = new Int16Array(SAMPLES_PER_10_MS);
    let time = 0;
    let sent = 0;
    const begin = performance.now();
    this.hertz = hertz;
    this.track = source.createTrack();
    // Timers come late on a busy machine: catch up by the clock.
    this.timer = setInterval(() => {
      for (const due = (performance.now() - begin) / 10; sent < due; sent += 1) {
        for (let index = 0; index < samples.length; index += 1, time += 1) {
          samples[index] = 8000 * Math.sin((2 * Math.PI * this.hertz * time) / SAMPLE_RATE);
        }
        source.onData({ samples: samples.slice(), sampleRate: SAMPLE_RATE });
      }
    }, 10);
  }

  close() {
    clearInterval(this.timer);
    this.track.stop();
  }
}

/** Watches a video track: how many pictures were decoded, how large, and of what colour. */
export class Eyes {
  /** @param {MediaStreamTrack} track */
  constructor(track) {
    this.frames = 0;
    this.width = 0;
    this.height = 0;
    this.hue = Number.NaN;
    this.bar = Number.NaN;
    this.sink = new RTCVideoSink(track);
    this.sink.onframe = (
      /** @type {{ frame: { width: number, height: number, data: Uint8Array } }} */ { frame },
    ) => {
      this.frames += 1;
      this.width = frame.width;
      this.height = frame.height;
      this.hue = frame.data[Math.floor(frame.width * frame.height * 1.125)];
      const row = frame.data.subarray(0, frame.width);
      this.bar = row.indexOf(row.reduce((most, luma) => Math.max(most, luma)));
    };
  }

  /**
   * Waits for pictures from here on, of this camera's colour, with its bar moving.
   * @param {{ hue: number }} camera
   * @param {{ frames?: number, width?: number, seconds?: number }} [options]
   */
  async see(camera, { frames = 10, width, seconds = 20 } = {}) {
    const before = this.frames;
    const bars = new Set();
    await until(
      () => `${frames} new pictures of hue ${camera.hue}; ${this.describe()}`,
      () => {
        bars.add(this.bar);
        const isRight = Math.abs(this.hue - camera.hue) <= 12;
        const isWide = width === undefined || this.width === width;
        return isRight && isWide && bars.size > 2 && this.frames - before >= frames;
      },
      { seconds },
    );
  }

  /** Waits until no picture has come for a while. */
  async seeNothingNew() {
    let frames = this.frames;
    await lasting('no more pictures come', () => {
      const isStill = this.frames === frames;
      frames = this.frames;
      return isStill;
    });
  }

  describe() {
    return `so far ${this.frames} of ${this.width}x${this.height}, hue ${this.hue}`;
  }

  close() {
    this.sink.stop();
  }
}

/** Listens to an audio track: how loud it is, and which note it hums. */
export class Ears {
  /** @param {MediaStreamTrack} track */
  constructor(track) {
    /** @type {number} of the last 10 ms, root mean square, from 0 to 32767 */
    this.loudness = 0;
    /** @type {number} of the last 10 ms that were not silent */
    this.hertz = Number.NaN;
    this.sink = new RTCAudioSink(track);
    this.sink.ondata = (
      /** @type {{ samples: Int16Array, sampleRate: number, channelCount: number }} */ data,
    ) => this.#listen(data);
  }

  /**
   * Waits until this microphone is heard.
   * @param {{ hertz: number }} microphone
   */
  async hear({ hertz }) {
    await until(
      () => `a note of ${hertz} Hz is heard; ${this.describe()}`,
      () => this.loudness >= QUIET && Math.abs(this.hertz - hertz) < hertz / 10,
      { seconds: 20 },
    );
  }

  async hearNothing() {
    await lasting('there is silence', () => this.loudness < QUIET);
  }

  describe() {
    return `loudness is ${Math.round(this.loudness)}, the note ${Math.round(this.hertz)} Hz`;
  }

  close() {
    this.sink.stop();
  }

  /** @param {{ samples: Int16Array, sampleRate: number, channelCount: number }} data */
  #listen({ samples, sampleRate, channelCount }) {
    const left = samples.filter((_, index) => index % channelCount === 0);
    this.loudness = Math.sqrt(left.reduce((sum, sample) => sum + sample ** 2, 0) / left.length);
    if (this.loudness < QUIET) return;
    const rises = [...left.keys()].filter((at) => at > 0 && left[at - 1] < 0 && left[at] >= 0);
    if (rises.length < 2) return;
    this.hertz = (sampleRate * (rises.length - 1)) / (rises[rises.length - 1] - rises[0]);
  }
}

/** Three sizes of one picture, as `produce` takes them. */
export const SIMULCAST = {
  encodings: [
    { scaleResolutionDownBy: 4, maxBitrate: 150_000 },
    { scaleResolutionDownBy: 2, maxBitrate: 400_000 },
    { scaleResolutionDownBy: 1, maxBitrate: 1_000_000 },
  ],
  codecOptions: { videoGoogleStartBitrate: 1500 },
};

const BAR_PX = 64;
const SAMPLE_RATE = 48_000;
const SAMPLES_PER_10_MS = SAMPLE_RATE / 100;
const QUIET = 200;
