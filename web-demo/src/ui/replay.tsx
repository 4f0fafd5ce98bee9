import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { GroupRecordings } from '../state/group-recordings';
import type { Replay, ReplayProblem } from '../state/replay';
import { labelOf } from '../state/replay-tiles';
import { nameOf } from '../state/rights';
import { Dialog } from './dialog';
import { asClock } from './format';
import { Icon } from './icon';
import { Problem } from './message';
import { whoseOf } from './recording-words';
import { CaptionChoice, CaptionLines } from './replay-captions';
import { type Layout, ReplayStage } from './replay-stage';
import { TimeLine } from './time-line';

/** Plays a recording: everybody's files together. */
export function ReplayDialog({ recordings }: { recordings: GroupRecordings }) {
  const replay = recordings.playing.value;
  const close = () => recordings.stopPlaying();
  useEffect(() => close, [recordings]);
  return (
    <Dialog open={replay !== undefined} onClose={close} title="Recording" wide>
      {replay && <Player replay={replay} onClose={close} />}
    </Dialog>
  );
}

function Player({ replay, onClose }: { replay: Replay; onClose: () => void }) {
  const layout = useSignal<Layout>({ name: 'grid' });
  const wasLive = useRef(replay.live.peek());
  return (
    <div class="player" data-testid="player" data-live={replay.live.value}>
      <ReplayStage replay={replay} layout={layout.value} />
      <CaptionLines replay={replay} />
      <p class="visually-hidden" role="status">
        {wasLive.current && !replay.live.value && 'The recording has ended.'}
      </p>
      <Problems replay={replay} />
      <TimeLine replay={replay} />
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
        {replay.live.value && <LiveButton replay={replay} />}
        <span class="player-time" data-testid="replay-time">
          {inClock(replay.position.value)} / {inClock(replay.length.value)}
        </span>
        {replay.waiting.value && <span class="spinner" role="status" aria-label="Loading" />}
      </div>
      <div class="player-choices">
        <LayoutChoice
          replay={replay}
          layout={layout.value}
          onChange={(chosen) => (layout.value = chosen)}
        />
        <CaptionChoice replay={replay} />
        <SpeedChoice replay={replay} />
        <button type="button" class="button" data-testid="replay-close" onClick={onClose}>
          Close
        </button>
      </div>
    </div>
  );
}

/** Says whether one sees the newest, and leads there. */
function LiveButton({ replay }: { replay: Replay }) {
  const follows = replay.follows.value && replay.playing.value;
  return (
    <button
      type="button"
      class="button live-button"
      data-testid="replay-live"
      aria-pressed={follows}
      title={follows ? 'This is the newest' : 'Go to the newest'}
      onClick={() => replay.goLive()}
    >
      <span class="recording-dot" aria-hidden="true" />
      Live
    </button>
  );
}

interface LayoutChoiceProps {
  replay: Replay;
  layout: Layout;
  onChange: (layout: Layout) => void;
}

function LayoutChoice({ replay, layout, onChange }: LayoutChoiceProps) {
  const choose = (value: string) =>
    onChange(
      value === 'grid' || value === 'speaker' ? { name: value } : { name: 'single', key: value },
    );
  return (
    <label class="player-choice">
      <span>Show</span>
      <select
        data-testid="replay-layout"
        value={layout.name === 'single' ? layout.key : layout.name}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        <option value="grid">Everyone</option>
        <option value="speaker">Who speaks</option>
        <optgroup label="Only">
          {replay.tiles.value.map((tile) => (
            <option key={tile.key} value={tile.key}>
              {labelOf(tile)}
            </option>
          ))}
        </optgroup>
      </select>
    </label>
  );
}

function SpeedChoice({ replay }: { replay: Replay }) {
  return (
    <label class="player-choice">
      <span>Speed</span>
      <select
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
    </label>
  );
}

/** What cannot be seen or heard, and what one can do about it. */
function Problems({ replay }: { replay: Replay }) {
  const problems = replay.problems.value;
  if (problems.length === 0) return null;
  const isAway = problems.some(({ problem }) => problem.name === 'away');
  return (
    <div class="stack" data-testid="replay-problems">
      {[...new Set(problems.map((it) => sentenceOf(it, replay.live.value)))].map((sentence) => (
        <Problem key={sentence} text={sentence} />
      ))}
      {isAway && (
        <div class="actions">
          <button
            type="button"
            class="button"
            data-testid="replay-retry"
            onClick={() => replay.retry()}
          >
            Try again
          </button>
        </div>
      )}
    </div>
  );
}

function sentenceOf({ track, problem }: ReplayProblem, live: boolean): string {
  const what = `${whoseOf(track)} ${nameOf(track.source)}`;
  if (problem.name === 'away') return `Could not load ${what}. ${problem.reason}`;
  const kind = track.codec ? ` (${FORMATS[track.codec] ?? track.codec})` : '';
  if (live) {
    return `This browser cannot play ${what}${kind} while it is recorded. It may be able to when the recording has ended.`;
  }
  return `This browser cannot play ${what}${kind}. Download the file to play it elsewhere.`;
}

function inClock(milliseconds: number): string {
  return asClock(Math.floor(milliseconds / 1_000));
}

const SPEEDS = [0.5, 1, 1.5, 2];

const FORMATS: Record<string, string> = {
  opus: 'Opus',
  pcm: 'PCM',
  vp8: 'VP8',
  vp9: 'VP9',
  h264: 'H.264',
  av1: 'AV1',
};
