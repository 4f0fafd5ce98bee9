// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { untilPadded } from './support/padding.mjs';
import { Peer } from './support/peer.mjs';
import { startCallOf } from './support/people.mjs';
import { startServer } from './support/server.mjs';
import { until } from './support/until.mjs';
import { Camera, Microphone, SIMULCAST } from './support/wrtc.mjs';

const fixture = serverForThisFile();
const { use } = fixture;

test('two people hear and see each other', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const alice = use(await Peer.join(people[0], call));
  const bob = use(await Peer.join(people[1], call));
  const cameras = [use(new Camera({ hue: 60 })), use(new Camera({ hue: 200 }))];
  const mics = [use(new Microphone({ hertz: 440 })), use(new Microphone({ hertz: 700 }))];

  await alice.produce('mic', mics[0].track);
  await alice.produce('camera', cameras[0].track);
  await bob.produce('mic', mics[1].track);
  await bob.produce('camera', cameras[1].track);

  await (await bob.eyesOn(alice)).see(cameras[0]);
  await (await alice.eyesOn(bob)).see(cameras[1]);
  await (await bob.earsOn(alice)).hear(mics[0]);
  await (await alice.earsOn(bob)).hear(mics[1]);
});

test('three people in simulcast, one of them joining step by step', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Ada', 'Ben', 'Cleo']);
  const peers = [
    use(await Peer.join(people[0], call)),
    use(await Peer.joinStepByStep(people[1], call)),
    use(await Peer.join(people[2], call)),
  ];
  const cameras = [40, 130, 220].map((hue) => use(new Camera({ hue, ...SIMULCAST_PICTURE })));
  const mics = [400, 600, 900].map((hertz) => use(new Microphone({ hertz })));
  for (const [index, peer] of peers.entries()) {
    await peer.produce('mic', mics[index].track);
    await peer.produce('camera', cameras[index].track, SIMULCAST);
  }

  for (const viewer of peers) {
    for (const [index, sender] of peers.entries()) {
      if (sender === viewer) continue;
      await (await viewer.eyesOn(sender)).see(cameras[index]);
      await (await viewer.earsOn(sender)).hear(mics[index]);
    }
  }
  const record = await people[0].call(call.id);
  assert.equal(record.status, 'active');
  assert.deepEqual(new Set(record.participants), new Set(people.map(({ id }) => id)));
});

test('pictures are decoded whose packets were padded to leave in one send', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alba', 'Bela']);
  const alba = use(await Peer.join(people[0], call));
  const bela = use(await Peer.join(people[1], call));
  const camera = use(new Camera({ hue: 110, grain: true }));
  await alba.produce('camera', camera.track, { codecOptions: { videoGoogleStartBitrate: 1500 } });
  const eyes = await bela.eyesOn(alba);
  await untilPadded('Bela', () => bela.incoming('video'));
  await eyes.see(camera, { frames: 30 });
});

test('whoever joins late sees at once what the others send', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alva', 'Bert']);
  const alva = use(await Peer.join(people[0], call));
  const camera = use(new Camera({ hue: 80 }));
  const mic = use(new Microphone());
  await alva.produce('camera', camera.track);
  await alva.produce('mic', mic.track);
  const joining = performance.now();

  const bert = use(await Peer.join(people[1], call));
  assert.equal(bert.joined.consumers.length, 2, 'consumers come with the answer to the join');
  await (await bert.eyesOn(alva)).see(camera, { frames: 1, seconds: 5 });
  const waited = performance.now() - joining;
  assert(waited < 3000, `the first picture took ${Math.round(waited)} ms`);
  await (await bert.earsOn(alva)).hear(mic);
});

test('a paused producer is silent until it is resumed', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Anna', 'Boris']);
  const anna = use(await Peer.join(people[0], call));
  const boris = use(await Peer.join(people[1], call));
  const mic = use(new Microphone());
  const producer = await anna.produce('mic', mic.track);
  const ears = await boris.earsOn(anna);
  await ears.hear(mic);

  producer.pause();
  const request = { producerId: producer.id };
  await anna.signaling.request('media:pause-producer', request);
  const paused = await boris.signaling.heard('media:producer-paused');
  assert.equal(paused.producerId, producer.id);
  assert.equal(paused.userId, anna.userId);
  await ears.hearNothing();

  producer.resume();
  await anna.signaling.request('media:resume-producer', request);
  await boris.signaling.heard(
    'media:producer-resumed',
    (event) => event.producerId === producer.id,
  );
  await ears.hear(mic);
});

test('a paused consumer gets nothing, whatever the producer does', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Arne', 'Britt']);
  const arne = use(await Peer.join(people[0], call));
  const britt = use(await Peer.join(people[1], call));
  const camera = use(new Camera({ hue: 180 }));
  await arne.produce('camera', camera.track);
  const eyes = await britt.eyesOn(arne);
  await eyes.see(camera);

  const { consumer } = await britt.receives(arne, 'camera');
  await britt.signaling.request('media:pause-consumer', { consumerId: consumer.id });
  await eyes.seeNothingNew();

  await britt.signaling.request('media:resume-consumer', { consumerId: consumer.id });
  await eyes.see(camera);
});

