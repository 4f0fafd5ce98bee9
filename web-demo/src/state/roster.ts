import type { ParticipantView, ProducerView, Source } from '../call/signaling.gen';

/** Who is in a call and what they send, as the server tells it. Values, never changed in place. */
export interface Roster {
  participants: ReadonlyMap<string, { userId: string; name: string }>;
  producers: ReadonlyMap<string, ProducerView>;
}

export const EMPTY_ROSTER: Roster = { participants: new Map(), producers: new Map() };

export function rosterOf(participants: ParticipantView[], producers: ProducerView[]): Roster {
  return {
    participants: new Map(participants.map(({ userId, name }) => [userId, { userId, name }])),
    producers: new Map(producers.map((producer) => [producer.producerId, producer])),
  };
}

export function withParticipant(roster: Roster, userId: string, name: string): Roster {
  const participants = new Map(roster.participants).set(userId, { userId, name });
  return { ...roster, participants };
}

export function withoutParticipant(roster: Roster, userId: string): Roster {
  const participants = new Map(roster.participants);
  participants.delete(userId);
  const producers = new Map(
    [...roster.producers].filter(([, producer]) => producer.userId !== userId),
  );
  return { participants, producers };
}

export function withProducer(roster: Roster, producer: ProducerView): Roster {
  return { ...roster, producers: new Map(roster.producers).set(producer.producerId, producer) };
}

export function withoutProducer(roster: Roster, producerId: string): Roster {
  const producers = new Map(roster.producers);
  producers.delete(producerId);
  return { ...roster, producers };
}

export function withPaused(roster: Roster, producerId: string, paused: boolean): Roster {
  const producer = roster.producers.get(producerId);
  return producer ? withProducer(roster, { ...producer, paused }) : roster;
}

/** Whether somebody can be heard: at least one of their microphones is on. */
export function isMicOn(roster: Roster, userId: string): boolean {
  return producersOf(roster, userId, 'mic').some((producer) => !producer.paused);
}

export function producersOf(roster: Roster, userId: string, source: Source): ProducerView[] {
  return [...roster.producers.values()].filter(
    (producer) => producer.userId === userId && producer.appData.source === source,
  );
}
