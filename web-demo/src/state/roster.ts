import type { ParticipantView, ProducerView, Source } from '../call/signaling.gen';

/** Who is in a call and what they send, as the server tells it. Values, never changed in place. */
export interface Roster {
  participants: ReadonlyMap<string, { userId: string; name: string }>;
  producers: ReadonlyMap<string, ProducerView>;
  /** Whose a leg is, as far as that was told. Legs that are over may be among them. */
  legs: ReadonlyMap<string, string>;
}

export const EMPTY_ROSTER: Roster = {
  participants: new Map(),
  producers: new Map(),
  legs: new Map(),
};

export function rosterOf(participants: ParticipantView[], producers: ProducerView[]): Roster {
  const legs = participants.flatMap(({ userId, legs }) =>
    legs.map((leg) => [leg, userId] as const),
  );
  return {
    participants: new Map(participants.map(({ userId, name }) => [userId, { userId, name }])),
    producers: new Map(producers.map((producer) => [producer.producerId, producer])),
    legs: new Map(legs),
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
  const legs = new Map([...roster.legs].filter(([, owner]) => owner !== userId));
  return { participants, producers, legs };
}

export function withLeg(roster: Roster, legId: string, userId: string): Roster {
  return { ...roster, legs: new Map(roster.legs).set(legId, userId) };
}

export function withProducer(roster: Roster, producer: ProducerView): Roster {
  const producers = new Map(roster.producers).set(producer.producerId, producer);
  return { ...withLeg(roster, producer.legId, producer.userId), producers };
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