test('a viewer gets the layer that it prefers', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Astrid', 'Bruno']);
  const astrid = use(await Peer.join(people[0], call));
  const bruno = use(await Peer.join(people[1], call));
  const camera = use(new Camera({ hue: 100, ...SIMULCAST_PICTURE }));
  await astrid.produce('camera', camera.track, SIMULCAST);
  const eyes = await bruno.eyesOn(astrid);
  const { consumer } = await bruno.receives(astrid, 'camera');
  const full = SIMULCAST_PICTURE.width;
  await eyes.see(camera, { width: full, seconds: 30 });

  for (const [spatialLayer, width] of [
    [0, full / 4],
    [1, full / 2],
    [2, full],
  ]) {
    const request = { consumerId: consumer.id, spatialLayer };
    await bruno.signaling.request('media:set-preferred-layers', request);
    await bruno.signaling.heard(
      'media:consumer-layers',
      (layers) => layers.consumerId === consumer.id && layers.spatialLayer === spatialLayer,
    );
    await eyes.see(camera, { width });
  }
});

test('a reload comes back as the same device and takes over from its old leg', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Agnes', 'Bjorn']);
  const agnes = use(await Peer.join(people[0], call, { device: 'laptop' }));
  const bjorn = use(await Peer.join(people[1], call));
  const camera = use(new Camera({ hue: 150 }));
  const gone = await agnes.produce('camera', camera.track);
  await (await bjorn.eyesOn(agnes)).see(camera);

  agnes.vanish();
  const again = use(await Peer.join(people[0], call, { device: 'laptop' }));
  assert.notEqual(again.legId, agnes.legId);
  const closed = await bjorn.signaling.heard('media:producer-closed');
  assert.equal(closed.producerId, gone.id);
  await again.produce('camera', camera.track);
  await (await bjorn.eyesOn(again)).see(camera);
  assert.equal(bjorn.signaling.heardSoFar('participant-left'), undefined);

  const { items: legs } = await people[0].ask('GET', `/calls/${call.id}/legs`);
  const old = legs.find((/** @type {any} */ leg) => leg.id === agnes.legId);
  assert.equal(old.reason, 'replaced');
});

test('a data channel echoes text and bytes in order', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Amir', 'Bea']);
  const amir = use(await Peer.join(people[0], call));
  const bea = use(await Peer.join(people[1], call));
  const asking = await amir.produceData({ label: 'ask', protocol: 'echo', ordered: true });
  const { dataProducerId } = await bea.signaling.heard('media:new-data-producer');
  assert.equal(dataProducerId, asking.id);
  const asked = await bea.consumeData(dataProducerId);
  assert.equal(asked.label, 'ask');
  assert.equal(asked.protocol, 'echo');
  const answering = await bea.produceData({ label: 'answer', ordered: true });
  const answer = await amir.signaling.heard('media:new-data-producer');
  const answered = await amir.consumeData(answer.dataProducerId);
  asked.on('message', (message) => answering.send(message));
  /** @type {unknown[]} */
  const echoes = [];
  answered.on('message', (message) => {
    echoes.push(typeof message === 'string' ? message : new Uint8Array(message).length);
  });

  await Promise.all([asking, asked, answering, answered].map(opened));
  asking.send('hello');
  asking.send('');
  asking.send(new Uint8Array(60_000));
  asking.send('bye');
  await until(
    () => `every echo is back: ${JSON.stringify(echoes)}`,
    () => echoes.length === 4,
  );
  assert.deepEqual(echoes, ['hello', '', 60_000, 'bye']);
});

test('a data channel closes at both ends, used or not, whoever closes it first', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Ada', 'Bo']);
  const ada = use(await Peer.join(people[0], call));
  const bo = use(await Peer.join(people[1], call));
  /** @type {{ what: string, channel: RTCDataChannel }[]}
   */
  const closing = [];
  /** @param {string} event @param {string} id */
  const closeAtServer = (event, id) => ada.signaling.request(event, { id });
  for (const used of [false, true]) {
    for (const first of ['server', 'client']) {
      const producer = await ada.produceData({ ordered: true });
      await opened(producer);
      closing.push({
        what: `${used ? 'used' : 'unused'}, ${first} first`,
        channel: channelOf(producer),
      });
      if (used) {
        const read = await bo.consumeData(producer.id);
        const heard = new Promise((done) => read.once('message', done));
        await opened(read);
        producer.send('hello');
        await heard;
      }
      if (first === 'server') await closeAtServer('media:close-data-producer', producer.id);
      producer.close();
      if (first === 'client')
        await closeAtServer('media:close-data-producer', producer.id).catch(() => {});
    }
  }
  const producer = await ada.produceData({ ordered: true });
  const consumer = await bo.consumeData(producer.id);
  await opened(consumer);
  closing.push({ what: 'a consumer', channel: channelOf(consumer) });
  await bo.signaling.request('media:close-data-consumer', { id: consumer.id });
  consumer.close();
  await until(
    () =>
      `every channel is closed: ${closing.map(({ what, channel }) => `${what} ${channel.readyState}`)}`,
    () => closing.every(({ channel }) => channel.readyState === 'closed'),
  );
});

