import { type Signal, useSignal } from '@preact/signals';
import type { CallType } from '../api/types';
import { canShareScreen } from '../call/capture';
import type { Source } from '../call/signaling.gen';
import type { CallRoom } from '../state/call-room';
import type { LocalMedia } from '../state/local-media';
import { describe, describeCapture } from '../state/messages';
import { notify } from '../state/notices';
import { go, paths } from '../state/router';
import { CaptureProblems } from './capture-problems';
import { Control } from './control';
import { DeviceChoice } from './device-choice';
import { Dialog } from './dialog';
import { RecordControl } from './record-control';

/** The bar at the bottom of a call. */
export function CallControls({ room, panelOpen }: { room: CallRoom; panelOpen: Signal<boolean> }) {
  const type = room.call.value?.type ?? 'video';
  const settingsOpen = useSignal(false);
  const count = room.roster.value.participants.size;
  const { local } = room;
  const may = (source: Source) => room.rights.value?.publish.has(source) ?? false;
  return (
    <nav class="controls" aria-label="Call">
      <MicControl local={local} allowed={may('mic')} />
      {type === 'video' && <CameraControl local={local} allowed={may('camera')} />}
      {type !== 'audio' && canShareScreen() && (
        <ScreenControl local={local} allowed={may('screen')} />
      )}
      <Control
        icon="people"
        label="People"
        hint={`People in the call: ${count}`}
        testId="participants"
        badge={count}
        pressed={panelOpen.value}
        onClick={() => (panelOpen.value = !panelOpen.value)}
      />
      <Control
        icon="settings"
        label="Devices"
        hint="Choose devices"
        testId="settings"
        onClick={() => (settingsOpen.value = true)}
      />
      {room.mayRecord.value && <RecordControl room={room} />}
      <span class="controls-gap" />
      <LeaveControls room={room} />
      <Settings local={local} type={type} open={settingsOpen} />
    </nav>
  );
}

interface SourceControlProps {
  local: LocalMedia;
  /** Whether a moderator lets this person use the source. */
  allowed: boolean;
}

function MicControl({ local, allowed }: SourceControlProps) {
  const on = local.micOn.value;
  const toggle = async () => {
    await local.setMic(!on);
    const problem = local.mic.problem.peek();
    if (!on && problem) notify(describeCapture(problem, 'your microphone'), 'error');
  };
  return (
    <Control
      icon={on ? 'mic' : 'micOff'}
      label={on ? 'Mute' : 'Unmute'}
      hint={on ? 'Mute yourself' : 'Unmute yourself'}
      testId="mic"
      off={!on}
      forbidden={!allowed && 'A moderator has turned off your microphone'}
      onClick={toggle}
    />
  );
}

function CameraControl({ local, allowed }: SourceControlProps) {
  const on = local.cameraOn.value;
  const toggle = async () => {
    await local.setCamera(!on);
    const problem = local.camera.problem.peek();
    if (!on && problem) notify(describeCapture(problem, 'your camera'), 'error');
  };
  return (
    <Control
      icon={on ? 'camera' : 'cameraOff'}
      label="Camera"
      hint={on ? 'Turn camera off' : 'Turn camera on'}
      testId="camera"
      off={!on}
      forbidden={!allowed && 'A moderator has turned off your camera'}
      onClick={toggle}
    />
  );
}

function ScreenControl({ local, allowed }: SourceControlProps) {
  const sharing = local.sharing.value;
  const share = () => local.screen.start().catch((error) => notify(describe(error), 'error'));
  return (
    <Control
      icon={sharing ? 'screenOff' : 'screen'}
      label={sharing ? 'Stop' : 'Share'}
      hint={sharing ? 'Stop sharing your screen' : 'Share your screen'}
      testId="screen"
      pressed={sharing}
      forbidden={!allowed && 'A moderator has turned off your screen sharing'}
      onClick={() => (sharing ? local.stop('screen') : share())}
    />
  );
}

function LeaveControls({ room }: { room: CallRoom }) {
  const asking = useSignal(false);
  const end = () => {
    asking.value = false;
    void room.end();
  };
  const leave = () => {
    const groupId = room.call.peek()?.groupId;
    go(groupId ? paths.group(groupId) : paths.home);
  };
  return (
    <>
      {room.moderates.value && (
        <Control
          icon="end"
          label="End"
          hint="End the call for everyone"
          testId="end"
          onClick={() => (asking.value = true)}
        />
      )}
      <Control
        icon="leave"
        label="Leave"
        hint="Leave the call"
        testId="leave"
        danger
        onClick={leave}
      />
      <Dialog
        open={asking.value}
        onClose={() => (asking.value = false)}
        title="End the call for everyone?"
      >
        <p class="muted">Everyone is disconnected. To go alone, leave instead.</p>
        <div class="actions">
          <button type="button" class="button" onClick={() => (asking.value = false)}>
            Keep it going
          </button>
          <button type="button" class="button danger" data-testid="end-confirm" onClick={end}>
            End call
          </button>
        </div>
      </Dialog>
    </>
  );
}

interface SettingsProps {
  local: LocalMedia;
  type: CallType;
  open: Signal<boolean>;
}

function Settings({ local, type, open }: SettingsProps) {
  const close = () => (open.value = false);
  return (
    <Dialog open={open.value} onClose={close} title="Devices">
      <CaptureProblems local={local} video={type === 'video'} />
      <DeviceChoice local={local} type={type} />
      <div class="actions">
        <button type="button" class="button primary" onClick={close}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
