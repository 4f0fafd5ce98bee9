import { useEffect, useRef } from 'preact/hooks';
import { paths, route } from '../state/router';
import { session } from '../state/session';
import { CallPage } from './call-page';
import { focusOnContent } from './focus';
import { GroupsPage } from './groups';
import { IncomingCalls } from './incoming-calls';
import { Link } from './link';
import { Empty } from './message';
import { Announcer, Notices, Shell } from './shell';
import { SignInPage } from './sign-in';
import { StartPage } from './start-page';

export function App() {
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

/** Going to another page, and signing in or out, takes the focus there. A page that has just been loaded keeps its own. */
function useFocusOnNewPage(): void {
  const first = useRef(true);
  const current = route.value;
  const signedIn = session.value !== undefined;
  useEffect(() => {
    if (!first.current && signedIn) focusOnContent();
    first.current = false;
  }, [current, signedIn]);
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
        <Empty icon="warning" title="There is nothing here" testId="nothing-here">
          <p class="muted">This address leads nowhere. It may be mistyped, or too old.</p>
          <Link to={paths.home} class="button primary" testId="back-home">
            Back to your groups
          </Link>
        </Empty>
      </main>
    </Shell>
  );
}
