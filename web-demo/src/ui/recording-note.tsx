import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Call } from '../api/types';
import type { RunningRecording } from '../call/signaling.gen';
import { api, session, signedIn } from '../state/session';
import { Icon } from './icon';

/** Tells a newcomer that the call is being recorded, before they send anything. */
export function RecordingNote({ call: { recording, groupId } }: { call: Call }) {
  const starter = useStarter(groupId, recording);
  if (!recording) return null;
  return (
    <p class="note recording-note" role="status" data-testid="recording-note">
      <Icon name={recording.status === 'paused' ? 'pause' : 'record'} />
      <span>
        <strong>
          {recording.status === 'paused'
            ? 'The recording of this call is paused.'
            : 'This call is being recorded.'}
        </strong>{' '}
        {starter && `${starter} started the recording. `}
        {consequence(recording)}
      </span>
    </p>
  );
}

function consequence({ consent, status }: RunningRecording): string {
  if (consent === 'ask') return 'In the call you are asked whether you may be recorded.';
  return status === 'paused'
    ? 'It can go on at any time.'
    : 'What you say and show in the call is saved.';
}

/** Who started it, once that is known. */
function useStarter(groupId: string, recording: RunningRecording | null): string | undefined {
  const name = useSignal<string | undefined>(undefined);
  const startedBy = recording?.startedBy;
  useEffect(() => {
    name.value = startedBy === session.peek()?.user.id ? 'You' : undefined;
    if (!startedBy || name.value) return;
    let current = true;
    const find = async () => {
      const members = await signedIn(api.members(groupId));
      if (current) name.value = members.find(({ userId }) => userId === startedBy)?.name;
    };
    // The note tells what matters without the name.
    find().catch(() => undefined);
    return () => {
      current = false;
    };
  }, [groupId, startedBy]);
  return startedBy === null ? 'The app' : name.value;
}
