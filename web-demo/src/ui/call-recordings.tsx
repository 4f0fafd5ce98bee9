import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Call, Recording, RecordingDetails } from '../api/types';
import type { GroupView } from '../state/group-view';
import { describe, describeRecordingEnd } from '../state/messages';
import { api, session, signedIn } from '../state/session';
import { DeleteRecording } from './delete-recording';
import { asMoment, asTime, inBytes, inWords } from './format';
import { Icon } from './icon';
import { Problem } from './message';
import { Tracks } from './recording-tracks';

interface CallRecordingsProps {
  view: GroupView;
  call: Call;
}

/** What is recorded of a call; nothing where nothing is, or may not be seen. */
export function CallRecordings({ view, call }: CallRecordingsProps) {
  const recordings = view.recordings.byCall.value.get(call.id) ?? [];
  if (recordings.length === 0) return null;
  return (
    <ul class="recordings" aria-label="Recordings">
      {recordings.map((recording) => (
        <li key={recording.id}>
          <RecordingItem view={view} call={call} recording={recording} />
        </li>
      ))}
    </ul>
  );
}

function RecordingItem({ view, call, recording }: CallRecordingsProps & { recording: Recording }) {
  const open = useSignal(false);
  return (
    <details
      class="recording"
      data-testid="recording"
      data-recording-id={recording.id}
      data-status={recording.status}
      onToggle={(event) => (open.value = event.currentTarget.open)}
    >
      <summary data-testid="recording-summary">
        <strong>Recording</strong>
        <span class="recording-status" data-status={recording.status}>
          {STATES[recording.status]}
        </span>
        <span class="muted">{outlineOf(recording)}</span>
        <Icon name="more" />
      </summary>
      {open.value && <Inside view={view} call={call} recording={recording} />}
    </details>
  );
}

function Inside({ view, call, recording }: CallRecordingsProps & { recording: Recording }) {
  const details = useSignal<RecordingDetails | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    let current = true;
    const load = async () => {
      const found = await signedIn(api.recording(recording.id));
      if (current) details.value = found;
    };
    load().catch((error) => {
      if (current) problem.value = describe(error);
    });
    return () => {
      current = false;
    };
  }, [recording.id, recording.status, recording.updatedAt]);
  const fault = faultOf(recording);
  return (
    <div class="recording-inside" data-testid="recording-inside">
      <p class="muted">
        {starterOf(recording, view)} ·{' '}
        <time dateTime={recording.startedAt}>{asMoment(recording.startedAt)}</time>
        {recording.deleteAfter && ` · kept until ${asMoment(recording.deleteAfter)}`}
      </p>
      <p class="muted" data-testid="recording-access">
        {READERS[recording.access]}
      </p>
      {fault && <p class="note">{fault}</p>}
      <Problem text={problem.value} />
      {details.value ? (
        <Tracks
          recording={details.value}
          onPlay={() => details.value && view.recordings.play(details.value)}
        />
      ) : (
        !problem.value && <p class="muted loading">Loading…</p>
      )}
      {isFinished(recording) && mayDelete(call, view) && (
        <DeleteRecording onDelete={() => view.recordings.remove(recording)} />
      )}
    </div>
  );
}

/** How long it went on, and how large it is. */
function outlineOf({ startedAt, endedAt, bytes, mode }: Recording): string {
  const words = endedAt
    ? [inWords(Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000))]
    : [`since ${asTime(startedAt)}`];
  if (bytes > 0) words.push(inBytes(bytes));
  if (mode === 'audio') words.push('sound only');
  return words.join(' · ');
}

/** Why something is missing, in words. */
function faultOf({ status, endReason }: Recording): string | undefined {
  const reason = endReason && describeRecordingEnd(endReason);
  if (status === 'failed') return `Nothing could be saved. ${reason ?? ''}`;
  if (status === 'incomplete') return `Something is missing. ${reason ?? ''}`;
  return reason ?? undefined;
}

function isFinished({ status }: Recording): boolean {
  return status === 'ready' || status === 'incomplete' || status === 'failed';
}

/** Server admins may as well, but the page does not know who is one. */
function mayDelete(call: Call, view: GroupView): boolean {
  const me = session.value?.user.id;
  const role = view.members.value.find(({ userId }) => userId === me)?.role;
  return call.initiatedById === me || role === 'owner';
}

function starterOf({ startedById }: Recording, view: GroupView): string {
  if (startedById === null) return 'Started by the app';
  if (startedById === session.value?.user.id) return 'Started by you';
  const starter = view.members.value.find(({ userId }) => userId === startedById);
  return `Started by ${starter?.name ?? 'a former member'}`;
}

const READERS: Record<Recording['access'], string> = {
  participants:
    'Can be seen by everybody who was in the call, whoever started it, and the group’s owners and admins.',
  members: 'Can be seen by all members of the group.',
  moderators: 'Can be seen only by whoever started the call, and the group’s owners and admins.',
};

const STATES: Record<Recording['status'], string> = {
  recording: 'Going on',
  paused: 'Paused',
  finishing: 'Being finished',
  ready: 'Ready',
  incomplete: 'Incomplete',
  failed: 'Failed',
  deleted: 'Deleted',
};
