import { recall, remember } from './storage';

/** What people want on; kept in this tab, so that a reload comes back the same way. */
export interface Wishes {
  mic: boolean;
  camera: boolean;
}

export function lastWishes(): Wishes {
  return recall(sessionStorage, 'wishes') ?? { mic: true, camera: true };
}

export function keepWishes(changed: Partial<Wishes>): void {
  remember(sessionStorage, 'wishes', { ...lastWishes(), ...changed });
}
