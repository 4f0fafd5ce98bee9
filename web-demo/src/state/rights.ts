import type { CallType, Source } from '../call/signaling.gen';

/** What this person may send and receive in a call. */
export interface Rights {
  publish: ReadonlySet<Source>;
  subscribe: boolean;
}

/** What each type of call carries. */
export const SOURCES: Record<CallType, ReadonlySet<Source>> = {
  audio: new Set(['mic']),
  video: new Set(['mic', 'camera', 'screen', 'screen-audio']),
  screen: new Set(['mic', 'screen', 'screen-audio']),
};

export function rightsOf(
  view: { canPublish: Source[]; canSubscribe: boolean },
  type: CallType,
): Rights {
  const publish = view.canPublish.filter((source) => SOURCES[type].has(source));
  return { publish: new Set(publish), subscribe: view.canSubscribe };
}

/** The sources that a change of rights takes away. */
export function lost(before: Rights, after: Rights): Source[] {
  return [...before.publish].filter((source) => !after.publish.has(source));
}

/** What to tell somebody whose rights were changed, one sentence for each thing. */
export function describeChange(before: Rights, after: Rights, moderator: string): string[] {
  const taken = lost(before, after);
  const given = lost(after, before);
  const told: string[] = [];
  if (taken.length > 0) told.push(`${moderator} turned off your ${listOf(taken)} for this call.`);
  if (given.length > 0) told.push(`You may use your ${listOf(given)} again.`);
  if (before.subscribe && !after.subscribe) {
    told.push(`${moderator} does not let you hear and see the others.`);
  }
  if (!before.subscribe && after.subscribe) told.push('You may hear and see the others again.');
  return told;
}

/** A source as in “your camera”. */
export function nameOf(source: Source): string {
  return NAMES[source];
}

function listOf(sources: Source[]): string {
  // Whoever may not share a screen has no use for hearing about its sound as well.
  const named = sources.filter((s) => s !== 'screen-audio' || !sources.includes('screen'));
  return new Intl.ListFormat('en').format(named.map(nameOf));
}

const NAMES: Record<Source, string> = {
  mic: 'microphone',
  camera: 'camera',
  screen: 'screen sharing',
  'screen-audio': 'shared sound',
};
