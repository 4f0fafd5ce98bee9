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
  if (!how.replace) position += 1;
  const state = { position };
  if (how.replace) history.replaceState(state, '', address);
  else history.pushState(state, '', address);
  route.value = parse(location.pathname);
  window.scrollTo(0, 0);
}

/** Says whether people may leave the page they are on; if not, `proceed` takes them away later. */
type Guard = (proceed: () => void) => boolean;

let guard: Guard = () => true;

/** Has every use of the browser's Back and Forward buttons asked about. */
export function guardLeaving(asked: Guard): void {
  guard = asked;
}

/** Where in the tab's history this page stands. Entries carry it, which tells how far a button went. */
let position: number = history.state?.position ?? 0;
history.replaceState({ position }, '');

addEventListener('popstate', (event) => {
  const there: number = event.state?.position ?? position;
  const steps = there - position;
  // The way back from a refused step, or a link within the page.
  if (steps === 0) return;
  if (!guard(() => travel(steps))) {
    history.go(-steps);
    return;
  }
  position = there;
  route.value = parse(location.pathname);
});

/** Goes where a button wanted to go, without asking again. */
function travel(steps: number): void {
  const asked = guard;
  guard = () => true;
  addEventListener('popstate', () => (guard = asked), { once: true });
  history.go(steps);
}

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
