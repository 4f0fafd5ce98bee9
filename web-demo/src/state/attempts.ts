import { hasCode } from '../api/server-error';

/** How often something that failed is tried again: a few times, with growing pauses. */
export class Attempts {
  #made = 0;

  /** Whether it is worth another try; answers when it is time for it. */
  async isWorthAnother(error: unknown): Promise<boolean> {
    const pause = PAUSES_MS[this.#made];
    if (pause === undefined || hasCode(error, 'not_found', 'conflict')) return false;
    this.#made += 1;
    await new Promise((resolve) => setTimeout(resolve, pause));
    return true;
  }

  /** It has worked, or somebody asks for it anew. */
  reset(): void {
    this.#made = 0;
  }
}

const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000];
