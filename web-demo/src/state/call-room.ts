import { computed, effect, signal, untracked } from '@preact/signals';
import { hasCode } from '../api/server-error';
import type { Call, Member } from '../api/types';
import { loadDevice } from '../call/device';
import { type VideoChoice, videoChoiceFrom } from '../call/encodings';
import { MediaSession } from '../call/media-session';
import type { RemoteTrack } from '../call/receiver';
import type { Signaling } from '../call/signaling';
import type { Joined } from '../call/signaling.gen';
import { forgetCall, rememberCall, tabDevice } from './call-memory';
import { signaling, status } from './connection';
import { learn } from './fresh-call';
import type { LocalMedia } from './local-media';
import { describe } from './messages';
import { announce, notify } from './notices';
import { isWatched } from './page-visibility';
import { describeChange, lost, type Rights, rightsOf, SOURCES } from './rights';
import { followRoom } from './room-events';
import { RoomRecording } from './room-recording';
import { EMPTY_ROSTER, rosterOf } from './roster';
import { api, session, signedIn } from './session';
import { lastWishes } from './wishes';
import { announceWithheld } from './withheld';

export type Phase =
  | { name: 'joining' }
  | { name: 'joined' }
  | { name: 'ended'; reason: string | null; durationSeconds: number | null; byMe: boolean }
  | { name: 'replaced' }
  | { name: 'removed' }
  | { name: 'failed'; message: string; final: boolean };

/**
 * One call as this tab takes part in it: joins when the socket is there, joins again whenever the
 * connection was lost, and stays until `leave`, `end`, or the server's word that it is over. It owns the tab's
 * microphone, camera and screen, and closes them whichever way it ends. An ended room is not used again.
 */
export class CallRoom {
  readonly callId: string;
  readonly local: LocalMedia;
  readonly phase = signal<Phase>({ name: 'joining' });
  readonly call = signal<Call | undefined>(undefined);
  readonly roster = signal(EMPTY_ROSTER);
  readonly tracks = signal<RemoteTrack[]>([]);
  /** The videos that do not come because the connection is slow, by producer. */
  readonly withheld = signal<ReadonlySet<string>>(new Set());
  readonly activeSpeaker = signal<string | null>(null);
  /** When each person last began to speak, in milliseconds of the page's clock. */
  readonly spoke = signal<ReadonlyMap<string, number>>(new Map());
  readonly speaking = signal<ReadonlySet<string>>(new Set());
  readonly members = signal<Member[]>([]);
  readonly legId = signal<string | undefined>(undefined);
  /** What this person may send and receive; undefined until they have joined. */
  readonly rights = signal<Rights | undefined>(undefined);
  readonly media = signal<MediaSession | undefined>(undefined);
  /** Being in the call, but neither heard nor seen right now. */
  readonly mediaInterrupted = signal(false);

