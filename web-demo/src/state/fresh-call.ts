import { noteCall } from './call-book';
import { api, signedIn } from './session';

/**
 * Learns how a call stands, at once and every few seconds while the page is looked at. Those who are not in a call are
 * told only of its beginning and its end, not of who comes and goes. Returns how to stop.
 */
export function keepFresh(callId: string, onError: (error: unknown) => void): () => void {
  const ask = () => learn(callId).catch(onError);
  const timer = setInterval(() => document.visibilityState === 'visible' && ask(), INTERVAL_MS);
  void ask();
  return () => clearInterval(timer);
}

export async function learn(callId: string): Promise<void> {
  noteCall(await signedIn(api.call(callId)));
}

const INTERVAL_MS = 5_000;
