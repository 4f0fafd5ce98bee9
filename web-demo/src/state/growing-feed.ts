import { signal } from '@preact/signals';
import { open, unreachable } from '../api/http';
import { GrowingFile, type Piece, turnOf, withoutTurn } from '../api/matroska';
import { hasCode } from '../api/server-error';
import type { Link, RecordingFile, RecordingTrack } from '../api/types';
import { Attempts } from './attempts';
import { describe } from './messages';
import type { Feed, FileProblem } from './replayed-file';
import { api, signedIn } from './session';
import { turn } from './turned-picture';
import type { Turns } from './turns';

/**
 * A file that is still written: read from where the clock is, a little ahead, and then as it grows. It lets another
 * file have its connection whenever it has all there is. Times are in milliseconds of the file.
 */
export class GrowingFeed implements Feed {
  readonly problem = signal<FileProblem | undefined>(undefined);

  readonly #recordingId: string;
  readonly #track: RecordingTrack;
  readonly #file: RecordingFile;
  readonly #element: HTMLMediaElement;
  readonly #turns: Turns;
  readonly #attempts = new Attempts();
  readonly #media = new MediaSource();
  #buffer: SourceBuffer | undefined;
  #link: Link | undefined;
  /** Without a break, what has been read since the last jump. */
  #read: { fromMs: number; toMs: number; lastCluster: number; isWhole: boolean } | undefined;
  #lengthMs = 0;
  /** Whether the length will not change, and whether what has not been read cannot be read any more. */
  #isFinished = false;
  #isGone = false;
  #at = Number.NEGATIVE_INFINITY;
  #restUntil = 0;
  #wake: (() => void) | undefined;
  #reading = new AbortController();
  #closed = false;

