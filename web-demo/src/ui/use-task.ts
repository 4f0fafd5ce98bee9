import { useRef, useState } from 'preact/hooks';
import { describe } from '../state/messages';

/** Something slow that a form or button does: whether it runs, and what went wrong last time. */
export function useTask(): {
  busy: boolean;
  problem: string | undefined;
  run: (work: () => Promise<void>) => Promise<void>;
} {
  const running = useRef(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const run = async (work: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(undefined);
    try {
      await work();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { busy, problem, run };
}
