import { signal } from '@preact/signals';
import { describe } from './messages';
import { api, signedIn } from './session';
import { type Cue, parseWebVtt } from './web-vtt';

/** The captions of a recording in the language that somebody chose. */
export class Captions {
  readonly language = signal<string | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);

  readonly #recordingId: string;
  readonly #cues = signal<Cue[]>([]);

  constructor(recordingId: string) {
    this.#recordingId = recordingId;
  }

  async choose(language: string | undefined): Promise<void> {
    this.language.value = language;
    this.problem.value = undefined;
    this.#cues.value = [];
    if (language === undefined) return;
    try {
      const text = await signedIn(api.captions(this.#recordingId, language));
      if (this.language.peek() === language) this.#cues.value = parseWebVtt(text);
    } catch (error) {
      if (this.language.peek() === language) this.problem.value = describe(error);
    }
  }

  /** What is said at this time. */
  at(time: number): Cue['lines'] {
    const now = this.#cues.value.filter(({ fromMs, toMs }) => fromMs <= time && time < toMs);
    return now.flatMap(({ lines }) => lines);
  }
}
