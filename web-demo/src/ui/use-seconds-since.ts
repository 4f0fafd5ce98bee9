import { useEffect, useState } from 'preact/hooks';

/** Whole seconds since a time, kept up to date. */
export function useSecondsSince(time: string): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return Math.max(0, Math.floor((now - Date.parse(time)) / 1_000));
}
