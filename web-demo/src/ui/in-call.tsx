import { useComputed, useSignal } from '@preact/signals';
import type { CallRoom } from '../state/call-room';
import { status } from '../state/connection';
import { groupName } from '../state/groups';
import { tilesOf } from '../state/tiles';
import { CallControls } from './call-controls';
import { CallTimer } from './call-timer';
import { ConsentQuestion } from './consent-question';
import { focusNext, useFocusOnContent } from './focus';
import { LeaveQuestion } from './leave-question';
import { ParticipantsPanel } from './participants-panel';
import { RecordingBadge } from './recording-badge';
import { Banner, ConnectionBanner } from './shell';
import { Sound } from './sound';
import { Stage } from './stage';
import { useTitle } from './use-title';

/** The call itself: pictures, and the bar to act on it. */
export function InCall({ room }: { room: CallRoom }) {
  const tiles = useComputed(() => tilesOf(room));
  const panelOpen = useSignal(false);
  useFocusOnContent();
  const call = room.call.value;
  const title = (call && groupName(call.groupId)) ?? 'Call';
  const closePanel = () => {
    panelOpen.value = false;
    focusNext('[data-testid="participants"]');
  };
  useTitle(`In call: ${title}`);
  return (
    <div class="call" data-testid="call" data-panel={panelOpen.value ? 'open' : 'closed'}>
      <header class="call-head">
        <h1>{title}</h1>
        {call?.startedAt ? (
          <CallTimer startedAt={call.startedAt} />
        ) : (
          <span class="call-state">Ringing…</span>
        )}
        <RecordingBadge room={room} />
      </header>
      <CallBanner room={room} />
      <main id="main" tabIndex={-1} class="call-main">
        <Stage room={room} tiles={tiles.value} />
        {panelOpen.value && <ParticipantsPanel room={room} onClose={closePanel} />}
      </main>
      <CallControls room={room} panelOpen={panelOpen} />
      <Sound room={room} />
      <ConsentQuestion room={room} />
      <LeaveQuestion />
    </div>
  );
}

/** What is wrong right now, the worst first. Each of these heals by itself. */
function CallBanner({ room }: { room: CallRoom }) {
  if (status.value !== 'connected') return <ConnectionBanner />;
  if (room.interrupted.value) return <Banner text="Getting back into the call…" />;
  if (room.mediaInterrupted.value)
    return <Banner text="Sound and picture are interrupted. Reconnecting…" />;
  return null;
}
