import { gapsOf, type Replay } from '../state/replay';
import { nameOf } from '../state/rights';
import { asClock } from './format';
import { whoseOf } from './recording-words';

/** Where one is, where pictures are missing, and where nothing was recorded. */
export function TimeLine({ replay }: { replay: Replay }) {
  const length = Math.max(1, replay.length.value);
  // The middle of the handle, which does not leave the line, is what points at a time.
  const at = (time: number) =>
    `calc(var(--handle) / 2 + (100% - var(--handle)) * ${time / length})`;
  const mark = (fromMs: number, toMs: number) => ({
    insetInlineStart: at(Math.min(fromMs, length)),
    inlineSize: `calc((100% - var(--handle)) * ${(Math.min(toMs, length) - Math.min(fromMs, length)) / length})`,
  });
  const step = (event: KeyboardEvent) => {
    const by = STEPS_MS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    replay.seek(replay.position.peek() + by);
  };
  return (
    <div class="time-line">
      <input
        type="range"
        aria-label="Position"
        aria-valuetext={textOf(replay)}
        data-testid="replay-position"
        min={0}
        max={length}
        step={100}
        value={replay.position.value}
        onInput={(event) => replay.seek(Number(event.currentTarget.value))}
        onKeyDown={step}
      />
      {replay.timeline.value.pauses.map(({ fromMs, toMs }) => (
        <span
          key={`pause-${fromMs}`}
          class="mark"
          data-testid="pause-mark"
          title="The recording was paused"
          style={mark(fromMs, toMs)}
        />
      ))}
      {gapsOf(replay.recording.value).map(({ track, fromMs, toMs }) => (
        <span
          key={`${track.id}-${fromMs}`}
          class="mark gap"
          data-testid="gap"
          title={`${capital(whoseOf(track))} ${nameOf(track.source)} is missing`}
          style={mark(fromMs, toMs)}
        />
      ))}
    </div>
  );
}

/** What the line shows, for those who do not see it. */
function textOf(replay: Replay): string {
  const at = replay.position.value;
  const clock = (time: number) => asClock(Math.floor(time / 1_000));
  const words = [`${clock(at)} of ${clock(replay.length.value)}`];
  for (const { track } of replay.missingAt(at)) {
    words.push(`${whoseOf(track)} ${nameOf(track.source)} is missing`);
  }
  const { pauses } = replay.timeline.value;
  if (pauses.some(({ fromMs, toMs }) => fromMs <= at && at < toMs)) {
    words.push('the recording was paused');
  }
  return words.join(', ');
}

function capital(text: string): string {
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;
}

const STEPS_MS: Record<string, number> = {
  ArrowLeft: -5_000,
  ArrowDown: -5_000,
  ArrowRight: 5_000,
  ArrowUp: 5_000,
  PageDown: -60_000,
  PageUp: 60_000,
};
