import type { Tile } from './tiles';

/** So many pictures are shown at one time. */
export const TILES_PER_PAGE = 9;

/**
 * Tiles in the order of their pages. Whoever spoke last comes first; so do one's own picture and shared screens. Within a
 * page everybody keeps their place, so that pictures do not jump whenever somebody speaks.
 */
export function inPages(tiles: Tile[], spoke: ReadonlyMap<string, number>): Tile[][] {
  const rank = (tile: Tile): number => {
    if (tile.self || tile.source === 'screen') return Number.POSITIVE_INFINITY;
    return spoke.get(tile.userId) ?? 0;
  };
  const place = new Map(tiles.map((tile, index) => [tile, index]));
  const inPlace = (a: Tile, b: Tile) => (place.get(a) ?? 0) - (place.get(b) ?? 0);
  const ranked = [...tiles].sort((a, b) => compare(rank(b), rank(a)) || inPlace(a, b));
  const pages: Tile[][] = [];
  for (let start = 0; start < ranked.length; start += TILES_PER_PAGE) {
    pages.push(ranked.slice(start, start + TILES_PER_PAGE).sort(inPlace));
  }
  return pages;
}

/** Unlike a difference this also compares infinities. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
