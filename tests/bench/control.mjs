// @ts-check
/** Measures call control on both databases: a fresh server each, driven by the load test. Prints, asserts nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { ENGINES } from '../support/databases.mjs';
import { startServer } from '../support/server.mjs';

const binary = process.env.SWITCHYARD_BIN;
if (!binary) throw new Error('SWITCHYARD_BIN names the server; `make bench-control` sets it');

for (const engine of ENGINES) {
  const server = await startServer({ RATE_LIMIT_PER_USER: '0', RUST_LOG: 'warn' }, engine);
  console.log(`\n==== ${engine} ====`);
  const load = spawn(
    join(dirname(binary), 'switchyard-load-test'),
    ['--url', server.url, '--server-pid', String(server.process.pid), 'control'],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [code] = await once(load, 'exit');
  await server.close();
  if (code !== 0) process.exitCode = 1;
}
process.exit();
