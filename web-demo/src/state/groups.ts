import { effect, signal } from '@preact/signals';
import type { Group } from '../api/types';
import { runningCalls } from './call-book';
import { describe } from './messages';
import { api, session, signedIn } from './session';

export type Loaded<Value> =
  | { state: 'loading' }
  | { state: 'ready'; value: Value }
  | { state: 'failed'; message: string };

/** The groups of the signed-in user. */
export const groups = signal<Loaded<Group[]>>({ state: 'loading' });

export async function loadGroups(): Promise<void> {
  try {
    groups.value = { state: 'ready', value: await signedIn(api.groups()) };
  } catch (error) {
    if (groups.peek().state !== 'ready') {
      groups.value = { state: 'failed', message: describe(error) };
    }
  }
}

export async function createGroup(name: string): Promise<Group> {
  const group = await signedIn(api.createGroup(name));
  void loadGroups();
  return group;
}

export function groupName(groupId: string): string | undefined {
  const known = groups.value;
  if (known.state !== 'ready') return undefined;
  return known.value.find((group) => group.id === groupId)?.name;
}

effect(() => {
  if (session.value) void loadGroups();
  else groups.value = { state: 'loading' };
});

/** A call in a group nobody here has heard of means that we were added to it. */
effect(() => {
  const withCalls = [...runningCalls.value.keys()];
  const known = groups.peek();
  if (known.state !== 'ready') return;
  const ids = new Set(known.value.map((group) => group.id));
  if (withCalls.some((groupId) => !ids.has(groupId))) void loadGroups();
});

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && session.peek()) void loadGroups();
});
