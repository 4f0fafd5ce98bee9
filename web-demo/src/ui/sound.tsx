import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { CallRoom } from '../state/call-room';
import { chosenDevices } from '../state/device-list';
import { session } from '../state/session';
import { Icon } from './icon';

/** Everything that is heard in a call. Browsers may want a click first; then this asks for one. */
export function Sound({ room }: { room: CallRoom }) {
  const blocked = useSignal(false);
  const list = useRef<HTMLDivElement>(null);
  const me = session.value?.user.id;
  // One's own other devices are in the same room, where their sound would howl.
  const sounds = room.tracks.value.filter(
    ({ track, userId }) => track.kind === 'audio' && userId !== me,
  );
  const allow = () => {
    blocked.value = false;
    for (const audio of list.current?.querySelectorAll('audio') ?? []) void audio.play();
  };
  return (
    <div ref={list} class="sound">
      {sounds.map(({ producerId, track }) => (
        <TrackAudio key={producerId} track={track} onBlocked={() => (blocked.value = true)} />
      ))}
      {blocked.value && (
        <button type="button" class="button primary" data-testid="allow-sound" onClick={allow}>
          <Icon name="speaker" />
          Turn on sound
        </button>
      )}
    </div>
  );
}

function TrackAudio({ track, onBlocked }: { track: MediaStreamTrack; onBlocked: () => void }) {
  const audio = useRef<HTMLAudioElement>(null);
  const speaker = chosenDevices.value.audiooutput;
  useEffect(() => {
    if (!audio.current) return;
    audio.current.srcObject = new MediaStream([track]);
    audio.current.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'NotAllowedError') onBlocked();
    });
  }, [track]);
  useEffect(() => {
    // A speaker that is gone falls back to the system's own choice.
    if (speaker) audio.current?.setSinkId?.(speaker).catch(() => undefined);
  }, [speaker]);
  // biome-ignore lint/a11y/useMediaCaption: live speech has no caption track
  return <audio ref={audio} autoplay />;
}
