import type { RtpCapabilities } from 'mediasoup-client/types';
import { send, sendForText } from './http';
import type {
  Call,
  CallType,
  Group,
  Link,
  Member,
  Page,
  Recording,
  RecordingDetails,
  SignedIn,
  User,
} from './types';

/** Signs in by name alone; only servers in development answer. The same name is the same user. */
export function devSignIn(name: string): Promise<SignedIn> {
  return send('/auth/dev-token', { method: 'POST', body: { name } });
}

/** Whom a token belongs to. */
export function whoIs(token: string): Promise<User> {
  return send('/users/me', { token });
}

/** What every router of the server can do; the same for all calls. */
export function rtpCapabilities(): Promise<RtpCapabilities> {
  return send('/rtp-capabilities');
}

/** The REST API as one signed-in user sees it. */
export class Api {
  readonly #token: () => string | undefined;

  constructor(token: () => string | undefined) {
    this.#token = token;
  }

  groups(): Promise<Group[]> {
    return this.#all('/groups');
  }

  group(groupId: string): Promise<Group> {
    return this.#get(`/groups/${encodeURIComponent(groupId)}`);
  }

  createGroup(name: string): Promise<Group> {
    return this.#post('/groups', { name });
  }

  members(groupId: string): Promise<Member[]> {
    return this.#all(`/groups/${encodeURIComponent(groupId)}/members`);
  }

  addMember(groupId: string, userId: string): Promise<Member> {
    return this.#post(`/groups/${encodeURIComponent(groupId)}/members`, { userId });
  }

  /** People who have signed in and whose name starts like this; development servers only. */
  findUsers(name: string): Promise<Page<User>> {
    return this.#get(`/users?name=${encodeURIComponent(name)}`);
  }

  call(callId: string): Promise<Call> {
    return this.#get(`/calls/${encodeURIComponent(callId)}`);
  }

  createCall(groupId: string, type: CallType): Promise<Call> {
    return this.#post('/calls', { groupId, type });
  }

  /** The group's running call; rejects with `not_found` when there is none. */
  runningCall(groupId: string): Promise<Call> {
    return this.#get(`/calls/group/${encodeURIComponent(groupId)}/active`);
  }

  /** The group's calls, newest first. */
  callHistory(groupId: string, cursor?: string): Promise<Page<Call>> {
    const query = new URLSearchParams({ limit: '10', ...(cursor && { cursor }) });
    return this.#get(`/calls/group/${encodeURIComponent(groupId)}?${query}`);
  }

  /** What is recorded of the group's calls and may be seen by this user, newest first. */
  recordings(groupId: string, cursor?: string): Promise<Page<Recording>> {
    const query = new URLSearchParams({ limit: '100', ...(cursor && { cursor }) });
    return this.#get(`/recordings/group/${encodeURIComponent(groupId)}?${query}`);
  }

  recording(recordingId: string): Promise<RecordingDetails> {
    return this.#get(`/recordings/${encodeURIComponent(recordingId)}`);
  }

  recordingLink(recordingId: string, fileId: string): Promise<Link> {
    return this.#post(`/recordings/${encodeURIComponent(recordingId)}/links`, { fileId });
  }

  /** A link to a track while it is recorded. */
  liveLink(recordingId: string, trackId: string): Promise<Link> {
    const path = `/recordings/${encodeURIComponent(recordingId)}/links`;
    return this.#post(path, { trackId, live: true });
  }

  /** WebVTT whose voices are ids of users. */
  captions(recordingId: string, language: string): Promise<string> {
    const path = `/recordings/${encodeURIComponent(recordingId)}/captions`;
    return sendForText(`${path}/${encodeURIComponent(language)}`, { token: this.#token() });
  }

  /** Who spoke when: a JSON object a line. */
  recordingTimeline(recordingId: string): Promise<string> {
    const path = `/recordings/${encodeURIComponent(recordingId)}/timeline`;
    return sendForText(path, { token: this.#token() });
  }

  deleteRecording(recordingId: string): Promise<void> {
    const path = `/recordings/${encodeURIComponent(recordingId)}`;
    return send(path, { method: 'DELETE', token: this.#token() });
  }

  /** Every item of a list that comes in pages. */
  async #all<Item>(path: string): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ limit: '100', ...(cursor && { cursor }) });
      const page: Page<Item> = await this.#get(`${path}?${query}`);
      items.push(...page.items);
      cursor = page.nextCursor ?? undefined;
    } while (cursor && items.length < MOST_ITEMS);
    return items;
  }

  #get<Reply>(path: string): Promise<Reply> {
    return send(path, { token: this.#token() });
  }

  #post<Reply>(path: string, body: object): Promise<Reply> {
    return send(path, { method: 'POST', token: this.#token(), body });
  }
}

/** More than this nobody reads on one page. */
const MOST_ITEMS = 2_000;
