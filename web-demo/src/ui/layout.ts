export interface Grid {
  columns: number;
  tileWidth: number;
  tileHeight: number;
}

/** The largest equal tiles that fit a space, in CSS pixels. */
export function fitGrid(width: number, height: number, count: number): Grid {
  let best: Grid = { columns: 1, tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const grid = fitTiles(width, height, columns, rows);
    if (grid.tileWidth * grid.tileHeight > best.tileWidth * best.tileHeight) best = grid;
  }
  return best;
}

/** Tiles may be anything between a classic and a wide picture, so that little space stays empty. */
function fitTiles(width: number, height: number, columns: number, rows: number): Grid {
  const roomX = (width - GAP * (columns - 1)) / columns;
  const roomY = (height - GAP * (rows - 1)) / rows;
  const tileWidth = Math.min(roomX, roomY * WIDEST);
  const narrowest = width < height ? NARROWEST_UPRIGHT : NARROWEST;
  const tileHeight = Math.min(roomY, tileWidth / narrowest);
  return { columns, tileWidth: Math.floor(tileWidth), tileHeight: Math.floor(tileHeight) };
}

/** As `--tile-gap` in the style sheet. */
const GAP = 12;
const WIDEST = 16 / 9;
const NARROWEST = 4 / 3;
/** On a phone held upright squares fill the screen best. */
const NARROWEST_UPRIGHT = 1;
