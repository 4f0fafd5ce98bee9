import type { RecordingDetails, RecordingTrack } from '../api/types';

/** One place on the stage: a person, or what they shared. Cameras that follow each other are one. */
export interface ReplayTile {
  key: string;
  userId: string;
  name: string;
  kind: 'person' | 'screen';
  /** In the order of time; empty for who was only heard. */
  pictures: RecordingTrack[];
}

/** A tile for each person, and one for the screens of each. What was on at the same time has one each. */
export function tilesOf({ tracks }: RecordingDetails): ReplayTile[] {
  const tiles: ReplayTile[] = [];
  const recorded = tracks.filter(({ files }) => files.length > 0);
  for (const track of recorded.filter(isSeen)) {
    const kind = track.source === 'screen' ? 'screen' : 'person';
    const own = tiles.filter((tile) => tile.userId === track.userId && tile.kind === kind);
    const free = own.find(({ pictures }) => pictures.every((other) => !overlap(other, track)));
    if (free) free.pictures.push(track);
    else tiles.push(tileOf(track, kind, own.length, [track]));
  }
  for (const track of recorded.filter(({ source }) => source === 'mic')) {
    const isThere = tiles.some(({ kind, userId }) => kind === 'person' && userId === track.userId);
    if (!isThere) tiles.push(tileOf(track, 'person', 0, []));
  }
  return tiles;
}

export function isSeen({ source }: RecordingTrack): boolean {
  return source === 'camera' || source === 'screen';
}

/** A tile as in a list of choices. */
export function labelOf({ kind, name }: ReplayTile): string {
  return kind === 'screen' ? `${name}: screen` : name;
}

function tileOf(
  { userId, name }: RecordingTrack,
  kind: ReplayTile['kind'],
  number: number,
  pictures: RecordingTrack[],
): ReplayTile {
  return { key: `${userId}-${kind}-${number}`, userId, name: name ?? 'Somebody', kind, pictures };
}

function overlap(one: RecordingTrack, other: RecordingTrack): boolean {
  return (
    one.startMs < other.startMs + other.durationMs && other.startMs < one.startMs + one.durationMs
  );
}
