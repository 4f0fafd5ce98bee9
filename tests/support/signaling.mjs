// @ts-check
import { io } from 'socket.io-client';
import { Refused } from './people.mjs';
import { until } from './until.mjs';

/** @typedef {import('./people.mjs').Person} Person */

/** A signed-in socket: requests that must be answered, and everything the server said. */
export class Signaling {
  /**
   * @param {string} url
   * @param {string | undefined} token
   * @param {Partial<import('socket.io-client').ManagerOptions & import('socket.io-client').SocketOptions>} [options]
   */
  constructor(url, token, options) {
    /** @type {{ name: string, payload: any }[]} */
    this.events = [];
    this.socket = io(`${url}/calls`, {
      auth: { token },
      forceNew: true,
      reconnection: false,
      ...options,
    });
    this.socket.onAny((name, payload) => this.events.push({ name, payload }));
  }

  /**
   * @param {Person} person
   * @param {ConstructorParameters<typeof Signaling>[2]} [options]
   */
  static async connect(person, options) {
    const signaling = new Signaling(person.url, person.token, options);
    await signaling.connected();
    return signaling;
  }

  /** @returns {Promise<void>} rejects with the `connect_error` of a socket that is not let in */
  connected() {
    return new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.once('connect_error', reject);
    });
  }

  /**
   * The data of the acknowledgement; rejects with `Refused` for `{ok: false}`, and when none comes.
   * @param {string} name
   * @param {any} payload
   * @returns {Promise<any>}
   */
  async request(name, payload) {
    const ack = await this.socket.timeout(ACK_MS).emitWithAck(name, payload);
    if (!ack.ok) throw new Refused(name, ack.error);
    return ack.data;
  }

  /**
   * Waits for an event, past or to come, and takes it out of `events`.
   * @param {string} name
   * @param {(payload: any) => boolean} [fits]
   * @param {{ seconds?: number }} [options] how long to wait
   * @returns {Promise<any>} its payload
   */
  async heard(name, fits = () => true, options = {}) {
    const event = await until(
      () => `${name} is heard; so far: ${JSON.stringify(this.events)}`,
      () => this.events.find((event) => event.name === name && fits(event.payload)),
      options,
    );
    this.events.splice(this.events.indexOf(event), 1);
    return event.payload;
  }

  /**
   * @param {string} name
   * @returns {any} the payload of an event of this name that nobody has taken yet
   */
  heardSoFar(name) {
    return this.events.find((event) => event.name === name)?.payload;
  }

  /** Goes without a word, as when a tab crashes. */
  vanish() {
    this.socket.io.engine.close();
  }

  close() {
    this.socket.disconnect();
  }
}

const ACK_MS = 10_000;
