import { asClock } from './format';
import { useSecondsSince } from './use-seconds-since';

/** How long the call has been going. */
export function CallTimer({ startedAt }: { startedAt: string }) {
  const seconds = useSecondsSince(startedAt);
  return (
    <span class="call-state" role="timer" data-testid="call-timer">
      {asClock(seconds)}
    </span>
  );
}
