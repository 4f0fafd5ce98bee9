import type {
  Call,
  Consent,
  RecordingEnd,
  RecordingMode,
  RecordingStatus,
  Source,
} from '../call/signaling.gen';

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

export interface Recording {
  id: string;
  callId: string;
  status: RecordingStatus;
  /** Null if the app started it. */
  startedById: string | null;
  startedAt: string;
  endedAt: string | null;
  endReason: RecordingEnd | null;
  mode: RecordingMode;
  consent: Consent;
  /** Who may see it, besides the app and server admins. */
  access: RecordingAccess;
  /** Bytes of all its files. */
  bytes: number;
  /** When its files are deleted by themselves; null if never. */
  deleteAfter: string | null;
  updatedAt: string;
}

/** The members who were in the call and its moderators, all members of the group, or the moderators alone. */
export type RecordingAccess = 'participants' | 'members' | 'moderators';

export interface RecordingDetails extends Recording {
  tracks: RecordingTrack[];
  /** One for each language. */
  captions: { id: string; language: string }[];
}

/** Whether its files are still written. */
export function isGrowing({ status }: Recording): boolean {
  return status === 'recording' || status === 'paused' || status === 'finishing';
}

/** Whether it has files that can be read by links. */
export function isReadable({ status }: Recording): boolean {
  return status === 'ready' || status === 'incomplete';
}

/** What one device sent from one source. Times are in milliseconds since the recording began. */
export interface RecordingTrack {
  id: string;
  userId: string;
  /** Null if the user is unknown. */
  name: string | null;
  source: Source;
  /** `opus`, `pcm`, `vp8`, `vp9`, `h264` or `av1`; null if nothing of it was recorded. */
  codec: string | null;
  startMs: number;
  durationMs: number;
  bytes: number;
  /** Sound that was lost, and filled with silence. */
  concealedMs: number;
  width: number | null;
  height: number | null;
  /** When it was on. */
  spans: Span[];
  /** When pictures are missing although it was on. */
  holes: Span[];
  note: string | null;
  /** When it was deleted alone. */
  deletedAt: string | null;
  /** In order; nearly always one. */
  files: RecordingFile[];
}

export interface RecordingFile {
  id: string;
  part: number;
  contentType: string;
  bytes: number;
  startMs: number;
}

export interface Span {
  fromMs: number;
  toMs: number;
}

/** An address that opens one file without a token, for some minutes. */
export interface Link {
  url: string;
  expiresAt: string;
}