  constructor(
    recordingId: string,
    track: RecordingTrack,
    file: RecordingFile,
    element: HTMLMediaElement,
    turns: Turns,
  ) {
    this.#recordingId = recordingId;
    this.#track = track;
    this.#file = file;
    this.#element = element;
    this.#turns = turns;
    element.src = URL.createObjectURL(this.#media);
    element.addEventListener('error', () => {
      if (!this.#closed) this.#fail({ name: 'unplayable' });
    });
    this.noteLength(track);
    void this.#run();
  }

  get lengthMs(): number {
    return this.#lengthMs;
  }

  /** What the record says of the track by now. */
  noteLength({ startMs, durationMs }: RecordingTrack): void {
    if (this.#isFinished) return;
    this.#lengthMs = Math.max(this.#lengthMs, startMs + durationMs - this.#file.startMs);
  }

  stateAt(at: number): 'there' | 'missing' | 'gap' {
    const { buffered } = this.#element;
    for (let index = 0; index < buffered.length; index += 1) {
      if (buffered.start(index) * 1_000 <= at && at < buffered.end(index) * 1_000) return 'there';
    }
    const read = this.#read;
    const isRead = read !== undefined && read.fromMs <= at && at <= read.toMs;
    return isRead || this.#isGone ? 'gap' : 'missing';
  }

  want(at: number): void {
    this.#at = at;
    if (this.#wanted() !== undefined) this.#wake?.();
    // What is on its way is not what is wanted any more.
    if (this.#read && this.#wanted() !== this.#read.toMs) this.#reading.abort();
  }

  retry(): void {
    if (!this.problem.peek()) return;
    this.problem.value = undefined;
    this.#attempts.reset();
    void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#reading.abort();
    this.#wake?.();
    URL.revokeObjectURL(this.#element.src);
  }

  async #run(): Promise<void> {
    while (!this.#closed && !this.problem.peek()) {
      if (this.#wanted() === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      await this.#turns.take();
      const problem = await this.#visit().finally(() => this.#turns.giveBack());
      if (problem === undefined || this.#closed) continue;
      this.#link = undefined;
      const again = await this.#attempts.isWorthAnother(problem);
      if (!again && !this.#closed) this.#fail({ name: 'away', reason: describe(problem) });
    }
  }

  /** From where to read; undefined while there is enough. */
  #wanted(): number | undefined {
    if (this.#closed || this.#isGone || this.#at < -AHEAD_MS) return undefined;
    const at = Math.max(0, this.#at);
    const read = this.#read;
    if (!read || at < read.fromMs || at > read.toMs + NEAR_MS) {
      return at < this.#lengthMs + NEAR_MS ? at : undefined;
    }
    const isEnough = read.isWhole || read.toMs - at > AHEAD_MS;
    return isEnough || performance.now() < this.#restUntil ? undefined : read.toMs;
  }

  /** Reads for as long as it is wanted. Returns what went wrong. */
  async #visit(): Promise<unknown> {
    const from = this.#wanted();
    if (from === undefined) return undefined;
    if (from !== this.#read?.toMs) this.#read = undefined;
    const reading = new AbortController();
    this.#reading = reading;
    try {
      const buffer = await this.#open();
      if (!buffer) return undefined;
      const link = await this.#liveLink();
      const seconds = Math.floor((this.#file.startMs + from) / 1_000);
      const response = await open(`${link.url}&from=${seconds}`, { signal: reading.signal });
      if (!response.headers.get('Content-Location')?.endsWith(this.#file.id)) {
        // The track goes on in another file.
        this.#leave();
      } else if (response.body) {
        await this.#take(buffer, from, response.body.getReader());
      }
      return undefined;
    } catch (error) {
      if (reading.signal.aborted) return undefined;
      if (!hasCode(error, 'conflict')) return error;
      // The recording has been stopped.
      this.#leave();
      return undefined;
    } finally {
      reading.abort();
    }
  }

  async #take(
    buffer: SourceBuffer,
    from: number,
    reader: ReadableStreamDefaultReader<Uint8Array>,
  ): Promise<void> {
    const file = new GrowingFile(this.#element instanceof HTMLVideoElement);
    let pending = readFrom(reader);
    for (let quiet = 1; ; quiet += 1) {
      const next = await Promise.race([pending, idle()]);
      // Firefox ends an answer that is given up as if it were whole.
      if (this.#reading.signal.aborted) return;
      if (next === undefined) {
        const leaves = this.#turns.isWanted;
        if (leaves || quiet === QUIET) await this.#keepAll(buffer, from, file.flush());
        if (!leaves) continue;
        this.#restUntil = performance.now() + REST_MS;
        return;
      }
      if (next.done) {
        await this.#keepAll(buffer, from, file.flush());
        return this.#end();
      }
      quiet = 0;
      this.#attempts.reset();
      await this.#keepAll(buffer, from, file.push(next.value));
      if (this.#read && this.#wanted() !== this.#read.toMs) return;
      pending = readFrom(reader);
    }
  }

  async #keepAll(buffer: SourceBuffer, from: number, pieces: Piece[]): Promise<void> {
    for (const piece of pieces) await this.#keep(buffer, from, piece);
  }

  async #keep(buffer: SourceBuffer, from: number, piece: Piece): Promise<void> {
    if (piece.name === 'header') {
      if (this.#read) return;
      // What follows begins elsewhere.
      if (this.#media.readyState === 'open') buffer.abort();
      turn(this.#element, turnOf(piece.bytes));
      await append(buffer, withoutTurn(piece.bytes));
      return;
    }
    // Each answer begins with a key frame, which may have come before.
    if (this.#read && piece.startMs <= this.#read.lastCluster) return;
    await append(buffer, piece.bytes);
    const toMs = piece.endMs ?? endOf(buffer.buffered, piece.startMs);
    this.#read = {
      fromMs: this.#read?.fromMs ?? Math.min(from, piece.startMs),
      toMs,
      lastCluster: piece.startMs,
      isWhole: false,
    };
    this.#lengthMs = Math.max(this.#lengthMs, toMs);
  }

  /** All of the file has come. */
  #end(): void {
    if (!this.#read) {
      this.#leave();
      return;
    }
    this.#read = { ...this.#read, isWhole: true };
    this.#lengthMs = this.#read.toMs;
    this.#isFinished = true;
    if (this.#media.readyState === 'open') this.#media.endOfStream();
  }

  /** What has come so far stays, and no more will. */
  #leave(): void {
    this.#isGone = true;
    this.#isFinished = true;
  }

  /** The place for the media; undefined if the browser has none for this kind. */
  async #open(): Promise<SourceBuffer | undefined> {
    if (this.#buffer) return this.#buffer;
    const codec = CODECS[this.#track.codec ?? ''];
    const type = `${this.#file.contentType}; codecs="${codec}"`;
    if (!codec || !MediaSource.isTypeSupported(type)) {
      this.#fail({ name: 'unplayable' });
      return undefined;
    }
    if (this.#media.readyState !== 'open') {
      await new Promise((opened) =>
        this.#media.addEventListener('sourceopen', opened, { once: true }),
      );
    }
    this.#buffer = this.#media.addSourceBuffer(type);
    return this.#buffer;
  }

  async #liveLink(): Promise<Link> {
    const isGood = this.#link && Date.parse(this.#link.expiresAt) > Date.now() + SPARE_MS;
    if (!this.#link || !isGood) {
      this.#link = await signedIn(api.liveLink(this.#recordingId, this.#track.id));
    }
    return this.#link;
  }

  #fail(problem: FileProblem): void {
    this.problem.value = problem;
    this.#reading.abort();
  }
}

async function append(buffer: SourceBuffer, bytes: BufferSource): Promise<void> {
  await new Promise((resolve, reject) => {
    buffer.addEventListener('updateend', resolve, { once: true });
    buffer.addEventListener('error', reject, { once: true });
    buffer.appendBuffer(bytes);
  });
}

/** Where the media end that begin here. */
function endOf(buffered: TimeRanges, startMs: number): number {
  for (let index = 0; index < buffered.length; index += 1) {
    const end = buffered.end(index) * 1_000;
    if (buffered.start(index) * 1_000 <= startMs + NARROW_MS && startMs < end) return end;
  }
  return startMs;
}

function readFrom(reader: ReadableStreamDefaultReader<Uint8Array>) {
  const next = reader.read().catch(() => {
    throw unreachable();
  });
  // Nobody waits for it after the reading was given up.
  next.catch(() => undefined);
  return next;
}

function idle(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, IDLE_MS, undefined));
}

/** As media types name them. */
const CODECS: Record<string, string> = {
  opus: 'opus',
  vp8: 'vp8',
  vp9: 'vp09.00.31.08',
  av1: 'av01.0.08M.08',
};
/** So much is read ahead of the clock. */
const AHEAD_MS = 30_000;
/** So far what follows is read on to, and not jumped to. */
const NEAR_MS = 15_000;
/** Times are rounded. */
const NARROW_MS = 10;
/** Longer without news: there is no more at present. */
const IDLE_MS = 400;
/** So often without news: nothing moves in the picture. */
const QUIET = 5;
/** How long a file leaves its connection to others. */
const REST_MS = 2_000;
/** A link that ends sooner is not used. */
const SPARE_MS = 10_000;
