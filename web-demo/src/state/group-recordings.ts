import { signal } from '@preact/signals';
import type { Recording, RecordingDetails } from '../api/types';
import { describe } from './messages';
import { Replay } from './replay';
import { api, signedIn } from './session';

/** What is recorded of a group's calls, as far as this person may see it. */
export class GroupRecordings {
  /** By call, newest first. */
  readonly byCall = signal<ReadonlyMap<string, Recording[]>>(new Map());
  readonly problem = signal<string | undefined>(undefined);
  /** What is being played, wherever it stands in the history by now. */
  readonly playing = signal<Replay | undefined>(undefined);

  readonly #groupId: string;
  #round = 0;

  constructor(groupId: string) {
    this.#groupId = groupId;
  }

  /** Loads those of calls that were created since then. */
  async load(since: string): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    try {
      const found = await this.#since(Date.parse(since));
      if (round !== this.#round) return;
      const byCall = new Map<string, Recording[]>();
      for (const recording of found) {
        byCall.set(recording.callId, [...(byCall.get(recording.callId) ?? []), recording]);
      }
      this.byCall.value = byCall;
      this.problem.value = undefined;
    } catch (error) {
      if (round === this.#round) this.problem.value = describe(error);
    }
  }

  play(recording: RecordingDetails): void {
    this.stopPlaying();
    this.playing.value = new Replay(recording);
  }

  stopPlaying(): void {
    this.playing.peek()?.close();
    this.playing.value = undefined;
  }

  async remove({ id, callId }: Recording): Promise<void> {
    await signedIn(api.deleteRecording(id));
    const rest = (this.byCall.peek().get(callId) ?? []).filter((other) => other.id !== id);
    this.byCall.value = new Map(this.byCall.peek()).set(callId, rest);
  }

  async #since(time: number): Promise<Recording[]> {
    const found: Recording[] = [];
    let cursor: string | undefined;
    do {
      const page = await signedIn(api.recordings(this.#groupId, cursor));
      found.push(...page.items);
      cursor = page.nextCursor ?? undefined;
      const last = page.items.at(-1);
      if (last && Date.parse(last.startedAt) < time) break;
    } while (cursor && found.length < MOST_RECORDINGS);
    return found;
  }
}

/** Downloads one file of a recording, under the name that the server gives it. */
export async function downloadFile(recordingId: string, fileId: string): Promise<void> {
  const { url } = await signedIn(api.recordingLink(recordingId, fileId));
  const anchor = document.createElement('a');
  anchor.href = `${url}&download`;
  anchor.download = '';
  anchor.click();
}

/** More than this nobody reads on one page. */
const MOST_RECORDINGS = 2_000;
