import { computed, effect, signal, untracked } from '@preact/signals';
import { hasCode } from '../api/server-error';
import type { RunningRecording } from '../call/signaling.gen';
import type { Requests } from '../call/wire';
import type { CallRoom } from './call-room';
import { signaling } from './connection';
import { describe } from './messages';
import { announce, notify } from './notices';
import { session } from './session';

/** What somebody said to whether they may be recorded. */
export type Part = 'recorded' | 'declined' | 'unanswered';

/** The recording of the call that this tab is in, and this person's part in it. */
export class RoomRecording {
  readonly running = computed(() => this.#room.call.value?.recording ?? null);

  /** Whether this device may be recorded, as the server knows it; undefined without an answer. */
  readonly myAnswer = computed(() => {
    const legId = this.#room.legId.value;
    return legId === undefined ? undefined : this.running.value?.answers[legId];
  });

  /** The recording that people are asked about: by itself at first, later when they want to answer otherwise. */
  readonly asked = computed(() => {
    const running = this.running.value;
    if (running?.consent !== 'ask' || this.#room.interrupted.value) return undefined;
    const isNew = this.myAnswer.value === undefined && this.#settled.value !== running.id;
    return isNew || this.#reopened.value ? running : undefined;
  });

  readonly #room: CallRoom;
  /** The last answer in this tab. Whoever comes back after a lost connection need not give it again. */
  readonly #given = signal<{ recording: string; accept: boolean } | undefined>(undefined);
  /** The recording whose question was answered or closed. */
  readonly #settled = signal<string | undefined>(undefined);
  readonly #reopened = signal(false);

  constructor(room: CallRoom) {
    this.#room = room;
  }

  /** Tells of changes, and the server of answers, until the returned functions are called. */
  follow(): (() => void)[] {
    let before: RunningRecording | null = null;
    const tell = effect(() => {
      const running = this.running.value;
      const sentence = untracked(() => this.#describeChange(before, running));
      before = running;
      if (sentence) announce(sentence);
    });
    return [tell, effect(() => this.#sendAnswer())];
  }

  /** Starts recording. With `ask` nothing is recorded of whoever does not agree, also where the server would not ask. */
  start(ask: boolean): Promise<void> {
    return this.#try('recording:start', { ...(ask && { consent: 'ask' as const }) });
  }

  pause(): Promise<void> {
    return this.#try('recording:pause', {});
  }

  resume(): Promise<void> {
    return this.#try('recording:resume', {});
  }

  stop(): Promise<void> {
    return this.#try('recording:stop', {});
  }

  answer(accept: boolean): void {
    const recording = this.running.peek()?.id;
    if (recording) this.#given.value = { recording, accept };
    this.closeQuestion();
  }

  /** Without an answer nothing of this person is recorded. */
  closeQuestion(): void {
    this.#settled.value = this.running.peek()?.id;
    this.#reopened.value = false;
  }

  askAgain(): void {
    this.#reopened.value = true;
  }

  /** Whether somebody is recorded, on any of their devices. */
  partOf(userId: string): Part {
    const answers = this.running.value?.answers ?? {};
    const { legs } = this.#room.roster.value;
    const own = Object.entries(answers).filter(([legId]) => legs.get(legId) === userId);
    if (own.some(([, accepted]) => accepted)) return 'recorded';
    return own.length > 0 ? 'declined' : 'unanswered';
  }

  /** Who started the recording, as in “started by you”. */
  starter({ startedBy }: RunningRecording): string {
    if (startedBy === null) return 'the app';
    if (startedBy === session.value?.user.id) return 'you';
    return this.#nameOf(startedBy) ?? 'somebody';
  }

  /** The same as a sentence. */
  whoRecords({ startedBy }: RunningRecording): string {
    if (startedBy === null) return 'The app is recording this call.';
    if (startedBy === session.value?.user.id) return 'You are recording this call.';
    return `${this.#nameOf(startedBy) ?? 'Somebody'} is recording this call.`;
  }

  #nameOf(userId: string): string | undefined {
    const member = this.#room.members.value.find((member) => member.userId === userId);
    return this.#room.roster.value.participants.get(userId)?.name ?? member?.name;
  }

  #sendAnswer(): void {
    const given = this.#given.value;
    const running = this.running.value;
    const isOpen = running?.consent === 'ask' && running.id === given?.recording;
    if (!isOpen || this.#room.interrupted.value || this.myAnswer.value === given.accept) return;
    untracked(() => this.#request('recording:consent', { accept: given.accept })).catch((error) => {
      if (this.#given.peek() === given) this.#answerFailed(given, error);
    });
  }

  #answerFailed(given: { recording: string; accept: boolean }, error: unknown): void {
    // Whoever comes back after a lost connection gives the answer again.
    if (hasCode(error, 'disconnected', 'not_in_call')) return;
    if (this.running.peek()?.id !== given.recording) return;
    // What somebody has said, above all a no, has to arrive.
    if (hasCode(error, 'timeout')) {
      this.#given.value = { ...given };
      return;
    }
    this.#given.value = undefined;
    this.#settled.value = undefined;
    notify(describe(error), 'error');
  }

  #describeChange(before: RunningRecording | null, after: RunningRecording | null) {
    if (after === null) return before && 'The recording has stopped.';
    if (before?.id !== after.id) return this.whoRecords(after);
    if (before.status === after.status) return undefined;
    return after.status === 'paused' ? 'The recording is paused.' : 'The recording goes on.';
  }

  /** Asks the server; a refusal is told. */
  async #try<Name extends Recorded>(name: Name, wish: Wish<Name>): Promise<void> {
    await this.#request(name, wish).catch((error) => notify(describe(error), 'error'));
  }

  async #request<Name extends Recorded>(name: Name, wish: Wish<Name>): Promise<void> {
    const payload = { callId: this.#room.callId, ...wish } as Requests[Name]['request'];
    await signaling.peek()?.request(name, payload);
  }
}

type Recorded = Extract<keyof Requests, `recording:${string}`>;
type Wish<Name extends Recorded> = Omit<Requests[Name]['request'], 'callId'>;
