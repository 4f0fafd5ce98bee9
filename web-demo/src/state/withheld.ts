import type { CallRoom } from './call-room';
import { announce } from './notices';

export const SLOW = 'your connection is slow';

/** Tells those who cannot see it which pictures have just stopped. */
export function announceWithheld(room: CallRoom, after: ReadonlySet<string>): void {
  const before = room.withheld.peek();
  const fresh = [...after].filter((producerId) => !before.has(producerId));
  const [first] = fresh.flatMap((producerId) => pictureOf(room, producerId) ?? []);
  if (!first) return;
  const what = fresh.length === 1 ? `${first} is paused` : `${fresh.length} pictures are paused`;
  announce(`${what}: ${SLOW}.`);
}

function pictureOf(room: CallRoom, producerId: string): string | undefined {
  const { producers, participants } = room.roster.peek();
  const producer = producers.get(producerId);
  const person = producer && participants.get(producer.userId);
  return person && `${person.name}’s ${producer.appData.source}`;
}
