import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { CallType } from '../api/types';
import type { LocalMedia } from '../state/local-media';
import { SOURCES } from '../state/rights';
import { session } from '../state/session';
import { lastWishes } from '../state/wishes';
import { Avatar } from './avatar';
import { CaptureProblems } from './capture-problems';
import { DeviceChoice } from './device-choice';
import { Icon } from './icon';
import { Problem } from './message';
import { TrackVideo } from './track-video';

interface PreviewProps {
  local: LocalMedia;
  type: CallType;
  title: string;
  subtitle: string;
  action: string;
  busy?: boolean;
  problem?: string | undefined;
  /** What people should know before anything of them is sent. */
  children?: ComponentChildren;
  onGo: () => void;
  onCancel: () => void;
}

interface OfLocal {
  local: LocalMedia;
}

/** A look in the mirror before joining. Nobody has to have a camera or a microphone. */
export function Preview(props: PreviewProps) {
  const { local, type, title, subtitle, action, busy, problem, children, onGo, onCancel } = props;
  const video = type === 'video';
  useEffect(() => void local.open(lastWishes(), SOURCES[type]), [local, type]);
  return (
    <main id="main" tabIndex={-1} class="preview" data-testid="preview">
      {children}
      <section class="mirror" aria-label="Your picture">
        <SelfPicture local={local} />
        <div class="mirror-controls">
          <MicSwitch local={local} />
          {video && <CameraSwitch local={local} />}
        </div>
      </section>
      <section class="card preview-card">
        <h1>{title}</h1>
        <p class="muted">{subtitle}</p>
        <CaptureProblems local={local} video={video}>
          <p class="hint">You can also go in without. Others will see your name.</p>
        </CaptureProblems>
        <DeviceChoice local={local} type={type} />
        <Problem text={problem} />
        <div class="actions">
          <button
            type="button"
            class="button quiet"
            data-testid="preview-cancel"
            onClick={onCancel}
          >
            Back
          </button>
          <button
            type="button"
            class="button primary"
            data-testid="join"
            disabled={busy}
            onClick={onGo}
          >
            {action}
          </button>
        </div>
      </section>
    </main>
  );
}

function SelfPicture({ local: { camera } }: OfLocal) {
  const track = camera.track.value;
  if (track) return <TrackVideo track={track} mirrored label="Your camera" />;
  return (
    <div class="mirror-empty">
      <Avatar name={session.value?.user.name ?? ''} size="large" />
      <span>{camera.opening.value ? 'Waiting for your camera…' : 'Your camera is off'}</span>
    </div>
  );
}

function MicSwitch({ local }: OfLocal) {
  const on = local.micOn.value;
  return (
    <button
      type="button"
      class={`round ${on ? '' : 'off'}`}
      aria-label={on ? 'Turn microphone off' : 'Turn microphone on'}
      data-testid="preview-mic"
      onClick={() => local.setMic(!on)}
    >
      <Icon name={on ? 'mic' : 'micOff'} />
    </button>
  );
}

function CameraSwitch({ local }: OfLocal) {
  const on = local.cameraOn.value;
  return (
    <button
      type="button"
      class={`round ${on ? '' : 'off'}`}
      aria-label={on ? 'Turn camera off' : 'Turn camera on'}
      data-testid="preview-camera"
      onClick={() => local.setCamera(!on)}
    >
      <Icon name={on ? 'camera' : 'cameraOff'} />
    </button>
  );
}
