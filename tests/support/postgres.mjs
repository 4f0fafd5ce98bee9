// @ts-check
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.mjs';

/** @typedef {import('./databases.mjs').Database} Database */

const run = promisify(execFile);

/** A PostgreSQL server for this process alone: on a Unix socket in a temporary directory, gone with the process. */
export class Postgres {
  /** @type {Promise<Postgres> | undefined} */
  static #running;

  /** The first call starts it. */
  static running() {
    Postgres.#running ??= Postgres.#start();
    return Postgres.#running;
  }

  static async #start() {
    const programs = await newestPrograms();
    const account = await accountForServer();
    const directory = await mkdtemp(join(tmpdir(), 'switchyard-pg-'));
    if (account.uid !== undefined) await chown(directory, account.uid, account.gid);
    const initdb = [...INITDB_OPTIONS, '-D', join(directory, 'data')];
    await run(join(programs, 'initdb'), initdb, { cwd: '/', ...account });

    // In a session of its own, lest Ctrl-C in a terminal takes it before it has cleaned up.
    const guard = spawn('sh', ['-c', GUARD, 'guard', join(programs, 'postgres'), directory], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      ...account,
    });
    guard.unref();
    /** @type {import('node:net').Socket} */ (guard.stdin).unref();
    await until(`PostgreSQL is ready; its log is ${directory}/log`, () =>
      run(join(programs, 'pg_isready'), ['-q', '-h', directory]),
    );
    return new Postgres(programs, directory);
  }

  /**
   * @param {string} programs where PostgreSQL's own programs are
   * @param {string} directory where its socket is
   */
  constructor(programs, directory) {
    this.programs = programs;
    this.directory = directory;
    this.databases = 0;
  }

  async freshDatabase() {
    this.databases += 1;
    const name = `test_${this.databases}`;
    const createdb = ['-h', this.directory, '-U', 'switchyard', name];
    await run(join(this.programs, 'createdb'), createdb);
    return new PostgresDatabase(this, name);
  }

  /**
   * Sends a signal to every process of the server: first to the one that makes new ones, which do not share its
   * process group.
   * @param {NodeJS.Signals} signal
   */
  async signal(signal) {
    const pidFile = await readFile(join(this.directory, 'data/postmaster.pid'), 'utf8');
    const parent = Number.parseInt(pidFile, 10);
    process.kill(parent, signal);
    const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8');
    for (const child of children.split(' ').filter(Boolean)) {
      try {
        process.kill(Number(child), signal);
      } catch (error) {
        const isGone = /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
        if (!isGone) throw error;
      }
    }
  }
}

/** @implements {Database} */
class PostgresDatabase {
  /**
   * @param {Postgres} server
   * @param {string} name
   */
  constructor(server, name) {
    this.server = server;
    this.url = `postgres://switchyard@localhost/${name}?host=${server.directory}`;
  }

  /** Connections stay open, and nothing that is said over them is answered. */
  goAway() {
    return this.server.signal('SIGSTOP');
  }

  comeBack() {
    return this.server.signal('SIGCONT');
  }
}

async function newestPrograms() {
  const home = '/usr/lib/postgresql';
  const versions = await readdir(home).catch(() => []);
  const [newest] = versions
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(home, version, 'bin'))
    .filter((programs) => existsSync(join(programs, 'postgres')));
  if (!newest) throw new Error(`no PostgreSQL in ${home}/*/bin: run tests/install`);
  return newest;
}

/** PostgreSQL refuses to run as root, so root lends it the account that its package made. */
async function accountForServer() {
  if (process.getuid?.() !== 0) return {};
  const accounts = await readFile('/etc/passwd', 'utf8');
  const account = accounts.split('\n').find((line) => line.startsWith('postgres:'));
  if (!account) throw new Error('the PostgreSQL package makes the account `postgres`');
  const [, , uid, gid] = account.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

const INITDB_OPTIONS = [
  '--username=switchyard',
  '--auth=trust',
  '--no-sync',
  '--encoding=UTF8',
  '--locale=C',
];
/**
 * Runs the server until standard input closes, which happens however the test ends, then removes everything. A
 * stopped process hears nothing but SIGCONT.
 */
const GUARD = `
  "$1" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=200 >"$2/log" 2>&1 </dev/null &
  cat >/dev/null
  kill -CONT $! $(cat "/proc/$!/task/$!/children")
  kill -INT $!
  wait
  rm -rf "$2"
`;
