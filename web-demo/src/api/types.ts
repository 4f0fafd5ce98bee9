/** The JSON shapes of the REST API. Times are RFC 3339 in UTC; absent times are null. */

export type CallType = 'audio' | 'video' | 'screen';
export type CallStatus = 'waiting' | 'active' | 'ended' | 'cancelled' | 'failed';
export type Role = 'owner' | 'admin' | 'member';

export interface User {
  id: string;
  name: string;
}

export interface SignedIn {
  token: string;
  user: User;
}

export interface Group {
  id: string;
  name: string;
}

export interface Member {
  userId: string;
  name: string;
  role: Role;
}

export interface Call {
  id: string;
  groupId: string;
  initiatedById: string;
  type: CallType;
  status: CallStatus;
  /** Ids of the users now in the call. */
  participants: string[];
  startedAt: string | null;
  endedAt: string | null;
  durationSeconds: number | null;
  maxParticipants: number;
  endReason: string | null;
  createdAt: string;
}

/** Whether people can be in the call. A group has at most one such call. */
export function isRunning({ status }: Call): boolean {
  return status === 'waiting' || status === 'active';
}

export interface Page<Item> {
  items: Item[];
  nextCursor?: string | null;
}

/** RFC 9457 problem details, as every REST error is answered. */
export interface Problem {
  title: string;
  status: number;
  code: string;
  detail?: string;
}
