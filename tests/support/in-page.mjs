// @ts-check
/** Functions that are sent into the page and run there: they see nothing of what is around them here. */

/**
 * What a video element shows right now, small.
 * @param {Element} element
 */
export function paintedPicture(element) {
  const canvas = document.createElement('canvas');
  canvas.width = 32;
  canvas.height = 18;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context?.drawImage(/** @type {HTMLVideoElement} */ (element), 0, 0, canvas.width, canvas.height);
  return context?.getImageData(0, 0, canvas.width, canvas.height).data.join();
}

/** Tells of every alert that is shown, however soon it goes away. */
export function complainOfAlerts() {
  new MutationObserver((changes) => {
    for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (node instanceof Element && node.matches('[role="alert"]')) {
        console.error(node.textContent);
      }
    }
  }).observe(document, { childList: true, subtree: true });
}

/** Gives the page a drawing when it asks for a screen. */
export function offerDrawing() {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = document.createElement('canvas');
    canvas.width = 640;
    canvas.height = 360;
    const context = canvas.getContext('2d');
    let step = 0;
    setInterval(() => {
      step += 1;
      if (!context) return;
      context.fillStyle = 'white';
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = 'navy';
      context.fillRect((step * 8) % canvas.width, 120, 120, 120);
    }, 66);
    return canvas.captureStream(15);
  };
}

/**
 * Keeps what the page sends, so that a test can count it, and lets no video have more than a bit rate.
 * @param {number | undefined} maxBitrate in bit/s
 */
export function keepSenders(maxBitrate) {
  /** @type {RTCRtpSender[]} */
  const senders = [];
  const { prototype } = RTCPeerConnection;
  const { addTransceiver } = prototype;
  prototype.addTransceiver = function (track, init) {
    const limited = init?.sendEncodings?.map((encoding) => ({
      ...encoding,
      maxBitrate: maxBitrate ?? encoding.maxBitrate,
    }));
    const transceiver = addTransceiver.call(this, track, { ...init, sendEncodings: limited });
    senders.push(transceiver.sender);
    return transceiver;
  };
  Reflect.set(window, '__senders', senders);
}

/** The bytes of all video that was sent, after `keepSenders`. */
export async function videoBytesSent() {
  let bytes = 0;
  for (const sender of Reflect.get(window, '__senders')) {
    for (const row of (await sender.getStats()).values()) {
      if (row.type === 'outbound-rtp' && row.kind === 'video') bytes += row.bytesSent;
    }
  }
  return bytes;
}

/**
 * Gives every video that is sent another limit, after `keepSenders`.
 * @param {number} maxBitrate in bit/s
 */
export async function limitVideo(maxBitrate) {
  for (const sender of Reflect.get(window, '__senders')) {
    if (sender.track?.kind !== 'video') continue;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = maxBitrate;
    await sender.setParameters(parameters);
  }
}

/**
 * Sends a camera to the page itself.
 * @param {{ mimeType: string, encoding: RTCRtpEncodingParameters }} what
 */
export async function sendToItself({ mimeType, encoding }) {
  const video = { width: 1280, height: 720 };
  const [camera] = (await navigator.mediaDevices.getUserMedia({ video })).getTracks();
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  near.onicecandidate = ({ candidate }) => far.addIceCandidate(candidate ?? undefined);
  far.onicecandidate = ({ candidate }) => near.addIceCandidate(candidate ?? undefined);
  const transceiver = near.addTransceiver(camera, { sendEncodings: [encoding] });
  const codecs = RTCRtpSender.getCapabilities('video')?.codecs ?? [];
  transceiver.setCodecPreferences(codecs.filter((codec) => codec.mimeType === mimeType));
  await near.setLocalDescription();
  if (near.localDescription) await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  if (far.localDescription) await near.setRemoteDescription(far.localDescription);
  Reflect.set(window, '__framesEncoded', async () => {
    const rows = [...(await transceiver.sender.getStats()).values()];
    return rows.find(({ type }) => type === 'outbound-rtp')?.framesEncoded ?? 0;
  });
}

/** Keeps what goes through WebSockets, and says things to the page in the server's place. */
export function keepSockets() {
  /** @type {string[]} */
  const sent = [];
  /** @type {string[]} */
  const received = [];
  /** @type {WebSocket[]} */
  const sockets = [];
  /** @type {Set<string>} events that only `tell` tells */
  const taken = new Set();
  window.WebSocket = class extends WebSocket {
    /** @param {ConstructorParameters<typeof WebSocket>} options */
    constructor(...options) {
      super(...options);
      sockets.push(this);
      this.addEventListener('message', (message) => {
        const { data, isTrusted } = message;
        received.push(data);
        const isTaken = [...taken].some((name) => data.includes(`["${name}",`));
        if (isTrusted && isTaken) message.stopImmediatePropagation();
      });
    }

    /**
     * @override
     * @param {string} data
     */
    send(data) {
      sent.push(data);
      super.send(data);
    }
  };
  const tell = (/** @type {string} */ name, /** @type {string} */ data) => {
    taken.add(name);
    sockets.at(-1)?.dispatchEvent(new MessageEvent('message', { data }));
  };
  Reflect.set(window, '__socket', { sent, received, tell });
}

/**
 * Counts how often something comes into the page: what flashes is counted too.
 * @param {string} selector
 */
export function countArrivals(selector) {
  Reflect.set(window, '__arrivals', 0);
  new MutationObserver((changes) => {
    for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (!(node instanceof Element)) continue;
      const arrived = node.querySelectorAll(selector).length + Number(node.matches(selector));
      Reflect.set(window, '__arrivals', Reflect.get(window, '__arrivals') + arrived);
    }
  }).observe(document, { childList: true, subtree: true });
}

/**
 * Lets the page believe that its window is in front, or behind others.
 * @param {boolean} hidden
 */
export function pretendHidden(hidden) {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

/** Keeps what screen readers are told from here on. */
export function keepAnnouncements() {
  /** @type {(string | null)[]} */
  const heard = [];
  Reflect.set(window, 'announcements', heard);
  const announcer = document.querySelector('[data-testid="announcer"]');
  if (!announcer) throw new Error('the page has no announcer');
  new MutationObserver(() => heard.push(announcer.textContent)).observe(announcer, {
    childList: true,
    characterData: true,
    subtree: true,
  });
}

/** Keeps what the note on a recording said when the camera was first asked for. */
export function keepNoteAtCamera() {
  const { mediaDevices } = navigator;
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = (wanted) => {
    const note = document.querySelector('[data-testid="recording-note"]');
    if (Reflect.get(window, 'noteAtCamera') === undefined) {
      Reflect.set(window, 'noteAtCamera', note?.textContent ?? null);
    }
    return open(wanted);
  };
}

/**
 * Counts the frames in which a replayed tile has no picture.
 * @param {string} selector of the tile
 */
export function countBlanks(selector) {
  Reflect.set(window, 'blanks', 0);
  const look = () => {
    const video = document.querySelector(`${selector} video[data-shown]`);
    const isThere = video instanceof HTMLVideoElement && video.readyState > 1;
    if (!isThere) Reflect.set(window, 'blanks', Reflect.get(window, 'blanks') + 1);
    requestAnimationFrame(look);
  };
  look();
}
