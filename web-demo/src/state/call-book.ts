import { computed, signal } from '@preact/signals';
import { type Call, isRunning } from '../api/types';
import type { CallEnded, CallRecording, ParticipantChange } from '../call/signaling.gen';

/**
 * What is known of calls, by call id. Answers and events overtake one another, so each word on a call carries the
 * `{epoch, seq}` of the last recorded event that it includes, and only a newer word counts.
 */
const book = signal<ReadonlyMap<string, Known>>(new Map());

interface Known {
  epoch: number;
  seq: number;
  /** Undefined for a call of which nothing is known but that it is over. */
  call: Call | undefined;
}

/** The running call of each group, by group id. */
export const runningCalls = computed<ReadonlyMap<string, Call>>(() => {
  const running = [...book.value.values()].flatMap(({ call }) =>
    call && isRunning(call) ? [call] : [],
  );
  return new Map(running.map((call) => [call.groupId, call]));
});

export function knownCall(callId: string): Call | undefined {
  return book.value.get(callId)?.call;
}

/** Takes into account how a call stands, wherever that was learnt. */
export function noteCall(call: Call): void {
  note(call.id, { epoch: call.epoch, seq: call.seq, call });
}

export function noteEnd({ callId, epoch, seq, reason, durationSeconds }: CallEnded): void {
  const known = book.peek().get(callId)?.call;
  // A call that nobody but its creator was in has no length, and counts as cancelled.
  const status = durationSeconds === null ? 'cancelled' : 'ended';
  const endReason = reason as Call['endReason'];
  const call = known && {
    ...known,
    status,
    endReason,
    durationSeconds,
    epoch,
    seq,
    participants: [],
  };
  note(callId, { epoch, seq, call: call as Call | undefined });
}

export function noteParticipants({ callId, participants, epoch, seq }: ParticipantChange): void {
  const call = book.peek().get(callId)?.call;
  if (call) note(callId, { epoch, seq, call: { ...call, participants, epoch, seq } });
}

export function noteRecording({ callId, recording, epoch, seq }: CallRecording): void {
  const call = book.peek().get(callId)?.call;
  if (call) note(callId, { epoch, seq, call: { ...call, recording, epoch, seq } });
}

/** Takes the whole list of running calls: what is not in it is over. */
export function noteAllRunning(calls: Call[]): void {
  const ids = new Set(calls.map(({ id }) => id));
  const rest = new Map(book.peek());
  for (const [id, known] of rest) {
    if (known.call && isRunning(known.call) && !ids.has(id)) {
      rest.set(id, { ...known, call: undefined });
    }
  }
  book.value = rest;
  for (const call of calls) noteCall(call);
}

export function forgetCalls(): void {
  book.value = new Map();
}

function note(callId: string, word: Known): void {
  const known = book.peek().get(callId);
  if (known && !isNewer(word, known)) return;
  const next = new Map(book.peek()).set(callId, word);
  const over = [...next].find(([, { call }]) => !call || !isRunning(call))?.[0];
  if (next.size > MOST_CALLS && over) next.delete(over);
  book.value = next;
}

function isNewer(word: Known, than: Known): boolean {
  return word.epoch > than.epoch || (word.epoch === than.epoch && word.seq > than.seq);
}

/** Calls that are over are remembered only so that older words do not bring them back. */
const MOST_CALLS = 500;
