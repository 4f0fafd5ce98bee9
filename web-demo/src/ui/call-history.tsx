import { type Call, isRunning, type Member } from '../api/types';
import type { GroupView } from '../state/group-view';
import { session } from '../state/session';
import { CallRecordings } from './call-recordings';
import { asMoment, callTitle, inWords } from './format';
import { Icon } from './icon';
import { Problem } from './message';
import { useTask } from './use-task';

export function CallHistory({ view }: { view: GroupView }) {
  const history = view.history.value;
  // The running call has its own place on the page.
  const calls = history.state === 'ready' ? history.value.filter((call) => !isRunning(call)) : [];
  const { busy, problem, run } = useTask();
  return (
    <section class="card" aria-labelledby="history-title">
      <h2 class="section-title" id="history-title">
        Calls
      </h2>
      {history.state === 'loading' && <p class="muted loading">Loading…</p>}
      {history.state === 'failed' && <Problem text={history.message} />}
      {history.state === 'ready' && calls.length === 0 && (
        <p class="muted" data-testid="no-history">
          No calls yet. The first one will be listed here when it is over.
        </p>
      )}
      {calls.length > 0 && (
        <ol class="history" data-testid="history">
          {calls.map((call) => (
            <HistoryItem key={call.id} call={call} view={view} />
          ))}
        </ol>
      )}
      <Problem text={problem ?? view.recordings.problem.value} />
      {view.nextCursor.value && (
        <button
          type="button"
          class="button quiet"
          data-testid="history-more"
          disabled={busy}
          onClick={() => run(() => view.loadOlder())}
        >
          {busy ? 'Loading…' : 'Show older calls'}
        </button>
      )}
    </section>
  );
}

function HistoryItem({ call, view }: { call: Call; view: GroupView }) {
  return (
    <li class="history-item" data-testid="history-item" data-call-id={call.id}>
      <div class="history-line">
        <span class="history-icon">
          <Icon name={call.type === 'audio' ? 'phone' : 'camera'} />
        </span>
        <div>
          <strong>{callTitle(call.type)}</strong>
          <span class="muted">
            {starterOf(call, view.members.value)} ·{' '}
            <time dateTime={call.createdAt}>{asMoment(call.createdAt)}</time>
          </span>
        </div>
        <div class="outcome">
          <span>{outcomeOf(call)}</span>
          {call.status === 'ended' && <span class="muted">{peopleOf(call.maxParticipants)}</span>}
        </div>
      </div>
      <CallRecordings view={view} call={call} />
    </li>
  );
}

function starterOf(call: Call, members: Member[]): string {
  if (call.initiatedById === session.value?.user.id) return 'You';
  return members.find(({ userId }) => userId === call.initiatedById)?.name ?? 'Former member';
}

/** Why a call in which nobody came together is over. */
const UNANSWERED: Record<string, string> = { timeout: 'No answer', declined: 'Declined' };

function outcomeOf(call: Call): string {
  switch (call.status) {
    case 'waiting':
    case 'active':
      return 'Running';
    case 'cancelled':
      return UNANSWERED[call.endReason ?? ''] ?? 'Cancelled';
    case 'failed':
      return 'Failed';
    case 'ended':
      return inWords(call.durationSeconds ?? 0);
  }
}

function peopleOf(count: number): string {
  return count === 1 ? '1 person' : `${count} people`;
}
