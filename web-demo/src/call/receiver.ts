import type { Consumer, Transport } from 'mediasoup-client/types';
import type { Signaling } from './signaling';
import type { ConsumerView, Source } from './signaling.gen';

export interface RemoteTrack {
  producerId: string;
  userId: string;
  legId: string;
  source: Source;
  track: MediaStreamTrack;
  consumer: Consumer;
}

/** The leg's receiving half: one consumer per producer of the others. */
export class Receiver {
  readonly #transport: Transport;
  readonly #signaling: Signaling;
  readonly #onTracks: (tracks: RemoteTrack[]) => void;
  readonly #tracks = new Map<string, RemoteTrack>();
  readonly #known = new Set<string>();
  readonly #waiting = new Set<string>();
  readonly #layers = new Map<string, number>();
  /** How many viewers each picture has, by producer. */
  readonly #viewers = new Map<string, number>();
  /** Pictures that are held back because nobody looks at them, by producer. */
  readonly #heldBack = new Set<string>();
  #flush: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(
    transport: Transport,
    signaling: Signaling,
    onTracks: (tracks: RemoteTrack[]) => void,
  ) {
    this.#transport = transport;
    this.#signaling = signaling;
    this.#onTracks = onTracks;
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
    this.#holdBackSoon();
  }

  /** Counts a viewer of a picture until the returned function is called. Pictures without any are not sent. */
  view(producerId: string): () => void {
    this.#viewers.set(producerId, (this.#viewers.get(producerId) ?? 0) + 1);
    this.#letFlow(producerId);
    return () => {
      const left = (this.#viewers.get(producerId) ?? 0) - 1;
      if (left > 0) this.#viewers.set(producerId, left);
      else this.#viewers.delete(producerId);
      this.#holdBackSoon();
    };
  }

  /** Ends what came from a producer, or stops asking for it. */
  drop(producerId: string): void {
    this.#known.delete(producerId);
    this.#waiting.delete(producerId);
    const track = this.#tracks.get(producerId);
    if (!track) return;
    this.#tracks.delete(producerId);
    this.#heldBack.delete(producerId);
    this.#layers.delete(track.consumer.id);
    track.consumer.close();
    this.#publish();
  }

  /** Asks for the picture size a viewer can see: 0 is the smallest. */
  preferLayer(producerId: string, spatialLayer: number): void {
    const consumerId = this.#tracks.get(producerId)?.consumer.id;
    if (!consumerId || this.#layers.get(consumerId) === spatialLayer) return;
    this.#layers.set(consumerId, spatialLayer);
    // A hint: should it get lost, the picture is only larger or smaller than needed.
    this.#signaling
      .request('media:set-preferred-layers', { consumerId, spatialLayer })
      .catch(() => this.#layers.delete(consumerId));
  }

  tracks(): Iterable<RemoteTrack> {
    return this.#tracks.values();
  }

  close(): void {
    clearTimeout(this.#flush);
    clearTimeout(this.#idle);
  }

  #letFlow(producerId: string): void {
    const consumerId = this.#tracks.get(producerId)?.consumer.id;
    if (!consumerId || !this.#heldBack.delete(producerId)) return;
    this.#signaling
      .request('media:resume-consumer', { consumerIds: [consumerId] })
      .catch(() => this.#heldBack.add(producerId));
  }

  /** Somebody who turns a page and comes back finds the picture still moving. */
  #holdBackSoon(): void {
    if (this.#transport.closed) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#holdBack(), IDLE_MS);
  }

  #holdBack(): void {
    const unseen = [...this.#tracks.values()].filter(
      ({ producerId, track }) =>
        track.kind === 'video' && !this.#viewers.has(producerId) && !this.#heldBack.has(producerId),
    );
    if (unseen.length === 0) return;
    for (const { producerId } of unseen) this.#heldBack.add(producerId);
    const consumerIds = unseen.map(({ consumer }) => consumer.id);
    this.#signaling.request('media:pause-consumer', { consumerIds }).catch(() => {
      for (const { producerId } of unseen) this.#heldBack.delete(producerId);
    });
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
    return consumer;
  }

  #publish(): void {
    this.#onTracks([...this.#tracks.values()]);
  }
}

const BATCH_MS = 20;
const IDLE_MS = 2_000;
