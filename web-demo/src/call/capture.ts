/** Opening microphones, cameras and screens, with failures sorted by what the user can do about them. */

export type CaptureProblem = 'denied' | 'missing' | 'busy' | 'unsupported' | 'failed';

export class CaptureError extends Error {
  readonly problem: CaptureProblem;

  constructor(problem: CaptureProblem) {
    super(`Capture failed: ${problem}`);
    this.name = 'CaptureError';
    this.problem = problem;
  }
}

/** The chosen microphone, or any when that one is not plugged in. */
export async function openMicrophone(deviceId?: string): Promise<MediaStreamTrack> {
  const stream = await orAny(deviceId, (choice) => capture({ audio: { ...AUDIO, ...choice } }));
  return firstOf(stream.getAudioTracks());
}

/** The chosen camera, or any when that one is not plugged in. */
export async function openCamera(deviceId?: string): Promise<MediaStreamTrack> {
  const stream = await orAny(deviceId, (choice) => capture({ video: { ...VIDEO, ...choice } }));
  return firstOf(stream.getVideoTracks());
}

/** The chosen microphone and camera with one question to the user; fails when either of them does. */
export async function openBoth(
  micId?: string,
  cameraId?: string,
): Promise<{ mic: MediaStreamTrack; camera: MediaStreamTrack }> {
  const stream = await capture({
    audio: { ...AUDIO, ...chosen(micId) },
    video: { ...VIDEO, ...chosen(cameraId) },
  });
  return { mic: firstOf(stream.getAudioTracks()), camera: firstOf(stream.getVideoTracks()) };
}

export interface ScreenCapture {
  screen: MediaStreamTrack;
  /** Present when the user chose to share sound as well. */
  audio: MediaStreamTrack | null;
}

/** Lets the user pick what to share; `denied` also means that they changed their mind. */
export async function openScreen(): Promise<ScreenCapture> {
  if (!canShareScreen()) throw new CaptureError('unsupported');
  const stream = await navigator.mediaDevices
    .getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: true })
    .catch(rethrow);
  const screen = firstOf(stream.getVideoTracks());
  screen.contentHint = 'detail';
  return { screen, audio: stream.getAudioTracks()[0] ?? null };
}

export function canShareScreen(): boolean {
  return Boolean(navigator.mediaDevices?.getDisplayMedia);
}

export async function listDevices(): Promise<MediaDeviceInfo[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  // Before permission is given browsers list one nameless device of each kind.
  return devices.filter((device) => device.deviceId !== '');
}

async function capture(constraints: MediaStreamConstraints): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new CaptureError('unsupported');
  return navigator.mediaDevices.getUserMedia(constraints).catch(rethrow);
}

function chosen(deviceId: string | undefined): MediaTrackConstraints {
  // Exact, because browsers may take another device than the `ideal` one.
  return deviceId ? { deviceId: { exact: deviceId } } : {};
}

/** A remembered device may not be plugged in today. */
async function orAny(
  deviceId: string | undefined,
  open: (choice: MediaTrackConstraints) => Promise<MediaStream>,
): Promise<MediaStream> {
  try {
    return await open(chosen(deviceId));
  } catch (error) {
    const gone = error instanceof CaptureError && error.problem === 'missing';
    if (!deviceId || !gone) throw error;
    return open({});
  }
}

function firstOf(tracks: MediaStreamTrack[]): MediaStreamTrack {
  const track = tracks[0];
  if (!track) throw new CaptureError('missing');
  return track;
}

function rethrow(error: unknown): never {
  const name = error instanceof DOMException ? error.name : '';
  throw new CaptureError(PROBLEMS[name] ?? 'failed');
}

const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 24 } };

const PROBLEMS: Record<string, CaptureProblem> = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
};
