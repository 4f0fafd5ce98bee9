import { useSignal } from '@preact/signals';
import { Dialog } from './dialog';
import { Icon } from './icon';
import { Problem } from './message';
import { useTask } from './use-task';

/** Deletes a recording, after asking. */
export function DeleteRecording({ onDelete }: { onDelete: () => Promise<void> }) {
  const asking = useSignal(false);
  const { busy, problem, run } = useTask();
  const close = () => {
    asking.value = false;
  };
  return (
    <div class="actions">
      <button
        type="button"
        class="button quiet"
        data-testid="recording-delete"
        onClick={() => (asking.value = true)}
      >
        <Icon name="remove" />
        Delete recording
      </button>
      <Dialog open={asking.value} onClose={close} title="Delete this recording?">
        <p class="muted">Its files are removed for everyone. This cannot be undone.</p>
        <Problem text={problem} />
        <div class="actions">
          <button type="button" class="button" onClick={close}>
            Keep it
          </button>
          <button
            type="button"
            class="button danger"
            data-testid="recording-delete-confirm"
            disabled={busy}
            onClick={() => run(onDelete)}
          >
            Delete
          </button>
        </div>
      </Dialog>
    </div>
  );
}
