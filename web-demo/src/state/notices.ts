import { signal } from '@preact/signals';

export interface Notice {
  id: number;
  kind: 'info' | 'error';
  text: string;
}

/** Short messages shown for a while at the edge of the page, newest last. */
export const notices = signal<Notice[]>([]);

/** What screen readers are told next. */
export const announcement = signal('');

let lastId = 0;

export function notify(text: string, kind: Notice['kind'] = 'info'): void {
  lastId += 1;
  const notice = { id: lastId, kind, text };
  notices.value = [...notices.value, notice].slice(-MOST_NOTICES);
  setTimeout(() => dismiss(notice.id), SHOWN_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Tells screen readers something that others see at a glance. */
export function announce(text: string): void {
  announcement.value = text;
}

const MOST_NOTICES = 3;
const SHOWN_MS = 8_000;
