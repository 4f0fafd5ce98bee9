// @ts-check
/** What a page and the server say to each other, to be read, and to be said in the server's place. */
import { keepSockets } from './in-page.mjs';

/**
 * @typedef {import('./demo-page.mjs').DemoPage} DemoPage
 * @typedef {{ name: string, data: any }} Message
 */

/**
 * Keeps every message from the next page load on.
 * @param {DemoPage} person
 */
export async function watchSocket(person) {
  await person.page.evaluateOnNewDocument(keepSockets);
}

/**
 * What the page has asked the server, the oldest first.
 * @param {DemoPage} person after `watchSocket`
 * @param {string} name
 * @returns {Promise<any[]>} the payloads
 */
export function asked(person, name) {
  return messages(person, 'sent', name);
}

/**
 * What the server has told the page, the oldest first.
 * @param {DemoPage} person after `watchSocket`
 * @param {string} name
 * @returns {Promise<any[]>} the payloads
 */
export function told(person, name) {
  return messages(person, 'received', name);
}

/**
 * Lets the page be told something as if the server said it. From then on the server's own events of that name do not reach
 * the page.
 * @param {DemoPage} person after `watchSocket`
 * @param {string} name
 * @param {object} data
 */
export async function tell(person, name, data) {
  const frame = `${EVENT},${JSON.stringify([name, data])}`;
  await person.page.evaluate(
    ([event, text]) => Reflect.get(window, '__socket').tell(event, text),
    [name, frame],
  );
}

/**
 * The consumers that the server has made for the page, the oldest first.
 * @param {DemoPage} person after `watchSocket`
 * @returns {Promise<{ id: string, userId: string, appData: { source: string } }[]>}
 */
export async function consumers(person) {
  const answers = await parsed(person, 'received', ANSWER);
  return answers.flatMap(([answer]) => answer.data?.consumers ?? []);
}

/**
 * @param {DemoPage} person
 * @param {'sent' | 'received'} direction
 * @param {string} name
 */
async function messages(person, direction, name) {
  const all = await parsed(person, direction, EVENT);
  return all.filter(([event]) => event === name).map(([, data]) => data);
}

/**
 * @param {DemoPage} person
 * @param {'sent' | 'received'} direction
 * @param {string} kind
 * @returns {Promise<any[][]>}
 */
async function parsed(person, direction, kind) {
  /** @type {string[]} */
  const frames = await person.page.evaluate(
    (which) => Reflect.get(window, '__socket')[which],
    direction,
  );
  return frames
    .filter((frame) => frame.startsWith(kind))
    .map((frame) => JSON.parse(frame.slice(frame.indexOf('['))));
}

/** Packets of Socket.IO in the server's namespace. */
const EVENT = '42/calls';
const ANSWER = '43/calls';
