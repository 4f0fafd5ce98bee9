// @ts-check
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * @typedef {{ p50: number, p95: number, p99: number, max: number }} Spread
 * @typedef {{ packets: number, bytes: number }} Sum
 * @typedef {{ sent: Sum, arrived: Sum, dropped: { queue: number, lost: number }, lateMs: Spread, queueMs: Spread }} Direction
 * @typedef {{ down: Direction, up: Direction }} Links
 */

/** The addresses of the two ends. Nothing is routed from there to elsewhere. */
export const NEAR = '10.77.0.1';
const FAR = '10.77.0.2';

/** The program that carries packets between this namespace and the far one. */
export class Link {
  /** @type {Links[]} by second */
  seconds = [];

  /** @param {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, import('node:stream').Readable, null>} child */
  constructor(child) {
    this.child = child;
    this.lines = createInterface({ input: child.stdout });
    this.ended = once(this.lines, 'close');
    /** @type {Links | undefined} */
    this.total = undefined;
    this.lines.on('line', (line) => {
      const { links, total } = JSON.parse(line);
      if (links) this.seconds.push(links);
      if (total) this.total = total;
    });
  }

  /**
   * A link with its delay only.
   * @param {import('./scenarios.mjs').Scenario} scenario
   */
  static async open({ down, up }) {
    const settings = { near: NEAR, far: FAR, seed: SEED, down, up };
    const [command, ...args] = [...PRIORITY, process.env.SWITCHYARD_LINK_BIN ?? ''];
    const child = spawn(command, [...args, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const link = new Link(child);
    await Promise.race([
      once(link.lines, 'line'),
      link.ended.then(() => assert.fail('the link ended at once')),
    ]);
    return link;
  }

  /** The command by which a program is started in the far namespace. */
  get far() {
    return ['nsenter', `--net=/proc/${this.child.pid}/ns/net`];
  }

  /** Lets the limits hold. */
  limit() {
    this.child.stdin.write('limit\n');
  }

  /** Ends the link, and returns what happened on it since its limits hold. */
  async finish() {
    this.child.stdin.end();
    await this.ended;
    assert(this.total, 'the link ended before it was told to');
    return this.total;
  }

  close() {
    this.child.kill();
  }
}

const SEED = 1;
/** Other processes must not keep the link waiting. Where this is not permitted, lateness shows whether they did. */
const SCHEDULING = ['chrt', '--fifo', '10'];
const PRIORITY =
  spawnSync(SCHEDULING[0], [...SCHEDULING.slice(1), 'true']).status === 0 ? SCHEDULING : [];
