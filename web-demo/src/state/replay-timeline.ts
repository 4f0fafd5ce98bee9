/** Who spoke when, and when nothing was recorded, as the recorder noted it. Times are in milliseconds. */
export class ReplayTimeline {
  readonly pauses: { fromMs: number; toMs: number }[] = [];
  readonly #speakers: { atMs: number; trackId: string | undefined }[] = [];

  /** Lines that are not understood are left out. */
  constructor(lines: string, endMs: number) {
    let pausedAt: number | undefined;
    for (const note of lines.split('\n').map(noteOf)) {
      if (note?.speaker !== undefined) {
        this.#speakers.push({ atMs: note.atMs, trackId: note.speaker ?? undefined });
      }
      if (note?.paused) pausedAt ??= note.atMs;
      if (note?.paused === false && pausedAt !== undefined) {
        this.pauses.push({ fromMs: pausedAt, toMs: note.atMs });
        pausedAt = undefined;
      }
    }
    if (pausedAt !== undefined && pausedAt < endMs) {
      this.pauses.push({ fromMs: pausedAt, toMs: endMs });
    }
  }

  /** The microphone of who speaks at this time. */
  speakerAt(at: number): string | undefined {
    return this.#speakers.findLast(({ atMs }) => atMs <= at)?.trackId;
  }

  /** The microphone of who spoke last. */
  lastSpeakerAt(at: number): string | undefined {
    return this.#speakers.findLast(({ atMs, trackId }) => trackId && atMs <= at)?.trackId;
  }
}

interface Note {
  atMs: number;
  speaker?: string | null;
  paused?: boolean;
}

function noteOf(line: string): Note | undefined {
  try {
    const note = JSON.parse(line);
    return typeof note?.atMs === 'number' ? note : undefined;
  } catch {
    return undefined;
  }
}
