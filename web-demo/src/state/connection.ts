import { computed, effect, signal } from '@preact/signals';
import { type Call, isRunning } from '../api/types';
import { Signaling, type SignalingStatus } from '../call/signaling';
import { EXPIRED, session, signOut } from './session';

/** The socket of the signed-in user, and what it tells about the calls of their groups. */

export const signaling = signal<Signaling | undefined>(undefined);
export const status = signal<SignalingStatus>('connecting');

/** The running call of each group, by group id. */
export const runningCalls = signal<ReadonlyMap<string, Call>>(new Map());

/** Ids of calls that others have just started and that nobody here has answered. */
const ringing = signal<ReadonlySet<string>>(new Set());

export const incomingCalls = computed(() =>
  [...runningCalls.value.values()].filter((call) => ringing.value.has(call.id)),
);

export function dismissIncoming(callId: string): void {
  ringing.value = without(ringing.peek(), callId);
}

/** Takes into account how a call stands, wherever that was learnt. */
export function noteCall(call: Call): void {
  if (isRunning(call)) runningCalls.value = new Map(runningCalls.peek()).set(call.groupId, call);
  else noteEnd(call.groupId, call.id);
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
    runningCalls.value = new Map();
    ringing.value = new Set();
  };
});

function follow(connection: Signaling): void {
  connection.on('active-calls', (calls) => {
    runningCalls.value = new Map(calls.map((call) => [call.groupId, call]));
  });
  connection.on('call:created', (call) => {
    noteCall(call);
    if (call.initiatedById !== session.peek()?.user.id) {
      ringing.value = new Set(ringing.peek()).add(call.id);
      setTimeout(() => dismissIncoming(call.id), RING_MS);
    }
  });
  connection.on('call:updated', noteCall);
  connection.on('call:ended', ({ callId, groupId }) => noteEnd(groupId, callId));
}

function noteEnd(groupId: string, callId: string): void {
  dismissIncoming(callId);
  if (runningCalls.peek().get(groupId)?.id !== callId) return;
  const remaining = new Map(runningCalls.peek());
  remaining.delete(groupId);
  runningCalls.value = remaining;
}

function without<Item>(items: ReadonlySet<Item>, item: Item): ReadonlySet<Item> {
  const rest = new Set(items);
  rest.delete(item);
  return rest;
}

/** As long as the server lets a call ring before it counts as unanswered. */
const RING_MS = 60_000;
