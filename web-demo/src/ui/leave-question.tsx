import { useEffect } from 'preact/hooks';
import { askedWayOut } from '../state/current-room';
import { Dialog } from './dialog';

/** Asks before somebody leaves the call by the Back button, or by joining another call. */
export function LeaveQuestion() {
  const wayOut = askedWayOut.value;
  const close = () => {
    askedWayOut.value = undefined;
  };
  // A call that is over has nothing left to ask about.
  useEffect(() => close, []);
  const leave = () => {
    close();
    wayOut?.take();
  };
  return (
    <Dialog open={wayOut !== undefined} onClose={close} title="Leave this call?">
      <p class="muted">
        {wayOut?.joining
          ? `To join ${wayOut.joining} you leave the call that you are in. It goes on without you.`
          : 'The call goes on without you. You can join it again.'}
      </p>
      <div class="actions">
        <button type="button" class="button" data-testid="stay" onClick={close}>
          Stay
        </button>
        <button type="button" class="button primary" data-testid="leave-confirm" onClick={leave}>
          {wayOut?.joining ? 'Leave and join' : 'Leave'}
        </button>
      </div>
    </Dialog>
  );
}
