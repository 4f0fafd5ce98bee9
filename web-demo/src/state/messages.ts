import { ServerError } from '../api/server-error';
import { CaptureError, type CaptureProblem } from '../call/capture';
import { UnsupportedBrowser } from '../call/device';
import type { RecordingEnd } from '../call/signaling.gen';

/** What to tell people when something failed. Codes nobody foresaw are shown as they are. */
export function describe(error: unknown): string {
  if (error instanceof ServerError) return describeCode(error.code);
  if (error instanceof UnsupportedBrowser) return 'This browser cannot take part in calls.';
  if (error instanceof CaptureError) return describeCapture(error.problem, 'your screen');
  console.error(error);
  return 'Something went wrong in this page. Reload it to try again.';
}

/** The same for the code alone. */
export function describeCode(code: string): string {
  return MESSAGES[code] ?? unforeseen(code);
}

/** What stops a microphone, camera or screen, and what to do about it; `what` as in “your camera”. */
export function describeCapture(problem: CaptureProblem, what: string): string {
  switch (problem) {
    case 'denied':
      return `The browser has no access to ${what}. Allow it in the address bar, then turn it on again.`;
    case 'missing':
      return `Could not find ${what}. Plug it in and turn it on again, or go on without.`;
    case 'busy':
      return `Another app is using ${what}. Close that app, then turn it on again.`;
    case 'unsupported':
      return `Browsers give ${what} only to secure pages: open this one over https or on localhost.`;
    case 'failed':
      return `Could not start ${what}.`;
  }
}

/** Why a call is over, in a sentence. */
export function describeEnd(reason: string | null, byMe: boolean): string {
  if (byMe) return 'You ended the call for everyone.';
  return END_REASONS[reason ?? 'normal'] ?? `The call ended (${reason}).`;
}

/** Why a recording ended, in a sentence; undefined where somebody wanted it to. */
export function describeRecordingEnd(reason: RecordingEnd): string | undefined {
  return RECORDING_ENDS[reason];
}

function unforeseen(code: string): string {
  return `Something went wrong on the server (${code}).`;
}

const MESSAGES: Record<string, string> = {
  network: 'The server cannot be reached. Check your connection and try again.',
  disconnected: 'You are not connected right now. Wait a moment and try again.',
  timeout: 'The server took too long to answer. Try again.',
  unauthorized: 'Your sign-in is not valid here, or it has expired.',
  forbidden: 'You are not allowed to do this. Ask an owner or admin of the group.',
  not_found: 'This does not exist, or it is gone.',
  not_in_call: 'You are not in this call.',
  call_ended: 'This call has ended.',
  unsupported: 'This is not part of this kind of call.',
  call_exists: 'A call is already running in this group.',
  call_locked: 'This call is locked. Ask somebody in it to let you in.',
  removed: 'You were removed from this call.',
  too_many_participants: 'This call is full.',
  too_many_members: 'This group is full.',
  recording_off: 'This server does not record calls.',
  already_recording: 'This call is being recorded already.',
  not_recording: 'This call is not being recorded.',
  storage_full: 'The server has no room left for recordings.',
  call_encrypted: 'This call is encrypted between its people, so the server cannot record it.',
  limit_exceeded: 'A limit of the server is reached.',
  rate_limited: 'Too many requests. Wait a moment and try again.',
  unavailable: 'The server is not ready right now. Try again in a moment.',
  node_overloaded: 'The server is full right now. Try again later.',
  node_draining: 'The server is restarting. Try again in a moment.',
};

const END_REASONS: Record<string, string> = {
  normal: 'The call was ended for everyone.',
  'last-left': 'Everyone has left.',
  cancelled: 'The call was cancelled before anyone joined.',
  timeout: 'Nobody answered in time.',
  declined: 'Everyone declined.',
  error: 'The call ended because of an error.',
  'group-deleted': 'The group was deleted.',
  'server-restart': 'The server was restarted.',
};

const RECORDING_ENDS: Record<RecordingEnd, string | undefined> = {
  stopped: undefined,
  'call-ended': undefined,
  'disk-full': 'The disk of the server is full.',
  'storage-error': 'The disk of the server failed.',
  'server-restart': 'The server was restarted.',
  limit: 'It reached the longest time that this server records.',
};
