// @ts-check
/**
 * Asks a running server everything that its OpenAPI document allows, and much that it does not: `make fuzz-api`.
 * `SEED` repeats a run, `SECONDS` sets how long it takes.
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
const seconds = process.env.SECONDS ?? '180';

const server = await startServer({
  JWT_SECRET: SECRET,
  SERVICE_TOKEN,
  GROUPS_MANAGED_BY: 'users',
  RATE_LIMIT_PER_USER: '0',
  RATE_LIMIT_PER_ADDRESS: '0',
});
console.log(`SEED=${seed}, at most ${seconds} s`);
const exitCode = await fuzz();
await server.close();
process.exitCode = exitCode;

async function fuzz() {
  // What the tool writes beside its report is of no use to anybody.
  const directory = await mkdtemp(join(tmpdir(), 'switchyard-fuzz-'));
  const fuzzer = spawn(
    join(import.meta.dirname, '.venv/bin/schemathesis'),
    [
      ...['--config-file', join(import.meta.dirname, 'schemathesis.toml')],
      ...['run', `${server.url}/openapi.json`],
      ...['--url', server.url, '--seed', seed, '--max-time', seconds],
    ],
    {
      cwd: directory,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        USER_TOKEN: sign({ sub: 'fuzz', name: 'Fuzz', exp: inSeconds(3600) }, { secret: SECRET }),
        SERVICE_TOKEN,
      },
    },
  );
  const [code] = await once(fuzzer, 'exit');
  await rm(directory, { recursive: true });
  return code ?? 1;
}
