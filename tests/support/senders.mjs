// @ts-check
/** Calls of devices without a browser, each of which sends a picture and a note. */
import { Peer } from './peer.mjs';
import { Camera, Microphone } from './wrtc.mjs';

/** A device in a call that sends a camera and a microphone until it is closed. */
export class Sender {
  /**
   * @param {Peer} peer
   * @param {Camera} camera
   * @param {Microphone} microphone
   */
  constructor(peer, camera, microphone) {
    this.peer = peer;
    this.camera = camera;
    this.microphone = microphone;
  }

  /**
   * @param {import('./people.mjs').Person} person
   * @param {{ id: string }} call
   * @param {{ hue?: number, hertz?: number, through?: (offered: any) => any }} [show]
   */
  static async join(person, call, { hue = 200, hertz = 440, through } = {}) {
    const peer = await Peer.join(person, call, { through });
    const sender = new Sender(
      peer,
      new Camera({ hue, width: 320, height: 180 }),
      new Microphone({ hertz }),
    );
    await peer.produce('camera', sender.camera.track);
    await peer.produce('mic', sender.microphone.track);
    return sender;
  }

  /**
   * Sends another picture and another note from here on, with the same tracks of the call.
   * @param {{ hue: number, hertz: number }} show
   */
  show({ hue, hertz }) {
    this.camera.hue = hue;
    this.microphone.hertz = hertz;
  }

  /** Goes without a word. */
  vanish() {
    this.peer.vanish();
    this.#stop();
  }

  close() {
    this.peer.close();
    this.#stop();
  }

  #stop() {
    this.camera.close();
    this.microphone.close();
  }
}
