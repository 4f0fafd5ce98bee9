import { useEffect, useRef } from 'preact/hooks';

interface TrackVideoProps {
  track: MediaStreamTrack;
  /** One's own camera is shown as in a mirror. */
  mirrored?: boolean;
  /** Shared screens are shown whole; cameras fill their tile. */
  whole?: boolean;
  label: string;
}

/** The picture of one track, without sound. */
export function TrackVideo({ track, mirrored, whole, label }: TrackVideoProps) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (!video.current) return;
    video.current.srcObject = new MediaStream([track]);
    // A play that is cut short by the next picture is no failure.
    video.current.play().catch(() => undefined);
  }, [track]);
  const look = [mirrored && 'mirrored', whole && 'whole'].filter(Boolean).join(' ');
  return <video ref={video} class={look} aria-label={label} autoplay muted playsInline />;
}
