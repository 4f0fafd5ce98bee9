import type { Consumer, Transport } from 'mediasoup-client/types';
import type { Signaling } from './signaling';
import type { ConsumerLayers, ConsumerView, Source } from './signaling.gen';
import { Viewing } from './viewing';
import { Withheld } from './withheld';

export interface RemoteTrack {
  producerId: string;
  userId: string;
  legId: string;
  source: Source;
  track: MediaStreamTrack;
  consumer: Consumer;
}

export interface ReceiverOptions {
  transport: Transport;
  signaling: Signaling;
  onTracks: (tracks: RemoteTrack[]) => void;
  /** Other videos are withheld because the connection is slow, by producer. */
  onWithheld: (producerIds: ReadonlySet<string>) => void;
}

/** The leg's receiving half: one consumer per producer of the others. */
export class Receiver {
  /** What is looked at in the page. */
  readonly viewing: Viewing;
  readonly #transport: Transport;
  readonly #signaling: Signaling;
  readonly #onTracks: (tracks: RemoteTrack[]) => void;
  readonly #tracks = new Map<string, RemoteTrack>();
  readonly #known = new Set<string>();
  readonly #waiting = new Set<string>();
  readonly #withheld: Withheld;
  #flush: ReturnType<typeof setTimeout> | undefined;

  constructor({ transport, signaling, onTracks, onWithheld }: ReceiverOptions) {
    this.#transport = transport;
    this.#signaling = signaling;
    this.#onTracks = onTracks;
    const withheld = new Withheld(onWithheld);
    this.#withheld = withheld;
    this.viewing = new Viewing(signaling, (ids, isWanted) => withheld.wanted(ids, isWanted));
  }

  /** Asks for producers; those announced together are asked for and negotiated in one round. */
  want(producerIds: Iterable<string>): void {
    for (const producerId of producerIds) {
      if (this.#known.has(producerId)) continue;
      this.#known.add(producerId);
      this.#waiting.add(producerId);
    }
    if (this.#waiting.size > 0) this.#flush ??= setTimeout(() => this.#consume(), BATCH_MS);
  }

  /** Takes consumers the server has already made, and lets their media flow once they are ready. */
  async accept(consumers: ConsumerView[]): Promise<void> {
    for (const { producerId } of consumers) this.#known.add(producerId);
    const outcomes = await Promise.allSettled(consumers.map((info) => this.#add(info)));
    if (this.#transport.closed) return;
    this.#publish();
    const ready = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' && !outcome.value.closed ? [outcome.value.id] : [],
    );
    if (ready.length > 0) {
      await this.#signaling.request('media:resume-consumer', { consumerIds: ready });
    }
    this.viewing.holdBackSoon();
  }

  /** The server has said which layers of a track it sends, if any. It says so of sound too, which it never withholds. */
  layersTold({ consumerId, spatialLayer }: ConsumerLayers): void {
    const known = [...this.#tracks.values()].find(({ consumer }) => consumer.id === consumerId);
    if (known?.track.kind !== 'video') return;
    this.#withheld.told(known.producerId, spatialLayer !== null);
  }

  /** The server has said what our connection carries. */
  bandwidthTold(): void {
    this.#withheld.divided();
  }

  /** Ends what came from a producer, or stops asking for it. */
  drop(producerId: string): void {
    this.#known.delete(producerId);
    this.#waiting.delete(producerId);
    const track = this.#tracks.get(producerId);
    if (!track) return;
    this.#tracks.delete(producerId);
    this.viewing.drop(producerId);
    this.#withheld.drop(producerId);
    track.consumer.close();
    this.#publish();
  }

  tracks(): Iterable<RemoteTrack> {
    return this.#tracks.values();
  }

  close(): void {
    clearTimeout(this.#flush);
    this.viewing.close();
    this.#withheld.close();
  }

  async #consume(): Promise<void> {
    this.#flush = undefined;
    const producerIds = [...this.#waiting];
    this.#waiting.clear();
    const transportId = this.#transport.id;
    try {
      const reply = await this.#signaling.request('media:consume', { transportId, producerIds });
      for (const { producerId } of reply.failed) this.#known.delete(producerId);
      await this.accept(reply.consumers);
    } catch {
      // The connection is going: the next join starts from the server's own list.
      for (const producerId of producerIds) this.#known.delete(producerId);
    }
  }

  async #add(info: ConsumerView): Promise<Consumer> {
    const { id, producerId, kind, rtpParameters, streamId } = info;
    const consumer = await this.#transport.consume({
      id,
      producerId,
      kind,
      rtpParameters,
      streamId,
    });
    if (!this.#known.has(producerId)) {
      consumer.close();
      return consumer;
    }
    this.#tracks.set(producerId, {
      producerId,
      userId: info.userId,
      legId: info.legId,
      source: info.appData.source,
      track: consumer.track,
      consumer,
    });
    if (kind === 'video') this.viewing.add(producerId, id, info.appData.source);
    return consumer;
  }

  #publish(): void {
    this.#onTracks([...this.#tracks.values()]);
  }
}

const BATCH_MS = 20;
