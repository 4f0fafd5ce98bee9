import { computed, signal } from '@preact/signals';
import {
  CaptureError,
  type CaptureProblem,
  listDevices,
  openCamera,
  openMicrophone,
  openScreen,
} from '../call/capture';
import { recall, remember } from './storage';

/** This tab's own microphone, camera and shared screen, from the preview through the call. */

export const micTrack = signal<MediaStreamTrack | null>(null);
export const cameraTrack = signal<MediaStreamTrack | null>(null);
export const screenTrack = signal<MediaStreamTrack | null>(null);
export const screenAudioTrack = signal<MediaStreamTrack | null>(null);

/** A muted microphone stays open, so that unmuting is instant. A camera that is off is closed. */
export const muted = signal(false);
export const micOn = computed(() => micTrack.value !== null && !muted.value);
export const cameraOn = computed(() => cameraTrack.value !== null);

export const micProblem = signal<CaptureProblem | undefined>(undefined);
export const cameraProblem = signal<CaptureProblem | undefined>(undefined);

/** Everything that could be chosen. Empty until permission is given. */
export const devices = signal<MediaDeviceInfo[]>([]);

export type DeviceKind = MediaDeviceKind;
export const chosenDevices = signal<Partial<Record<DeviceKind, string>>>(
  recall(localStorage, 'devices') ?? {},
);

let opened = false;

/** What was on when the page was last used, so that a reload comes back the same way. */
export interface Wishes {
  mic: boolean;
  camera: boolean;
}

export function lastWishes(): Wishes {
  return recall(sessionStorage, 'wishes') ?? { mic: true, camera: true };
}

/** Opens what is wished for, once: a preview's devices go on into its call. */
export async function openDevices(wishes: Wishes & { video: boolean }): Promise<void> {
  if (opened) return;
  opened = true;
  await startMic(wishes.mic);
  if (wishes.video && wishes.camera) await startCamera();
  else keepWishes();
}

export async function setMic(on: boolean): Promise<void> {
  if (on && !micTrack.peek()) await startMic(true);
  else muted.value = !on;
  keepWishes();
}

export async function setCamera(on: boolean): Promise<void> {
  if (on) await startCamera();
  else stop(cameraTrack);
  keepWishes();
}

/** Changes a device, at once where it is in use. */
export async function choose(kind: DeviceKind, deviceId: string): Promise<void> {
  chosenDevices.value = { ...chosenDevices.peek(), [kind]: deviceId };
  remember(localStorage, 'devices', chosenDevices.peek());
  if (kind === 'audioinput' && micTrack.peek()) await startMic(!muted.peek());
  if (kind === 'videoinput' && cameraTrack.peek()) await startCamera();
}

/** Lets the user pick a screen. Resolves to false when they changed their mind. */
export async function shareScreen(): Promise<boolean> {
  try {
    const { screen, audio } = await openScreen();
    screen.addEventListener('ended', stopScreen);
    screenTrack.value = screen;
    screenAudioTrack.value = audio;
    return true;
  } catch (error) {
    if (error instanceof CaptureError && error.problem === 'denied') return false;
    throw error;
  }
}

export function stopScreen(): void {
  stop(screenTrack);
  stop(screenAudioTrack);
}

/** Turns everything off, lights included. */
export function closeDevices(): void {
  opened = false;
  stopScreen();
  stop(micTrack);
  stop(cameraTrack);
  micProblem.value = undefined;
  cameraProblem.value = undefined;
}

async function startMic(on: boolean): Promise<void> {
  muted.value = !on;
  await open(micTrack, micProblem, () => openMicrophone(chosenDevices.peek().audioinput));
}

async function startCamera(): Promise<void> {
  await open(cameraTrack, cameraProblem, () => openCamera(chosenDevices.peek().videoinput));
}

type TrackSignal = typeof micTrack;

async function open(
  track: TrackSignal,
  problem: typeof micProblem,
  capture: () => Promise<MediaStreamTrack>,
): Promise<void> {
  try {
    const opened = await capture();
    const before = track.peek();
    opened.addEventListener('ended', () => unplugged(track, problem, opened));
    track.value = opened;
    before?.stop();
    problem.value = undefined;
  } catch (error) {
    problem.value = error instanceof CaptureError ? error.problem : 'failed';
  }
  devices.value = await listDevices();
}

/** The system took the device away; calling `stop()` does not come here. */
function unplugged(track: TrackSignal, problem: typeof micProblem, lost: MediaStreamTrack): void {
  if (track.peek() !== lost) return;
  track.value = null;
  problem.value = 'missing';
}

function stop(track: TrackSignal): void {
  track.peek()?.stop();
  track.value = null;
}

function keepWishes(): void {
  const wishes: Wishes = { mic: !muted.peek(), camera: cameraOn.peek() };
  remember(sessionStorage, 'wishes', wishes);
}

navigator.mediaDevices?.addEventListener('devicechange', async () => {
  devices.value = await listDevices();
});
