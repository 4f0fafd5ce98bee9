import type { RecordingTrack } from '../api/types';
import { session } from '../state/session';

/** As in “Alice’s camera”. */
export function whoseOf({ userId, name }: RecordingTrack): string {
  return userId === session.value?.user.id ? 'your' : `${name ?? 'somebody'}’s`;
}
