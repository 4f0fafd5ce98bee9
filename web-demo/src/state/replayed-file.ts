import type { RecordingFile } from '../api/types';
import { api, signedIn } from './session';

/** One file of a recording, kept in step with a clock that it does not own. Times are in milliseconds. */
export class ReplayedFile {
  readonly element: HTMLMediaElement;

  readonly #recordingId: string;
  readonly #file: RecordingFile;
  #expires = 0;
  #failed = false;
  #closed = false;

  constructor(recordingId: string, file: RecordingFile, seen: boolean) {
    this.#recordingId = recordingId;
    this.#file = file;
    this.element = document.createElement(seen ? 'video' : 'audio');
    this.element.preload = 'auto';
    if (this.element instanceof HTMLVideoElement) this.element.playsInline = true;
    this.element.addEventListener('error', () => this.#mend());
    void this.#load();
  }

  /** Whether the file has something at this time, as far as its length is known. */
  isDue(at: number): boolean {
    const begin = this.#file.startMs;
    return !this.#failed && at >= begin && at < begin + this.#length();
  }

  /** Whether it would have something to play at this time, and has not got it yet. */
  isStarved(at: number): boolean {
    // At its very end a file has no future data, whatever has been loaded.
    const isNearEnd = !this.isDue(at + END_MS);
    return (
      this.isDue(at) && !isNearEnd && this.element.readyState < HTMLMediaElement.HAVE_FUTURE_DATA
    );
  }

  /** Goes where the clock is. */
  follow(at: number, playing: boolean, speed: number): void {
    const { element } = this;
    if (!this.isDue(at)) {
      element.pause();
      return;
    }
    const target = (at - this.#file.startMs) / 1_000;
    const ahead = element.currentTime - target;
    const isFar = Math.abs(ahead) > (playing ? JUMP_S : TOLERANCE_S);
    if (isFar && !element.seeking) element.currentTime = target;
    if (!playing) {
      element.pause();
      return;
    }
    element.playbackRate = speed * correction(ahead);
    // Playing a file that has ended would begin it again.
    if (element.paused && (!element.ended || isFar)) void element.play().catch(() => undefined);
  }

  close(): void {
    this.#closed = true;
    this.element.pause();
    this.element.removeAttribute('src');
    this.element.load();
  }

  #length(): number {
    const { duration } = this.element;
    return Number.isNaN(duration) ? Number.POSITIVE_INFINITY : duration * 1_000;
  }

  async #load(): Promise<void> {
    try {
      const link = await signedIn(api.recordingLink(this.#recordingId, this.#file.id));
      if (this.#closed) return;
      this.#expires = Date.parse(link.expiresAt);
      this.element.src = link.url;
    } catch {
      this.#failed = true;
    }
  }

  /** A link that has expired is replaced; what this browser cannot play is left out. */
  #mend(): void {
    if (this.#closed) return;
    if (Date.now() >= this.#expires) void this.#load();
    else this.#failed = true;
  }
}

/** A file that is early plays a little slower, a late one a little faster. */
function correction(ahead: number): number {
  if (Math.abs(ahead) <= TOLERANCE_S) return 1;
  return ahead > 0 ? 0.95 : 1.05;
}

/** Two files are twice that apart at most: too little to see between lips and sound. */
const TOLERANCE_S = 0.015;
const END_MS = 300;
/** More is not caught up with by playing faster. */
const JUMP_S = 0.7;
