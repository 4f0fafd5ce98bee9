import type { User } from '../api/types';
import type { CallRoom } from './call-room';
import { isMicOn, producersOf } from './roster';
import { session } from './session';

/** One picture in the call: a person, with or without camera, or a shared screen. */
export interface Tile {
  key: string;
  userId: string;
  name: string;
  source: 'camera' | 'screen';
  self: boolean;
  micOn: boolean;
  track: MediaStreamTrack | null;
  /** Nothing of it comes, because the connection is slow. */
  withheld: boolean;
  /** The remote producer behind the picture. */
  producerId: string | undefined;
}

/** Everyone in the call, others first and oneself last, then the shared screens. */
export function tilesOf(room: CallRoom): Tile[] {
  const me = session.value?.user;
  const roster = room.roster.value;
  const others = [...roster.participants.values()].filter(({ userId }) => userId !== me?.id);
  const people = others.flatMap((person) => personTiles(room, person));
  const screens = others.flatMap((person) => liveTiles(room, person, 'screen'));
  if (!me) return [...people, ...screens];
  const own = [...elsewhere(room, me, 'camera'), selfTile(room, me), ...ownScreen(room, me)];
  return [...people, ...own, ...elsewhere(room, me, 'screen'), ...screens];
}

interface Person {
  userId: string;
  name: string;
}

function personTiles(room: CallRoom, person: Person): Tile[] {
  const cameras = liveTiles(room, person, 'camera');
  if (cameras.length > 0) return cameras;
  return [{ ...blank(room, person), source: 'camera' }];
}

/** What one's own other devices send. */
function elsewhere(room: CallRoom, me: User, source: Tile['source']): Tile[] {
  const tiles = liveTiles(room, { userId: me.id, name: `${me.name} (other device)` }, source);
  return tiles.map((tile) => ({ ...tile, key: `${tile.key}-${tile.producerId}` }));
}

/** A tile for each producer that is on; the first has the short key, further devices a longer one. */
function liveTiles(room: CallRoom, person: Person, source: 'camera' | 'screen'): Tile[] {
  const live = producersOf(room.roster.value, person.userId, source).filter(
    ({ paused }) => !paused,
  );
  return live.map(({ producerId, legId }, index) => ({
    ...blank(room, person),
    key: `${person.userId}-${source}${index === 0 ? '' : `-${legId}`}`,
    source,
    producerId,
    withheld: room.withheld.value.has(producerId),
    track: room.tracks.value.find((remote) => remote.producerId === producerId)?.track ?? null,
  }));
}

function blank(room: CallRoom, { userId, name }: Person) {
  return {
    key: `${userId}-camera`,
    userId,
    name,
    self: false,
    micOn: isMicOn(room.roster.value, userId),
    track: null,
    withheld: false,
    producerId: undefined,
  };
}

function selfTile({ local }: CallRoom, me: User): Tile {
  return {
    key: `${me.id}-camera`,
    userId: me.id,
    name: me.name,
    source: 'camera',
    self: true,
    micOn: local.micOn.value,
    track: local.camera.track.value,
    withheld: false,
    producerId: undefined,
  };
}

function ownScreen(room: CallRoom, me: User): Tile[] {
  const track = room.local.screen.track.value;
  if (!track) return [];
  return [{ ...selfTile(room, me), key: `${me.id}-screen`, source: 'screen', track }];
}
