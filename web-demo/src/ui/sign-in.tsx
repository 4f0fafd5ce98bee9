import { useState } from 'preact/hooks';
import { ServerError } from '../api/server-error';
import { signInByName, signInWithToken, signOutReason } from '../state/session';
import { Logo } from './icon';
import { Problem } from './message';
import { useTask } from './use-task';

/** By name on a development server; with a token everywhere else. */
export function SignInPage() {
  const [needsToken, setNeedsToken] = useState(false);
  return (
    <main class="sign-in" id="main" tabIndex={-1}>
      <div class="card sign-in-card">
        <Logo />
        <h1>Switchyard</h1>
        <p class="muted">Calls for your groups, on your own server.</p>
        {signOutReason.value && <p class="note">{signOutReason.value}</p>}
        {needsToken ? <TokenForm /> : <NameForm onUnavailable={() => setNeedsToken(true)} />}
      </div>
    </main>
  );
}

function NameForm({ onUnavailable }: { onUnavailable: () => void }) {
  const [name, setName] = useState('');
  const { busy, problem, run } = useTask();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      try {
        await signInByName(name.trim());
      } catch (error) {
        if (!isDevSignInOff(error)) throw error;
        onUnavailable();
      }
    });
  };
  return (
    <form onSubmit={submit}>
      <label for="name">Your name</label>
      <input
        id="name"
        data-testid="name-input"
        autocomplete="nickname"
        autofocus
        required
        maxLength={80}
        placeholder="Ada"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <Problem text={problem} />
      <button
        class="button primary wide"
        data-testid="sign-in"
        disabled={busy || name.trim() === ''}
        type="submit"
      >
        {busy ? 'Signing in…' : 'Sign in'}
      </button>
      <p class="hint">The same name is the same person. Open a second tab to be someone else.</p>
    </form>
  );
}

function TokenForm() {
  const [token, setToken] = useState('');
  const { busy, problem, run } = useTask();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(() => signInWithToken(token.trim()));
  };
  return (
    <form onSubmit={submit} data-testid="token-form">
      <p class="note">
        This server does not sign people in by name. Paste an access token instead.
      </p>
      <label for="token">Access token</label>
      <textarea
        id="token"
        data-testid="token-input"
        rows={4}
        spellcheck={false}
        autocomplete="off"
        required
        aria-describedby="token-hint"
        value={token}
        onInput={(event) => setToken(event.currentTarget.value)}
      />
      <p class="hint" id="token-hint">
        Your app issues it, or: <code>switchyard token --sub ada --name Ada</code>
      </p>
      <Problem text={problem} />
      <button
        class="button primary wide"
        data-testid="sign-in-token"
        disabled={busy || token.trim() === ''}
        type="submit"
      >
        {busy ? 'Checking…' : 'Sign in'}
      </button>
    </form>
  );
}

function isDevSignInOff(error: unknown): boolean {
  return error instanceof ServerError && (error.status === 404 || error.status === 403);
}
