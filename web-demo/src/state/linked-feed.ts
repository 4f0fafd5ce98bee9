import { signal } from '@preact/signals';
import { open, unreachable } from '../api/http';
import type { RecordingFile, RecordingTrack } from '../api/types';
import { Attempts } from './attempts';
import { describe } from './messages';
import type { Feed, FileProblem } from './replayed-file';
import { api, signedIn } from './session';
import { turnAsFile } from './turned-picture';

/** A file that is finished: the browser reads it itself, by a link. */
export class LinkedFeed implements Feed {
  readonly problem = signal<FileProblem | undefined>(undefined);

  readonly #recordingId: string;
  readonly #track: RecordingTrack;
  readonly #file: RecordingFile;
  readonly #element: HTMLMediaElement;
  readonly #attempts = new Attempts();
  #asked = false;
  #closed = false;

  constructor(
    recordingId: string,
    track: RecordingTrack,
    file: RecordingFile,
    element: HTMLMediaElement,
  ) {
    this.#recordingId = recordingId;
    this.#track = track;
    this.#file = file;
    this.#element = element;
    element.addEventListener('error', () => void this.#mend());
    element.addEventListener('playing', () => this.#attempts.reset());
  }

  get lengthMs(): number {
    const { duration } = this.#element;
    if (!Number.isNaN(duration)) return duration * 1_000;
    return this.#track.startMs + this.#track.durationMs - this.#file.startMs;
  }

  stateAt(): 'there' {
    return 'there';
  }

  /** Of a long recording only what is near is loaded. */
  want(at: number): void {
    if (this.#asked || at < -AHEAD_MS || at > this.lengthMs) return;
    this.#asked = true;
    void this.#load();
  }

  retry(): void {
    this.problem.value = undefined;
    this.#attempts.reset();
    void this.#load();
  }

  close(): void {
    this.#closed = true;
  }

  async #load(): Promise<void> {
    try {
      const link = await signedIn(api.recordingLink(this.#recordingId, this.#file.id));
      if (this.#closed) return;
      this.#element.src = link.url;
      if (this.#element instanceof HTMLVideoElement) await turnAsFile(this.#element, link.url);
    } catch (error) {
      await this.#again(error);
    }
  }

  /** A browser does not say whether it got no file, or one that it cannot play. */
  async #mend(): Promise<void> {
    const { error, src } = this.#element;
    if (this.#closed || !src) return;
    try {
      await open(src, { method: 'HEAD' });
    } catch (refusal) {
      return this.#again(refusal);
    }
    if (error?.code === MediaError.MEDIA_ERR_NETWORK) await this.#again(unreachable());
    else this.problem.value = { name: 'unplayable' };
  }

  async #again(error: unknown): Promise<void> {
    const again = await this.#attempts.isWorthAnother(error);
    if (this.#closed) return;
    if (again) await this.#load();
    else this.problem.value = { name: 'away', reason: describe(error) };
  }
}

/** A file is loaded so long before it is to be played. */
const AHEAD_MS = 20_000;
