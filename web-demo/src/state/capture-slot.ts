import { signal } from '@preact/signals';
import { CaptureError, type CaptureProblem } from '../call/capture';

/** One device in use: the track it gives, or why it gives none. */
export class CaptureSlot {
  readonly track = signal<MediaStreamTrack | null>(null);
  readonly problem = signal<CaptureProblem | undefined>(undefined);
  readonly opening = signal(false);
  readonly #capture: () => Promise<MediaStreamTrack>;
  /** Counts starts and stops, so that only the latest of them decides. */
  #turn = 0;
  #closed = false;

  constructor(capture: () => Promise<MediaStreamTrack>) {
    this.#capture = capture;
  }

  /** Opens the device, in place of one that is open, or takes what `capture` opens. */
  async start(capture = this.#capture): Promise<void> {
    if (this.#closed) return;
    this.#turn += 1;
    const turn = this.#turn;
    this.opening.value = true;
    // Phones cannot open a second camera or microphone beside the first.
    this.track.peek()?.stop();
    try {
      const opened = await capture();
      if (turn === this.#turn) this.#adopt(opened);
      else opened.stop();
    } catch (error) {
      if (turn === this.#turn) {
        this.#fail(error instanceof CaptureError ? error.problem : 'failed');
      }
    }
  }

  stop(): void {
    this.#turn += 1;
    this.track.peek()?.stop();
    this.track.value = null;
    this.problem.value = undefined;
    this.opening.value = false;
  }

  /** Stops for good: a device that opens later is stopped at once. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  #adopt(opened: MediaStreamTrack): void {
    this.track.value = opened;
    this.problem.value = undefined;
    this.opening.value = false;
    // Not called by `stop()`: the system took the device away.
    opened.addEventListener('ended', () => {
      if (this.track.peek() === opened) this.#fail('missing');
    });
  }

  #fail(problem: CaptureProblem): void {
    this.stop();
    this.problem.value = problem;
  }
}
