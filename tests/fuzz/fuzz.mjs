// @ts-check
/**
 * Asks a running server everything that its OpenAPI document allows, and much that it does not: as a user, as an admin,
 * and as the app behind the users. `SEED` repeats a run, `SECONDS` sets how long it takes.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '../support/server.mjs';
import { inSeconds, sign } from '../support/tokens.mjs';

const SECRET = 'a secret that only the app and the server know';
const SERVICE_TOKEN = 'a token that only the app behind the users knows';
const seed = process.env.SEED ?? String(randomInt(2 ** 31));
const seconds = Number(process.env.SECONDS ?? 180);

const server = await startServer({
  JWT_SECRET: SECRET,
  SERVICE_TOKEN,
  ADMIN_CLAIM: 'admin',
  GROUPS_MANAGED_BY: 'users',
  RATE_LIMIT_PER_USER: '0',
  RATE_LIMIT_PER_ADDRESS: '0',
});
const callers = {
  'a user': tokenOf({ sub: 'user', name: 'User' }),
  'an admin': tokenOf({ sub: 'admin', name: 'Admin', admin: true }),
  // The last one, as it may revoke the sessions of the others.
  'the app': SERVICE_TOKEN,
};
const failed = [];
for (const [who, token] of Object.entries(callers)) {
  console.log(`\n==== As ${who}, SEED=${seed} ====\n`);
  if (!(await passes(token))) failed.push(who);
}
await server.close();
if (failed.length > 0) {
  console.error(`Failures as ${failed.join(', ')}. SEED=${seed} repeats this run.`);
  process.exitCode = 1;
}

/** @param {string} token */
async function passes(token) {
  // What the tool writes beside its report is of no use to anybody.
  const directory = await mkdtemp(join(tmpdir(), 'switchyard-fuzz-'));
  const fuzzer = spawn(
    join(import.meta.dirname, '.venv/bin/schemathesis'),
    [
      ...['--config-file', join(import.meta.dirname, 'schemathesis.toml')],
      ...['run', `${server.url}/openapi.json`, '--url', server.url],
      ...['--seed', seed, '--max-time', String(Math.ceil(seconds / Object.keys(callers).length))],
    ],
    {
      cwd: directory,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, TOKEN: token },
    },
  );
  const [code] = await once(fuzzer, 'exit');
  await rm(directory, { recursive: true });
  return code === 0;
}

/** @param {object} claims */
function tokenOf(claims) {
  return sign({ ...claims, exp: inSeconds(3600) }, { secret: SECRET });
}
