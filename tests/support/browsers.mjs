// @ts-check
import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { launch } from 'puppeteer-core';

/** Of the made-up cameras of Chromium. */
export const CAMERA_FRAMES_PER_SECOND = 15;

/**
 * Chromium with made-up cameras and microphones, and a screen that is shared without asking.
 * @param {{ devices?: number } & import('puppeteer-core').LaunchOptions} [how] the number of cameras, and what is to be
 *   different: `args` are added to those that every test needs
 */
export function launchChromium({ devices = 1, args = [], ...options } = {}) {
  return launch({
    browser: 'chrome',
    executablePath: findChromium(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      `--use-fake-device-for-media-stream=fps=${CAMERA_FRAMES_PER_SECOND},display-media-type=monitor,device-count=${devices}`,
      '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
      // The server listens on loopback only, in IPv6 as well.
      '--allow-loopback-in-peer-connection',
      // Everybody in a test is looked at, though only one window can be in front.
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
      ...args,
    ],
    defaultViewport: VIEWPORT,
    ...options,
  });
}

export function findChromium() {
  return find('chromium', 'chromium-browser', 'google-chrome');
}

/** Firefox with a made-up camera and microphone. */
export function launchFirefox() {
  return launch({
    browser: 'firefox',
    executablePath: find('firefox-esr', 'firefox'),
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      // Granted for good: Firefox shows loopback addresses only to pages that it trusts with a camera.
      'permissions.default.camera': 1,
      'permissions.default.microphone': 1,
      'media.autoplay.default': 0,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.peerconnection.ice.loopback': true,
    },
    defaultViewport: VIEWPORT,
  });
}

/** @param {...string} names */
function find(...names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      if (isExecutable(path)) return path;
    }
  }
  assert.fail(`${names[0]} is not installed: run tests/install`);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const VIEWPORT = { width: 1000, height: 640 };
