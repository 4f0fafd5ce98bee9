// @ts-check
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { complainOfAlerts, offerDrawing, paintedPicture } from './in-page.mjs';
import { watchTracks } from './tracks.mjs';
import { lasting, until } from './until.mjs';

/**
 * @typedef {'mic' | 'camera' | 'screen' | 'screen-audio'} Source
 * @typedef {import('puppeteer-core').Browser} Browser
 * @typedef {import('puppeteer-core').Page} Page
 */

/** One person's window on the demo page, used as people use it: by what is on the screen. */
export class DemoPage {
  /**
   * @param {Page} page
   * @param {string} name
   */
  constructor(page, name) {
    this.page = page;
    this.name = name;
    /** @type {string[]} errors in the page, and errors that it shows */
    this.complaints = [];
    /** @type {RegExp[]} */
    this.expected = [];
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(message.text());
    });
  }

  /**
   * Opens an address in a window of its own.
   * @param {Browser} browser
   * @param {string} address
   * @param {string} name
   */
  static async open(browser, address, name) {
    const context = await browser.createBrowserContext();
    const demo = new DemoPage(await context.newPage({ type: 'window' }), name);
    await demo.page.evaluateOnNewDocument(complainOfAlerts);
    await watchTracks(demo.page);
    await demo.page.goto(address);
    return demo;
  }

  /**
   * Opens an address in a window of its own, and signs in there.
   * @param {Browser} browser
   * @param {string} address
   * @param {string} name
   */
  static async signIn(browser, address, name) {
    const demo = await DemoPage.open(browser, address, name);
    await demo.signIn();
    return demo;
  }

  async signIn() {
    await this.type('name-input', this.name);
    await this.click('sign-in');
    await this.until(`${this.name} is signed in`, () => this.userId());
  }

  /**
   * Waits, and keeps a picture of what was there instead.
   * @param {Parameters<typeof until>} wait
   */
  async until(...wait) {
    await until(...wait).catch(async (error) => {
      await this.screenshot(`failed-${this.name}`).catch(() => undefined);
      throw error;
    });
  }

  /** @param {string} testId */
  async click(testId) {
    await this.untilStill(testId);
    await this.#find(testId).click();
  }

  /**
   * @param {string} testId
   * @param {string} words
   */
  async type(testId, words) {
    await this.untilShown(testId);
    await this.#find(testId).fill(words);
  }

  /**
   * Picks an option of a list, and returns its value.
   * @param {string} testId
   * @param {number} index
   */
  async choose(testId, index) {
    const selector = `[data-testid="${testId}"]`;
    const value = await this.page.$eval(
      `${selector} option:nth-child(${index + 1})`,
      (option) => /** @type {HTMLOptionElement} */ (option).value,
    );
    await this.page.select(selector, value);
    return value;
  }

  /**
   * Whether a notice says something like this.
   * @param {RegExp} words
   */
  async said(words) {
    const notices = await this.page.$$eval('.notice', (all) => all.map((n) => n.textContent));
    return notices.some((text) => words.test(text ?? ''));
  }

  /** @param {RegExp} words */
  async untilSaid(words) {
    await this.until(`${this.name} is told ${words}`, () => this.said(words));
  }

  /**
   * Lets a complaint pass that a test brings about on purpose.
   * @param {RegExp} words
   */
  expectComplaint(words) {
    this.expected.push(words);
  }

  /** @param {string} testId */
  #find(testId) {
    // The library would wait for an animation frame, which a window that is not in front may never get.
    return this.page.locator(`[data-testid="${testId}"]`).setWaitForStableBoundingBox(false);
  }

  /** @param {string} testId */
  async untilStill(testId) {
    let last = '';
    await this.until(`${this.name} is shown ${testId}, and it stands still`, async () => {
      const element = await this.page.$(`[data-testid="${testId}"]`);
      const before = last;
      last = JSON.stringify(await element?.boundingBox()) ?? '';
      return last !== '' && last === before;
    });
  }

  /** @param {string} selector */
  async shows(selector) {
    return (await this.page.$(selector)) !== null;
  }

  /** @param {string} testId */
  async untilShown(testId) {
    await this.until(`${this.name} is shown ${testId}`, () =>
      this.shows(`[data-testid="${testId}"]`),
    );
  }

  /** @param {string} testId */
  isShown(testId) {
    return this.shows(`[data-testid="${testId}"]`);
  }

  /**
   * @param {string} testId
   * @param {RegExp} words
   */
  async untilReads(testId, words) {
    let text = '';
    await this.until(
      () => `${this.name} reads ${words}; what is there is: ${text}`,
      async () => {
        const element = await this.page.$(`[data-testid="${testId}"]`);
        text = (await element?.evaluate(({ textContent }) => textContent)) ?? '';
        return words.test(text);
      },
    );
  }

  /** @returns {Promise<string>} */
  async userId() {
    const { userId } = await this.state();
    return userId;
  }

  /** @returns {Promise<any>} where the page itself says it stands */
  state() {
    return this.page.evaluate(() => Reflect.get(window, '__switchyard').state());
  }

  /**
   * From the preview into the call.
   * @param {{ refused?: boolean }} [expected]
   */
  async join({ refused = false } = {}) {
    // The lists of devices come last, and move what is below them.
    await this.untilShown('device-audioinput');
    await this.click('join');
    if (!refused) await this.untilInCall();
  }

  /** Until media can flow both ways. */
  async untilInCall() {
    await this.until(
      `${this.name} is in the call`,
      async () => (await this.state()).phase === 'joined',
      { seconds: 30 },
    );
  }

  /**
   * Until a picture of somebody moves: new frames are decoded, and what is painted changes.
   * @param {DemoPage} other
   * @param {Source} [source]
   */
  async seesMoving(other, source = 'camera') {
    const userId = await other.userId();
    const selector = `[data-testid="tile-${userId}-${source}"] video`;
    const begin = await this.framesDecoded(userId, source);
    let frames = 0;
    const pictures = new Set();
    await this.until(
      () =>
        `${this.name} sees the ${source} of ${other.name} move; so far ${frames} frames were decoded ` +
        `and ${pictures.size} pictures painted; ${this.complaints.join('; ')}`,
      async () => {
        frames = (await this.framesDecoded(userId, source)) - begin;
        pictures.add(await this.page.$eval(selector, paintedPicture));
        return pictures.size > 4 && frames > 20;
      },
      { seconds: 45 },
    );
  }

  /**
   * Until the microphone of somebody sends nothing any more.
   * @param {DemoPage} other
   */
  async hearsNothingOf(other) {
    const userId = await other.userId();
    let packets = -1;
    await lasting(`${this.name} hears nothing of ${other.name}`, async () => {
      const before = packets;
      packets = (await this.incoming(userId, 'mic'))?.packetsReceived ?? 0;
      return packets === before;
    });
  }

  /**
   * Until the tile of somebody says that they are muted, or not.
   * @param {DemoPage} other
   * @param {boolean} muted
   */
  async seesMuted(other, muted) {
    const tile = `[data-testid="tile-${await other.userId()}-camera"][data-muted="${muted}"]`;
    await this.until(`${this.name} sees ${other.name} muted: ${muted}`, () => this.shows(tile));
  }

  /**
   * @param {string} userId
   * @param {Source} source
   */
  async framesDecoded(userId, source) {
    return (await this.incoming(userId, source))?.framesDecoded ?? 0;
  }

  /**
   * The browser's own counters of what comes in.
   * @param {string} userId
   * @param {Source} source
   * @returns {Promise<{ codec: string, bytesReceived: number, framesDecoded?: number, frameWidth?: number, headerBytesReceived?: number, packetsReceived: number } | undefined>}
   */
  async incoming(userId, source) {
    const all = await this.page.evaluate(() => Reflect.get(window, '__switchyard').incoming());
    return all.find((/** @type {any} */ row) => row.userId === userId && row.source === source);
  }

  /**
   * The browser's own counters of what goes out, one for each encoding.
   * @param {Source} source
   * @returns {Promise<{ codec: string, scalabilityMode?: string, rid?: string, framesEncoded?: number, frameWidth?: number, packetsSent: number }[]>}
   */
  async outgoing(source) {
    const all = await this.page.evaluate(() => Reflect.get(window, '__switchyard').outgoing());
    return all.filter((/** @type {any} */ row) => row.source === source);
  }

  restartIce() {
    return this.page.evaluate(() => Reflect.get(window, '__switchyard').restartIce());
  }

  /** Lets a moving drawing be shared instead of a screen, where there is no screen. */
  async drawInsteadOfScreen() {
    await this.page.evaluateOnNewDocument(offerDrawing);
    await this.page.evaluate(offerDrawing);
  }

  /** @param {string} title */
  async screenshot(title) {
    mkdirSync(ARTIFACTS, { recursive: true });
    await this.page.screenshot({ path: join(ARTIFACTS, `${title}.png`) });
  }

  /** Fails if anything ever went wrong in this window. */
  async close() {
    await this.page.browserContext().close();
    const unexpected = this.complaints.filter(
      (complaint) => !this.expected.some((words) => words.test(complaint)),
    );
    assert.deepEqual(unexpected, [], `what went wrong for ${this.name}`);
  }
}

const ARTIFACTS = join(import.meta.dirname, '../artifacts');