  /** Being in the call, but without the server right now. */
  readonly interrupted = computed(() => this.phase.value.name === 'joined' && !this.#entered.value);

  /** Whether this person may end the call and remove people from it. */
  readonly moderates = computed(() => {
    const me = session.value?.user.id;
    const role = this.members.value.find((member) => member.userId === me)?.role;
    return this.call.value?.initiatedById === me || role === 'owner' || role === 'admin';
  });

  /** Whether the server lets this person record the call. */
  readonly mayRecord = signal(false);
  readonly recording = new RoomRecording(this);

  readonly #entered = signal(false);
  readonly #choice: VideoChoice = videoChoiceFrom(location.search);
  readonly #stop: (() => void)[] = [];
  #closed = false;
  #ending = false;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(callId: string, local: LocalMedia) {
    this.callId = callId;
    this.local = local;
    this.#stop.push(
      effect(() => signaling.value && followRoom(this, signaling.value)),
      effect(() => {
        if (status.value !== 'connected') this.#entered.value = false;
        else untracked(() => this.#enter());
      }),
      effect(() => this.#sendLocalMedia()),
      ...this.recording.follow(),
      effect(() => this.media.value?.receiver.viewing.watch(isWatched.value)),
    );
  }

  async leave(): Promise<void> {
    const connection = this.#wantsIn() ? signaling.peek() : undefined;
    this.close();
    // The server notices a vanished leg by itself, so a failure here needs no telling.
    await connection
      ?.request('call:leave', { callId: this.callId })
      .then(() => learn(this.callId))
      .catch(() => undefined);
  }

  async end(): Promise<void> {
    this.#ending = true;
    try {
      const reply = await signaling.peek()?.request('call:end', { callId: this.callId });
      if (reply) this.finish(reply.call.endReason, reply.call.durationSeconds);
    } catch (error) {
      this.#ending = false;
      notify(describe(error), 'error');
    }
  }

  /** The call is over. */
  finish(reason: string | null, durationSeconds: number | null): void {
    if (this.phase.peek().name === 'ended') return;
    this.#over({ name: 'ended', reason, durationSeconds, byMe: this.#ending });
    announce('The call has ended.');
  }

  /** This device joined from somewhere else, so this tab stands back. */
  replaced(): void {
    this.#over({ name: 'replaced' });
  }

  /** A moderator put us out, or our membership ended. */
  removed(): void {
    this.#over({ name: 'removed' });
  }

  /** Stops what this person may not send from here on, and takes up again what they may receive. */
  changeRights(after: Rights, moderator: string): void {
    const before = this.rights.peek();
    this.rights.value = after;
    if (!before) return;
    for (const source of lost(before, after)) this.local.stop(source);
    if (after.subscribe) this.media.peek()?.receiver.want(this.roster.peek().producers.keys());
    for (const sentence of describeChange(before, after, moderator)) notify(sentence);
  }

  /** Ends this tab's part without telling the server. */
  close(): void {
    this.#closed = true;
    for (const stop of this.#stop.splice(0)) stop();
    this.#hangUp();
    forgetCall();
  }

  async #enter(): Promise<void> {
    const connection = signaling.peek();
    if (!connection || !this.#wantsIn()) return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    clearTimeout(this.#retry);
    this.#entered.value = false;
    try {
      const device = await loadDevice();
      const joined = await connection.request('call:join', {
        callId: this.callId,
        device: tabDevice(),
        rtpCapabilities: device.recvRtpCapabilities,
        media: { send: true, recv: true, consume: true },
      });
      if (attempt === this.#attempt && this.#wantsIn()) this.#adopt(joined, device, connection);
    } catch (error) {
      if (attempt === this.#attempt) await this.#refused(error);
    }
  }

  #adopt(joined: Joined, device: MediaDevice, connection: Signaling): void {
    const before = this.media.peek();
    const media = new MediaSession(joined, {
      device,
      signaling: connection,
      choice: this.#choice,
      onTracks: (tracks) => {
        this.tracks.value = tracks;
      },
      onWithheld: (producerIds) => {
        announceWithheld(this, producerIds);
        this.withheld.value = producerIds;
      },
      onSendError: (source, error) => {
        if (!mendsItself(error)) this.local.stop(source);
        report(error);
      },
      onInterrupted: (interrupted) => {
        this.mediaInterrupted.value = interrupted;
      },
      onLost: () => void this.#enter(),
    });
    this.legId.value = joined.legId;
    this.call.value = joined.call;
    this.mayRecord.value = joined.mayRecord;
    this.#adoptRights(joined);
    const others = joined.producers.filter((producer) => producer.legId !== joined.legId);
    this.roster.value = rosterOf(joined.participants, others);
    this.media.value = media;
    this.withheld.value = new Set();
    this.mediaInterrupted.value = false;
    before?.close();
    this.#entered.value = true;
    this.phase.value = { name: 'joined' };
    rememberCall(this.callId);
    this.#receive(media, joined, others);
    void this.#loadMembers(joined.call.groupId);
  }

  #adoptRights({ call: { type }, participants, userId }: Joined): void {
    const me = participants.find((participant) => participant.userId === userId);
    const carried = SOURCES[type];
    const rights = me ? rightsOf(me, type) : { publish: carried, subscribe: true };
    // A preview may have opened what this call does not carry, or what a moderator has forbidden meanwhile.
    for (const source of ALL_SOURCES) if (!rights.publish.has(source)) this.local.stop(source);
    this.rights.value = rights;
    void this.local.open(lastWishes(), rights.publish);
  }

  #receive(media: MediaSession, joined: Joined, others: { producerId: string }[]): void {
    const consumers = joined.consumers ?? [];
    this.tracks.value = consumers.length > 0 ? this.tracks.peek() : [];
    media.receiver.accept(consumers).catch(report);
    const ids = others.map((producer) => producer.producerId);
    if (this.rights.peek()?.subscribe) media.receiver.want(ids);
  }

  async #refused(error: unknown): Promise<void> {
    if (hasCode(error, 'call_ended')) return this.#learnHowItEnded();
    // Without a socket the effect on its status tries again.
    if (hasCode(error, 'disconnected')) return;
    if (this.phase.peek().name === 'joined' && hasCode(error, ...PASSING)) {
      this.#retry = setTimeout(() => this.#enter(), RETRY_MS);
      return;
    }
    if (hasCode(error, 'removed')) return this.removed();
    const final = hasCode(error, 'forbidden', 'not_found');
    this.#over({ name: 'failed', message: describeRefusal(error), final });
  }

