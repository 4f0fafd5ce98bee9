import type { Device, Transport, TransportOptions } from 'mediasoup-client/types';
import type { VideoChoice } from './encodings';
import { Receiver, type RemoteTrack } from './receiver';
import { Sender } from './sender';
import type { Signaling } from './signaling';
import type { IceServer, Joined, Source } from './signaling.gen';
import { TransportLink } from './transport-link';

export interface MediaSessionOptions {
  device: Device;
  signaling: Signaling;
  choice: VideoChoice;
  onTracks: (tracks: RemoteTrack[]) => void;
  /** Other videos are withheld because the connection is slow, by producer. */
  onWithheld: (producerIds: ReadonlySet<string>) => void;
  /** Something could not be sent. */
  onSendError: (source: Source, error: unknown) => void;
  /** Media stopped flowing on a transport, or flows again. */
  onInterrupted: (interrupted: boolean) => void;
  /** A transport is lost for good: the leg must join again. */
  onLost: () => void;
}

/** The media of one leg: a transport to send and one to receive, from join until close. */
export class MediaSession {
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly #transports: { send: Transport; recv: Transport };
  readonly #links: TransportLink[];

  constructor(joined: Joined, options: MediaSessionOptions) {
    const { device, signaling, choice, onInterrupted, onLost } = options;
    const { send, recv } = joined.transports ?? {};
    if (!send || !recv) throw new Error('The server offered no media transports.');
    const withIce = (offered: TransportOptions): TransportOptions => ({
      iceServers: joined.iceServers,
      ...offered,
    });
    this.#transports = {
      send: device.createSendTransport(withIce(send)),
      recv: device.createRecvTransport(withIce(recv)),
    };
    const iceServers = () => currentIceServers(joined, signaling);
    const onChange = () => onInterrupted(this.#isInterrupted());
    this.#links = Object.values(this.#transports).map(
      (transport) => new TransportLink(transport, signaling, { iceServers, onChange, onLost }),
    );
    const transport = this.#transports.send;
    this.sender = new Sender({
      transport,
      signaling,
      device,
      choice,
      onError: options.onSendError,
    });
    this.receiver = new Receiver({
      transport: this.#transports.recv,
      signaling,
      onTracks: options.onTracks,
      onWithheld: options.onWithheld,
    });
  }

  /** Asks the server for a new path on both transports; media goes on meanwhile. */
  async restartIce(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.restartIce()));
  }

  connectionStates(): { send: string; recv: string } {
    const { send, recv } = this.#transports;
    return { send: send.connectionState, recv: recv.connectionState };
  }

  #isInterrupted(): boolean {
    const { send, recv } = this.connectionStates();
    return [send, recv].some((state) => state === 'disconnected' || state === 'failed');
  }

  close(): void {
    this.receiver.close();
    for (const link of this.#links) link.close();
  }
}

/** The servers of the join, with new credentials if they have any: those last an hour. */
async function currentIceServers(
  { callId, iceServers }: Joined,
  signaling: Signaling,
): Promise<IceServer[]> {
  if (iceServers.every(({ credential }) => credential === undefined)) return iceServers;
  const synced = await signaling.request('call:sync', { callId });
  return 'iceServers' in synced ? synced.iceServers : iceServers;
}
