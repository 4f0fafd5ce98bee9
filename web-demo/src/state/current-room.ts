import { effect, signal } from '@preact/signals';
import { rememberCall } from './call-memory';
import { CallRoom } from './call-room';
import { LocalMedia } from './local-media';
import { guardLeaving, route } from './router';
import { session } from './session';

/** The call that this tab is in, or has just been in. There is one at most. */
export const currentRoom = signal<CallRoom | undefined>(undefined);

/** Goes into a call, with the devices of its preview where there was one. Any other call is left. */
export function enterCall(callId: string, local = new LocalMedia()): void {
  leaveCall();
  rememberCall(callId);
  currentRoom.value = new CallRoom(callId, local);
}

function leaveCall(): void {
  void currentRoom.peek()?.leave();
  currentRoom.value = undefined;
}

/** Whether somebody would leave a call by going elsewhere. */
function isInCall(): boolean {
  return currentRoom.peek()?.phase.peek().name === 'joined';
}

/** A way out of the call that people have to confirm. */
export interface WayOut {
  /** The group whose call they would join instead; undefined if they just leave. */
  joining: string | undefined;
  take: () => void;
}

export const askedWayOut = signal<WayOut | undefined>(undefined);

/** Takes a way out at once where no call is left by it, and else after people have said so. */
export function takeOrAsk(wayOut: WayOut): void {
  if (isInCall()) askedWayOut.value = wayOut;
  else wayOut.take();
}

guardLeaving((proceed) => {
  const free = !isInCall();
  if (!free) askedWayOut.value = { joining: undefined, take: proceed };
  return free;
});

/** A call is left by going to another address, and by signing out. */
effect(() => {
  const here = route.value;
  const callId = session.value && here.page === 'call' ? here.callId : undefined;
  const room = currentRoom.peek();
  if (room && room.callId !== callId) leaveCall();
});
