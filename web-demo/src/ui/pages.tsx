import { useSignal } from '@preact/signals';
import type { ComponentChild } from 'preact';
import type { CallRoom } from '../state/call-room';
import { inPages } from '../state/paging';
import type { Tile } from '../state/tiles';
import { Icon } from './icon';

interface PagesProps {
  room: CallRoom;
  tiles: Tile[];
  children: (shown: Tile[]) => ComponentChild;
}

/** Shows as many pictures as one can look at, and the others on further pages. */
export function Pages({ room, tiles, children }: PagesProps) {
  const wanted = useSignal(0);
  const pages = inPages(tiles, room.spoke.value);
  const last = Math.max(0, pages.length - 1);
  const page = Math.min(wanted.value, last);
  const turn = (by: number) => {
    wanted.value = Math.max(0, Math.min(page + by, last));
  };
  return (
    <div class="pages">
      {children(pages[page] ?? [])}
      {last > 0 && (
        <nav class="page-turner" aria-label="Pages of people">
          <button
            type="button"
            class="button icon-only"
            aria-label="Previous page"
            data-testid="previous-page"
            disabled={page === 0}
            onClick={() => turn(-1)}
          >
            <Icon name="back" />
          </button>
          <span data-testid="page-number" role="status">
            {page + 1} of {pages.length}
          </span>
          <button
            type="button"
            class="button icon-only"
            aria-label="Next page"
            data-testid="next-page"
            disabled={page === last}
            onClick={() => turn(1)}
          >
            <Icon name="next" />
          </button>
        </nav>
      )}
    </div>
  );
}
