// @ts-check
/** Functions that are sent into the page and run there: they see nothing of what is around them here. */

/** Keeps every connection that the page makes, so that its counters can be read. */
export function keepConnections() {
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      connections.push(this);
    }
  };
  Reflect.set(window, '__connections', connections);
}

/** Sends the microphone as it is: a page's filters take steady sound for noise. */
export function leaveSoundAlone() {
  const { mediaDevices } = navigator;
  const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
  const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  mediaDevices.getUserMedia = ({ audio, ...rest } = {}) => {
    const asked = typeof audio === 'object' ? audio : {};
    return getUserMedia({ ...rest, ...(audio && { audio: { ...asked, ...raw } }) });
  };
}

/** A dense screen: the page asks for the largest pictures, though its window is small and quick to paint. */
export function pretendDenseScreen() {
  Object.defineProperty(window, 'devicePixelRatio', { value: 4 });
}

/**
 * The browser's counters of everything that comes in and goes out.
 * @returns {Promise<any[]>}
 */
export async function readCounters() {
  const rows = [];
  for (const connection of Reflect.get(window, '__connections')) {
    for (const row of (await connection.getStats()).values()) {
      if (row.type === 'inbound-rtp' || row.type === 'outbound-rtp') rows.push(row);
    }
  }
  return rows;
}
