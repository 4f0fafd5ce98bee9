import { useEffect, useMemo } from 'preact/hooks';
import type { Call, Member } from '../api/types';
import { runningCalls } from '../state/call-book';
import { signaling, status } from '../state/connection';
import { keepFresh } from '../state/fresh-call';
import { GroupView } from '../state/group-view';
import { go, paths } from '../state/router';
import { session } from '../state/session';
import { CallHistory } from './call-history';
import { CallRecordings } from './call-recordings';
import { asTime, callTitle } from './format';
import { Icon } from './icon';
import { Link } from './link';
import { Members } from './members';
import { Empty } from './message';
import { ReplayDialog } from './replay';
import { useTitle } from './use-title';

export function GroupPage({ groupId }: { groupId: string }) {
  const view = useMemo(() => new GroupView(groupId), [groupId]);
  const running = runningCalls.value.get(groupId);
  // A call that began or ended is in the history, too.
  useEffect(() => void view.loadHistory(), [view, running?.id]);
  useEffect(() => void view.load(), [view]);
  useRecordingNews(view, running?.recording?.id);
  // Who is in it is only on this page, which the next round mends where one fails.
  useEffect(() => (running ? keepFresh(running.id, () => undefined) : undefined), [running?.id]);
  const group = view.group.value;
  useTitle(group.state === 'ready' ? group.value.name : undefined);

  if (group.state === 'loading') return <p class="muted loading">Loading…</p>;
  if (group.state === 'failed') {
    return (
      <Empty icon="warning" title="This group cannot be shown" testId="group-failed">
        <p class="muted">{group.message}</p>
        <Link to={paths.home} class="button">
          Back to your groups
        </Link>
      </Empty>
    );
  }
  return (
    <article class="group" data-testid="group-page">
      <Link to={paths.home} class="back">
        <Icon name="back" />
        Groups
      </Link>
      <header class="group-head">
        <h1>{group.value.name}</h1>
        {!running && <StartButtons groupId={groupId} />}
      </header>
      {running && <RunningCall call={running} view={view} />}
      <div class="group-columns">
        <CallHistory view={view} />
        <Members view={view} />
      </div>
      <ReplayDialog recordings={view.recordings} />
    </article>
  );
}

function StartButtons({ groupId }: { groupId: string }) {
  return (
    <div class="start-buttons">
      <button
        type="button"
        class="button primary"
        data-testid="start-video"
        onClick={() => go(paths.start(groupId, 'video'))}
      >
        <Icon name="camera" />
        Video call
      </button>
      <button
        type="button"
        class="button"
        data-testid="start-audio"
        onClick={() => go(paths.start(groupId, 'audio'))}
      >
        <Icon name="phone" />
        Audio call
      </button>
    </div>
  );
}

/** A recording that has begun or ended, and what became of one that was stopped. */
function useRecordingNews(view: GroupView, running: string | undefined): void {
  const connection = signaling.value;
  const isConnected = status.value === 'connected';
  useEffect(
    () =>
      connection?.on('recording:updated', ({ groupId }) => {
        if (groupId === view.groupId) void view.loadRecordings();
      }),
    [view, connection],
  );
  // What happened while there was no connection is not told.
  useEffect(() => {
    if (isConnected) void view.loadRecordings();
  }, [view, running, isConnected]);
}

function RunningCall({ call, view }: { call: Call; view: GroupView }) {
  return (
    <section class="running" aria-label="Running call" data-testid="running-call">
      <span class="running-icon">
        <Icon name={call.type === 'audio' ? 'phone' : 'camera'} />
      </span>
      <div class="running-text">
        <strong>
          <span class="live-dot" aria-hidden="true" /> {callTitle(call.type)} is running
        </strong>
        <span class="muted">{whoIsIn(call, view.members.value)}</span>
      </div>
      <button
        type="button"
        class="button primary"
        data-testid="join-call"
        onClick={() => go(paths.call(call.id))}
      >
        Join
      </button>
      <CallRecordings view={view} call={call} />
    </section>
  );
}

function whoIsIn(call: Call, members: Member[]): string {
  const me = session.value?.user.id;
  const names = call.participants.map((id) =>
    id === me ? 'you' : (members.find(({ userId }) => userId === id)?.name ?? 'someone'),
  );
  const since = `since ${asTime(call.startedAt ?? call.createdAt)}`;
  if (names.length === 0) return `Nobody is in it right now, ${since}`;
  const shown = new Intl.ListFormat('en').format(names.slice(0, 3));
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `With ${shown}${more}, ${since}`;
}
