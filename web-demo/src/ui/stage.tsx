import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { CallRoom } from '../state/call-room';
import type { Tile } from '../state/tiles';
import { focusNext } from './focus';
import { fitGrid } from './layout';
import { Pages } from './pages';
import { TileView } from './tile-view';
import { useSize } from './use-size';

/** All pictures: a grid of equals, or one enlarged (a shared screen by itself) above a strip. */
export function Stage({ room, tiles }: { room: CallRoom; tiles: Tile[] }) {
  const view = useSignal<View>({ name: 'automatic' });
  const large = enlarged(tiles, view.value);
  const toggle = (tile: Tile) => {
    const shrinks = tile.key === large?.key;
    view.value = shrinks ? allAlike(tiles) : { name: 'enlarged', key: tile.key };
    // The button that was clicked goes with its tile, and the tile is drawn anew elsewhere.
    focusNext(`[data-testid="tile-${tile.key}"] [data-testid="enlarge"]`);
  };
  return (
    <div class={`stage ${large ? 'with-large' : ''}`} data-testid="stage">
      {large && (
        <div class="large">
          <TileView room={room} tile={large} large onEnlarge={() => toggle(large)} />
        </div>
      )}
      <Pages room={room} tiles={tiles.filter((tile) => tile !== large)}>
        {(shown) =>
          large ? (
            <div class="strip">
              {shown.map((tile) => (
                <TileView key={tile.key} room={room} tile={tile} onEnlarge={() => toggle(tile)} />
              ))}
            </div>
          ) : (
            <GridOfTiles room={room} tiles={shown} onEnlarge={toggle} />
          )
        }
      </Pages>
    </div>
  );
}

/** What somebody chose to see. */
type View =
  | { name: 'automatic' }
  | { name: 'enlarged'; key: string }
  /** Everyone alike although this screen is shared, as long as it is. */
  | { name: 'alike'; despite: string | undefined };

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
    <div ref={element} class="grid" data-testid="grid" style={size}>
      {tiles.map((tile) => (
        <TileView key={tile.key} room={room} tile={tile} onEnlarge={() => onEnlarge(tile)} />
      ))}
    </div>
  );
}

/** The picture somebody chose, else the newest screen of the others. */
function enlarged(tiles: Tile[], view: View): Tile | undefined {
  const chosen = view.name === 'enlarged' && tiles.find(({ key }) => key === view.key);
  if (chosen) return chosen;
  const screen = newestScreen(tiles);
  const unwanted = view.name === 'alike' && view.despite === screen?.producerId;
  return unwanted ? undefined : screen;
}

function allAlike(tiles: Tile[]): View {
  return { name: 'alike', despite: newestScreen(tiles)?.producerId };
}

function newestScreen(tiles: Tile[]): Tile | undefined {
  return tiles.findLast((tile) => tile.source === 'screen' && !tile.self);
}
