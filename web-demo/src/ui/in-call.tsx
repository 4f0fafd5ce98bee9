import { useComputed, useSignal } from '@preact/signals';
import type { CallRoom } from '../state/call-room';
import { status } from '../state/connection';
import { groupName } from '../state/groups';
import { tilesOf } from '../state/tiles';
import { CallControls } from './call-controls';
import { CallTimer } from './call-timer';
import { ParticipantsPanel } from './participants-panel';
import { ConnectionBanner } from './shell';
import { Sound } from './sound';
import { Stage } from './stage';

/** The call itself: pictures, and the bar to act on it. */
export function InCall({ room }: { room: CallRoom }) {
  const tiles = useComputed(() => tilesOf(room));
  const panelOpen = useSignal(false);
  const call = room.call.value;
  return (
    <div class="call" data-testid="call" data-panel={panelOpen.value ? 'open' : 'closed'}>
      <header class="call-head">
        <h1>{(call && groupName(call.groupId)) ?? 'Call'}</h1>
        {call?.startedAt ? (
          <CallTimer startedAt={call.startedAt} />
        ) : (
          <span class="call-state">Ringing…</span>
        )}
      </header>
      <ConnectionBanner />
      {status.value === 'connected' && room.interrupted.value && (
        <p class="banner" role="status" data-testid="rejoin-banner">
          <span class="spinner" aria-hidden="true" />
          Getting back into the call…
        </p>
      )}
      <main id="main" tabIndex={-1} class="call-main">
        <Stage room={room} tiles={tiles.value} />
        {panelOpen.value && (
          <ParticipantsPanel room={room} onClose={() => (panelOpen.value = false)} />
        )}
      </main>
      <CallControls room={room} panelOpen={panelOpen} />
      <Sound room={room} />
    </div>
  );
}
