import type { ComponentChildren } from 'preact';
import type { LocalMedia } from '../state/local-media';
import { describeCapture } from '../state/messages';
import { Problem } from './message';

interface CaptureProblemsProps {
  local: LocalMedia;
  video: boolean;
  /** What else there is to say when there is a problem. */
  children?: ComponentChildren;
}

/** Why the microphone or the camera gives nothing. */
export function CaptureProblems({ local, video, children }: CaptureProblemsProps) {
  const mic = local.mic.problem.value;
  const camera = video ? local.camera.problem.value : undefined;
  if (!mic && !camera) return null;
  return (
    <div class="stack">
      {mic && mic === camera ? (
        <Problem text={describeCapture(mic, 'your microphone and camera')} />
      ) : (
        <>
          {mic && <Problem text={describeCapture(mic, 'your microphone')} />}
          {camera && <Problem text={describeCapture(camera, 'your camera')} />}
        </>
      )}
      {children}
    </div>
  );
}
