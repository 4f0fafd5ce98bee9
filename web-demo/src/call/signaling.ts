import { io, type Socket } from 'socket.io-client';
import { ServerError } from '../api/server-error';
import type { Ack } from './signaling.gen';
import type { Events, Requests } from './wire';

export type SignalingStatus = 'connecting' | 'connected' | 'reconnecting' | 'refused';

export interface SignalingOptions {
  token: string;
  onStatus: (status: SignalingStatus) => void;
}

/** One signed-in connection to the server: typed requests that are always answered, and typed events. */
export class Signaling {
  readonly #socket: Socket;

  constructor({ token, onStatus }: SignalingOptions) {
    this.#socket = io('/calls', { auth: { token }, reconnectionDelayMax: RECONNECT_MAX_MS });
    onStatus('connecting');
    this.#socket.on('connect', () => onStatus('connected'));
    this.#socket.on('disconnect', (reason) => {
      onStatus('reconnecting');
      // Socket.IO does not reconnect by itself when the server was the one to hang up.
      if (reason === 'io server disconnect') this.#socket.connect();
    });
    this.#socket.on('connect_error', (error) => {
      if (this.#socket.active) return onStatus('reconnecting');
      if (error.message.startsWith('unauthorized')) return onStatus('refused');
      onStatus('reconnecting');
      setTimeout(() => this.#socket.connect(), RECONNECT_MAX_MS);
    });
  }

  /** Sends a request and returns what the server acknowledged; rejects with `ServerError`. */
  async request<Name extends keyof Requests>(
    name: Name,
    payload: Requests[Name]['request'],
  ): Promise<Requests[Name]['reply']> {
    // Socket.IO would keep the request and send it to a later session, where its ids mean nothing.
    if (!this.#socket.connected) throw ServerError.local('disconnected', 'Not connected.');
    const ack: Ack<Requests[Name]['reply']> = await this.#socket
      .timeout(REQUEST_TIMEOUT_MS)
      .emitWithAck(name, payload)
      .catch(() => {
        throw ServerError.local('timeout', `No answer to ${name}.`);
      });
    if (!ack.ok) throw new ServerError(ack.error.code, ack.error.message);
    return ack.data;
  }

  /** Listens to an event until the returned function is called. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    // Socket.IO's own map of listeners is untyped here; `Events` is what the server promises.
    const untyped = listener as (...payload: unknown[]) => void;
    this.#socket.on(name as string, untyped);
    return () => this.#socket.off(name as string, untyped);
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.disconnect();
  }
}

const REQUEST_TIMEOUT_MS = 10_000;
const RECONNECT_MAX_MS = 3_000;
