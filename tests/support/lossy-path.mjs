// @ts-check
/** A network path between one client and the server that loses and delays packets, in real time. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** Each client address gets a socket of its own towards the server, as a NAT would do it. */
export class LossyPath {
  /** @type {Map<string, import('node:dgram').Socket>} by client */
  #beyond = new Map();
  #server = { address: '', port: 0 };
  #closed = false;
  /** How many packets of media came from clients, and how many of them were lost. */
  counts = { media: 0, lost: 0 };

  /**
   * @param {import('node:dgram').Socket} front where clients send to
   * @param {(ssrc: number) => boolean} loses whether the path loses a client's packet of media
   * @param {number} delayMs in each direction
   */
  constructor(front, loses, delayMs) {
    this.front = front;
    this.loses = loses;
    this.delayMs = delayMs;
    front.on('message', (packet, client) => this.#toServer(packet, client));
  }

  /**
   * @param {{ loses?: (ssrc: number) => boolean, delayMs?: number }} [how]
   */
  static async open({ loses = () => false, delayMs = 0 } = {}) {
    const front = createSocket('udp4').bind(0, '127.0.0.1');
    await once(front, 'listening');
    return new LossyPath(front, loses, delayMs);
  }

  /**
   * What the server offers for a transport, with this path in its place.
   * @param {any} offered
   */
  through(offered) {
    const candidate = offered.iceCandidates.find(
      (/** @type {any} */ { protocol, ip }) => protocol === 'udp' && ip === '127.0.0.1',
    );
    this.#server = { address: candidate.ip, port: candidate.port };
    const { port } = this.front.address();
    return { ...offered, iceCandidates: [{ ...candidate, port }] };
  }

  close() {
    this.#closed = true;
    this.front.close();
    for (const socket of this.#beyond.values()) socket.close();
    this.#beyond.clear();
  }

  /**
   * @param {Buffer} packet
   * @param {import('node:dgram').RemoteInfo} client
   */
  #toServer(packet, client) {
    if (isMedia(packet)) {
      this.counts.media += 1;
      if (this.loses(packet.readUInt32BE(8))) {
        this.counts.lost += 1;
        return;
      }
    }
    const { address, port } = this.#server;
    this.#later(() => this.#socketOf(client).send(packet, port, address));
  }

  /** @param {import('node:dgram').RemoteInfo} client */
  #socketOf({ address, port }) {
    const key = `${address}:${port}`;
    const known = this.#beyond.get(key);
    if (known) return known;
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    socket.on('message', (packet) => this.#later(() => this.front.send(packet, port, address)));
    this.#beyond.set(key, socket);
    return socket;
  }

  /** @param {() => void} send */
  #later(send) {
    if (this.delayMs === 0) send();
    else setTimeout(() => this.#closed || send(), this.delayMs);
  }
}

/**
 * RTP, and not RTCP, STUN or DTLS (RFC 7983, RFC 5761).
 * @param {Buffer} packet
 */
function isMedia(packet) {
  const isRtcp = packet[1] >= 192 && packet[1] <= 223;
  return packet[0] >= 128 && packet[0] <= 191 && !isRtcp;
}
