// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Postgres } from './postgres.mjs';

/**
 * @typedef {'SQLite' | 'PostgreSQL'} Engine
 *
 * @typedef {object} Database
 * @property {string} url what the server is told
 * @property {() => Promise<void>} goAway from here on it takes nothing more
 * @property {() => Promise<void>} comeBack
 */

/** @type {Engine[]} */
export const ENGINES = ['SQLite', 'PostgreSQL'];

/**
 * An empty database for one server.
 * @param {Engine} engine
 * @param {string} dataDir of that server
 * @returns {Promise<Database>}
 */
export async function freshDatabase(engine, dataDir) {
  if (engine === 'SQLite') return new SqliteDatabase(join(dataDir, 'switchyard.db'));
  return (await Postgres.running()).freshDatabase();
}

/** The engine of tests that care for none: SQLite, unless the environment names another. */
export function engineOfThisRun() {
  const name = process.env.SWITCHYARD_TEST_ENGINE ?? 'SQLite';
  const engine = ENGINES.find((engine) => engine === name);
  if (!engine) throw new Error(`SWITCHYARD_TEST_ENGINE is one of ${ENGINES.join(', ')}`);
  return engine;
}

/** @implements {Database} */
class SqliteDatabase {
  /** @type {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, import('node:stream').Readable, null> | undefined} */
  #intruder;

  /** @param {string} path */
  constructor(path) {
    this.path = path;
    this.url = `sqlite://${path}`;
  }

  /** Another process takes the lock that every change needs, and keeps it. */
  async goAway() {
    this.#intruder = spawn('python3', ['-c', INTRUDER, this.path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [first] = await Promise.race([
      once(createInterface(this.#intruder.stdout), 'line'),
      once(this.#intruder, 'exit'),
    ]);
    if (first !== 'locked') throw new Error(`${this.path} cannot be locked`);
  }

  async comeBack() {
    if (!this.#intruder) return;
    const gone = once(this.#intruder, 'exit');
    this.#intruder.stdin.end();
    await gone;
  }
}

/** Keeps the lock until standard input closes, which happens however the test ends. */
const INTRUDER = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
`;
