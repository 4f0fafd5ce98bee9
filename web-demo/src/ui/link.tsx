import type { ComponentChildren } from 'preact';
import { go } from '../state/router';

interface LinkProps {
  to: string;
  class?: string;
  current?: boolean;
  testId?: string;
  children: ComponentChildren;
}

/** A link inside the page: no reload, but a real address to copy or open in a new tab. */
export function Link({ to, class: className, current, testId, children }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a
      href={to}
      class={className}
      aria-current={current ? 'page' : undefined}
      data-testid={testId}
      onClick={follow}
    >
      {children}
    </a>
  );
}
