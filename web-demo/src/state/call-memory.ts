import { forget, recall, remember } from './storage';

/** The call this tab is in; a reload finds its way back with it. */
export function rememberCall(callId: string): void {
  remember(sessionStorage, 'call', callId);
}

export function wasInCall(callId: string): boolean {
  return recall(sessionStorage, 'call') === callId;
}

export function forgetCall(): void {
  forget(sessionStorage, 'call');
}

/** This tab's lasting id: joining with it again replaces the leg it left behind. */
export function tabDevice(): string {
  const known = recall<string>(sessionStorage, 'device');
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const device = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  remember(sessionStorage, 'device', device);
  return device;
}
