import type { Replay } from '../state/replay';
import { Problem } from './message';

/** In which language captions are shown; nothing where there are none. */
export function CaptionChoice({ replay }: { replay: Replay }) {
  const { captions } = replay.recording.value;
  if (captions.length === 0) return null;
  return (
    <label class="player-choice">
      <span>Captions</span>
      <select
        data-testid="replay-captions"
        value={replay.captions.language.value ?? ''}
        onChange={(event) => replay.captions.choose(event.currentTarget.value || undefined)}
      >
        <option value="">Off</option>
        {captions.map(({ language }) => (
          <option key={language} value={language} lang={language}>
            {nameOf(language)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What is said right now, below the pictures so that it hides none. */
export function CaptionLines({ replay }: { replay: Replay }) {
  const { language, problem } = replay.captions;
  if (language.value === undefined) return null;
  if (problem.value) return <Problem text={problem.value} />;
  return (
    <div class="caption-lines" lang={language.value} data-testid="caption-lines">
      {replay.captions.at(replay.position.value).map(({ voice, text }, index) => (
        <p key={index}>
          {voice !== undefined && <strong>{speakerOf(replay, voice)}: </strong>}
          {text}
        </p>
      ))}
    </div>
  );
}

/** Voices are ids of users; a transcriber may also write a name. */
function speakerOf(replay: Replay, voice: string): string {
  const { tracks } = replay.recording.value;
  const track = tracks.find(({ userId }) => userId === voice.toLowerCase());
  return track ? (track.name ?? 'Somebody') : voice;
}

/** A language as its speakers call it. */
function nameOf(language: string): string {
  try {
    return new Intl.DisplayNames([language], { type: 'language' }).of(language) ?? language;
  } catch {
    return language;
  }
}
