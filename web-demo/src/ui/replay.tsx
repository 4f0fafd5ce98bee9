import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { RecordingDetails, RecordingTrack } from '../api/types';
import { gapsOf, isSeen, Replay } from '../state/replay';
import { nameOf } from '../state/rights';
import { Avatar } from './avatar';
import { Dialog } from './dialog';
import { asClock } from './format';
import { Icon } from './icon';

/** Plays a recording: everybody's files together. */
export function ReplayButton({ recording }: { recording: RecordingDetails }) {
  const replay = useSignal<Replay | undefined>(undefined);
  const close = () => {
    replay.value?.close();
    replay.value = undefined;
  };
  useEffect(() => close, []);
  return (
    <>
      <button
        type="button"
        class="button"
        data-testid="replay"
        onClick={() => (replay.value = new Replay(recording))}
      >
        <Icon name="play" />
        Play
      </button>
      <Dialog open={replay.value !== undefined} onClose={close} title="Recording" wide>
        {replay.value && <Player replay={replay.value} recording={recording} onClose={close} />}
      </Dialog>
    </>
  );
}

interface PlayerProps {
  replay: Replay;
  recording: RecordingDetails;
  onClose: () => void;
}

function Player({ replay, recording, onClose }: PlayerProps) {
  return (
    <div class="player" data-testid="player">
      <div class="player-grid">
        {tilesOf(recording).map((track) => (
          <ReplayTile key={track.id} replay={replay} track={track} />
        ))}
      </div>
      <TimeLine replay={replay} recording={recording} />
      <div class="player-controls">
        <button
          type="button"
          class="button primary"
          data-testid="replay-toggle"
          onClick={() => replay.toggle()}
        >
          <Icon name={replay.playing.value ? 'pause' : 'play'} />
          {replay.playing.value ? 'Pause' : 'Play'}
        </button>
        <span class="player-time" data-testid="replay-time">
          {asClock(Math.floor(replay.position.value / 1_000))} /{' '}
          {asClock(Math.floor(replay.length / 1_000))}
        </span>
        {replay.waiting.value && <span class="spinner" role="status" aria-label="Loading" />}
        <SpeedChoice replay={replay} />
        <button type="button" class="button" data-testid="replay-close" onClick={onClose}>
          Close
        </button>
      </div>
    </div>
  );
}

function SpeedChoice({ replay }: { replay: Replay }) {
  return (
    <select
      class="player-speed"
      aria-label="Speed"
      data-testid="replay-speed"
      value={String(replay.speed.value)}
      onChange={(event) => (replay.speed.value = Number(event.currentTarget.value))}
    >
      {SPEEDS.map((speed) => (
        <option key={speed} value={String(speed)}>
          {speed} ×
        </option>
      ))}
    </select>
  );
}

/** Where one is, and where pictures are missing. */
function TimeLine({ replay, recording }: { replay: Replay; recording: RecordingDetails }) {
  const share = (time: number) => `${Math.min(100, (100 * time) / Math.max(1, replay.length))}%`;
  return (
    <div class="time-line">
      <input
        type="range"
        aria-label="Position"
        aria-valuetext={asClock(Math.floor(replay.position.value / 1_000))}
        data-testid="replay-position"
        min={0}
        max={replay.length}
        step={100}
        value={replay.position.value}
        onInput={(event) => replay.seek(Number(event.currentTarget.value))}
      />
      {gapsOf(recording).map(({ track, fromMs, toMs }) => (
        <span
          key={`${track.id}-${fromMs}`}
          class="gap"
          data-testid="gap"
          title={`${nameOf(track.source)} of ${track.name ?? 'somebody'} is missing`}
          style={{ insetInlineStart: share(fromMs), inlineSize: share(toMs - fromMs) }}
        />
      ))}
    </div>
  );
}

function ReplayTile({ replay, track }: { replay: Replay; track: RecordingTrack }) {
  const picture = isSeen(track) ? replay.pictureOf(track) : undefined;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (picture) place.current?.replaceChildren(picture);
    else place.current?.replaceChildren();
  }, [picture]);
  const name = track.name ?? 'Somebody';
  return (
    <figure class="player-tile" data-testid="replay-tile" data-source={track.source}>
      {!picture && <Avatar name={name} size="large" />}
      <div ref={place} class="player-picture" />
      <figcaption>{track.source === 'screen' ? `${name}: screen` : name}</figcaption>
    </figure>
  );
}

/** Each picture, and whoever was only heard. */
function tilesOf({ tracks }: RecordingDetails): RecordingTrack[] {
  const recorded = tracks.filter(({ files }) => files.length > 0);
  const seen = new Set(recorded.filter(isSeen).map(({ userId }) => userId));
  const heard = recorded.filter(({ source, userId }) => source === 'mic' && !seen.has(userId));
  return [...recorded.filter(isSeen), ...heard];
}

const SPEEDS = [0.5, 1, 1.5, 2];
