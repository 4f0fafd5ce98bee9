import type { Signaling } from './signaling';
import type { SetPriority, Source } from './signaling.gen';

/** What somebody who looks at a picture needs of it. */
export interface Wish {
  /** The largest picture size that is of use, 0 is the smallest; undefined if that is not known, or does not matter. */
  spatialLayer: number | undefined;
  /** Whether it is shown large: then it goes before other videos where bandwidth is short. */
  large: boolean;
}

type Priority = SetPriority['priority'];

/** A video that the server sends us, and what it knows of our wishes for it. */
interface Video {
  consumerId: string;
  source: Source;
  /** Whether the server sends none of it, because we asked so. */
  isHeldBack: boolean;
  spatialLayer: number | undefined;
  priority: Priority;
}

/**
 * What is looked at in the page, and how large. The server is told what it can spare: videos nobody looks at are not sent,
 * small ones are sent small, large ones come first. It is told only what has changed. All by producer.
 */
export class Viewing {
  readonly #signaling: Signaling;
  readonly #onWanted: (producerIds: string[], isWanted: boolean) => void;
  readonly #videos = new Map<string, Video>();
  readonly #wishes = new Map<string, Set<Wish>>();
  /** Whether the page itself can be seen. */
  #isWatched = true;
  #change: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** `onWanted` is called when videos are wanted again, or no more. */
  constructor(signaling: Signaling, onWanted: (producerIds: string[], isWanted: boolean) => void) {
    this.#signaling = signaling;
    this.#onWanted = onWanted;
  }

  add(producerId: string, consumerId: string, source: Source): void {
    this.#videos.set(producerId, {
      consumerId,
      source,
      isHeldBack: false,
      spatialLayer: undefined,
      priority: USUAL_PRIORITY,
    });
    this.#adjustSoon();
  }

  drop(producerId: string): void {
    this.#videos.delete(producerId);
  }

  /** Counts a viewer of a picture until the returned function is called. */
  view(producerId: string, wish: Wish): () => void {
    const wishes = this.#wishes.get(producerId) ?? new Set();
    this.#wishes.set(producerId, wishes.add(wish));
    this.#letFlow();
    this.#adjustSoon();
    return () => {
      wishes.delete(wish);
      if (wishes.size === 0) this.#wishes.delete(producerId);
      this.#adjustSoon();
      this.holdBackSoon();
    };
  }

  /** Stops what nobody looks at, unless somebody does so soon. */
  holdBackSoon(): void {
    this.#holdBackIn(UNSEEN_MS);
  }

  /** Says whether the page itself can be seen: without that nobody looks at anything. */
  watch(isWatched: boolean): void {
    this.#isWatched = isWatched;
    if (isWatched) this.#letFlow();
    else this.#holdBackIn(HIDDEN_MS);
  }

  close(): void {
    clearTimeout(this.#change);
    clearTimeout(this.#idle);
    // Tiles go away later than this, and then nothing is left to ask for.
    this.#videos.clear();
  }

  #isSeen(producerId: string): boolean {
    return this.#isWatched && this.#wishes.has(producerId);
  }

  #letFlow(): void {
    this.#want((id, { isHeldBack }) => isHeldBack && this.#isSeen(id), true);
  }

  /** Somebody who turns a page, or to another window, and soon comes back finds the picture still moving. */
  #holdBackIn(delay: number): void {
    clearTimeout(this.#idle);
    const isSpare = (id: string, { isHeldBack }: Video) => !isHeldBack && !this.#isSeen(id);
    this.#idle = setTimeout(() => this.#want(isSpare, false), delay);
  }

  #want(which: (producerId: string, video: Video) => boolean, isWanted: boolean): void {
    const chosen = [...this.#videos].filter(([producerId, video]) => which(producerId, video));
    if (chosen.length === 0) return;
    const settle = (isNowWanted: boolean) => {
      const present = chosen.filter(([id, video]) => this.#videos.get(id) === video);
      for (const [, video] of present) video.isHeldBack = !isNowWanted;
      const producerIds = present.map(([producerId]) => producerId);
      this.#onWanted(producerIds, isNowWanted);
    };
    settle(isWanted);
    const request = isWanted ? 'media:resume-consumer' : 'media:pause-consumer';
    const consumerIds = chosen.map(([, { consumerId }]) => consumerId);
    this.#signaling.request(request, { consumerIds }).catch(() => settle(!isWanted));
  }

  /** While a window is pulled larger only the size that it ends with matters. */
  #adjustSoon(): void {
    clearTimeout(this.#change);
    this.#change = setTimeout(() => this.#adjust(), SETTLED_MS);
  }

  #adjust(): void {
    for (const [producerId, video] of this.#videos) {
      const wishes = [...(this.#wishes.get(producerId) ?? [])];
      this.#preferLayer(video, wishes);
      this.#setPriority(video, wishes);
    }
  }

  /** The largest size that any viewer can show. */
  #preferLayer(video: Video, wishes: Wish[]): void {
    const layers = wishes.flatMap(({ spatialLayer }) => spatialLayer ?? []);
    const spatialLayer = Math.max(...layers);
    if (layers.length === 0 || spatialLayer === video.spatialLayer) return;
    video.spatialLayer = spatialLayer;
    // A hint: should it get lost, the picture is only larger or smaller than needed.
    const { consumerId } = video;
    this.#signaling
      .request('media:set-preferred-layers', { consumerId, spatialLayer })
      .catch(() => {
        video.spatialLayer = undefined;
      });
  }

  #setPriority(video: Video, wishes: Wish[]): void {
    const { consumerId, source, priority: before } = video;
    const isLargeCamera = source === 'camera' && wishes.some(({ large }) => large);
    const priority = isLargeCamera ? LARGE_PRIORITY : USUAL_PRIORITY;
    if (priority === before) return;
    video.priority = priority;
    this.#signaling.request('media:set-priority', { consumerId, priority }).catch(() => {
      video.priority = before;
    });
  }
}

const LARGE_PRIORITY: Priority = 255;
/** The server's own: screens before whoever speaks, and these before others. */
const USUAL_PRIORITY: Priority = null;

const SETTLED_MS = 150;
const UNSEEN_MS = 2_000;
const HIDDEN_MS = 5_000;
