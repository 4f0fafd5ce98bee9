import {
  isReadable,
  type Recording,
  type RecordingDetails,
  type RecordingFile,
  type RecordingTrack,
} from '../api/types';
import { downloadFile } from '../state/group-recordings';
import { describe } from '../state/messages';
import { notify } from '../state/notices';
import { isPlayable } from '../state/replay';
import { nameOf } from '../state/rights';
import { session } from '../state/session';
import { inBytes, inWords } from './format';
import { Icon, type IconName } from './icon';
import { whoseOf } from './recording-words';

interface TracksProps {
  recording: RecordingDetails;
  onPlay: () => void;
}

/** Who and what was recorded, what is missing of it, and the files. */
export function Tracks({ recording, onPlay }: TracksProps) {
  const missing = bySource(recording.tracks).flatMap(missingIn);
  if (recording.tracks.length === 0) return <p class="muted">Nobody sent anything.</p>;
  return (
    <>
      {isPlayable(recording) && (
        <div class="actions">
          <button type="button" class="button" data-testid="replay" onClick={onPlay}>
            <Icon name="play" />
            {isReadable(recording) ? 'Play' : 'Watch live'}
          </button>
        </div>
      )}
      <ul class="tracks">
        {recording.tracks.map((track) => (
          <TrackItem key={track.id} recording={recording} track={track} />
        ))}
      </ul>
      {missing.length > 0 && (
        <ul class="holes" data-testid="holes" aria-label="What is missing">
          {missing.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      )}
    </>
  );
}

interface TrackItemProps {
  recording: Recording;
  track: RecordingTrack;
}

function TrackItem({ recording, track }: TrackItemProps) {
  return (
    <li class="track" data-testid="track" data-source={track.source} data-user-id={track.userId}>
      <Icon name={ICONS[track.source]} />
      <span class="track-text">
        <span>
          {personOf(track)}: {nameOf(track.source)}
        </span>
        <span class="muted hint">{outlineOf(track)}</span>
      </span>
      {isReadable(recording) &&
        track.files.map((file) => (
          <Download key={file.id} recording={recording} track={track} file={file} />
        ))}
    </li>
  );
}

function Download({ recording, track, file }: TrackItemProps & { file: RecordingFile }) {
  const part = track.files.length > 1 ? `, part ${track.files.indexOf(file) + 1}` : '';
  const hint = `Download ${whoseOf(track)} ${nameOf(track.source)}${part}`;
  const download = () =>
    downloadFile(recording.id, file.id).catch((error) => notify(describe(error), 'error'));
  return (
    <button
      type="button"
      class="button quiet icon-only"
      aria-label={hint}
      title={hint}
      data-testid="download"
      data-file-id={file.id}
      onClick={download}
    >
      <Icon name="download" />
    </button>
  );
}

function outlineOf({ deletedAt, note, files, durationMs, bytes, width, height }: RecordingTrack) {
  if (deletedAt) return 'Deleted';
  if (note === 'declined') return 'Declined to be recorded';
  if (files.length === 0) return NOTES[note ?? ''] ?? 'Nothing came';
  const words = [inWords(Math.round(durationMs / 1_000)), inBytes(bytes)];
  if (width && height) words.push(`${width} × ${height}`);
  return words.join(' · ');
}

/** The tracks of one person's camera, say, are several where it was turned off and on. */
function bySource(tracks: RecordingTrack[]): RecordingTrack[][] {
  const groups = new Map<string, RecordingTrack[]>();
  for (const track of tracks) {
    if (track.deletedAt || track.files.length === 0) continue;
    const key = `${track.userId} ${track.source}`;
    groups.set(key, [...(groups.get(key) ?? []), track]);
  }
  return [...groups.values()];
}

/** What is missing of a source, a sentence for each kind of damage. */
function missingIn(tracks: RecordingTrack[]): string[] {
  const [first] = tracks;
  if (!first) return [];
  const what = `${whoseOf(first)} ${nameOf(first.source)}`;
  const holes = tracks.flatMap((track) => track.holes);
  const held = holes.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const concealed = tracks.reduce((sum, { concealedMs }) => sum + concealedMs, 0);
  const told: string[] = [];
  if (held > 0) {
    const time = inSeconds(held);
    told.push(`${time} of ${what} ${isOne(time) ? 'is' : 'are'} missing.`);
  }
  if (concealed >= 1_000) {
    const time = inSeconds(concealed);
    const verbs = isOne(time) ? 'was lost and is' : 'were lost and are';
    told.push(`${time} of ${what} ${verbs} silent.`);
  }
  for (const note of new Set(tracks.map((track) => NOTES[track.note ?? '']))) {
    if (note) told.push(`${what[0]?.toUpperCase()}${what.slice(1)}: ${note.toLowerCase()}.`);
  }
  return told;
}

function isOne(time: string): boolean {
  return /^1 \S+$/.test(time);
}

function inSeconds(milliseconds: number): string {
  return inWords(Math.max(1, Math.round(milliseconds / 1_000)));
}

function personOf({ userId, name }: RecordingTrack): string {
  return userId === session.value?.user.id ? 'You' : (name ?? 'Somebody');
}

const NOTES: Record<string, string> = {
  limit: 'The server recorded as much at a time as it may',
  'no-key-frame': 'No whole picture came for a while',
  'clock-set': 'The clock of the device was changed',
  'many-files': 'It began anew too often: the end may be turned, or have gaps',
  dropped: 'The disk of the server was too slow',
  interrupted: 'The server crashed, and lost up to a second',
};

const ICONS: Record<RecordingTrack['source'], IconName> = {
  mic: 'mic',
  camera: 'camera',
  screen: 'screen',
  'screen-audio': 'speaker',
};
