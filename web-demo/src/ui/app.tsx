import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { closeDevices } from '../state/local-media';
import { paths, route } from '../state/router';
import { session } from '../state/session';
import { CallPage } from './call-page';
import { GroupsPage } from './groups';
import { IncomingCalls } from './incoming-calls';
import { Link } from './link';
import { Empty } from './message';
import { Announcer, Notices, Shell } from './shell';
import { SignInPage } from './sign-in';
import { StartPage } from './start-page';

export function App() {
  // Cameras and microphones are open on the way into a call and in it, nowhere else.
  useSignalEffect(() => {
    const { page } = route.value;
    if (!session.value || (page !== 'start' && page !== 'call')) closeDevices();
  });
  useFocusOnNewPage();
  return (
    <>
      {session.value ? <Page /> : <SignInPage />}
      {session.value && <IncomingCalls />}
      <Notices />
      <Announcer />
    </>
  );
}

/** Going to another page takes the focus there, so that screen readers begin to read it. */
function useFocusOnNewPage(): void {
  const first = useRef(true);
  const current = route.value;
  useEffect(() => {
    if (!first.current) document.getElementById('main')?.focus({ preventScroll: true });
    first.current = false;
  }, [current]);
}

function Page() {
  const current = route.value;
  switch (current.page) {
    case 'home':
      return <GroupsPage groupId={undefined} />;
    case 'group':
      return <GroupsPage groupId={current.groupId} />;
    case 'start':
      return <StartPage groupId={current.groupId} type={current.type} />;
    case 'call':
      return <CallPage key={current.callId} callId={current.callId} />;
    case 'unknown':
      return <UnknownPage />;
  }
}

function UnknownPage() {
  return (
    <Shell>
      <main id="main" tabIndex={-1} class="content centred">
        <Empty icon="warning" title="There is nothing here">
          <Link to={paths.home} class="button">
            Back to your groups
          </Link>
        </Empty>
      </main>
    </Shell>
  );
}
