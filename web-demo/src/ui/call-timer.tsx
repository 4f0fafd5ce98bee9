import { useEffect, useState } from 'preact/hooks';
import { asClock } from './format';

/** How long the call has been going. */
export function CallTimer({ startedAt }: { startedAt: string }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((now - Date.parse(startedAt)) / 1_000));
  return (
    <span class="call-state" role="timer" data-testid="call-timer">
      {asClock(seconds)}
    </span>
  );
}
