import { computed, signal } from '@preact/signals';
import type { RecordingDetails, RecordingFile, RecordingTrack } from '../api/types';
import { ReplayedFile } from './replayed-file';

/**
 * Plays all files of a recording together. There is one clock; each file follows it by itself. The clock stands still
 * while a file that is to be seen or heard has nothing to show.
 */
export class Replay {
  /** In milliseconds, as all times of a recording. */
  readonly length: number;
  readonly position = signal(0);
  readonly playing = signal(false);
  readonly speed = signal(1);
  readonly waiting = signal(false);
  readonly finished = computed(() => this.position.value >= this.length);

  readonly #files: { track: RecordingTrack; file: ReplayedFile }[];
  readonly #timer: ReturnType<typeof setInterval>;
  #last = performance.now();

  constructor(recording: RecordingDetails) {
    this.#files = recording.tracks.flatMap((track) =>
      track.files.map((file) => ({
        track,
        file: new ReplayedFile(recording.id, file, isSeen(track)),
      })),
    );
    this.length = Math.max(0, ...recording.tracks.map((track) => track.startMs + track.durationMs));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** The picture of a track at this time; undefined while there is none. */
  pictureOf(track: RecordingTrack): HTMLMediaElement | undefined {
    const at = this.position.value;
    if (!isOn(track, at)) return undefined;
    const known = this.#files.filter((entry) => entry.track.id === track.id);
    return known.find(({ file }) => file.isDue(at))?.file.element;
  }

  toggle(): void {
    if (this.finished.peek()) this.position.value = 0;
    this.playing.value = !this.playing.peek();
  }

  seek(position: number): void {
    this.position.value = Math.max(0, Math.min(position, this.length));
    this.#tick();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { file } of this.#files) file.close();
  }

  #tick(): void {
    const now = performance.now();
    const passed = (now - this.#last) * this.speed.peek();
    this.#last = now;
    if (this.playing.peek() && !this.waiting.peek()) {
      this.position.value = Math.min(this.position.peek() + passed, this.length);
    }
    if (this.finished.peek()) this.playing.value = false;
    const position = this.position.peek();
    const isWanted = this.playing.peek();
    this.waiting.value = isWanted && this.#files.some(({ file }) => file.isStarved(position));
    const playing = isWanted && !this.waiting.peek();
    for (const { file } of this.#files) file.follow(position, playing, this.speed.peek());
  }
}

/** A part of the recording without pictures of a track that was on. */
export interface Gap {
  track: RecordingTrack;
  fromMs: number;
  toMs: number;
}

export function gapsOf({ tracks }: RecordingDetails): Gap[] {
  return tracks.flatMap((track) => track.holes.map((hole) => ({ track, ...hole })));
}

export function isSeen({ source }: RecordingTrack): boolean {
  return source === 'camera' || source === 'screen';
}

/** Whether a recording has anything that can be played. */
export function isPlayable({ tracks }: RecordingDetails): boolean {
  return tracks.some(({ files }) => files.some((file: RecordingFile) => file.bytes > 0));
}

function isOn({ spans }: RecordingTrack, at: number): boolean {
  return spans.some(({ fromMs, toMs }) => fromMs <= at && at < toMs);
}

const TICK_MS = 100;
