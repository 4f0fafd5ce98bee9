// @ts-check
/** Bytes and parameters that no client in its right mind would send, beside a call that must not notice. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { Device } from 'mediasoup-client';
import { serverForThisFile } from './support/fixture.mjs';
import { Peer } from './support/peer.mjs';
import { startCallOf } from './support/people.mjs';
import { Random } from './support/random.mjs';
import { Signaling } from './support/signaling.mjs';
import { Camera } from './support/wrtc.mjs';

const fixture = serverForThisFile();
const { use } = fixture;

test('garbage on the media port disturbs nobody', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const alice = use(await Peer.join(people[0], call));
  const bob = use(await Peer.join(people[1], call));
  const camera = use(new Camera({ hue: 90 }));
  await alice.produce('camera', camera.track);
  const eyes = await bob.eyesOn(alice);
  await eyes.see(camera);

  const { port, address } = alice.joined.transports.send.iceCandidates[0];
  const stranger = createSocket('udp4');
  const random = new Random(7);
  for (let round = 0; round < 2000; round += 1) {
    const length = 1 + (random.next() % 1400);
    const datagram = Uint8Array.from({ length }, () => random.next());
    datagram.set(BEGINNINGS[round % BEGINNINGS.length].slice(0, length));
    await new Promise((resolve) => stranger.send(datagram, port, address, resolve));
  }
  stranger.close();
  await eyes.see(camera, { frames: 20 });
});

test('whoever answers with another certificate than announced does not get in', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Carol', 'Mallory']);
  const carol = use(await Peer.join(people[0], call));
  const signaling = use(await Signaling.connect(people[1]));
  const device = new Device({ handlerName: 'Chrome111' });
  const joined = await signaling.request('call:join', { callId: call.id, media: { send: true } });
  await device.load({ routerRtpCapabilities: joined.routerRtpCapabilities });
  const transport = device.createSendTransport(joined.transports.send);
  transport.on('connect', ({ dtlsParameters: { role } }, done, fail) => {
    const value = Array.from({ length: 32 }, () => 'AB').join(':');
    const dtlsParameters = { role, fingerprints: [{ algorithm: 'sha-256', value }] };
    const request = { transportId: transport.id, dtlsParameters };
    signaling.request('media:connect-transport', request).then(done, fail);
  });
  transport.on('produce', (request, done, fail) => {
    const { kind, rtpParameters, appData } = request;
    signaling
      .request('media:produce', { transportId: transport.id, kind, rtpParameters, appData })
      .then(done, fail);
  });
  const { track } = use(new Camera());
  await transport.produce({ track, appData: { source: 'camera' } });

  const state = await signaling.heard('media:transport-state', ({ dtls }) => dtls === 'failed');
  assert.equal(state.transportId, transport.id);
  const { senses } = await carol.receives({ userId: people[1].id }, 'camera');
  assert.match(senses.describe(), /so far 0 /);
  transport.close();
});

test('a transport is connected once, and to one certificate', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Dora']);
  const signaling = use(await Signaling.connect(people[0]));
  const joined = await signaling.request('call:join', { callId: call.id, media: { send: true } });
  const connect = (/** @type {string} */ byte) => {
    const value = Array.from({ length: 32 }, () => byte).join(':');
    const dtlsParameters = { role: 'client', fingerprints: [{ algorithm: 'sha-256', value }] };
    const transportId = joined.transports.send.id;
    return signaling.request('media:connect-transport', { transportId, dtlsParameters });
  };
  await connect('AB');
  await connect('AB');
  await assert.rejects(connect('CD'), { code: 'conflict' });
});

/** What makes a datagram look like STUN, DTLS, RTP, RTCP, TURN channel data, or nothing known (RFC 7983). */
const BEGINNINGS = [
  [0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42],
  [0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1],
  [0x16, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1],
  [0x17, 0xfe, 0xfd],
  [0x80, 96],
  [0x90, 111, 0, 1],
  [0x80, 200, 0, 6],
  [0x8f, 205, 0, 3],
  [0x40, 0x00],
  [0xff],
];
