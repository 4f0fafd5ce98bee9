// @ts-check
/** Pages that flash and beep, and pages that are watched. The functions run there: they see nothing of what is around them. */

/**
 * Instead of devices the page gets a picture of one colour and a note, both of which come and go at the
 * same time: a white flash with a beep in the first tenth of each second of this machine's clock.
 * @param {{ colour: string, hertz: number }} show
 */
export function flashAndBeep({ colour, hertz }) {
  const canvas = document.createElement('canvas');
  canvas.width = 640;
  canvas.height = 360;
  const context = canvas.getContext('2d');
  const sound = new AudioContext({ latencyHint: 'interactive' });
  const note = new OscillatorNode(sound, { frequency: hertz });
  const gate = new GainNode(sound, { gain: 0 });
  note.connect(gate);
  note.start();
  /** @type {any[]} */
  const pictures = [];
  let wasOn = false;
  let drawnAt = 0;
  const isOn = () => (performance.timeOrigin + performance.now()) % 1_000 < 100;
  const draw = (/** @type {boolean} */ on) => {
    if (!context) return;
    drawnAt = performance.now();
    context.fillStyle = on ? 'white' : colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    // Something moves, so that every picture is sent.
    context.fillStyle = 'black';
    context.fillRect((drawnAt / 10) % canvas.width, 0, 16, 16);
    for (const picture of pictures) picture.requestFrame();
  };
  setInterval(() => {
    const on = isOn();
    if (on === wasOn && performance.now() - drawnAt < 40) return;
    if (on !== wasOn) gate.gain.value = on ? 0.5 : 0;
    wasOn = on;
    draw(on);
  }, 4);
  Reflect.set(window, '__show', (/** @type {{ colour: string, hertz: number }} */ other) => {
    colour = other.colour;
    note.frequency.value = other.hertz;
  });
  const { mediaDevices } = navigator;
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wanted) => {
    // The page is to be trusted with devices, or it is not told which there are.
    for (const track of (await open(wanted)).getTracks()) track.stop();
    const stream = new MediaStream();
    if (wanted?.audio) {
      const microphone = new MediaStreamAudioDestinationNode(sound);
      gate.connect(microphone);
      for (const track of microphone.stream.getTracks()) stream.addTrack(track);
    }
    if (wanted?.video) {
      for (const track of canvas.captureStream(0).getTracks()) {
        pictures.push(track);
        stream.addTrack(track);
      }
    }
    await sound.resume();
    return stream;
  };
}

/**
 * Keeps when each file that is played turns white or stops being silent, by this page's clock in ms.
 */
export function watchReplay() {
  /** @type {Record<string, number[]>} by file */
  const seen = {};
  const watched = new WeakSet();
  const sound = new AudioContext({ latencyHint: 'interactive' });
  const fileOf = (/** @type {HTMLMediaElement} */ { src }) =>
    new URL(src).pathname.split('/').at(-1);
  const timesOf = (/** @type {HTMLMediaElement} */ element) => {
    /** @type {number[]} */
    const times = [];
    seen[fileOf(element) ?? ''] = times;
    return times;
  };
  const look = (/** @type {HTMLVideoElement} */ video) => {
    const times = timesOf(video);
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 4;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    let wasOn = true;
    const atPicture = (/** @type {number} */ _, /** @type {any} */ { expectedDisplayTime }) => {
      context?.drawImage(video, 0, 0, 4, 4);
      const green = context?.getImageData(1, 2, 1, 1).data[1] ?? 0;
      if (green > 160 && !wasOn) times.push(expectedDisplayTime);
      wasOn = green > 160;
      video.requestVideoFrameCallback(atPicture);
    };
    video.requestVideoFrameCallback(atPicture);
  };
  const listen = (/** @type {HTMLMediaElement} */ audio) => {
    const times = timesOf(audio);
    const ear = new AnalyserNode(sound, { fftSize: 256 });
    new MediaElementAudioSourceNode(sound, { mediaElement: audio }).connect(ear);
    ear.connect(sound.destination);
    const samples = new Float32Array(ear.fftSize);
    let heardAt = performance.now();
    setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      if (!samples.some((sample) => Math.abs(sample) > 0.1)) return;
      const now = performance.now();
      if (now - heardAt > 300) times.push(now);
      heardAt = now;
    }, 4);
  };
  const { prototype } = HTMLMediaElement;
  const { play } = prototype;
  prototype.play = function () {
    const isFile = this.src.includes('/recordings/files/');
    if (isFile && !watched.has(this)) {
      watched.add(this);
      if (this instanceof HTMLVideoElement) look(this);
      else listen(this);
    }
    return play.call(this);
  };
  Reflect.set(window, '__seen', seen);
}
