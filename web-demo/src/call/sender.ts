import type { Device, Producer, Transport } from 'mediasoup-client/types';
import { producerOptions, type VideoChoice } from './encodings';
import type { Signaling } from './signaling';
import type { Source } from './signaling.gen';

/** What a source should be doing; the sender works until the server agrees. */
export interface Outgoing {
  track: MediaStreamTrack | null;
  /** A muted source keeps its producer, paused. */
  muted: boolean;
}

/** The leg's sending half: one producer per source. Tracks belong to the caller and are never stopped here. */
export class Sender {
  readonly #transport: Transport;
  readonly #signaling: Signaling;
  readonly #device: Device;
  readonly #choice: VideoChoice;
  readonly #onError: (source: Source, error: unknown) => void;
  readonly #producers = new Map<Source, Producer>();
  readonly #wanted = new Map<Source, Outgoing>();
  /** What the server has a producer for, by its id, from the moment that the server says so. */
  readonly #sources = new Map<string, Source>();
  #work: Promise<void> = Promise.resolve();

  constructor(options: {
    transport: Transport;
    signaling: Signaling;
    device: Device;
    choice: VideoChoice;
    onError: (source: Source, error: unknown) => void;
  }) {
    this.#transport = options.transport;
    this.#signaling = options.signaling;
    this.#device = options.device;
    this.#choice = options.choice;
    this.#onError = options.onError;
    this.#transport.on('produce', ({ kind, rtpParameters, appData }, done, fail) => {
      const source = appData.source as Source;
      const paused = this.#wanted.get(source)?.muted ?? false;
      const transportId = this.#transport.id;
      this.#signaling
        .request('media:produce', { transportId, kind, rtpParameters, appData: { source }, paused })
        .then((created) => {
          this.#sources.set(created.id, source);
          done(created);
        }, fail);
    });
  }

  /** Says what a source should be doing from here on. The latest word wins; a repeated one is ignored. */
  set(source: Source, outgoing: Outgoing): void {
    const before = this.#wanted.get(source);
    if (before?.track === outgoing.track && before.muted === outgoing.muted) return;
    this.#wanted.set(source, outgoing);
    this.#work = this.#work
      .then(() => this.#settle(source))
      .catch((error: unknown) => {
        if (!this.#transport.closed) this.#onError(source, error);
      });
  }

  /** Which source a producer of this leg sends. */
  sourceOf(producerId: string): Source | undefined {
    return this.#sources.get(producerId);
  }

  /** The server has closed a producer. Returns what it sent, unless this leg closed it itself. */
  closed(producerId: string): Source | undefined {
    const source = this.#sources.get(producerId);
    if (!source) return undefined;
    this.#sources.delete(producerId);
    this.#wanted.delete(source);
    const producer = this.#producers.get(source);
    if (producer?.id === producerId) {
      this.#producers.delete(source);
      producer.close();
    }
    return source;
  }

  producers(): ReadonlyMap<Source, Producer> {
    return this.#producers;
  }

  async #settle(source: Source): Promise<void> {
    const wanted = this.#wanted.get(source);
    if (!wanted || this.#transport.closed) return;
    const producer = this.#producers.get(source);
    if (!producer) {
      if (wanted.track) await this.#produce(source, wanted.track, wanted.muted);
    } else if (!wanted.track && SHARED.has(source)) {
      await this.#stop(source, producer);
    } else {
      await this.#adjust(producer, wanted).catch((error: unknown) => {
        // What the server has closed meanwhile needs no adjusting.
        if (!producer.closed) throw error;
      });
    }
  }

  async #produce(source: Source, track: MediaStreamTrack, muted: boolean): Promise<void> {
    track.enabled = !muted;
    const producer = await this.#transport.produce({
      track,
      stopTracks: false,
      appData: { source },
      ...producerOptions(source, this.#device, this.#choice),
    });
    // The server may have closed it while it was being made.
    if (this.#sources.has(producer.id)) this.#producers.set(source, producer);
    else producer.close();
  }

  /** Keeps the producer through mutes and device changes, so that viewers keep their consumer. */
  async #adjust(producer: Producer, { track, muted }: Outgoing): Promise<void> {
    const paused = muted || !track;
    if (paused && !producer.paused) {
      producer.pause();
      await this.#signaling.request('media:pause-producer', { producerId: producer.id });
    }
    if (producer.track !== track) await producer.replaceTrack({ track });
    if (!paused && producer.paused) {
      producer.resume();
      await this.#signaling.request('media:resume-producer', { producerId: producer.id });
    }
  }

  async #stop(source: Source, producer: Producer): Promise<void> {
    this.#producers.delete(source);
    this.#sources.delete(producer.id);
    producer.close();
    await this.#signaling.request('media:close-producer', { producerId: producer.id });
  }
}

/** Sources that go away when they stop; a microphone or camera only pauses. */
const SHARED: ReadonlySet<Source> = new Set(['screen', 'screen-audio']);
