import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './icon';

/** What went wrong, beside the thing that it went wrong with. */
export function Problem({ text }: { text: string | undefined }) {
  if (!text) return null;
  return (
    <p class="problem" role="alert" data-testid="problem">
      <Icon name="warning" />
      {text}
    </p>
  );
}

interface EmptyProps {
  heading?: 'h1' | 'h2';
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  testId?: string;
}

/** A place with nothing in it yet, or a page that can only say one thing. */
export function Empty({ heading: Heading = 'h1', icon, title, children, testId }: EmptyProps) {
  return (
    <div class="empty" data-testid={testId}>
      <span class="empty-icon">
        <Icon name={icon} />
      </span>
      <Heading>{title}</Heading>
      {children}
    </div>
  );
}
