// @ts-check
/** A call of browsers through the server, with one of them behind a link. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findChromium, launchChromium } from '../support/browsers.mjs';
import { DemoPage } from '../support/demo-page.mjs';
import { startCallOf } from '../support/people.mjs';
import { startServer } from '../support/server.mjs';
import { keepConnections, leaveSoundAlone, pretendDenseScreen, readCounters } from './in-page.mjs';
import { Link, NEAR } from './link.mjs';

/**
 * @typedef {import('puppeteer-core').Page} Page
 * @typedef {import('./scenarios.mjs').Scenario} Scenario
 *
 * @typedef {object} Moment what the browsers have counted up to now
 * @property {number} at in ms
 * @property {any[]} received by the subscriber
 * @property {any[][]} sent by each publisher
 *
 * @typedef {object} Recording of a call, second by second
 * @property {Moment[]} moments
 * @property {import('./link.mjs').Links[]} seconds
 * @property {import('./link.mjs').Links} link
 */

/**
 * Runs a call and records it. The link is limited from the moment when the subscriber joins.
 * @param {Scenario} scenario
 * @param {{ adaptation: boolean, folder: string }} how `folder` holds the footage
 * @returns {Promise<Recording>}
 */
export async function record(scenario, { adaptation, folder }) {
  /** @type {(() => unknown)[]} */
  const closing = [];
  try {
    const link = await Link.open(scenario);
    closing.push(() => link.close());
    const server = await startServer({ MEDIA_HOST: NEAR, MEDIA_ADAPTATION: String(adaptation) });
    closing.push(() => server.close());
    const door = await openDoor(Number(server.settings.PORT));
    closing.push(() => door.close());
    const near = await launchChromium(browserOptions(folder));
    closing.push(() => near.close());
    const executablePath = farChromium(link, folder);
    const far = await launchChromium({ ...browserOptions(folder), executablePath });
    closing.push(() => far.close());

    const { publishers, subscriber } = await call(scenario, { server, near, far, link });
    const moments = [];
    for (let second = 0; second <= scenario.seconds; second += 1) {
      await nextSecond();
      const sent = await Promise.all(publishers.map((page) => page.evaluate(readCounters)));
      const at = performance.now();
      moments.push({ at, received: await subscriber.evaluate(readCounters), sent });
    }
    return { moments, seconds: link.seconds, link: await link.finish() };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/**
 * @param {Scenario} scenario
 * @param {{ server: import('../support/server.mjs').Server, near: import('puppeteer-core').Browser, far: import('puppeteer-core').Browser, link: Link }} world
 */
async function call(scenario, { server, near, far, link }) {
  const names = ['Sue', 'Pat', 'Pete'].slice(0, 1 + scenario.publishers);
  const { people, call } = await startCallOf(server, names);
  const address = `http://localhost:${server.settings.PORT}/call/${call.id}`;
  const [viewer, ...others] = people;
  const publishers = [];
  for (const { name } of others) {
    const demo = await open(near, address, name, [leaveSoundAlone]);
    await demo.join();
    publishers.push(demo.page);
  }
  const demo = await open(far, address, viewer.name, [pretendDenseScreen]);
  await demo.click('preview-camera');
  await demo.click('preview-mic');
  link.limit();
  await demo.join();
  return { publishers, subscriber: demo.page };
}

/**
 * Lets the far namespace reach the page and the signaling. The server itself listens on loopback, where people may sign
 * in by name and pages may use cameras.
 * @param {number} port
 */
async function openDoor(port) {
  const door = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    socket.pipe(server).pipe(socket);
    for (const end of [socket, server]) {
      end.on('error', () => {
        socket.destroy();
        server.destroy();
      });
    }
  });
  door.listen(port, NEAR);
  await once(door, 'listening');
  return door;
}

/**
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} address
 * @param {string} name
 * @param {(() => void)[]} preparations
 */
async function open(browser, address, name, preparations) {
  const context = await browser.createBrowserContext();
  const demo = new DemoPage(await context.newPage({ type: 'window' }), name);
  for (const prepare of [keepConnections, ...preparations]) {
    await demo.page.evaluateOnNewDocument(prepare);
  }
  await demo.page.goto(address);
  await demo.signIn();
  return demo;
}

/**
 * @param {string} folder
 */
function browserOptions(folder) {
  return {
    // A port of its own for debugging could not be reached in the far namespace.
    pipe: true,
    defaultViewport: { width: 480, height: 360 },
    args: [
      // Else Chromium sends pictures of this size in two layers.
      '--force-fieldtrials=WebRTC-LegacySimulcastLayerLimit/Disabled/',
      // The server and the page believe that the far browser is on this machine.
      `--host-resolver-rules=MAP localhost ${NEAR}`,
      `--use-file-for-fake-video-capture=${join(folder, 'camera.y4m')}`,
      `--use-file-for-fake-audio-capture=${join(folder, 'microphone.wav')}`,
    ],
  };
}

/**
 * A program that is Chromium in the far namespace.
 * @param {Link} link
 * @param {string} folder
 */
function farChromium(link, folder) {
  const path = join(folder, 'far-chromium');
  const command = [...link.far, findChromium()].map((word) => `'${word}'`).join(' ');
  writeFileSync(path, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  return path;
}

/** Until the clock shows the next whole second: so what a look at the counters takes does not add up. */
function nextSecond() {
  return pause(1000 - (performance.now() % 1000));
}
