import { signal } from '@preact/signals';
import type { CallType } from '../api/types';

/** The pages, by address. The server answers each of these addresses with the same page. */
export type Route =
  | { page: 'home' }
  | { page: 'group'; groupId: string }
  | { page: 'start'; groupId: string; type: CallType }
  | { page: 'call'; callId: string }
  | { page: 'unknown' };

export const route = signal(parse(location.pathname));

export const paths = {
  home: '/',
  group: (groupId: string) => `/group/${groupId}`,
  start: (groupId: string, type: CallType) => `/group/${groupId}/start/${type}`,
  call: (callId: string) => `/call/${callId}`,
};

/** Goes to another page. The query (test options only) stays. */
export function go(path: string, how: { replace?: boolean } = {}): void {
  const address = path + location.search;
  if (how.replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  route.value = parse(location.pathname);
  window.scrollTo(0, 0);
}

addEventListener('popstate', () => {
  route.value = parse(location.pathname);
});

function parse(pathname: string): Route {
  const [first, id, third, type, ...rest] = pathname.split('/').filter((part) => part !== '');
  if (first === undefined) return { page: 'home' };
  if (rest.length > 0 || id === undefined) return { page: 'unknown' };
  if (first === 'call' && third === undefined) return { page: 'call', callId: id };
  if (first === 'group' && third === undefined) return { page: 'group', groupId: id };
  if (first === 'group' && third === 'start' && isCallType(type)) {
    return { page: 'start', groupId: id, type };
  }
  return { page: 'unknown' };
}

function isCallType(text: string | undefined): text is CallType {
  return text === 'audio' || text === 'video' || text === 'screen';
}
