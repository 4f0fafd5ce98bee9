// @ts-check
/** Another WebRTC stack in the call: aiortc, driven by pymediasoup and python-socketio. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AiortcPeer } from './support/aiortc.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { Peer } from './support/peer.mjs';
import { startCallOf } from './support/people.mjs';
import { Camera, Microphone } from './support/wrtc.mjs';

const fixture = serverForThisFile();
const { use } = fixture;

test('aiortc, DTLS server with sha-512 and without transport-wide feedback, is heard and seen', async () => {
  const { python } = await callWithAiortc();
  const sending = await python.told('connecting', ({ direction }) => direction === 'send');
  assert.equal(sending.role, 'server');
  assert.deepEqual(sending.fingerprints, ['sha-512']);
  const video = await python.told('producing', ({ kind }) => kind === 'video');
  assert(!video.extensions.some((/** @type {string} */ uri) => uri.includes('transport-wide-cc')));
  await profileIs(python, 'SRTP_AEAD_AES_128_GCM');
});

test('a peer that knows AES_CM only is heard and seen, and hears and sees', async () => {
  const { python } = await callWithAiortc({ onlyAesCm: true });
  await profileIs(python, 'SRTP_AES128_CM_SHA1_80');
});

/**
 * A call of a peer on libwebrtc and one on aiortc, in which each hears and sees the other.
 * @param {{ onlyAesCm?: boolean }} [options]
 */
async function callWithAiortc(options) {
  const { people, call } = await startCallOf(fixture.server, ['Ada', 'Guido']);
  const ada = use(await Peer.join(people[0], call));
  const camera = use(new Camera({ hue: 200 }));
  const microphone = use(new Microphone({ hertz: 600 }));
  await ada.produce('camera', camera.track);
  await ada.produce('mic', microphone.track);

  const python = use(new AiortcPeer(people[1], call, { hue: 60, hertz: 400, ...options }));
  await (await ada.eyesOn(python)).see(python);
  await (await ada.earsOn(python)).hear(python);
  await python.sees(ada, camera);
  await python.hears(ada, microphone);
  return { ada, python };
}

/**
 * Both transports are protected by this profile: the one where aiortc is the DTLS server, and the other.
 * @param {AiortcPeer} python
 * @param {string} profile
 */
async function profileIs(python, profile) {
  for (const direction of ['send', 'recv']) {
    const told = await python.told('protected', (event) => event.direction === direction);
    assert.equal(told.profile, profile, direction);
  }
}
