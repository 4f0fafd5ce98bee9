import type { ReadonlySignal } from '@preact/signals';

/** Why a file cannot be seen or heard. */
export type FileProblem = { name: 'away'; reason: string } | { name: 'unplayable' };

/** Brings the media of a file into an element. Times are in milliseconds of the file. */
export interface Feed {
  readonly problem: ReadonlySignal<FileProblem | undefined>;
  /** How long the file is, as far as that is known. */
  readonly lengthMs: number;
  /** What there is at this time: media, nothing yet, or nothing at all. */
  stateAt(at: number): 'there' | 'missing' | 'gap';
  /** Tells where the clock is: before the file, in it, or after it. */
  want(at: number): void;
  /** Tries again what has failed for good. */
  retry(): void;
  close(): void;
}

/** One file of a recording, kept in step with a clock that it does not own. Times are in milliseconds. */
export class ReplayedFile {
  readonly element: HTMLMediaElement;
  readonly feed: Feed;
  readonly startMs: number;

  constructor(startMs: number, element: HTMLMediaElement, feed: Feed) {
    this.startMs = startMs;
    this.element = element;
    this.feed = feed;
  }

  /** Whether the file has something at this time, as far as its length is known. */
  isDue(at: number): boolean {
    const passed = at - this.startMs;
    return !this.feed.problem.peek() && passed >= 0 && passed < this.feed.lengthMs;
  }

  /** Whether it would have something to play at this time, and has not got it yet. */
  isStarved(at: number): boolean {
    // At its very end a file has no future data, whatever has been loaded.
    if (!this.isDue(at) || !this.isDue(at + END_MS)) return false;
    const state = this.feed.stateAt(at - this.startMs);
    if (state !== 'there') return state === 'missing';
    return this.element.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** Goes where the clock is. */
  follow(at: number, playing: boolean, speed: number): void {
    const { element } = this;
    const passed = at - this.startMs;
    this.feed.want(passed);
    if (!this.isDue(at) || this.feed.stateAt(passed) !== 'there') {
      element.pause();
      return;
    }
    const target = passed / 1_000;
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
    this.feed.close();
    this.element.pause();
    this.element.removeAttribute('src');
    this.element.load();
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
