import type { Transport } from 'mediasoup-client/types';
import type { Signaling } from './signaling';
import type { IceServer } from './signaling.gen';

export interface TransportLinkEvents {
  /** STUN and TURN servers with credentials that are still good to make an allocation with. */
  iceServers: () => Promise<IceServer[]>;
  /** The connection state is another. */
  onChange: () => void;
  /** No restart helped. */
  onLost: () => void;
}

/**
 * Joins one transport to the signaling: passes its DTLS parameters on, and restarts ICE when its
 * path is lost. After `RETRY_DELAYS_MS` are used up it gives up and says so.
 */
export class TransportLink {
  readonly #transport: Transport;
  readonly #signaling: Signaling;
  readonly #events: TransportLinkEvents;
  #attempts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(transport: Transport, signaling: Signaling, events: TransportLinkEvents) {
    this.#transport = transport;
    this.#signaling = signaling;
    this.#events = events;
    transport.on('connect', ({ dtlsParameters }, done, fail) => {
      const request = { transportId: transport.id, dtlsParameters };
      signaling.request('media:connect-transport', request).then(() => done(), fail);
    });
    transport.on('connectionstatechange', (state) => {
      events.onChange();
      if (state === 'connected') this.#recovered();
      if (state === 'disconnected') this.#scheduleRestart(DISCONNECT_PATIENCE_MS);
      if (state === 'failed') this.#scheduleRestart(RETRY_DELAYS_MS[this.#attempts] ?? 0);
    });
  }

  async restartIce(): Promise<void> {
    await this.#renewIceServers();
    const transportId = this.#transport.id;
    const { iceParameters } = await this.#signaling.request('media:restart-ice', { transportId });
    if (!this.#transport.closed) await this.#transport.restartIce({ iceParameters });
  }

  /**
   * TURN credentials last an hour, and a restart makes new allocations. Where that fails (no answer,
   * or Firefox, which does not take them), the restart goes on with the old ones.
   */
  async #renewIceServers(): Promise<void> {
    try {
      await this.#transport.updateIceServers({ iceServers: await this.#events.iceServers() });
    } catch (error) {
      console.warn('The relay credentials stay as they are.', error);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#transport.close();
  }

  #scheduleRestart(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tryRestart(), delay);
  }

  #tryRestart(): void {
    if (this.#transport.closed || this.#transport.connectionState === 'connected') return;
    if (this.#attempts >= RETRY_DELAYS_MS.length) {
      this.#events.onLost();
      return;
    }
    this.#attempts += 1;
    this.restartIce().catch(() => this.#scheduleRestart(RETRY_DELAYS_MS[this.#attempts] ?? 0));
  }

  #recovered(): void {
    clearTimeout(this.#timer);
    this.#attempts = 0;
  }
}

/** A short loss often heals by itself. */
const DISCONNECT_PATIENCE_MS = 2_000;
const RETRY_DELAYS_MS = [0, 1_000, 3_000, 5_000];
