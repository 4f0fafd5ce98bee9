// @ts-check
import assert from 'node:assert/strict';
import { Device } from 'mediasoup-client';
import { Signaling } from './signaling.mjs';
import { until } from './until.mjs';
import { Ears, Eyes } from './wrtc.mjs';

/**
 * @typedef {import('./people.mjs').Person} Person
 * @typedef {'mic' | 'camera' | 'screen' | 'screen-audio'} Source
 * @typedef {import('mediasoup-client').types.Transport} Transport
 * @typedef {import('mediasoup-client').types.Consumer} Consumer
 *
 * @typedef {object} Received a track of somebody else
 * @property {string} userId
 * @property {string} legId
 * @property {Source} source
 * @property {Consumer} consumer
 * @property {Eyes | Ears} senses
 */

/** One device in a call, put together as an app would: socket.io-client and mediasoup-client, unmodified. */
export class Peer {
  /** @type {Map<string, Received>} by producer */
  #received = new Map();
  /** @type {Promise<void>} */
  #consuming = Promise.resolve();

  /**
   * @param {Signaling} signaling
   * @param {Device} device
   * @param {any} joined what the server answered to call:join
   */
  constructor(signaling, device, joined) {
    this.signaling = signaling;
    this.device = device;
    this.callId = joined.callId;
    this.userId = joined.userId;
    this.legId = joined.legId;
    this.joined = joined;
    /** @type {Transport | undefined} */
    this.sendTransport = undefined;
    /** @type {Transport | undefined} */
    this.recvTransport = undefined;
  }

  /**
   * Joins in one round trip: transports and consumers come with the answer.
   * @param {Person} person
   * @param {{ id: string }} call
   * @param {{ device?: string, through?: (offered: any) => any }} [options] `through` leads the transports over another
   *   path
   */
  static async join(person, call, { device: deviceId, through = (offered) => offered } = {}) {
    const device = new Device({ handlerName: 'Chrome111' });
    const capabilities = await fetch(`${person.url}/rtp-capabilities`);
    await device.load({ routerRtpCapabilities: await capabilities.json() });
    const signaling = await Signaling.connect(person);
    const joined = await signaling.request('call:join', {
      callId: call.id,
      device: deviceId,
      rtpCapabilities: device.recvRtpCapabilities,
      media: { send: true, recv: true, consume: true },
    });
    const peer = new Peer(signaling, device, joined);
    peer.#adopt('send', through(joined.transports.send));
    peer.#adopt('recv', through(joined.transports.recv));
    await peer.#accept(joined.consumers);
    peer.#follow();
    return peer;
  }

  /**
   * Joins one step after another, as clients do that were written for other servers.
   * @param {Person} person
   * @param {{ id: string }} call
   */
  static async joinStepByStep(person, call) {
    const signaling = await Signaling.connect(person);
    const callId = call.id;
    const joined = await signaling.request('call:join', { callId });
    const device = new Device({ handlerName: 'Chrome111' });
    await device.load({ routerRtpCapabilities: joined.routerRtpCapabilities });
    const rtpCapabilities = device.recvRtpCapabilities;
    await signaling.request('media:set-rtp-capabilities', { callId, rtpCapabilities });
    const peer = new Peer(signaling, device, joined);
    for (const direction of /** @type {const} */ (['send', 'recv'])) {
      const offered = await signaling.request('media:create-transport', { callId, direction });
      peer.#adopt(direction, offered);
    }
    await peer.#consume(joined.producers.map((/** @type {any} */ { producerId }) => producerId));
    peer.#follow();
    return peer;
  }

  /**
   * @param {Source} source
   * @param {MediaStreamTrack} track
   * @param {Partial<import('mediasoup-client').types.ProducerOptions>} [options]
   */
  produce(source, track, options) {
    return this.#sending().produce({ track, stopTracks: false, appData: { source }, ...options });
  }

  /**
   * @param {Partial<import('mediasoup-client').types.DataProducerOptions>} [options]
   */
  produceData(options) {
    return this.#sending().produceData(options);
  }

  /**
   * Waits for the track of somebody else.
   * @param {{ userId: string }} from
   * @param {Source} source
   */
  receives(from, source) {
    return until(`${source} of ${from.userId} is received`, () => this.find(from, source));
  }

  /**
   * libwebrtc's own counters of a kind of track that comes in.
   * @param {'audio' | 'video'} kind
   */
  async incoming(kind) {
    const rows = [...((await this.recvTransport?.getStats())?.values() ?? [])];
    return rows.find(
      (row) => row.type === 'inbound-rtp' && row.kind === kind && row.packetsReceived > 0,
    );
  }

  /**
   * @param {{ userId: string }} from
   * @param {Source} [source]
   */
  async eyesOn(from, source = 'camera') {
    const { senses } = await this.receives(from, source);
    assert(senses instanceof Eyes, `${source} is no video`);
    return senses;
  }

