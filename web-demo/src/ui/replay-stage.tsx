import { useEffect, useRef } from 'preact/hooks';
import type { Replay } from '../state/replay';
import { labelOf, type ReplayTile } from '../state/replay-tiles';
import { Avatar } from './avatar';
import { Icon } from './icon';

export type Layout = { name: 'grid' | 'speaker' } | { name: 'single'; key: string };

/** All pictures: alike, with who speaks or what is shared large, or one alone. Hidden ones are heard. */
export function ReplayStage({ replay, layout }: { replay: Replay; layout: Layout }) {
  const tiles = replay.tiles.value;
  const { tile: speaker, speaks } = replay.speaker();
  const large = largeOf(replay, layout, speaker);
  // All keep their place in the document: a picture that is moved stops.
  return (
    <div class="player-stage" data-testid="replay-stage" data-layout={large ? layout.name : 'grid'}>
      {tiles.map((tile) => (
        <TileOfReplay
          key={tile.key}
          replay={replay}
          tile={tile}
          large={tile.key === large?.key}
          alone={layout.name === 'single'}
          speaks={speaks && tile.key === speaker?.key}
        />
      ))}
    </div>
  );
}

function largeOf(replay: Replay, layout: Layout, speaker: ReplayTile | undefined) {
  const tiles = replay.tiles.value;
  if (layout.name === 'grid') return undefined;
  if (layout.name === 'single') return tiles.find(({ key }) => key === layout.key);
  const isShared = (tile: ReplayTile) => tile.kind === 'screen' && replay.picturesOf(tile).shown;
  return tiles.findLast(isShared) ?? speaker ?? tiles[0];
}

interface TileProps {
  replay: Replay;
  tile: ReplayTile;
  large: boolean;
  alone: boolean;
  speaks: boolean;
}

function TileOfReplay({ replay, tile, large, alone, speaks }: TileProps) {
  const { ready, shown } = replay.picturesOf(tile);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => show(place.current, ready, shown));
  const missing = replay
    .missingAt(replay.position.value)
    .some(({ track }) => tile.pictures.some(({ id }) => id === track.id));
  // Nobody needs to see that there is no screen at present, unless they chose to.
  const isIdle = tile.kind === 'screen' && !shown && !large;
  return (
    <figure
      class="player-tile"
      data-testid="replay-tile"
      data-user-id={tile.userId}
      data-kind={tile.kind}
      data-large={large}
      data-speaking={speaks}
      hidden={(alone && !large) || isIdle}
    >
      {!shown && <Avatar name={tile.name} size="large" />}
      <div ref={place} class="player-picture" />
      {missing && (
        <span class="tile-missing" data-testid="replay-missing">
          Picture missing
        </span>
      )}
      <figcaption>
        {tile.kind === 'screen' && <Icon name="screen" />}
        <span class="tile-name">{labelOf(tile)}</span>
      </figcaption>
    </figure>
  );
}

/** Pictures that follow lie ready under the one to be seen, so that nothing flickers. */
function show(
  place: HTMLElement | null,
  ready: HTMLMediaElement[],
  shown: HTMLMediaElement | undefined,
): void {
  for (const child of [...(place?.children ?? [])]) {
    if (!ready.some((element) => element === child)) child.remove();
  }
  for (const element of ready) {
    if (element.parentElement !== place) place?.append(element);
    element.toggleAttribute('data-shown', element === shown);
  }
}
