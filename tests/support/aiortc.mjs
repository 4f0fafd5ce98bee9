// @ts-check
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from './until.mjs';

/** Somebody whose device runs aiortc: `python/peer.py` in a process of its own. */
export class AiortcPeer {
  /**
   * @param {import('./people.mjs').Person} person
   * @param {{ id: string }} call
   * @param {{ hue: number, hertz: number, onlyAesCm?: boolean }} options
   */
  constructor({ id, url, token }, call, { hue, hertz, onlyAesCm = false }) {
    assert(existsSync(PYTHON), `${PYTHON} is not there: run make tests/.venv/installed`);
    this.userId = id;
    this.hue = hue;
    this.hertz = hertz;
    this.complaints = '';
    /** @type {any[]} */
    this.events = [];
    this.process = spawn(PYTHON, [
      join(import.meta.dirname, '../python/peer.py'),
      ...['--url', url, '--token', token, '--call', call.id],
      ...['--hue', String(hue), '--hertz', String(hertz)],
      ...(onlyAesCm ? ['--only-aes-cm'] : []),
    ]);
    this.process.stderr.setEncoding('utf8').on('data', (text) => {
      this.complaints += text;
    });
    createInterface(this.process.stdout).on('line', (line) => this.events.push(JSON.parse(line)));
  }

  /**
   * Waits for something the peer tells.
   * @param {string} name
   * @param {(event: any) => boolean} [fits]
   * @returns {Promise<any>}
   */
  told(name, fits = () => true) {
    return until(
      () => `${name} is told; so far: ${JSON.stringify(this.events)} ${this.complaints}`,
      () => this.events.findLast((event) => event.event === name && fits(event)),
      { seconds: 30 },
    );
  }

  /**
   * @param {{ userId: string }} from
   * @param {import('./wrtc.mjs').Camera} camera
   */
  sees({ userId }, camera) {
    return this.told(
      'seen',
      (seen) =>
        seen.userId === userId && seen.frames >= 20 && Math.abs(seen.hue - camera.hue) <= 12,
    );
  }

  /**
   * @param {{ userId: string }} from
   * @param {import('./wrtc.mjs').Microphone} microphone
   */
  hears({ userId }, { hertz }) {
    return this.told(
      'heard',
      (heard) => heard.userId === userId && Math.abs(heard.hertz - hertz) < hertz / 10,
    );
  }

  close() {
    this.process.kill();
  }
}

const PYTHON = join(import.meta.dirname, '../.venv/bin/python');