  /**
   * @param {{ userId: string }} from
   * @param {Source} [source]
   */
  async earsOn(from, source = 'mic') {
    const { senses } = await this.receives(from, source);
    assert(senses instanceof Ears, `${source} is no audio`);
    return senses;
  }

  /**
   * @param {{ userId: string }} from
   * @param {Source} source
   */
  find({ userId }, source) {
    const all = [...this.#received.values()];
    return all.find((received) => received.userId === userId && received.source === source);
  }

  /** @param {string} dataProducerId */
  async consumeData(dataProducerId) {
    const transport = this.#receiving();
    const request = { transportId: transport.id, dataProducerId };
    return transport.consumeData(await this.signaling.request('media:consume-data', request));
  }

  /** @param {Transport | undefined} transport */
  async restartIce(transport) {
    if (!transport) throw new Error('no such transport');
    const request = { transportId: transport.id };
    await transport.restartIce(await this.signaling.request('media:restart-ice', request));
  }

  /** Stays a member of the call for the server, but is not there any more. */
  vanish() {
    this.signaling.vanish();
    this.#closeMedia();
  }

  async leave() {
    await this.signaling.request('call:leave', { callId: this.callId });
    this.close();
  }

  close() {
    this.signaling.close();
    this.#closeMedia();
  }

  #closeMedia() {
    for (const producerId of this.#received.keys()) this.#drop(producerId);
    this.sendTransport?.close();
    this.recvTransport?.close();
  }

  /**
   * @param {'send' | 'recv'} direction
   * @param {import('mediasoup-client').types.TransportOptions} offered
   */
  #adopt(direction, offered) {
    const transport =
      direction === 'send'
        ? this.device.createSendTransport(offered)
        : this.device.createRecvTransport(offered);
    const transportId = transport.id;
    transport.on('connect', ({ dtlsParameters }, done, fail) => {
      const request = { transportId, dtlsParameters };
      this.signaling.request('media:connect-transport', request).then(done, fail);
    });
    transport.on('produce', ({ kind, rtpParameters, appData }, done, fail) => {
      const request = { transportId, kind, rtpParameters, appData };
      this.signaling.request('media:produce', request).then(done, fail);
    });
    transport.on('producedata', ({ sctpStreamParameters, label, protocol }, done, fail) => {
      const request = { transportId, sctpStreamParameters, label, protocol };
      this.signaling.request('media:produce-data', request).then(done, fail);
    });
    this[`${direction}Transport`] = transport;
  }

  /** From here on, takes what others begin to send and drops what they stop to send. */
  #follow() {
    const { socket, events } = this.signaling;
    const begin = (/** @type {{ producerId: string, legId: string }} */ { producerId, legId }) => {
      if (legId === this.legId) return;
      this.#consuming = this.#consuming
        .then(() => this.#consume([producerId]))
        .catch((error) => {
          if (socket.connected) throw error;
        });
    };
    const end = (/** @type {{ producerId: string }} */ { producerId }) => this.#drop(producerId);
    for (const { name, payload } of events) if (name === 'media:new-producer') begin(payload);
    socket.on('media:new-producer', begin);
    socket.on('media:producer-closed', end);
    socket.on('media:consumer-closed', end);
  }

  /** @param {string[]} producerIds */
  async #consume(producerIds) {
    const fresh = producerIds.filter((producerId) => !this.#received.has(producerId));
    if (fresh.length === 0) return;
    const request = { transportId: this.#receiving().id, producerIds: fresh };
    const { consumers } = await this.signaling.request('media:consume', request);
    await this.#accept(consumers);
  }

  /** @param {any[]} consumers */
  async #accept(consumers) {
    for (const { id, producerId, kind, rtpParameters, streamId, ...whose } of consumers) {
      const offered = { id, producerId, kind, rtpParameters, streamId };
      const consumer = await this.#receiving().consume(offered);
      const senses = kind === 'video' ? new Eyes(consumer.track) : new Ears(consumer.track);
      const { userId, legId, appData } = whose;
      this.#received.set(producerId, { userId, legId, source: appData.source, consumer, senses });
    }
    if (consumers.length === 0) return;
    const consumerIds = consumers.map(({ id }) => id);
    await this.signaling.request('media:resume-consumer', { consumerIds });
  }

  /** @param {string} producerId */
  #drop(producerId) {
    const received = this.#received.get(producerId);
    if (!received) return;
    this.#received.delete(producerId);
    received.senses.close();
    received.consumer.close();
  }

  #sending() {
    if (!this.sendTransport) throw new Error('joined without a transport to send on');
    return this.sendTransport;
  }

  #receiving() {
    if (!this.recvTransport) throw new Error('joined without a transport to receive on');
    return this.recvTransport;
  }
}
