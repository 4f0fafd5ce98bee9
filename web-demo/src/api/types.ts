import type { Call } from '../call/signaling.gen';

/** The JSON shapes of the REST API. Times are RFC 3339 in UTC; absent times are null. */

export type { Call, CallType } from '../call/signaling.gen';
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
