// @ts-check
/** Memory returns: what a call took is given back to the system when all have left it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { serverForThisFile } from './support/fixture.mjs';
import { until } from './support/until.mjs';

const fixture = serverForThisFile({ RATE_LIMIT_PER_USER: '0', MEDIA_WORKERS: '1' });
const program =
  process.env.SWITCHYARD_BIN ?? resolve(import.meta.dirname, '../target/debug/switchyard');
const elsewhere =
  process.platform !== 'linux' && 'resident memory is read from /proc, which is only on Linux';

test('memory returns when a call ends', { skip: elsewhere }, async (context) => {
  // The first call loads code, opens connections and prepares statements, which stay.
  await call(4);
  const before = await resident();

  let during = before;
  const over = call(PEERS);
  const watched = over.then(() => 'over');
  await until(
    'the call is over',
    async () => {
      during = Math.max(during, await resident());
      return Promise.race([watched, undefined]);
    },
    { seconds: 90 },
  );

  const taken = during - before;
  assert.ok(taken > PEERS * 10, `${PEERS} peers took only ${taken} kB: nothing was measured`);
  let kept = taken;
  await until(
    () => `of ${taken} kB that the call took, no more than ${KEPT * 100} % stay; ${kept} kB do`,
    async () => {
      kept = (await resident()) - before;
      return kept < taken * KEPT;
    },
    { seconds: 30 },
  );
  context.diagnostic(
    `${before} kB before, ${during} kB with ${PEERS} peers, ${before + kept} kB after`,
  );
});

/** A webinar of so many headless receivers, who all leave it. @param {number} peers */
async function call(peers) {
  const load = join(dirname(program), 'switchyard-load-test');
  const options = [
    '--url',
    fixture.server.url,
    '--peers',
    String(peers),
    '--seconds',
    '3',
    '--json',
  ];
  const { stdout } = await promisify(execFile)(load, options, { maxBuffer: 1 << 26 });
  const { peers: counted } = JSON.parse(stdout);
  assert.deepEqual([counted.receiving, counted.failed], [peers, 0]);
}

/** Anonymous memory of the server in kB; pages of files are the system's to take whenever it wants. */
async function resident() {
  const status = await readFile(`/proc/${fixture.server.process.pid}/status`, 'utf8');
  const [, kilobytes] = status.match(/^RssAnon:\s+(\d+) kB$/m) ?? [];
  return Number(kilobytes);
}

const PEERS = 80;
/** How much of what a call took may stay: free memory between what lives on. */
const KEPT = 0.4;