test('pictures go on through an ICE restart', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alma', 'Bo']);
  const alma = use(await Peer.join(people[0], call));
  const bo = use(await Peer.join(people[1], call));
  const camera = use(new Camera({ hue: 70 }));
  await alma.produce('camera', camera.track);
  const eyes = await bo.eyesOn(alma);
  await eyes.see(camera);

  await alma.restartIce(alma.sendTransport);
  await bo.restartIce(bo.recvTransport);
  await eyes.see(camera, { frames: 30 });
  assert.equal(alma.sendTransport?.connectionState, 'connected');
  assert.equal(bo.recvTransport?.connectionState, 'connected');
});

test('whoever makes sound is told to be the active speaker', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Alf', 'Birgit']);
  const alf = use(await Peer.join(people[0], call));
  const birgit = use(await Peer.join(people[1], call));
  const producer = await alf.produce('mic', use(new Microphone()).track);

  const { levels } = await birgit.signaling.heard('media:audio-levels', isLoud);
  assert.equal(levels[0].producerId, producer.id);
  assert.equal(levels[0].userId, alf.userId);
  const speaker = await birgit.signaling.heard('media:active-speaker', ({ userId }) => userId);
  assert.deepEqual(speaker, { callId: call.id, userId: alf.userId, producerId: producer.id });
});

test('media flows over IPv6', async () => {
  const server = use(await startServer({ HOST: '::1', MEDIA_HOST: '::1' }));
  const { people, call } = await startCallOf(server, ['Arthur', 'Blanche']);
  const arthur = use(await Peer.join(people[0], call));
  const blanche = use(await Peer.join(people[1], call));
  assert.deepEqual(
    arthur.joined.transports.send.iceCandidates.map((/** @type {any} */ { address }) => address),
    ['::1'],
  );
  const camera = use(new Camera({ hue: 210 }));
  await arthur.produce('camera', camera.track);
  await (await blanche.eyesOn(arthur)).see(camera);
});

test('whoever leaves is gone for the others, and the last one ends the call', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Aino', 'Bela']);
  const aino = use(await Peer.join(people[0], call));
  const bela = use(await Peer.join(people[1], call));
  const mic = use(new Microphone());
  const producer = await bela.produce('mic', mic.track);
  await (await aino.earsOn(bela)).hear(mic);

  await bela.leave();
  const left = await aino.signaling.heard('participant-left');
  assert.equal(left.userId, bela.userId);
  assert.equal(left.reason, 'left');
  assert.deepEqual(left.participants, [aino.userId]);
  await aino.signaling.heard('media:producer-closed', (event) => event.producerId === producer.id);

  await aino.signaling.request('call:leave', { callId: call.id });
  const ended = await aino.signaling.heard('call:ended');
  assert.equal(ended.reason, 'last-left');
  assert.equal((await people[0].call(call.id)).status, 'ended');
});

test('the caller ends the call for everyone', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Abel', 'Bibi']);
  const abel = use(await Peer.join(people[0], call));
  const bibi = use(await Peer.join(people[1], call));

  await assert.rejects(bibi.signaling.request('call:end', { callId: call.id }), {
    code: 'forbidden',
  });
  const { call: over } = await abel.signaling.request('call:end', { callId: call.id });
  assert.equal(over.status, 'ended');
  const ended = await bibi.signaling.heard('call:ended');
  assert.equal(ended.reason, 'normal');
  await assert.rejects(bibi.signaling.request('call:join', { callId: call.id }), {
    code: 'call_ended',
  });
});

/** @param {{ levels: { dBov: number }[] }} event */
function isLoud({ levels }) {
  return levels.some(({ dBov }) => dBov > -40 && dBov <= 0);
}

/** @param {import('mediasoup-client').types.DataProducer | import('mediasoup-client').types.DataConsumer} channel */
function opened(channel) {
  return until(`${channel.label} opens`, () => channel.readyState === 'open');
}

/**
 * The browser's own channel, which goes on closing after mediasoup-client has forgotten it.
 * @param {import('mediasoup-client').types.DataProducer | import('mediasoup-client').types.DataConsumer} channel
 * @returns {RTCDataChannel}
 */
function channelOf(channel) {
  return Reflect.get(channel, '_dataChannel');
}

/** Large enough for libwebrtc to send all three layers. */
const SIMULCAST_PICTURE = { width: 960, height: 540, fps: 12 };
