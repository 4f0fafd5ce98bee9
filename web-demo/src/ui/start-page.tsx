import { hasCode } from '../api/server-error';
import type { Call, CallType } from '../api/types';
import { enterCall } from '../state/current-room';
import { groupName } from '../state/groups';
import { go, paths } from '../state/router';
import { api, signedIn } from '../state/session';
import { Preview } from './preview';
import { Shell } from './shell';
import { usePreviewMedia } from './use-preview-media';
import { useTask } from './use-task';

/** The preview of a call that does not exist yet: nobody's phone rings before one is ready. */
export function StartPage({ groupId, type }: { groupId: string; type: CallType }) {
  const { busy, problem, run } = useTask();
  const local = usePreviewMedia();
  const start = () =>
    run(async () => {
      const call = await createOrFind(groupId, type);
      // People may have gone back meanwhile.
      if (local.isClosed()) return;
      enterCall(call.id, local);
      go(paths.call(call.id), { replace: true });
    });
  return (
    <Shell>
      <Preview
        local={local}
        type={type}
        title={groupName(groupId) ?? 'New call'}
        subtitle="Starting rings everyone in the group."
        action={busy ? 'Starting…' : type === 'audio' ? 'Start audio call' : 'Start video call'}
        busy={busy}
        problem={problem}
        onGo={start}
        onCancel={() => go(paths.group(groupId))}
      />
    </Shell>
  );
}

/** Somebody else may have been quicker: then theirs is the group's call. */
async function createOrFind(groupId: string, type: CallType): Promise<Call> {
  try {
    return await signedIn(api.createCall(groupId, type));
  } catch (error) {
    if (!hasCode(error, 'call_exists')) throw error;
    return signedIn(api.runningCall(groupId));
  }
}
