// @ts-check
import { after, afterEach, before } from 'node:test';
import { startServer } from './server.mjs';

/** @typedef {{ close(): void | Promise<void> }} Closable */

/**
 * Gives a test file a server of its own. What a test `use`s is closed when that test is over, the last
 * thing first.
 * @param {Record<string, string>} [settings]
 */
export function serverForThisFile(settings) {
  /** @type {Closable[]} */
  const used = [];
  const fixture = {
    /** @type {import('./server.mjs').Server} */
    server: /** @type {any} */ (undefined),
    /** @template {Closable} Thing @param {Thing} thing */
    use(thing) {
      used.push(thing);
      return thing;
    },
  };
  before(async () => {
    fixture.server = await startServer(settings);
  });
  afterEach(async () => {
    for (const thing of used.splice(0).reverse()) await thing.close();
  });
  after(() => fixture.server?.close());
  return fixture;
}
