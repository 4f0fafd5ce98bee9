import type {
  ConsumerOptions,
  DtlsParameters,
  IceParameters,
  MediaKind,
  RtpCapabilities,
  RtpParameters,
  TransportOptions,
} from 'mediasoup-client/types';
import type { Call } from '../api/types';

/** The Socket.IO events of the namespace `/calls`, as the server defines them. */

export type Source = 'mic' | 'camera' | 'screen' | 'screen-audio';

export interface ParticipantInfo {
  userId: string;
  name: string;
  legs: string[];
}

export interface ProducerInfo {
  producerId: string;
  userId: string;
  legId: string;
  kind: MediaKind;
  paused: boolean;
  appData: { source: Source };
}

export interface ConsumerInfo {
  id: string;
  producerId: string;
  userId: string;
  legId: string;
  kind: MediaKind;
  rtpParameters: RtpParameters;
  producerPaused: boolean;
  /** Groups what must play in step: a leg's mic and camera, or its screen and screen audio. */
  streamId: NonNullable<ConsumerOptions['streamId']>;
  appData: { source: Source };
}

export interface JoinRequest {
  callId: string;
  /** A join by the same user with the same device takes over that device's old leg. */
  device: string;
  rtpCapabilities: RtpCapabilities;
  media: { send: boolean; recv: boolean; consume: boolean };
}

export interface JoinReply {
  callId: string;
  userId: string;
  legId: string;
  participants: ParticipantInfo[];
  producers: ProducerInfo[];
  iceServers: RTCIceServer[];
  transports?: { send?: TransportOptions; recv?: TransportOptions };
  consumers?: ConsumerInfo[];
  call: Call;
}

interface Exchange<Request, Reply = Record<string, never>> {
  request: Request;
  reply: Reply;
}

/** Client to server: what each request carries and what its acknowledgement holds. */
export interface Requests {
  'call:join': Exchange<JoinRequest, JoinReply>;
  'call:leave': Exchange<{ callId: string }>;
  'call:end': Exchange<{ callId: string; reason?: string }, { call: Call }>;
  'media:connect-transport': Exchange<{ transportId: string; dtlsParameters: DtlsParameters }>;
  'media:restart-ice': Exchange<{ transportId: string }, { iceParameters: IceParameters }>;
  'media:produce': Exchange<
    {
      transportId: string;
      kind: MediaKind;
      rtpParameters: RtpParameters;
      appData: { source: Source };
      paused: boolean;
    },
    { id: string }
  >;
  'media:pause-producer': Exchange<{ producerId: string }>;
  'media:resume-producer': Exchange<{ producerId: string }>;
  'media:close-producer': Exchange<{ producerId: string }>;
  'media:consume': Exchange<
    { transportId: string; producerIds: string[] },
    { consumers: ConsumerInfo[]; failed: { producerId: string; code: string }[] }
  >;
  'media:resume-consumer': Exchange<{ consumerIds: string[] }>;
  'media:set-preferred-layers': Exchange<{ consumerId: string; spatialLayer: number }>;
}

/** Server to client. */
export interface Events {
  'active-calls': Call[];
  'call:created': Call;
  'call:updated': Call;
  'call:ended': {
    callId: string;
    groupId: string;
    reason: string;
    durationSeconds: number | null;
  };
  'call:replaced': { callId: string; legId: string };
  'participant-joined': { callId: string; userId: string; name: string };
  'participant-left': { callId: string; userId: string; name: string };
  'media:new-producer': ProducerInfo & { callId: string };
  'media:producer-closed': ProducerChange;
  'media:producer-paused': ProducerChange;
  'media:producer-resumed': ProducerChange;
  'media:consumer-closed': { callId: string; consumerId: string; producerId: string };
  'media:active-speaker': { callId: string; userId: string | null };
  'media:audio-levels': { callId: string; levels: AudioLevel[] };
}

interface ProducerChange {
  callId: string;
  producerId: string;
}

export interface AudioLevel {
  userId: string;
  producerId: string;
  /** Loudness relative to full scale: 0 is the loudest, -127 is silence. */
  dBov: number;
}

export type Ack<Reply> =
  | { ok: true; data: Reply }
  | { ok: false; error: { code: string; message: string } };
