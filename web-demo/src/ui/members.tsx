import { useEffect, useState } from 'preact/hooks';
import type { Member, User } from '../api/types';
import type { GroupView } from '../state/group-view';
import { describe } from '../state/messages';
import { notify } from '../state/notices';
import { api, session, signedIn } from '../state/session';
import { Avatar } from './avatar';
import { Icon } from './icon';
import { Problem } from './message';
import { useTask } from './use-task';

export function Members({ view }: { view: GroupView }) {
  const members = view.members.value;
  const me = members.find(({ userId }) => userId === session.value?.user.id);
  return (
    <section class="card" aria-labelledby="members-title">
      <h2 class="section-title" id="members-title">
        People <span class="count">{members.length}</span>
      </h2>
      <ul class="member-list" data-testid="member-list">
        {members.map((member) => (
          <MemberItem key={member.userId} member={member} self={member === me} />
        ))}
      </ul>
      {me && me.role !== 'member' && <AddMember view={view} />}
    </section>
  );
}

function MemberItem({ member, self }: { member: Member; self: boolean }) {
  return (
    <li class="member" data-testid="member-item" data-user-id={member.userId}>
      <Avatar name={member.name} />
      <span>
        {member.name}
        {self && <span class="muted"> (you)</span>}
      </span>
      {member.role !== 'member' && <span class="role">{member.role}</span>}
    </li>
  );
}

function AddMember({ view }: { view: GroupView }) {
  const [name, setName] = useState('');
  const [found, setFound] = useState<User[]>();
  const { busy, problem, run } = useTask();
  const wanted = name.trim();

  useEffect(() => {
    setFound(undefined);
    if (wanted === '') return;
    let current = true;
    const search = async () => {
      const page = await signedIn(api.findUsers(wanted));
      if (current) setFound(page.items);
    };
    const timer = setTimeout(
      () => search().catch((error) => notify(describe(error), 'error')),
      TYPING_PAUSE_MS,
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [wanted]);

  const add = (user: User) =>
    run(async () => {
      await view.addMember(user);
      setName('');
    });
  const strangers = found?.filter(
    (user) => !view.members.value.some(({ userId }) => userId === user.id),
  );

  return (
    <div class="add-member">
      <label for="add-member">Add someone</label>
      <input
        id="add-member"
        data-testid="add-member-input"
        autocomplete="off"
        placeholder="Name"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <Problem text={problem} />
      <ul class="found" aria-label="People found">
        {strangers?.map((user) => (
          <li key={user.id}>
            <button
              type="button"
              class="found-user"
              data-testid="add-member"
              data-user-id={user.id}
              disabled={busy}
              onClick={() => add(user)}
            >
              <Avatar name={user.name} />
              {user.name}
              <Icon name="plus" />
            </button>
          </li>
        ))}
      </ul>
      {strangers?.length === 0 && <p class="hint">{nobodyFound(wanted, found ?? [])}</p>}
    </div>
  );
}

function nobodyFound(name: string, known: User[]): string {
  if (known.length > 0) return `${known[0]?.name ?? name} is in this group already.`;
  return `Nobody called “${name}” has signed in here yet.`;
}

const TYPING_PAUSE_MS = 250;
