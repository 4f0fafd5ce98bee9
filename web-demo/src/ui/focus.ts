import { useEffect } from 'preact/hooks';

/** Where the focus goes when the thing that had it is gone. */

/** Takes the focus to a page's content as it appears, so that screen readers begin to read it. */
export function useFocusOnContent(...when: unknown[]): void {
  useEffect(() => focusOnContent(), when);
}

export function focusOnContent(): void {
  document.getElementById('main')?.focus({ preventScroll: true });
}

/** Takes the focus to what the next render brings. */
export function focusNext(selector: string): void {
  setTimeout(() => document.querySelector<HTMLElement>(selector)?.focus());
}
