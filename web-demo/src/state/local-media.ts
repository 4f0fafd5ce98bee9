import { computed, signal } from '@preact/signals';
import {
  CaptureError,
  listDevices,
  openBoth,
  openCamera,
  openMicrophone,
  openScreen,
} from '../call/capture';
import { CaptureSlot } from './capture-slot';
import { recall, remember } from './storage';

/** This tab's own microphone, camera and shared screen, from the preview through the call. */

export type DeviceKind = MediaDeviceKind;

/** Ids of the devices people picked, kept in this browser. */
export const chosenDevices = signal<Partial<Record<DeviceKind, string>>>(
  recall(localStorage, 'devices') ?? {},
);

/** Everything that could be picked; undefined until the browser was asked, empty without permission. */
export const devices = signal<MediaDeviceInfo[] | undefined>(undefined);

export const mic = new CaptureSlot(() => openMicrophone(chosenDevices.peek().audioinput));
export const camera = new CaptureSlot(() => openCamera(chosenDevices.peek().videoinput));
export const screenTrack = signal<MediaStreamTrack | null>(null);
export const screenAudioTrack = signal<MediaStreamTrack | null>(null);

/** A muted microphone stays open, so that unmuting is instant. A camera that is off is closed. */
export const muted = signal(false);
export const micOn = computed(() => mic.track.value !== null && !muted.value);
export const cameraOn = computed(() => camera.track.value !== null);

/** What people want on; kept in this tab, so that a reload comes back the same way. */
export interface Wishes {
  mic: boolean;
  camera: boolean;
}

export function lastWishes(): Wishes {
  return recall(sessionStorage, 'wishes') ?? { mic: true, camera: true };
}

let opened = false;

/** Opens what is wished for, once: a preview's devices go on into its call. */
export async function openDevices(wishes: Wishes & { video: boolean }): Promise<void> {
  if (opened) return;
  opened = true;
  muted.value = !wishes.mic;
  if (wishes.video && wishes.camera) await openMicAndCamera();
  else await mic.start();
  devices.value = await listDevices();
}

export async function setMic(on: boolean): Promise<void> {
  muted.value = !on;
  keepWishes({ mic: on });
  if (on && !mic.track.peek()) await mic.start();
  devices.value = await listDevices();
}

export async function setCamera(on: boolean): Promise<void> {
  keepWishes({ camera: on });
  if (on) await camera.start();
  else camera.stop();
  devices.value = await listDevices();
}

/** Changes a device, at once where it is in use. */
export async function choose(kind: DeviceKind, deviceId: string): Promise<void> {
  chosenDevices.value = { ...chosenDevices.peek(), [kind]: deviceId };
  remember(localStorage, 'devices', chosenDevices.peek());
  if (kind === 'audioinput' && mic.track.peek()) await mic.start();
  if (kind === 'videoinput' && camera.track.peek()) await camera.start();
}

/** Lets the user pick a screen; does nothing when they change their mind. */
export async function shareScreen(): Promise<void> {
  try {
    const { screen, audio } = await openScreen();
    screen.addEventListener('ended', stopScreen);
    screenTrack.value = screen;
    screenAudioTrack.value = audio;
  } catch (error) {
    const changedMind = error instanceof CaptureError && error.problem === 'denied';
    if (!changedMind) throw error;
  }
}

export function stopScreen(): void {
  for (const shared of [screenTrack, screenAudioTrack]) {
    shared.peek()?.stop();
    shared.value = null;
  }
}

/** Turns everything off, lights included. */
export function closeDevices(): void {
  opened = false;
  stopScreen();
  mic.stop();
  camera.stop();
}

/** Asks for both at once, so that people are asked once. */
async function openMicAndCamera(): Promise<void> {
  mic.opening.value = true;
  camera.opening.value = true;
  const { audioinput, videoinput } = chosenDevices.peek();
  try {
    const tracks = await openBoth(audioinput, videoinput);
    if (!opened) {
      tracks.mic.stop();
      tracks.camera.stop();
      return;
    }
    mic.adopt(tracks.mic);
    camera.adopt(tracks.camera);
  } catch (error) {
    if (error instanceof CaptureError && error.problem === 'denied') {
      mic.fail('denied');
      camera.fail('denied');
      return;
    }
    // One of them is missing or busy; the other may still work.
    await Promise.all([mic.start(), camera.start()]);
  }
}

function keepWishes(changed: Partial<Wishes>): void {
  remember(sessionStorage, 'wishes', { ...lastWishes(), ...changed });
}

navigator.mediaDevices?.addEventListener('devicechange', async () => {
  devices.value = await listDevices();
});
