import type { ComponentChildren } from 'preact';
import { status } from '../state/connection';
import { announcement, dismiss, notices } from '../state/notices';
import { paths } from '../state/router';
import { session, signOut } from '../state/session';
import { Avatar } from './avatar';
import { Icon, Logo } from './icon';
import { Link } from './link';

/** The frame around every page but the call itself. */
export function Shell({ children }: { children: ComponentChildren }) {
  const user = session.value?.user;
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <Link to={paths.home} class="brand">
          <Logo />
          <span>Switchyard</span>
        </Link>
        {user && (
          <div class="who">
            <Avatar name={user.name} />
            <span class="who-name" data-testid="user-name">
              {user.name}
            </span>
            <button
              type="button"
              class="button quiet icon-only"
              aria-label="Sign out"
              title="Sign out"
              data-testid="sign-out"
              onClick={() => signOut()}
            >
              <Icon name="signOut" />
            </button>
          </div>
        )}
      </header>
      <ConnectionBanner />
      {children}
    </div>
  );
}

export function ConnectionBanner() {
  if (status.value !== 'reconnecting') return null;
  return <Banner text="Connection lost. Reconnecting…" />;
}

export function Banner({ text }: { text: string }) {
  return (
    <p class="banner" role="status" data-testid="connection-banner">
      <span class="spinner" aria-hidden="true" />
      {text}
    </p>
  );
}

export function Notices() {
  return (
    <div class="notices">
      {notices.value.map(({ id, kind, text }) => (
        <div key={id} class={`notice ${kind}`} role={kind === 'error' ? 'alert' : 'status'}>
          <Icon name={kind === 'error' ? 'warning' : 'info'} />
          <span>{text}</span>
          <button
            type="button"
            class="button quiet icon-only"
            aria-label="Dismiss"
            onClick={() => dismiss(id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

/** What happens in a call, for those who cannot see it. */
export function Announcer() {
  return (
    <p class="visually-hidden" aria-live="polite" data-testid="announcer">
      {announcement.value}
    </p>
  );
}
