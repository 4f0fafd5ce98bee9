import { computed, effect, signal } from '@preact/signals';
import { Signaling, type SignalingStatus } from '../call/signaling';
import {
  forgetCalls,
  noteAllRunning,
  noteCall,
  noteEnd,
  noteParticipants,
  noteRecording,
  runningCalls,
} from './call-book';
import { EXPIRED, session, signOut } from './session';

/** The socket of the signed-in user, and what it tells about the calls of their groups. */

export const signaling = signal<Signaling | undefined>(undefined);
export const status = signal<SignalingStatus>('connecting');

/** Ids of calls that others have just started and that nobody here has answered. */
const ringing = signal<ReadonlySet<string>>(new Set());

export const incomingCalls = computed(() =>
  [...runningCalls.value.values()].filter((call) => ringing.value.has(call.id)),
);

export function dismissIncoming(callId: string): void {
  ringing.value = without(ringing.peek(), callId);
}

effect(() => {
  const token = session.value?.token;
  if (!token) return;
  const connection = new Signaling({
    token,
    onStatus: (next) => {
      status.value = next;
      if (next === 'refused') signOut(EXPIRED);
    },
  });
  follow(connection);
  signaling.value = connection;
  return () => {
    connection.close();
    signaling.value = undefined;
    forgetCalls();
    ringing.value = new Set();
  };
});

function follow(connection: Signaling): void {
  connection.on('active-calls', noteAllRunning);
  connection.on('call:created', (call) => {
    noteCall(call);
    if (call.initiatedById !== session.peek()?.user.id) {
      ringing.value = new Set(ringing.peek()).add(call.id);
      setTimeout(() => dismissIncoming(call.id), RING_MS);
    }
  });
  connection.on('call:updated', noteCall);
  connection.on('participant-joined', noteParticipants);
  connection.on('participant-left', noteParticipants);
  connection.on('call:recording', noteRecording);
  connection.on('call:ended', (end) => {
    noteEnd(end);
    dismissIncoming(end.callId);
  });
}

function without<Item>(items: ReadonlySet<Item>, item: Item): ReadonlySet<Item> {
  const rest = new Set(items);
  rest.delete(item);
  return rest;
}

/** As long as the server lets a call ring before it counts as unanswered. */
const RING_MS = 60_000;
