// @ts-check
/**
 * Checks what the measurement needs, and runs it in namespaces of its own: one for the network, and one for processes,
 * so that everything that was started ends with the first process, however that one ends.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findChromium } from '../support/browsers.mjs';

const missing = whatIsMissing();
if (missing) {
  console.error(`make test-network cannot run here: ${missing}`);
  process.exit(1);
}

// The browsers' profiles and the server's data are in there as well.
const folder = mkdtempSync(join(tmpdir(), 'switchyard-network-'));
const own = ['--net', '--pid', '--mount-proc', '--fork', '--kill-child'];
const measure = [process.execPath, join(import.meta.dirname, 'measure.mjs')];
const inside = spawn('unshare', [...own, ...measure], {
  stdio: 'inherit',
  env: { ...process.env, TMPDIR: folder },
});
// Ctrl-C reaches the measurement too, which then ends by itself.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => inside.kill('SIGKILL'));
const [code] = await once(inside, 'exit');
rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
process.exitCode = code ?? 1;

/** @returns {string | undefined} */
function whatIsMissing() {
  if (process.getuid?.() !== 0) return 'only root can make network namespaces';
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun';
  for (const [command, from] of Object.entries({ ip: 'iproute2', unshare: 'util-linux' })) {
    if (spawnSync(command, ['-V']).error)
      return `the command ${command} (${from}) is not installed`;
  }
  const { status, stderr } = spawnSync('unshare', [
    '--net',
    '--pid',
    '--mount-proc',
    '--fork',
    'true',
  ]);
  if (status !== 0) return `no namespace can be made (${String(stderr).trim()})`;
  for (const name of ['SWITCHYARD_BIN', 'SWITCHYARD_LINK_BIN']) {
    const path = process.env[name];
    if (!path || !existsSync(path)) return `${name} names no program (${path})`;
  }
  try {
    findChromium();
  } catch {
    return 'Chromium is not installed';
  }
}
