/**
 * The videos that the server withholds because the connection is too slow for them, by producer. A video counts once
 * nothing of it has come for a moment: while one only waits for its next key frame, the server says the same.
 */
export class Withheld {
  readonly #onChange: (producerIds: ReadonlySet<string>) => void;
  /** Since when nothing is sent or, if that is later, asked for again; in milliseconds of the page's clock. */
  readonly #silentSince = new Map<string, number>();
  /** Those that we ourselves asked the server to hold back. */
  readonly #unwanted = new Set<string>();
  #withheld: ReadonlySet<string> = new Set();
  #isDivided = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onChange: (producerIds: ReadonlySet<string>) => void) {
    this.#onChange = onChange;
  }

  /** The server divides our bandwidth. One that does not withholds videos for reasons of its own. */
  divided(): void {
    this.#isDivided = true;
    this.#judge();
  }

  /** The server has said whether anything of a video is sent. */
  told(producerId: string, isSent: boolean): void {
    if (isSent) this.#silentSince.delete(producerId);
    else this.#silentSince.set(producerId, performance.now());
    this.#judge();
  }

  /** We have said whether we want these videos. */
  wanted(producerIds: string[], isWanted: boolean): void {
    for (const id of producerIds) {
      if (!isWanted) this.#unwanted.add(id);
      // If it is still withheld, the server does not say so again.
      else if (this.#unwanted.delete(id) && this.#silentSince.has(id)) {
        this.#silentSince.set(id, performance.now());
      }
    }
    this.#judge();
  }

  drop(producerId: string): void {
    this.#silentSince.delete(producerId);
    this.#unwanted.delete(producerId);
    this.#judge();
  }

  close(): void {
    clearTimeout(this.#timer);
    // A request may still fail later: then nothing is left to tell of.
    this.#silentSince.clear();
    this.#withheld = new Set();
  }

  #judge(): void {
    clearTimeout(this.#timer);
    const withheld = new Set<string>();
    let next = Number.POSITIVE_INFINITY;
    for (const [id, since] of this.#silentSince) {
      if (!this.#isDivided || this.#unwanted.has(id)) continue;
      const wait = since + PATIENCE_MS - performance.now();
      // Those that are due almost at once are told of together.
      if (wait <= TOGETHER_MS) withheld.add(id);
      else next = Math.min(next, wait);
    }
    if (next < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#judge(), next);
    if (isSame(withheld, this.#withheld)) return;
    this.#withheld = withheld;
    this.#onChange(withheld);
  }
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item));
}

const PATIENCE_MS = 1_000;
const TOGETHER_MS = 250;
