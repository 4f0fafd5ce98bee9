import type { RunningRecording } from '../call/signaling.gen';
import type { CallRoom } from '../state/call-room';
import { asClock } from './format';
import { Icon } from './icon';
import { useSecondsSince } from './use-seconds-since';

/** Tells everybody in a call that it is being recorded, for as long as it is. Nobody can hide it. */
export function RecordingBadge({ room: { recording } }: { room: CallRoom }) {
  const running = recording.running.value;
  if (!running) return null;
  const paused = running.status === 'paused';
  return (
    <section
      class="recording-badge"
      aria-label="Recording"
      data-testid="recording-badge"
      data-status={running.status}
    >
      <span class="recording-state">
        {paused ? <Icon name="pause" /> : <span class="recording-dot" aria-hidden="true" />}
        <strong>{paused ? 'Recording paused' : 'Recording'}</strong>
        {!paused && <Elapsed since={running.startedAt} />}
      </span>
      <span class="recording-by">started by {recording.starter(running)}</span>
      {running.consent === 'ask' && (
        <MyPart accepted={recording.myAnswer.value} onChange={() => recording.askAgain()} />
      )}
    </section>
  );
}

/** Counts pauses as well. */
function Elapsed({ since }: { since: RunningRecording['startedAt'] }) {
  return <span role="timer">{asClock(useSecondsSince(since))}</span>;
}

interface MyPartProps {
  accepted: boolean | undefined;
  onChange: () => void;
}

function MyPart({ accepted, onChange }: MyPartProps) {
  return (
    <span class="my-part">
      <span data-testid="my-part">
        {accepted ? 'You agreed to be recorded' : 'You are not recorded'}
      </span>
      <button type="button" class="button" data-testid="change-consent" onClick={onChange}>
        Change
      </button>
    </span>
  );
}
