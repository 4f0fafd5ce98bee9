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
  const fixture = {
    /** @type {import('./server.mjs').Server} */
    server: /** @type {any} */ (undefined),
    use: closedAfterEachTest(),
  };
  before(async () => {
    fixture.server = await startServer(settings);
  });
  after(() => fixture.server?.close());
  return fixture;
}

/** For what a test needs: it is closed when that test is over, the last thing first. */
export function closedAfterEachTest() {
  /** @type {Closable[]} */
  const used = [];
  afterEach(async () => {
    for (const thing of used.splice(0).reverse()) await thing.close();
  });
  return /** @template {Closable} Thing @param {Thing} thing */ (thing) => {
    used.push(thing);
    return thing;
  };
}
