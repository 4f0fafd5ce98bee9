import { computed, signal } from '@preact/signals';
import { CaptureError, openBoth, openCamera, openMicrophone } from '../call/capture';
import type { Outgoing } from '../call/sender';
import type { Source } from '../call/signaling.gen';
import { CaptureSlot } from './capture-slot';
import { chosenDevices, type DeviceKind, refreshDevices, rememberChoice } from './device-list';
import { ScreenSlot } from './screen-slot';
import { keepWishes, type Wishes } from './wishes';

/**
 * The microphone, camera and shared screen of one stay: a preview, and the call that it leads to. Whoever owns it closes
 * it, and then nothing of it is on: neither what was open, nor what the browser hands out later.
 */
export class LocalMedia {
  readonly mic = new CaptureSlot(() => openMicrophone(chosenDevices.peek().audioinput));
  readonly camera = new CaptureSlot(() => openCamera(chosenDevices.peek().videoinput));
  readonly screen = new ScreenSlot();

  /** A muted microphone stays open, so that unmuting is instant. A camera that is off is closed. */
  readonly muted = signal(false);
  readonly micOn = computed(() => this.mic.track.value !== null && !this.muted.value);
  readonly cameraOn = computed(() => this.camera.track.value !== null);
  readonly sharing = computed(() => this.screen.track.value !== null);

  #opened = false;
  #closed = false;

  /** Opens what is wished for, once: a preview's devices go on into its call. */
  async open(wishes: Wishes, sources: ReadonlySet<Source>): Promise<void> {
    if (this.#opened || this.#closed) return;
    this.#opened = true;
    this.muted.value = !wishes.mic;
    const camera = wishes.camera && sources.has('camera');
    if (sources.has('mic') && camera) await this.#openMicAndCamera();
    else if (sources.has('mic')) await this.mic.start();
    else if (camera) await this.camera.start();
    await refreshDevices();
  }

  async setMic(on: boolean): Promise<void> {
    this.muted.value = !on;
    keepWishes({ mic: on });
    if (on && !this.mic.track.peek()) await this.mic.start();
    await refreshDevices();
  }

  async setCamera(on: boolean): Promise<void> {
    keepWishes({ camera: on });
    if (on) await this.camera.start();
    else this.camera.stop();
    await refreshDevices();
  }

  /** Changes a device, at once where it is in use. */
  async choose(kind: DeviceKind, deviceId: string): Promise<void> {
    rememberChoice(kind, deviceId);
    if (kind === 'audioinput' && this.mic.track.peek()) await this.mic.start();
    if (kind === 'videoinput' && this.camera.track.peek()) await this.camera.start();
  }

  /** What others are to get of a source. */
  outgoing(source: Source): Outgoing {
    switch (source) {
      case 'mic':
        return { track: this.mic.track.value, muted: this.muted.value };
      case 'camera':
        return { track: this.camera.track.value, muted: false };
      case 'screen':
        return { track: this.screen.track.value, muted: false };
      case 'screen-audio':
        return { track: this.screen.audio.value, muted: false };
    }
  }

  /** Turns a source off, its light included. */
  stop(source: Source): void {
    switch (source) {
      case 'mic':
        this.muted.value = true;
        this.mic.stop();
        break;
      case 'camera':
        this.camera.stop();
        break;
      case 'screen':
        this.screen.stop();
        break;
      case 'screen-audio':
        this.screen.stopAudio();
        break;
    }
  }

  /** Turns everything off for good. */
  close(): void {
    this.#closed = true;
    this.mic.close();
    this.camera.close();
    this.screen.close();
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** Asks for both at once, so that people are asked once. Where one is missing or busy the other may still work. */
  async #openMicAndCamera(): Promise<void> {
    const { audioinput, videoinput } = chosenDevices.peek();
    const both = openBoth(audioinput, videoinput);
    await Promise.all([
      this.mic.start(() =>
        both.then(
          ({ mic }) => mic,
          unlessDenied(() => openMicrophone(audioinput)),
        ),
      ),
      this.camera.start(() =>
        both.then(
          ({ camera }) => camera,
          unlessDenied(() => openCamera(videoinput)),
        ),
      ),
    ]);
  }
}

function unlessDenied<Track>(open: () => Promise<Track>): (error: unknown) => Promise<Track> {
  return (error) => {
    if (error instanceof CaptureError && error.problem === 'denied') throw error;
    return open();
  };
}
