// @ts-check
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { engineOfThisRun, freshDatabase } from './databases.mjs';
import { until } from './until.mjs';

/**
 * Starts the real server: a fresh data directory and database, free ports, loopback only. Whoever starts it stops it.
 * @param {Record<string, string>} [settings] environment variables on top of the defaults
 * @param {import('./databases.mjs').Engine} [engine]
 * @param {string[]} [launcher] a command that becomes the one behind it, once it has prepared what that needs
 * @returns {Promise<Server>}
 */
export async function startServer(settings = {}, engine = engineOfThisRun(), launcher = []) {
  const dataDir = await mkdtemp(join(tmpdir(), 'switchyard-test-'));
  const database = await freshDatabase(engine, dataDir);
  const all = {
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    HOST: '127.0.0.1',
    PORT: String(await freePort(settings.HOST)),
    MEDIA_HOST: '127.0.0.1',
    MEDIA_PORT: '0',
    GROUPS_MANAGED_BY: 'users',
    RUST_LOG: process.env.RUST_LOG ?? 'info',
    ...settings,
  };
  const server = new Server(database, all, launcher);
  await server.ready();
  return server;
}

/** A running server, seen from the outside. */
export class Server {
  /**
   * @param {import('./databases.mjs').Database} database
   * @param {Record<string, string>} settings
   * @param {string[]} [launcher]
   */
  constructor(database, settings, launcher = []) {
    this.database = database;
    this.settings = settings;
    this.launcher = launcher;
    const host = settings.HOST.includes(':') ? `[${settings.HOST}]` : settings.HOST;
    this.url = `http://${host}:${settings.PORT}`;
    this.log = '';
    const [command, ...rest] = [...launcher, binary()];
    this.process = spawn(command, rest, { env: { ...inherited(), ...settings } });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        this.log += text;
      });
    }
    // Should the test be cut short, nobody else would stop it.
    const stop = () => this.process.kill('SIGKILL');
    process.once('exit', stop);
    this.exit = once(this.process, 'exit').then(([code, signal]) => {
      process.off('exit', stop);
      return { code, signal };
    });
  }

  /** @returns {Promise<void>} */
  async ready() {
    try {
      await until('the server is ready', async () => {
        const { exitCode } = this.process;
        if (exitCode !== null) return true;
        return (await fetch(`${this.url}/health/ready`)).ok;
      });
      assert.equal(this.process.exitCode, null, 'the server went away at once');
    } catch (error) {
      this.process.kill('SIGKILL');
      throw new Error(`The server did not start. Its log:\n${this.log}`, { cause: error });
    }
  }

  /** Takes the process down without a warning. What it wrote stays, for `restart`. */
  async crash() {
    this.process.kill('SIGKILL');
    await this.exit;
    assert.doesNotMatch(this.log, /panicked/, 'something panicked');
  }

  /** Starts another process in the place of this one that is gone: same data, same database, same port. */
  restart() {
    return new Server(this.database, this.settings, this.launcher);
  }

  /** Asks the server to stop, and fails unless it stopped cleanly and nothing in it ever panicked. */
  async close() {
    this.process.kill('SIGTERM');
    const patience = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS);
    const exit = await this.exit;
    clearTimeout(patience);
    await rm(this.settings.DATA_DIR, { recursive: true, force: true });
    if (process.env.SWITCHYARD_TEST_LOG) console.log(this.log);
    assert.deepEqual(exit, { code: 0, signal: null }, `no clean exit. The log:\n${this.log}`);
    assert.doesNotMatch(this.log, /panicked/, 'something panicked');
  }
}

/** @param {string} [host] */
export async function freePort(host = '127.0.0.1') {
  const probe = createServer().listen(0, host);
  await once(probe, 'listening');
  const address = probe.address();
  assert(address && typeof address === 'object');
  probe.close();
  await once(probe, 'close');
  return address.port;
}

function binary() {
  const targetDir = process.env.CARGO_TARGET_DIR ?? resolve(import.meta.dirname, '../../target');
  const path = process.env.SWITCHYARD_BIN ?? join(targetDir, 'debug/switchyard');
  assert(existsSync(path), `${path} is not there: build it first, or set SWITCHYARD_BIN`);
  return path;
}

/** The caller's environment without any of the server's own settings, which would leak into a test. */
function inherited() {
  const { PATH, HOME, TMPDIR, RUST_BACKTRACE } = process.env;
  return { PATH, HOME, TMPDIR, RUST_BACKTRACE };
}

/** Longer than the server gives the connections it drains. */
const STOP_MS = 20_000;
