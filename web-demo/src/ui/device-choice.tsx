import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { CallType } from '../api/types';
import { meterLevel } from '../call/level-meter';
import { chosenDevices, type DeviceKind, devices } from '../state/device-list';
import type { LocalMedia } from '../state/local-media';

/** Which microphone, camera and speaker to use. Changes count at once, in a call, too. */
export function DeviceChoice({ local, type }: { local: LocalMedia; type: CallType }) {
  const { mic, camera } = local;
  return (
    <div class="device-choice">
      <DeviceSelect local={local} kind="audioinput" label="Microphone" using={mic.track.value} />
      <MicLevel local={local} />
      {type === 'video' && (
        <DeviceSelect local={local} kind="videoinput" label="Camera" using={camera.track.value} />
      )}
      {'setSinkId' in HTMLMediaElement.prototype && (
        <DeviceSelect local={local} kind="audiooutput" label="Speaker" using={null} />
      )}
    </div>
  );
}

interface DeviceSelectProps {
  local: LocalMedia;
  kind: DeviceKind;
  label: string;
  using: MediaStreamTrack | null;
}

function DeviceSelect({ local, kind, label, using }: DeviceSelectProps) {
  const options = devices.value?.filter((device) => device.kind === kind);
  if (!options) return <DevicePlaceholder label={label} />;
  if (options.length === 0) return null;
  const wanted = using?.getSettings().deviceId ?? chosenDevices.value[kind];
  const chosen = options.find(({ deviceId }) => deviceId === wanted) ?? options[0];
  return (
    <label class="device">
      <span>{label}</span>
      <select
        data-testid={`device-${kind}`}
        value={chosen?.deviceId ?? ''}
        onChange={(event) => local.choose(kind, event.currentTarget.value)}
      >
        {options.map(({ deviceId, label: name }, index) => (
          <option key={deviceId} value={deviceId}>
            {name || `${label} ${index + 1}`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Holds the place of a list that is on its way, so that nothing below it moves. */
function DevicePlaceholder({ label }: { label: string }) {
  return (
    <label class="device">
      <span>{label}</span>
      <select disabled>
        <option>Waiting for the browser…</option>
      </select>
    </label>
  );
}

/** Shows that the microphone hears something, before the others do. */
function MicLevel({ local }: { local: LocalMedia }) {
  const level = useSignal(0);
  const track = local.mic.track.value;
  useEffect(() => {
    level.value = 0;
    if (!track) return;
    return meterLevel(track, (measured) => {
      level.value = measured;
    });
  }, [track]);
  if (!track && devices.value) return null;
  return (
    <meter
      class="mic-level"
      aria-label="Microphone level"
      value={local.micOn.value ? level.value : 0}
      data-testid="mic-level"
    />
  );
}
