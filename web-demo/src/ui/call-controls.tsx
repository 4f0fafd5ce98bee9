import { type Signal, useSignal } from '@preact/signals';
import type { CallType } from '../api/types';
import { canShareScreen } from '../call/capture';
import type { CallRoom } from '../state/call-room';
import {
  camera,
  cameraOn,
  mic,
  micOn,
  screenTrack,
  setCamera,
  setMic,
  shareScreen,
  stopScreen,
} from '../state/local-media';
import { describe, describeCapture } from '../state/messages';
import { notify } from '../state/notices';
import { go, paths } from '../state/router';
import { DeviceChoice } from './device-choice';
import { Dialog } from './dialog';
import { Icon, type IconName } from './icon';

/** The bar at the bottom of a call. */
export function CallControls({ room, panelOpen }: { room: CallRoom; panelOpen: Signal<boolean> }) {
  const type = room.call.value?.type ?? 'video';
  const settingsOpen = useSignal(false);
  const count = room.roster.value.participants.size;
  return (
    <nav class="controls" aria-label="Call">
      <MicControl />
      {type === 'video' && <CameraControl />}
      {type !== 'audio' && canShareScreen() && <ScreenControl />}
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
      <span class="controls-gap" />
      <LeaveControls room={room} />
      <Settings type={type} open={settingsOpen} />
    </nav>
  );
}

function MicControl() {
  const on = micOn.value;
  const toggle = async () => {
    await setMic(!on);
    const problem = mic.problem.peek();
    if (!on && problem) notify(describeCapture(problem, 'your microphone'), 'error');
  };
  return (
    <Control
      icon={on ? 'mic' : 'micOff'}
      label={on ? 'Mute' : 'Unmute'}
      hint={on ? 'Mute yourself' : 'Unmute yourself'}
      testId="mic"
      off={!on}
      onClick={toggle}
    />
  );
}

function CameraControl() {
  const on = cameraOn.value;
  const toggle = async () => {
    await setCamera(!on);
    const problem = camera.problem.peek();
    if (!on && problem) notify(describeCapture(problem, 'your camera'), 'error');
  };
  return (
    <Control
      icon={on ? 'camera' : 'cameraOff'}
      label="Camera"
      hint={on ? 'Turn camera off' : 'Turn camera on'}
      testId="camera"
      off={!on}
      onClick={toggle}
    />
  );
}

function ScreenControl() {
  const sharing = screenTrack.value !== null;
  const share = () => shareScreen().catch((error) => notify(describe(error), 'error'));
  return (
    <Control
      icon={sharing ? 'screenOff' : 'screen'}
      label={sharing ? 'Stop' : 'Share'}
      hint={sharing ? 'Stop sharing your screen' : 'Share your screen'}
      testId="screen"
      pressed={sharing}
      onClick={() => (sharing ? stopScreen() : share())}
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
      {room.canEnd.value && (
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
      <Dialog open={asking} title="End the call for everyone?">
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

function Settings({ type, open }: { type: CallType; open: Signal<boolean> }) {
  return (
    <Dialog open={open} title="Devices">
      <DeviceChoice type={type} />
      <div class="actions">
        <button type="button" class="button primary" onClick={() => (open.value = false)}>
          Done
        </button>
      </div>
    </Dialog>
  );
}

interface ControlProps {
  icon: IconName;
  label: string;
  /** The whole sentence, for tooltips and screen readers. */
  hint: string;
  testId: string;
  off?: boolean;
  pressed?: boolean;
  danger?: boolean;
  badge?: number;
  onClick: () => void;
}

function Control({
  icon,
  label,
  hint,
  testId,
  off,
  pressed,
  danger,
  badge,
  onClick,
}: ControlProps) {
  const look = [off && 'off', pressed && 'pressed', danger && 'danger'].filter(Boolean).join(' ');
  return (
    <button
      type="button"
      class={`control ${look}`}
      aria-label={hint}
      aria-pressed={pressed}
      title={hint}
      data-testid={testId}
      data-off={off}
      onClick={onClick}
    >
      <span class="round">
        <Icon name={icon} />
        {badge !== undefined && <span class="badge">{badge}</span>}
      </span>
      <span class="control-label" aria-hidden="true">
        {label}
      </span>
    </button>
  );
}
