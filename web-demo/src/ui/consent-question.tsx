import type { RunningRecording } from '../call/signaling.gen';
import type { CallRoom } from '../state/call-room';
import type { RoomRecording } from '../state/room-recording';
import { Dialog } from './dialog';

/** Asks whether one may be recorded. Without an answer one is not. */
export function ConsentQuestion({ room: { recording } }: { room: CallRoom }) {
  const asked = recording.asked.value;
  return (
    <Dialog
      open={asked !== undefined}
      onClose={() => recording.closeQuestion()}
      title="May you be recorded?"
    >
      {asked && <Question recording={recording} asked={asked} />}
    </Dialog>
  );
}

interface QuestionProps {
  recording: RoomRecording;
  asked: RunningRecording;
}

function Question({ recording, asked }: QuestionProps) {
  return (
    <>
      <p class="muted" data-testid="consent-question">
        {recording.whoRecords(asked)} Your microphone, camera and screen are saved only if you say
        yes. You can change your answer at any time, at the top of the call.
      </p>
      <div class="actions">
        <button
          type="button"
          class="button"
          data-testid="consent-no"
          onClick={() => recording.answer(false)}
        >
          No, leave me out
        </button>
        <button
          type="button"
          class="button"
          data-testid="consent-yes"
          onClick={() => recording.answer(true)}
        >
          Yes, record me
        </button>
      </div>
    </>
  );
}
