import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { CallRoom } from '../state/call-room';
import type { Tile } from '../state/tiles';
import { fitGrid } from './layout';
import { TileView } from './tile-view';
import { useSize } from './use-size';

/** All pictures: a grid of equals, or one enlarged (a shared screen by itself) above a strip. */
export function Stage({ room, tiles }: { room: CallRoom; tiles: Tile[] }) {
  const pinned = useSignal<string | undefined>(undefined);
  const large = enlarged(tiles, pinned.value);
  const toggle = (tile: Tile) => {
    pinned.value = tile.key === large?.key ? NOBODY : tile.key;
  };
  if (!large) return <GridOfTiles room={room} tiles={tiles} onEnlarge={toggle} />;
  return (
    <div class="stage with-large" data-testid="stage">
      <div class="large">
        <TileView room={room} tile={large} large onEnlarge={() => toggle(large)} />
      </div>
      <div class="strip">
        {tiles
          .filter((tile) => tile !== large)
          .map((tile) => (
            <TileView key={tile.key} room={room} tile={tile} onEnlarge={() => toggle(tile)} />
          ))}
      </div>
    </div>
  );
}

interface GridProps {
  room: CallRoom;
  tiles: Tile[];
  onEnlarge: (tile: Tile) => void;
}

function GridOfTiles({ room, tiles, onEnlarge }: GridProps) {
  const element = useRef<HTMLDivElement>(null);
  const { width, height } = useSize(element);
  const { tileWidth, tileHeight } = fitGrid(width, height, tiles.length);
  const size = { '--tile-width': `${tileWidth}px`, '--tile-height': `${tileHeight}px` };
  return (
    <div ref={element} class="stage grid" data-testid="grid" style={size}>
      {tiles.map((tile) => (
        <TileView key={tile.key} room={room} tile={tile} onEnlarge={() => onEnlarge(tile)} />
      ))}
    </div>
  );
}

/** The picture someone chose, else the newest screen of the others. */
function enlarged(tiles: Tile[], pinned: string | undefined): Tile | undefined {
  if (pinned === NOBODY) return undefined;
  const chosen = tiles.find((tile) => tile.key === pinned);
  return chosen ?? tiles.findLast((tile) => tile.source === 'screen' && !tile.self);
}

/** Chosen to see all pictures alike although there is a screen. */
const NOBODY = 'nobody';