  async #learnHowItEnded(): Promise<void> {
    this.local.close();
    const call = await signedIn(api.call(this.callId)).catch(() => undefined);
    this.call.value = call;
    this.finish(call?.endReason ?? null, call?.durationSeconds ?? null);
  }

  async #loadMembers(groupId: string): Promise<void> {
    // Without knowing the roles nobody is offered to end the call; all else goes on.
    this.members.value = await signedIn(api.members(groupId)).catch(() => []);
  }

  #sendLocalMedia(): void {
    const sender = this.media.value?.sender;
    const type = this.call.value?.type;
    const publish = this.rights.value?.publish;
    if (!sender || !type || !publish) return;
    for (const source of SOURCES[type]) {
      const { track, muted } = this.local.outgoing(source);
      sender.set(source, { track: publish.has(source) ? track : null, muted });
    }
  }

  #wantsIn(): boolean {
    const { name } = this.phase.peek();
    return !this.#closed && (name === 'joining' || name === 'joined');
  }

  #over(phase: Phase): void {
    this.phase.value = phase;
    this.#hangUp();
    forgetCall();
  }

  #hangUp(): void {
    clearTimeout(this.#retry);
    this.#attempt += 1;
    this.local.close();
    this.media.peek()?.close();
    this.media.value = undefined;
    this.tracks.value = [];
  }
}

type MediaDevice = Awaited<ReturnType<typeof loadDevice>>;

/** Tells what failed, unless joining again will mend it, or an event tells why: a right taken, or the call's end. */
function report(error: unknown): void {
  if (mendsItself(error) || hasCode(error, 'forbidden', 'call_ended', 'removed')) return;
  notify(describe(error), 'error');
}

function mendsItself(error: unknown): boolean {
  return hasCode(error, 'disconnected', 'timeout', 'not_in_call');
}

function describeRefusal(error: unknown): string {
  if (hasCode(error, 'forbidden')) return 'Only members of the group can join this call.';
  if (hasCode(error, 'not_found')) return 'There is no such call.';
  return describe(error);
}

/** Failures that pass by themselves while one is already in the call. */
const PASSING = ['timeout', 'network', 'unavailable', 'node_draining', 'rate_limited'];
const RETRY_MS = 2_000;
const ALL_SOURCES = SOURCES.video;
