import { signal } from '@preact/signals';
import { hasCode } from '../api/server-error';
import type { Call, Group, Member, User } from '../api/types';
import { noteCall } from './call-book';
import { GroupRecordings } from './group-recordings';
import type { Loaded } from './groups';
import { describe } from './messages';
import { api, signedIn } from './session';

/** One group's page: its people and its past calls. */
export class GroupView {
  readonly groupId: string;
  readonly group = signal<Loaded<Group>>({ state: 'loading' });
  readonly members = signal<Member[]>([]);
  readonly history = signal<Loaded<Call[]>>({ state: 'loading' });
  readonly nextCursor = signal<string | undefined>(undefined);
  readonly recordings: GroupRecordings;

  constructor(groupId: string) {
    this.groupId = groupId;
    this.recordings = new GroupRecordings(groupId);
  }

  async load(): Promise<void> {
    try {
      const [group, members] = await Promise.all([
        signedIn(api.group(this.groupId)),
        signedIn(api.members(this.groupId)),
        this.loadHistory(),
      ]);
      this.group.value = { state: 'ready', value: group };
      this.members.value = members;
    } catch (error) {
      const message = hasCode(error, 'forbidden', 'not_found')
        ? 'You are not a member of this group, or it does not exist.'
        : describe(error);
      this.group.value = { state: 'failed', message };
    }
  }

  /** Loads the newest calls. */
  async loadHistory(): Promise<void> {
    try {
      const page = await signedIn(api.callHistory(this.groupId));
      this.history.value = { state: 'ready', value: page.items };
      this.nextCursor.value = page.nextCursor ?? undefined;
      for (const call of page.items) noteCall(call);
      await this.loadRecordings();
    } catch (error) {
      this.history.value = { state: 'failed', message: describe(error) };
    }
  }

  /** Loads the calls before those already shown. */
  async loadOlder(): Promise<void> {
    const shown = this.history.peek();
    const cursor = this.nextCursor.peek();
    if (shown.state !== 'ready' || !cursor) return;
    const page = await signedIn(api.callHistory(this.groupId, cursor));
    this.history.value = { state: 'ready', value: [...shown.value, ...page.items] };
    this.nextCursor.value = page.nextCursor ?? undefined;
    await this.loadRecordings();
  }

  /** Loads what is recorded of the calls that are shown. */
  async loadRecordings(): Promise<void> {
    const shown = this.history.peek();
    const oldest = shown.state === 'ready' ? shown.value.at(-1) : undefined;
    if (oldest) await this.recordings.load(oldest.createdAt);
  }

  async addMember(user: User): Promise<void> {
    const member = await signedIn(api.addMember(this.groupId, user.id));
    const others = this.members.peek().filter(({ userId }) => userId !== member.userId);
    this.members.value = [...others, { ...member, name: member.name ?? user.name }];
  }
}
