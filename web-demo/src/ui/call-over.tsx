import { describeEnd } from '../state/messages';
import { paths } from '../state/router';
import { useFocusOnContent } from './focus';
import { asClock } from './format';
import { Link } from './link';
import { Empty } from './message';
import { Shell } from './shell';

interface CallOverProps {
  groupId: string | undefined;
  reason: string | null;
  durationSeconds: number | null;
  byMe?: boolean;
}

/** What is left when a call is over: why, and how long it was. */
export function CallOver({ groupId, reason, durationSeconds, byMe = false }: CallOverProps) {
  useFocusOnContent();
  return (
    <Shell>
      <main id="main" tabIndex={-1} class="content centred">
        <Empty icon="phone" title="Call ended" testId="call-ended">
          <p class="muted">{describeEnd(reason, byMe)}</p>
          {durationSeconds !== null && (
            <p class="duration">
              <span class="muted">It lasted</span> {asClock(durationSeconds)}
            </p>
          )}
          <Link to={groupId ? paths.group(groupId) : paths.home} class="button primary">
            {groupId ? 'Back to the group' : 'Back to your groups'}
          </Link>
        </Empty>
      </main>
    </Shell>
  );
}

interface CallUnavailableProps {
  title?: string;
  message: string;
  retry?: string;
  onRetry?: () => void;
}

/** Why one cannot be in a call. */
export function CallUnavailable({ title, message, retry, onRetry }: CallUnavailableProps) {
  useFocusOnContent();
  return (
    <Shell>
      <main id="main" tabIndex={-1} class="content centred">
        <Empty
          icon="warning"
          title={title ?? 'You cannot join this call'}
          testId="call-unavailable"
        >
          <p class="muted">{message}</p>
          <div class="actions">
            <Link to={paths.home} class="button">
              Back to your groups
            </Link>
            {retry && (
              <button type="button" class="button primary" data-testid="retry" onClick={onRetry}>
                {retry}
              </button>
            )}
          </div>
        </Empty>
      </main>
    </Shell>
  );
}
