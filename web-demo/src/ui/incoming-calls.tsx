import type { Call } from '../api/types';
import { dismissIncoming, incomingCalls } from '../state/connection';
import { takeOrAsk } from '../state/current-room';
import { groupName } from '../state/groups';
import { go, paths, route } from '../state/router';
import { callTitle } from './format';
import { Icon } from './icon';

/** Calls that others have just started in one's groups. */
export function IncomingCalls() {
  const open = route.value.page === 'call' ? route.value.callId : undefined;
  const calls = incomingCalls.value.filter((call) => call.id !== open);
  return (
    <section class="incoming-list" aria-label="Incoming calls" aria-live="assertive">
      {calls.map((call) => (
        <IncomingCall key={call.id} call={call} />
      ))}
    </section>
  );
}

function IncomingCall({ call }: { call: Call }) {
  const group = groupName(call.groupId) ?? 'A group of yours';
  const join = () => {
    const take = () => {
      dismissIncoming(call.id);
      go(paths.call(call.id));
    };
    takeOrAsk({ joining: group, take });
  };
  return (
    <div class="incoming" data-testid="incoming-call" data-call-id={call.id}>
      <span class="incoming-icon">
        <Icon name={call.type === 'audio' ? 'phone' : 'camera'} />
      </span>
      <div class="incoming-text">
        <strong>{group}</strong>
        <span class="muted">{callTitle(call.type)} just started</span>
      </div>
      <div class="actions">
        <button
          type="button"
          class="button"
          data-testid="incoming-dismiss"
          onClick={() => dismissIncoming(call.id)}
        >
          Not now
        </button>
        <button type="button" class="button primary" data-testid="incoming-join" onClick={join}>
          Join
        </button>
      </div>
    </div>
  );
}
