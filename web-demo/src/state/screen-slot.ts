import { signal } from '@preact/signals';
import { CaptureError, openScreen, type ScreenCapture } from '../call/capture';

/** A shared screen, with its sound where there is one. */
export class ScreenSlot {
  readonly track = signal<MediaStreamTrack | null>(null);
  readonly audio = signal<MediaStreamTrack | null>(null);
  /** Counts starts and stops, so that only the latest of them decides. */
  #turn = 0;
  #closed = false;

  /** Lets the user pick a screen; does nothing when they change their mind. */
  async start(): Promise<void> {
    if (this.#closed) return;
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const opened = await openScreen();
      // People may take long to pick, and the call may be over by then.
      if (turn === this.#turn) this.#adopt(opened);
      else stopAll(opened);
    } catch (error) {
      const changedMind = error instanceof CaptureError && error.problem === 'denied';
      if (!changedMind) throw error;
    }
  }

  stop(): void {
    this.#turn += 1;
    stopAll({ screen: this.track.peek(), audio: this.audio.peek() });
    this.track.value = null;
    this.audio.value = null;
  }

  /** Goes on without the sound. */
  stopAudio(): void {
    this.audio.peek()?.stop();
    this.audio.value = null;
  }

  /** Stops for good: a screen that is picked later is not shared. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  #adopt(opened: ScreenCapture): void {
    stopAll({ screen: this.track.peek(), audio: this.audio.peek() });
    this.track.value = opened.screen;
    this.audio.value = opened.audio;
    // The browser has a button of its own that ends the share.
    opened.screen.addEventListener('ended', () => {
      if (this.track.peek() === opened.screen) this.stop();
    });
  }
}

function stopAll(tracks: {
  screen: MediaStreamTrack | null;
  audio: MediaStreamTrack | null;
}): void {
  tracks.screen?.stop();
  tracks.audio?.stop();
}
