import { signal } from '@preact/signals';
import { Api, devSignIn, whoIs } from '../api/rest';
import { hasCode } from '../api/server-error';
import type { SignedIn } from '../api/types';
import { forget, recall, remember } from './storage';

const KEY = 'session';

/**
 * Who is signed in. Kept per tab, so that a reload stays signed in and two tabs can be two people,
 * which is how one tries out a calls server alone.
 */
export const session = signal<SignedIn | undefined>(recall(sessionStorage, KEY));

/** Why the sign-in page is shown again, if there is something to say. */
export const signOutReason = signal<string | undefined>(undefined);

export const api = new Api(() => session.peek()?.token);

export async function signInByName(name: string): Promise<void> {
  keep(await devSignIn(name));
}

export async function signInWithToken(token: string): Promise<void> {
  keep({ token, user: await whoIs(token) });
}

export function signOut(reason?: string): void {
  forget(sessionStorage, KEY);
  signOutReason.value = reason;
  session.value = undefined;
}

/** Runs a request; a token that no longer counts leads back to the sign-in page. */
export async function signedIn<Reply>(request: Promise<Reply>): Promise<Reply> {
  try {
    return await request;
  } catch (error) {
    if (hasCode(error, 'unauthorized')) signOut(EXPIRED);
    throw error;
  }
}

export const EXPIRED = 'Your sign-in has expired. Please sign in again.';

function keep(signedIn: SignedIn): void {
  remember(sessionStorage, KEY, signedIn);
  signOutReason.value = undefined;
  session.value = signedIn;
}
