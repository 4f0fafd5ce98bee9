import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { hasCode } from '../api/server-error';
import { type Call, isRunning } from '../api/types';
import { knownCall } from '../state/call-book';
import { wasInCall } from '../state/call-memory';
import type { CallRoom } from '../state/call-room';
import { currentRoom, enterCall } from '../state/current-room';
import { keepFresh } from '../state/fresh-call';
import { groupName } from '../state/groups';
import { describe } from '../state/messages';
import { go, paths } from '../state/router';
import { session } from '../state/session';
import { CallOver, CallUnavailable } from './call-over';
import { InCall } from './in-call';
import { Preview } from './preview';
import { RecordingNote } from './recording-note';
import { Shell } from './shell';
import { usePreviewMedia } from './use-preview-media';

/** A call by its address: first a preview, then the call. A reload during the call skips the preview. */
export function CallPage({ callId }: { callId: string }) {
  useEffect(() => {
    if (currentRoom.peek()?.callId !== callId && wasInCall(callId)) enterCall(callId);
  }, [callId]);
  const room = currentRoom.value;
  if (room?.callId === callId) return <Room room={room} />;
  if (wasInCall(callId)) return <Waiting text="Joining the call…" />;
  return <Lobby callId={callId} />;
}

function Lobby({ callId }: { callId: string }) {
  const problem = useSignal<string | undefined>(undefined);
  const local = usePreviewMedia();
  useEffect(
    () =>
      keepFresh(callId, (error) => {
        problem.value = describeCallRefusal(error);
      }),
    [callId],
  );

  const call = knownCall(callId);
  const over = call !== undefined && !isRunning(call);
  // Who looks at a call that is over needs no device for it.
  useEffect(() => {
    if (over) local.close();
  }, [over, local]);
  if (!call && problem.value) return <CallUnavailable message={problem.value} />;
  if (!call) return <Waiting text="Looking for the call…" />;
  if (over) {
    const { groupId, endReason, durationSeconds } = call;
    return <CallOver groupId={groupId} reason={endReason} durationSeconds={durationSeconds} />;
  }
  return (
    <Shell>
      <Preview
        local={local}
        type={call.type}
        title={groupName(call.groupId) ?? 'Join the call'}
        subtitle={othersIn(call)}
        action="Join now"
        onGo={() => enterCall(callId, local)}
        onCancel={() => go(paths.group(call.groupId))}
      >
        <RecordingNote call={call} />
      </Preview>
    </Shell>
  );
}

function Room({ room }: { room: CallRoom }) {
  const phase = room.phase.value;
  const groupId = room.call.value?.groupId;
  const enterAgain = () => enterCall(room.callId);
  switch (phase.name) {
    case 'joining':
      return <Waiting text="Joining the call…" />;
    case 'joined':
      return <InCall room={room} />;
    case 'ended':
      return <CallOver groupId={groupId} {...phase} />;
    case 'removed':
      return (
        <CallUnavailable
          title="You were removed from this call"
          message="Your microphone and camera are off. A moderator can let you in again."
        />
      );
    case 'replaced':
      return (
        <CallUnavailable
          title="This call goes on in another tab"
          message="The same browser joined it from there, so this tab has stepped back."
          retry="Use this tab"
          onRetry={enterAgain}
        />
      );
    case 'failed':
      return (
        <CallUnavailable
          message={phase.message}
          {...(!phase.final && { retry: 'Try again', onRetry: enterAgain })}
        />
      );
  }
}

function Waiting({ text }: { text: string }) {
  return (
    <main id="main" tabIndex={-1} class="waiting">
      <span class="spinner large" aria-hidden="true" />
      <p role="status">{text}</p>
    </main>
  );
}

function othersIn(call: Call): string {
  const others = call.participants.filter((id) => id !== session.value?.user.id).length;
  if (others === 0) return 'Nobody else is in the call right now.';
  return others === 1 ? 'One person is in the call.' : `${others} people are in the call.`;
}

function describeCallRefusal(error: unknown): string {
  if (hasCode(error, 'forbidden')) return 'Only members of the group can join this call.';
  if (hasCode(error, 'not_found')) return 'There is no such call, or it is not yours to see.';
  return describe(error);
}
