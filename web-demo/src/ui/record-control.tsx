import { useSignal } from '@preact/signals';
import type { RunningRecording } from '../call/signaling.gen';
import type { CallRoom } from '../state/call-room';
import { Control } from './control';
import { Dialog } from './dialog';

/** Starts the recording of a call; while it runs, pauses, continues and stops it. */
export function RecordControl({ room }: { room: CallRoom }) {
  const open = useSignal(false);
  const running = room.recording.running.value;
  const close = () => {
    open.value = false;
  };
  return (
    <>
      <Control
        icon="record"
        label="Record"
        hint={running ? 'Pause or stop the recording' : 'Record this call'}
        testId="record"
        live={running !== null}
        onClick={() => (open.value = true)}
      />
      <Dialog open={open.value} onClose={close} title={running ? 'Recording' : 'Record this call?'}>
        {running ? (
          <WhileRecording room={room} running={running} onDone={close} />
        ) : (
          <BeforeRecording room={room} onDone={close} />
        )}
      </Dialog>
    </>
  );
}

interface Props {
  room: CallRoom;
  onDone: () => void;
}

function BeforeRecording({ room, onDone }: Props) {
  const ask = useSignal(false);
  const start = () => {
    onDone();
    void room.recording.start(ask.value);
  };
  return (
    <>
      <p class="muted">
        Everyone in the call is told. Each microphone, camera and screen is saved as a file of its
        own.
      </p>
      <label class="choice">
        <input
          type="checkbox"
          data-testid="record-ask"
          checked={ask.value}
          onChange={(event) => (ask.value = event.currentTarget.checked)}
        />
        <span>Ask each person first, and record only those who agree</span>
      </label>
      <div class="actions">
        <button type="button" class="button" onClick={onDone}>
          Cancel
        </button>
        <button type="button" class="button primary" data-testid="record-start" onClick={start}>
          Start recording
        </button>
      </div>
    </>
  );
}

function WhileRecording({ room, running, onDone }: Props & { running: RunningRecording }) {
  const { recording } = room;
  const paused = running.status === 'paused';
  const act = (action: () => Promise<void>) => () => {
    onDone();
    void action();
  };
  return (
    <>
      <p class="muted">
        {paused
          ? 'The recording is paused: nothing is saved until it goes on.'
          : 'What is said and shown is saved. Pause the recording for what must not be saved.'}
      </p>
      <div class="actions">
        {paused ? (
          <button
            type="button"
            class="button"
            data-testid="record-resume"
            onClick={act(() => recording.resume())}
          >
            Go on recording
          </button>
        ) : (
          <button
            type="button"
            class="button"
            data-testid="record-pause"
            onClick={act(() => recording.pause())}
          >
            Pause
          </button>
        )}
        <button
          type="button"
          class="button danger"
          data-testid="record-stop"
          onClick={act(() => recording.stop())}
        >
          Stop recording
        </button>
      </div>
    </>
  );
}
