import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { isGrowing, isReadable, type RecordingDetails, type RecordingTrack } from '../api/types';
import { Captions } from './captions';
import { GrowingFeed } from './growing-feed';
import { LinkedFeed } from './linked-feed';
import { isSeen, type ReplayTile, tilesOf } from './replay-tiles';
import { ReplayTimeline } from './replay-timeline';
import { type FileProblem, ReplayedFile } from './replayed-file';
import { api, signedIn } from './session';
import { Turns } from './turns';

/**
 * Plays all files of a recording together. There is one clock; each file follows it by itself. The clock stands still
 * while a file that is to be seen or heard has nothing to show. A recording that runs is played as it grows.
 */
export class Replay {
  readonly recording: ReadonlySignal<RecordingDetails>;
  /** In milliseconds, as all times of a recording. */
  readonly length = signal(0);
  readonly position = signal(0);
  readonly playing = signal(false);
  readonly speed = signal(1);
  readonly waiting = signal(false);
  /** Whether more is being recorded. */
  readonly live = computed(() => isGrowing(this.#recording.value));
  /** Whether the newest is played. */
  readonly follows = signal(false);
  readonly finished = computed(() => !this.live.value && this.position.value >= this.length.value);
  readonly timeline = signal(new ReplayTimeline('', 0));
  readonly tiles = computed(() => tilesOf(this.#recording.value));
  readonly captions: Captions;

  /** What cannot be seen or heard. */
  readonly problems = computed(() =>
    this.#entries.value.flatMap(({ track, file }) => {
      const problem = file.feed.problem.value;
      return problem ? [{ track, problem }] : [];
    }),
  );

  readonly #recording;
  readonly #entries = signal<Entry[]>([]);
  readonly #turns = new Turns(CONNECTIONS);
  readonly #timers: ReturnType<typeof setInterval>[];
  #last = performance.now();
  #closed = false;

  constructor(recording: RecordingDetails) {
    this.#recording = signal(recording);
    this.recording = this.#recording;
    this.captions = new Captions(recording.id);
    this.#adopt(recording);
    if (this.live.peek()) {
      this.#follow();
      this.playing.value = true;
    }
    void this.#loadTimeline();
    this.#timers = [
      setInterval(() => this.#tick(), TICK_MS),
      setInterval(() => void this.#refresh(), REFRESH_MS),
    ];
  }

  /** The pictures of a tile that are there at this time or soon, and the one to be seen. */
  picturesOf({ pictures }: ReplayTile): { ready: HTMLMediaElement[]; shown?: HTMLMediaElement } {
    const at = this.position.value;
    const track = pictures.find((candidate) => this.#isOn(candidate, at));
    const files = this.#entries.value
      .filter((entry) => pictures.some(({ id }) => id === entry.track.id))
      .filter(({ file }) => !file.feed.problem.value);
    const next = files.filter(({ file }) => at < file.startMs && file.startMs < at + SOON_MS);
    const begun = files.filter((entry) => entry.track.id === track?.id && entry.file.startMs <= at);
    const [last, before] = begun.reverse();
    // A part that is not there yet leaves the last picture of the one before.
    const isLate = last && last.file.element.readyState < HTMLMediaElement.HAVE_CURRENT_DATA;
    const shown = (isLate && before ? before : last)?.file.element;
    const ready = [before, last, ...next].flatMap((entry) => entry?.file.element ?? []);
    return { ready, ...(shown && { shown }) };
  }

  /** The pictures that are missing at this time although they were on. */
  missingAt(at: number): Gap[] {
    return gapsOf(this.#recording.value).filter(({ fromMs, toMs }) => fromMs <= at && at < toMs);
  }

  /** The tile of who speaks at this time, or of who spoke last. */
  speaker(): { tile: ReplayTile | undefined; speaks: boolean } {
    const at = this.position.value;
    const timeline = this.timeline.value;
    const mic = timeline.lastSpeakerAt(at);
    const userId = this.#recording.value.tracks.find(({ id }) => id === mic)?.userId;
    const tile = this.tiles.value.find((it) => it.kind === 'person' && it.userId === userId);
    return { tile, speaks: timeline.speakerAt(at) !== undefined };
  }

  toggle(): void {
    if (this.finished.peek()) this.position.value = 0;
    this.playing.value = !this.playing.peek();
  }

  seek(position: number): void {
    this.follows.value = this.live.peek() && position >= this.length.peek() - DELAY_MS;
    if (this.follows.peek()) this.#follow();
    else this.position.value = Math.max(0, Math.min(position, this.length.peek()));
    this.#tick();
  }

  /** To the newest of a recording that runs. */
  goLive(): void {
    this.seek(this.length.peek());
    this.playing.value = true;
  }

  /** Tries again what could not be loaded. */
  retry(): void {
    for (const { file } of this.#entries.peek()) {
      if (file.feed.problem.peek()?.name === 'away') file.feed.retry();
    }
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { file } of this.#entries.peek()) file.close();
  }

  #tick(): void {
    const now = performance.now();
    const passed = (now - this.#last) * this.speed.peek();
    this.#last = now;
    const entries = this.#entries.peek();
    if (this.live.peek()) {
      const ends = entries.map(({ file }) => file.startMs + file.feed.lengthMs);
      this.length.value = Math.max(this.length.peek(), ...ends);
    }
    if (this.playing.peek() && !this.waiting.peek()) this.#advance(passed);
    if (this.finished.peek()) this.playing.value = false;
    const position = this.position.peek();
    const isWanted = this.playing.peek();
    this.waiting.value = isWanted && entries.some(({ file }) => file.isStarved(position));
    const playing = isWanted && !this.waiting.peek();
    for (const { file } of entries) file.follow(position, playing, this.speed.peek());
  }

  #advance(passed: number): void {
    const position = this.position.peek() + passed;
    if (!this.live.peek()) {
      this.position.value = Math.min(position, this.length.peek());
      return;
    }
    const newest = this.length.peek() - LEAST_DELAY_MS;
    if (position >= newest) {
      this.follows.value = true;
      // Nothing comes faster than it is recorded.
      if (this.speed.peek() > 1) this.speed.value = 1;
    }
    this.position.value = Math.max(this.position.peek(), Math.min(position, newest));
    if (this.follows.peek() && this.length.peek() - position > MOST_DELAY_MS) this.#follow();
  }

  #follow(): void {
    this.follows.value = true;
    this.position.value = Math.max(0, this.length.peek() - DELAY_MS);
  }

  /** What has been recorded since, and whether it still is. */
  async #refresh(): Promise<void> {
    if (!this.live.peek()) return;
    // What fails now comes with the next round.
    const found = await signedIn(api.recording(this.#recording.peek().id)).catch(() => undefined);
    if (!found || this.#closed) return;
    this.#adopt(found);
    await this.#loadTimeline();
  }

  async #loadTimeline(): Promise<void> {
    // Without it nobody is shown as speaking.
    const lines = await signedIn(api.recordingTimeline(this.#recording.peek().id)).catch(() => '');
    if (lines) this.timeline.value = new ReplayTimeline(lines, this.length.peek());
  }

  #adopt(recording: RecordingDetails): void {
    const wasLive = this.live.peek();
    this.#recording.value = recording;
    const isLive = this.live.peek();
    const known = new Map(this.#entries.peek().map((entry) => [entry.fileId, entry]));
    this.#entries.value = recording.tracks.flatMap((track) => {
      // Of a track that grows only its newest file can be read.
      const files = isLive ? track.files.slice(-1) : track.files;
      return files.map((file) => {
        const entry = wasLive === isLive ? known.get(file.id) : undefined;
        known.delete(entry?.fileId ?? '');
        if (entry?.file.feed instanceof GrowingFeed) entry.file.feed.noteLength(track);
        return entry ? { ...entry, track } : this.#entry(track, file, isLive);
      });
    });
    for (const { file } of known.values()) file.close();
    const end = Math.max(0, ...recording.tracks.map(endOf));
    this.length.value = isLive ? Math.max(end, this.length.peek()) : end;
  }

  #entry(track: RecordingTrack, file: RecordingTrack['files'][number], isLive: boolean): Entry {
    const element = document.createElement(isSeen(track) ? 'video' : 'audio');
    element.preload = 'auto';
    if (element instanceof HTMLVideoElement) element.playsInline = true;
    const { id } = this.#recording.peek();
    const feed = isLive
      ? new GrowingFeed(id, track, file, element, this.#turns)
      : new LinkedFeed(id, track, file, element);
    return { track, fileId: file.id, file: new ReplayedFile(file.startMs, element, feed) };
  }

  /** What runs is told late, so that what was on last is taken to be on still. */
  #isOn({ spans }: RecordingTrack, at: number): boolean {
    const known = this.live.value
      ? Math.max(0, ...this.#recording.value.tracks.map(endOf)) - NEWS_MS
      : Number.POSITIVE_INFINITY;
    return spans.some(({ fromMs, toMs }) => fromMs <= at && (at < toMs || toMs >= known));
  }
}

interface Entry {
  track: RecordingTrack;
  fileId: string;
  file: ReplayedFile;
}

export interface ReplayProblem {
  track: RecordingTrack;
  problem: FileProblem;
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

/** Whether a recording has anything that can be played, finished or while it grows. */
export function isPlayable(recording: RecordingDetails): boolean {
  const hasFiles = recording.tracks.some(({ files }) => files.length > 0);
  return (
    hasFiles &&
    (isReadable(recording) || (recording.status !== 'finishing' && isGrowing(recording)))
  );
}

function endOf({ startMs, durationMs }: RecordingTrack): number {
  return startMs + durationMs;
}

const TICK_MS = 100;
const REFRESH_MS = 3_000;
/** A file that begins so soon is made ready. */
const SOON_MS = 3_000;
/** How far the newest that is played is behind the newest that is recorded: files grow in steps of a second. */
const DELAY_MS = 6_000;
const LEAST_DELAY_MS = 2_000;
const MOST_DELAY_MS = 8_000;
/** How late the record may be. */
const NEWS_MS = 5_000;
/** Growing files that are read at the same time. A browser has six connections to a server without HTTP/2. */
const CONNECTIONS = 4;
