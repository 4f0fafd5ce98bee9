import { useState } from 'preact/hooks';
import type { Group } from '../api/types';
import { runningCalls } from '../state/call-book';
import { createGroup, groups, loadGroups } from '../state/groups';
import { go, paths, route } from '../state/router';
import { Avatar } from './avatar';
import { GroupPage } from './group-page';
import { Icon } from './icon';
import { Link } from './link';
import { Empty, Problem } from './message';
import { Shell } from './shell';
import { useTask } from './use-task';

/** The list of groups, and beside it (or instead of it, on small screens) the one that is open. */
export function GroupsPage({ groupId }: { groupId: string | undefined }) {
  return <Shell>{groupId ? <OpenGroup groupId={groupId} /> : <AllGroups />}</Shell>;
}

function OpenGroup({ groupId }: { groupId: string }) {
  return (
    <div class="columns" data-open="group">
      <nav class="sidebar" aria-label="Groups">
        <h2 class="section-title">Groups</h2>
        <GroupList />
        <NewGroup />
      </nav>
      <main id="main" tabIndex={-1} class="content">
        <GroupPage key={groupId} groupId={groupId} />
      </main>
    </div>
  );
}

function AllGroups() {
  return (
    <main id="main" tabIndex={-1} class="columns" data-open="list">
      <div class="sidebar">
        <h1 class="section-title">Groups</h1>
        <GroupList />
        <NewGroup />
      </div>
      <div class="content">
        <NoGroupOpen />
      </div>
    </main>
  );
}

function GroupList() {
  const known = groups.value;
  switch (known.state) {
    case 'loading':
      return <p class="muted loading">Loading your groups…</p>;
    case 'failed':
      return (
        <div class="stack">
          <Problem text={known.message} />
          <button type="button" class="button" onClick={() => loadGroups()}>
            Try again
          </button>
        </div>
      );
    case 'ready':
      if (known.value.length === 0) {
        return (
          <p class="muted" data-testid="no-groups">
            You are in no group yet. Create one below, or ask a friend to add you to theirs.
          </p>
        );
      }
      return (
        <ul class="group-list" data-testid="group-list">
          {known.value.map((group) => (
            <GroupItem key={group.id} group={group} />
          ))}
        </ul>
      );
  }
}

function GroupItem({ group }: { group: Group }) {
  const open = route.value.page === 'group' && route.value.groupId === group.id;
  const call = runningCalls.value.get(group.id);
  return (
    <li data-testid="group-item" data-group-id={group.id}>
      <Link to={paths.group(group.id)} class="group-link" current={open}>
        <Avatar name={group.name} />
        <span class="group-name">{group.name}</span>
        {call && (
          <span class="live">
            <span class="live-dot" aria-hidden="true" />
            In call
          </span>
        )}
      </Link>
    </li>
  );
}

function NewGroup() {
  const [name, setName] = useState('');
  const { busy, problem, run } = useTask();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      const group = await createGroup(name.trim());
      setName('');
      go(paths.group(group.id));
    });
  };
  return (
    <form class="new-group" onSubmit={submit}>
      <label for="new-group">New group</label>
      <div class="field-row">
        <input
          id="new-group"
          data-testid="new-group-name"
          required
          maxLength={100}
          placeholder="Name"
          autocomplete="off"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <button
          class="button icon-only"
          type="submit"
          aria-label="Create group"
          title="Create group"
          data-testid="create-group"
          disabled={busy || name.trim() === ''}
        >
          <Icon name="plus" />
        </button>
      </div>
      <Problem text={problem} />
    </form>
  );
}

function NoGroupOpen() {
  const none = groups.value.state === 'ready' && groups.value.value.length === 0;
  return (
    <Empty heading="h2" icon="groups" title={none ? 'Start with a group' : 'Pick a group'}>
      <p class="muted">
        {none
          ? 'A group is the people you call. Create one, add the others, and start a call.'
          : 'Here you will see its people and its calls, and start a new one.'}
      </p>
    </Empty>
  );
}
