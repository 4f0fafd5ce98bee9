// @ts-check
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Asserts that a payload is what `snapshots/<name>.json` says, once whatever differs from run to run has been replaced.
 * With `UPDATE_SNAPSHOTS=1` the file is rewritten instead: look at what changed before you commit it.
 * @param {string} name
 * @param {any} payload
 * @param {Record<string, string>} known what ids are called: `{[alice.id]: 'Alice'}`
 */
export function assertSnapshot(name, payload, known) {
  const path = join(FOLDER, `${name.replaceAll(':', '-').replaceAll(' ', '-')}.json`);
  const actual = stable(payload, known);
  if (process.env.UPDATE_SNAPSHOTS) {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(path, `${JSON.stringify(actual, null, 2)}\n`);
  }
  assert(existsSync(path), `${path} is not there: run with UPDATE_SNAPSHOTS=1`);
  assert.deepEqual(
    actual,
    JSON.parse(readFileSync(path, 'utf8')),
    `${name} has changed: see ${path}`,
  );
}

/**
 * The same value with placeholders, and with its keys in alphabetical order.
 * @param {any} value
 * @param {Record<string, string>} known
 * @returns {any}
 */
function stable(value, known) {
  if (Array.isArray(value)) return value.map((item) => stable(item, known));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, item]) => [key, stableAt(key, item, known)]));
  }
  if (typeof value !== 'string') return value;
  if (known[value]) return `<${known[value]}>`;
  return PLACEHOLDERS.find(([pattern]) => pattern.test(value))?.[1] ?? value;
}

/**
 * @param {string} key
 * @param {any} value
 * @param {Record<string, string>} known
 */
function stableAt(key, value, known) {
  const placeholder = PLACEHOLDERS_BY_KEY.find(([name, isRight]) => name === key && isRight(value));
  return placeholder ? `<${placeholder[2]}>` : stable(value, known);
}

const FOLDER = join(import.meta.dirname, '../snapshots');
/** @type {[RegExp, string][]} */
const PLACEHOLDERS = [
  [/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, '<uuid>'],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, '<time>'],
  [/^\d\d:\d\d:\d\d$/, '<HH:MM:SS>'],
];
/** @type {[string, (value: any) => boolean, string][]} */
const PLACEHOLDERS_BY_KEY = [
  ['durationSeconds', (value) => Number.isSafeInteger(value) && value >= 0, 'seconds'],
  ['resumeToken', (value) => typeof value === 'string' && value !== '', 'token'],
  ['codecs', (value) => Array.isArray(value) && value.length > 0, 'codecs'],
  ['headerExtensions', (value) => Array.isArray(value) && value.length > 0, 'header extensions'],
];
