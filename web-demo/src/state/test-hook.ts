import type { MediaSession } from '../call/media-session';
import {
  type IncomingStats,
  incomingStats,
  type OutgoingStats,
  outgoingStats,
} from '../call/stats';
import { currentRoom } from './current-room';
import { session } from './session';

/**
 * `window.__switchyard`: what tests may ask the page. It reads what is there and never changes what
 * people would see; `restartIce` does what the page does by itself when a path is lost.
 */
export interface TestHook {
  /** Where this tab stands, e.g. `{ phase: 'joined', transports: { send: 'connected', … } }`. */
  state(): {
    phase: string;
    userId: string | undefined;
    callId: string | undefined;
    legId: string | undefined;
    transports: { send: string; recv: string } | undefined;
  };
  /** Counters of every track that comes in, straight from the browser. */
  incoming(): Promise<IncomingStats[]>;
  /** Counters of every encoding that goes out, straight from the browser. */
  outgoing(): Promise<OutgoingStats[]>;
  /** Restarts ICE on both transports. */
  restartIce(): Promise<void>;
}

declare global {
  interface Window {
    readonly __switchyard: TestHook;
  }
}

export function installTestHook(): void {
  const media = () => currentRoom.peek()?.media.peek();
  const hook: TestHook = {
    state: () => {
      const room = currentRoom.peek();
      return {
        phase: room?.phase.peek().name ?? 'none',
        userId: session.peek()?.user.id,
        callId: room?.callId,
        legId: room?.legId.peek(),
        transports: media()?.connectionStates(),
      };
    },
    incoming: async () => rowsOf(media(), incomingStats),
    outgoing: async () => rowsOf(media(), outgoingStats),
    restartIce: async () => media()?.restartIce(),
  };
  Object.defineProperty(window, '__switchyard', { value: Object.freeze(hook) });
}

async function rowsOf<Row>(
  media: MediaSession | undefined,
  read: (media: MediaSession) => Promise<Row[]>,
): Promise<Row[]> {
  return media ? read(media) : [];
}
