import { useSignal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { hasCode } from '../api/server-error';
import { type Call, isRunning } from '../api/types';
import { rememberCall, wasInCall } from '../state/call-memory';
import { CallRoom } from '../state/call-room';
import { groupName, type Loaded } from '../state/groups';
import { lastWishes, openDevices } from '../state/local-media';
import { describe } from '../state/messages';
import { go, paths } from '../state/router';
import { api, session, signedIn } from '../state/session';
import { exposeRoom } from '../state/test-hook';
import { CallOver, CallUnavailable } from './call-over';
import { InCall } from './in-call';
import { Preview } from './preview';
import { Shell } from './shell';

/** A call by its address: first a preview, then the call. A reload during the call skips the preview. */
export function CallPage({ callId }: { callId: string }) {
  const [inside, setInside] = useState(() => wasInCall(callId));
  const enter = () => {
    rememberCall(callId);
    setInside(true);
  };
  if (inside) return <Room callId={callId} />;
  return <Lobby callId={callId} onJoin={enter} />;
}

function Lobby({ callId, onJoin }: { callId: string; onJoin: () => void }) {
  const call = useSignal<Loaded<Call>>({ state: 'loading' });
  useEffect(() => {
    signedIn(api.call(callId))
      .then((value) => {
        call.value = { state: 'ready', value };
      })
      .catch((error: unknown) => {
        call.value = { state: 'failed', message: describeCallRefusal(error) };
      });
  }, [callId]);

  const known = call.value;
  if (known.state === 'loading') return <Waiting text="Looking for the call…" />;
  if (known.state === 'failed') return <CallUnavailable message={known.message} />;
  const { value } = known;
  if (!isRunning(value)) {
    const { groupId, endReason, durationSeconds } = value;
    return <CallOver groupId={groupId} reason={endReason} durationSeconds={durationSeconds} />;
  }
  return (
    <Shell>
      <Preview
        type={value.type}
        title={groupName(value.groupId) ?? 'Join the call'}
        subtitle={othersIn(value)}
        action="Join now"
        onGo={onJoin}
        onCancel={() => go(paths.group(value.groupId))}
      />
    </Shell>
  );
}

function Room({ callId }: { callId: string }) {
  const [room, setRoom] = useState<CallRoom>();
  useEffect(() => {
    const created = new CallRoom(callId);
    setRoom(created);
    const hide = exposeRoom(created);
    return () => {
      hide();
      void created.leave();
    };
  }, [callId]);
  const type = room?.call.value?.type;
  // After a reload the devices come back as they were; from a preview they are open already.
  useEffect(() => {
    if (type) void openDevices({ ...lastWishes(), video: type === 'video' });
  }, [type]);

  if (!room) return null;
  const phase = room.phase.value;
  const groupId = room.call.value?.groupId;
  switch (phase.name) {
    case 'joining':
      return <Waiting text="Joining the call…" />;
    case 'joined':
      return <InCall room={room} />;
    case 'ended':
      return <CallOver groupId={groupId} {...phase} />;
    case 'replaced':
      return (
        <CallUnavailable
          title="This call goes on in another tab"
          message="The same browser joined it from there, so this tab has stepped back."
          retry="Use this tab"
          onRetry={() => room.retry()}
        />
      );
    case 'failed':
      return (
        <CallUnavailable message={phase.message} retry="Try again" onRetry={() => room.retry()} />
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
