import type { Signaling } from '../call/signaling';
import type { AudioLevel, ProducerView } from '../call/signaling.gen';
import type { Events } from '../call/wire';
import type { CallRoom } from './call-room';
import { describeCode, describeRecordingEnd } from './messages';
import { announce, notify } from './notices';
import { nameOf, rightsOf } from './rights';
import {
  withLeg,
  withoutParticipant,
  withoutProducer,
  withParticipant,
  withPaused,
  withProducer,
} from './roster';
import { session } from './session';

/** Keeps a room up to date with what the server tells about its call. Returns how to stop. */
export function followRoom(room: CallRoom, signaling: Signaling): () => void {
  const stops: (() => void)[] = [];
  const on = <Name extends keyof Events>(name: Name, apply: (event: Events[Name]) => void) => {
    stops.push(signaling.on(name, (event) => concerns(room, event) && apply(event)));
  };
  followPeople(room, on);
  followRights(room, on);
  followProducers(room, on);
  followVoices(room, on);
  followBandwidth(room, on);
  followRecording(room, on);
  return () => {
    for (const stop of stops) stop();
  };
}

type On = <Name extends keyof Events>(name: Name, apply: (event: Events[Name]) => void) => void;

function concerns(room: CallRoom, event: object): boolean {
  if ('callId' in event) return event.callId === room.callId;
  return 'id' in event && event.id === room.callId;
}

function followPeople(room: CallRoom, on: On): void {
  on('call:updated', (call) => {
    room.call.value = call;
  });
  on('call:ended', ({ reason, durationSeconds }) => room.finish(reason, durationSeconds));
  on('call:replaced', ({ legId }) => {
    if (legId === room.legId.peek()) room.replaced();
  });
  on('participant-joined', ({ userId, name }) => {
    room.roster.value = withParticipant(room.roster.peek(), userId, name);
    if (userId !== session.peek()?.user.id) announce(`${name} joined the call.`);
  });
  on('participant-left', ({ userId, name, reason }) => {
    if (userId === session.peek()?.user.id) {
      if (reason === 'removed' || reason === 'not-a-member') room.removed();
      return;
    }
    room.roster.value = withoutParticipant(room.roster.peek(), userId);
    const spoke = new Map(room.spoke.peek());
    if (spoke.delete(userId)) room.spoke.value = spoke;
    announce(`${name} left the call.`);
  });
}

function followRights(room: CallRoom, on: On): void {
  on('call:permissions', (change) => {
    const type = room.call.peek()?.type;
    if (change.userId !== session.peek()?.user.id || !type) return;
    room.changeRights(rightsOf(change, type), moderator(room, change.by));
  });
}

function followProducers(room: CallRoom, on: On): void {
  on('media:new-producer', (producer) => {
    if (producer.legId === room.legId.peek()) return;
    room.roster.value = withProducer(room.roster.peek(), producer);
    if (room.rights.peek()?.subscribe) room.media.peek()?.receiver.want([producer.producerId]);
    if (producer.appData.source === 'screen') announceAbout(room, producer, 'is sharing a screen');
  });
  on('media:producer-closed', ({ producerId, legId }) => {
    if (legId === room.legId.peek()) return obeyClosing(room, producerId);
    const producer = room.roster.peek().producers.get(producerId);
    room.roster.value = withoutProducer(room.roster.peek(), producerId);
    room.media.peek()?.receiver.drop(producerId);
    if (producer?.appData.source === 'screen') announceAbout(room, producer, 'stopped sharing');
  });
  on('media:producer-paused', ({ producerId, legId, by }) => {
    setPaused(room, producerId, true);
    if (by && legId === room.legId.peek()) obeyModerator(room, by, producerId);
  });
  on('media:mute-request', ({ legId, by }) => {
    if (legId === room.legId.peek()) notify(`${moderator(room, by)} asks you to mute yourself.`);
  });
  on('media:producer-resumed', ({ producerId }) => setPaused(room, producerId, false));
  on('media:consumer-closed', ({ producerId }) => room.media.peek()?.receiver.drop(producerId));
}

/** The server has paused what we send: the page must not go on as if it were heard or seen. */
function obeyModerator(room: CallRoom, by: string, producerId: string): void {
  const source = room.media.peek()?.sender.sourceOf(producerId);
  if (!source) return;
  if (source === 'mic') room.local.muted.value = true;
  else room.local.stop(source);
  const what = source === 'mic' ? 'muted you' : `turned off your ${nameOf(source)}`;
  notify(`${moderator(room, by)} ${what}.`);
}

/** The server has closed what we send. Where a right was taken that has been told already. */
function obeyClosing(room: CallRoom, producerId: string): void {
  const source = room.media.peek()?.sender.closed(producerId);
  if (!source) return;
  room.local.stop(source);
  if (room.rights.peek()?.publish.has(source)) {
    notify(`The server turned off your ${nameOf(source)}.`);
  }
}

function moderator(room: CallRoom, userId: string | null): string {
  const known = userId && room.roster.peek().participants.get(userId);
  return known ? known.name : 'A moderator';
}

function setPaused(room: CallRoom, producerId: string, paused: boolean): void {
  room.roster.value = withPaused(room.roster.peek(), producerId, paused);
  const producer = room.roster.peek().producers.get(producerId);
  if (producer?.appData.source !== 'mic') return;
  announceAbout(room, producer, paused ? 'is muted' : 'is no longer muted');
}

function followVoices(room: CallRoom, on: On): void {
  on('media:active-speaker', ({ userId }) => {
    room.activeSpeaker.value = userId;
  });
  on('media:audio-levels', ({ levels }) => {
    const before = room.speaking.peek();
    room.speaking.value = loudOf(levels);
    noteSpeakers(
      room,
      [...room.speaking.peek()].filter((userId) => !before.has(userId)),
    );
  });
}

function followBandwidth(room: CallRoom, on: On): void {
  on('media:bandwidth', () => room.media.peek()?.receiver.bandwidthTold());
  on('media:consumer-layers', (layers) => room.media.peek()?.receiver.layersTold(layers));
}

function followRecording(room: CallRoom, on: On): void {
  on('call:recording', ({ recording, reason, answer, code, epoch, seq }) => {
    if (answer) room.roster.value = withLeg(room.roster.peek(), answer.legId, answer.userId);
    const call = room.call.peek();
    if (call) room.call.value = { ...call, recording, epoch, seq };
    const fault = reason && describeRecordingEnd(reason);
    if (fault) notify(`The recording has stopped. ${fault}`, 'error');
    if (code) notify(`This call is not recorded. ${describeCode(code)}`, 'error');
  });
}

function noteSpeakers(room: CallRoom, userIds: string[]): void {
  if (userIds.length === 0) return;
  const now = performance.now();
  room.spoke.value = new Map([...room.spoke.peek(), ...userIds.map((id) => [id, now] as const)]);
}

function loudOf(levels: AudioLevel[]): ReadonlySet<string> {
  return new Set(levels.filter(({ dBov }) => dBov > SPEECH_DBOV).map(({ userId }) => userId));
}

function announceAbout(room: CallRoom, producer: ProducerView, what: string): void {
  const person = room.roster.peek().participants.get(producer.userId);
  if (person) announce(`${person.name} ${what}.`);
}

const SPEECH_DBOV = -50;
