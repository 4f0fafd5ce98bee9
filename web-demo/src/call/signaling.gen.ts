// Made by `make generate` from crates/call-control/src/wire: not to be edited.

import type {
  DtlsParameters,
  IceParameters,
  MediaKind,
  RtpCapabilities,
  RtpParameters,
  SctpStreamParameters,
  TransportOptions,
} from 'mediasoup-client/types';

/** Every request a client may send, and what it is answered. */
export interface ClientToServerEvents {
  'call:join': (data: Join, ack: (ack: Ack<Joined>) => void) => void;
  'call:leave': (data: InCall, ack: (ack: Ack<Done>) => void) => void;
  'call:end': (data: End, ack: (ack: Ack<OfCall>) => void) => void;
  'call:ring': (data: Ring, ack: (ack: Ack<OfCall>) => void) => void;
  'call:decline': (data: InCall, ack: (ack: Ack<Done>) => void) => void;
  'call:signal': (data: Signal, ack: (ack: Ack<Done>) => void) => void;
  'call:sync': (data: Sync, ack: (ack: Ack<Synced>) => void) => void;
  'call:mute': (data: Mute, ack: (ack: Ack<Done>) => void) => void;
  'call:remove': (data: Remove, ack: (ack: Ack<Done>) => void) => void;
  'call:permit': (data: Permit, ack: (ack: Ack<Done>) => void) => void;
  'call:lock': (data: Lock, ack: (ack: Ack<OfCall>) => void) => void;
  'recording:start': (data: StartRecording, ack: (ack: Ack<OfCall>) => void) => void;
  'recording:pause': (data: InCall, ack: (ack: Ack<OfCall>) => void) => void;
  'recording:resume': (data: InCall, ack: (ack: Ack<OfCall>) => void) => void;
  'recording:stop': (data: InCall, ack: (ack: Ack<OfCall>) => void) => void;
  'recording:consent': (data: AnswerConsent, ack: (ack: Ack<OfCall>) => void) => void;
  'auth:refresh': (data: Refresh, ack: (ack: Ack<TokenAccepted>) => void) => void;
  'media:router-capabilities': (data: InCall, ack: (ack: Ack<RouterCapabilities>) => void) => void;
  'media:set-rtp-capabilities': (data: SetRtpCapabilities, ack: (ack: Ack<Done>) => void) => void;
  'media:create-transport': (data: CreateTransport, ack: (ack: Ack<NewTransport>) => void) => void;
  'media:client-stats': (data: ClientStats, ack: (ack: Ack<Done>) => void) => void;
  'media:connect-transport': (data: ConnectTransport, ack: (ack: Ack<Done>) => void) => void;
  'media:restart-ice': (data: OnTransport, ack: (ack: Ack<IceRestarted>) => void) => void;
  'media:close-transport': (data: OnTransport, ack: (ack: Ack<Done>) => void) => void;
  'media:get-stats': (data: OnTransport, ack: (ack: Ack<Stats>) => void) => void;
  'media:produce': (data: Produce, ack: (ack: Ack<Created>) => void) => void;
  'media:pause-producer': (data: OnProducer, ack: (ack: Ack<Done>) => void) => void;
  'media:resume-producer': (data: OnProducer, ack: (ack: Ack<Done>) => void) => void;
  'media:close-producer': (data: OnProducer, ack: (ack: Ack<Done>) => void) => void;
  'media:consume': (data: Consume, ack: (ack: Ack<Consumed>) => void) => void;
  'media:pause-consumer': (data: Consumers, ack: (ack: Ack<Done>) => void) => void;
  'media:resume-consumer': (data: Consumers, ack: (ack: Ack<Done>) => void) => void;
  'media:close-consumer': (data: Consumers, ack: (ack: Ack<Done>) => void) => void;
  'media:set-preferred-layers': (data: SetPreferredLayers, ack: (ack: Ack<Done>) => void) => void;
  'media:set-priority': (data: SetPriority, ack: (ack: Ack<Done>) => void) => void;
  'media:request-key-frame': (data: OnConsumer, ack: (ack: Ack<Done>) => void) => void;
  'media:produce-data': (data: ProduceData, ack: (ack: Ack<Created>) => void) => void;
  'media:close-data-producer': (data: OnDataProducer, ack: (ack: Ack<Done>) => void) => void;
  'media:consume-data': (data: ConsumeData, ack: (ack: Ack<DataConsumerView>) => void) => void;
  'media:close-data-consumer': (data: OnDataConsumer, ack: (ack: Ack<Done>) => void) => void;
}

/** Every event a client is sent. */
export interface ServerToClientEvents {
  'active-calls': (data: Array<Call>) => void;
  'call:created': (data: Call) => void;
  'call:updated': (data: Call) => void;
  'call:ended': (data: CallEnded) => void;
  'call:replaced': (data: CallReplaced) => void;
  'call:ringing': (data: CallRinging) => void;
  'call:ring-ended': (data: CallRingEnded) => void;
  'call:invitations': (data: CallInvitations) => void;
  'call:busy': (data: CallBusy) => void;
  'call:locked': (data: CallLocked) => void;
  'call:permissions': (data: CallPermissions) => void;
  'call:recording': (data: CallRecording) => void;
  'call:signal': (data: CallSignal) => void;
  'recording:updated': (data: RecordingUpdated) => void;
  'participant-joined': (data: ParticipantChange) => void;
  'participant-left': (data: ParticipantChange) => void;
  'media:new-producer': (data: NewProducer) => void;
  'media:producer-closed': (data: ProducerChange) => void;
  'media:producer-paused': (data: ProducerChange) => void;
  'media:producer-resumed': (data: ProducerChange) => void;
  'media:mute-request': (data: MuteRequest) => void;
  'media:consumer-closed': (data: ConsumerClosed) => void;
  'media:consumer-paused': (data: ConsumerPause) => void;
  'media:consumer-resumed': (data: ConsumerPause) => void;
  'media:consumer-layers': (data: ConsumerLayers) => void;
  'media:bandwidth': (data: Bandwidth) => void;
  'media:active-speaker': (data: ActiveSpeaker) => void;
  'media:audio-levels': (data: AudioLevels) => void;
  'media:transport-state': (data: TransportState) => void;
  'media:new-data-producer': (data: NewDataProducer) => void;
  'media:data-producer-closed': (data: DataProducerClosed) => void;
  'media:data-consumer-closed': (data: DataConsumerClosed) => void;
}

/** What every request is answered. */
export type Ack<Data> = { ok: true; data: Data } | { ok: false; error: AckError };

/** What a plain WebSocket is sent besides answers. */
export type EventFrame = {
  [Name in keyof ServerToClientEvents]: {
    event: Name;
    data: Parameters<ServerToClientEvents[Name]>[0];
  };
}[keyof ServerToClientEvents];

/** Given by the client, and repeated in the answer. */
export type FrameId = number | string;

type RequestFrames = {
  [Name in keyof ClientToServerEvents]: {
    id?: FrameId;
    event: Name;
    data: Parameters<ClientToServerEvents[Name]>[0];
  };
};

/** What a plain WebSocket sends: a request, or first of all its token. */
export type RequestFrame =
  | { id?: FrameId; event: 'auth'; data: { token: string } }
  | RequestFrames[keyof ClientToServerEvents];

/** The answer to the request with this id. */
export interface AckFrame<Data = unknown> {
  id?: FrameId;
  event: 'ack';
  data: Ack<Data>;
}

export type AckError = { code: ErrorCode; message: string; retryable?: boolean };

/**
 * The dominant speaker; both null in silence.
 */
export type ActiveSpeaker = { callId: CallId; userId: UserId | null; producerId: string | null };

/**
 * A leg's answer to whether it may be recorded.
 */
export type Answer = { legId: LegId; userId: UserId; accept: boolean };

export type AnswerConsent = {
  callId: CallId;
  /**
   * `false` also takes back what was accepted before.
   */
  accept: boolean;
};

/**
 * The part of a client's `appData` that the server reads and passes on.
 */
export type AppData = { source: Source };

export type AudioLevel = {
  userId: UserId;
  producerId: string;
  /**
   * -127 (silence) to 0 (loudest), RFC 6464.
   */
  dBov: number;
};

/**
 * Who can be heard, the loudest first; empty once all have fallen silent. Told five times a second while up to 40 legs
 * listen, less often in larger calls, in the largest once a second.
 */
export type AudioLevels = { callId: CallId; levels: Array<AudioLevel> };

/**
 * What the path to this client carries, and what is sent over it, in bit/s of UDP payload; at most once a second.
 */
export type Bandwidth = {
  callId: CallId;
  transportId: string;
  /**
   * What the path is thought to carry.
   */
  estimate: number;
  /**
   * What sound, repair and the granted layers of videos take.
   */
  used: number;
  /**
   * What all the wanted layers would take.
   */
  wanted: number;
};

/**
 * A call as clients see it.
 */
export type Call = {
  id: CallId;
  groupId: GroupId;
  initiatedById: UserId;
  type: CallType;
  status: CallStatus;
  /**
   * The id of the call's router.
   */
  webrtcRoomId: string | null;
  /**
   * Who is in the call, in the order they came.
   */
  participants: Array<UserId>;
  /**
   * When somebody other than the creator first joined.
   */
  startedAt: string | null;
  endedAt: string | null;
  /**
   * Whole seconds since `startedAt`, up to the end; null until started.
   */
  durationSeconds: number | null;
  /**
   * The same as HH:MM:SS.
   */
  duration: string | null;
  /**
   * The most participants it had at one time.
   */
  maxParticipants: number;
  metadata: Record<string, unknown>;
  /**
   * Whether people who are not in it are kept out.
   */
  locked: boolean;
  /**
   * Null while it is not being recorded.
   */
  recording: RunningRecording | null;
  endReason: Ending | null;
  errorMessage: string | null;
  createdAt: string;
  updatedAt: string;
  /**
   * With `seq`: the last recorded event that this view includes.
   */
  epoch: number;
  seq: number;
};

/**
 * To the caller: these people are in another call, of a group that the caller is in, too.
 */
export type CallBusy = { callId: CallId; userIds: Array<UserId> };

export type CallEnded = {
  callId: CallId;
  groupId: GroupId;
  reason: string;
  /**
   * Whole seconds since the first join; null if nobody but the caller was ever there.
   */
  durationSeconds: number | null;
  epoch: number;
  seq: number;
};

/**
 * One call's durable record.
 */
export type CallId = string;

/**
 * People are rung (`ringing`), or did not come: they declined, or missed it, or may not join any more. Whoever
 * answers is a participant.
 */
export type CallInvitations = {
  callId: CallId;
  userIds: Array<UserId>;
  status: InvitationStatus;
  /**
   * Who rang; null if it was the app, and where nobody did.
   */
  by: UserId | null;
  epoch: number;
  seq: number;
};

/**
 * Whether people who are not in the call are kept out.
 */
export type CallLocked = {
  callId: CallId;
  locked: boolean;
  /**
   * The moderator; null if it was the app.
   */
  by: UserId | null;
  epoch: number;
  seq: number;
};

/**
 * What somebody may send and receive from here on.
 */
export type CallPermissions = {
  callId: CallId;
  userId: UserId;
  /**
   * The moderator; null if it was the app.
   */
  by: UserId | null;
  canPublish: Array<Source>;
  canSubscribe: boolean;
  canSignal: boolean;
  epoch: number;
  seq: number;
};

/**
 * The call's recording started, was paused, goes on or stopped, or a leg said whether it may be recorded.
 */
export type CallRecording = {
  callId: CallId;
  /**
   * Null once it has stopped.
   */
  recording: RunningRecording | null;
  /**
   * Who started, paused, continued or stopped it; null if it was the app, or the server by itself.
   */
  by: UserId | null;
  /**
   * Why it stopped.
   */
  reason?: RecordingEnd;
  /**
   * What a leg answered.
   */
  answer?: Answer;
  /**
   * Why the recording that was wished for could not start.
   */
  code?: ErrorCode;
  epoch: number;
  seq: number;
};

/**
 * To the leg that another leg of the same device has superseded.
 */
export type CallReplaced = { callId: CallId; legId: LegId };

/**
 * To every device of a person: it stops ringing. The device that answered is told, too.
 */
export type CallRingEnded = { callId: CallId; userId: UserId; reason: RingEnd };

/**
 * Somebody calls: every device of the person rings. Sent again to each socket that connects meanwhile.
 */
export type CallRinging = {
  callId: CallId;
  groupId: GroupId;
  type: CallType;
  /**
   * Who calls; null if it is the app.
   */
  by: Caller | null;
  since: string;
  /**
   * When it ends without an answer.
   */
  until: string;
};

/**
 * A message between participants that the server passes on unread.
 */
export type CallSignal = {
  callId: CallId;
  type: string;
  payload: unknown;
  fromUserId: UserId;
  fromLegId: LegId;
};

export type CallStatus = 'waiting' | 'active' | 'ended' | 'cancelled' | 'failed';

export type CallType = 'audio' | 'video' | 'screen';

export type Caller = { userId: UserId; name: string };

/**
 * Anything: it is not looked at.
 */
export type ClientStats = unknown;

/**
 * What took a consumer down with it.
 */
export type CloseReason = 'producer-closed' | 'transport-closed' | 'not-permitted';

export type ConnectTransport = { transportId: string; dtlsParameters: DtlsParameters };

/**
 * Whose media are recorded.
 */
export type Consent = 'notice' | 'ask';

/**
 * `{producerId}` and `{producerIds}` mean the same for one producer.
 */
export type Consume = {
  transportId: string;
  producerId?: string;
  producerIds?: string[];
  paused?: boolean;
  preferredLayers?: { spatialLayer: number; temporalLayer?: number };
};

export type ConsumeData = { transportId: string; dataProducerId: string };

export type Consumed = { consumers: Array<ConsumerView>; failed: Array<FailedConsumer> };

export type ConsumerClosed = {
  callId: CallId;
  consumerId: string;
  producerId: string;
  reason: CloseReason;
};

/**
 * The layers being forwarded; both null while nothing is.
 */
export type ConsumerLayers = {
  callId: CallId;
  consumerId: string;
  spatialLayer: number | null;
  temporalLayer: number | null;
};

export type ConsumerPause = { callId: CallId; consumerId: string; by: PausedBy };

/**
 * What mediasoup-client's `transport.consume()` takes, and whose it is.
 */
export type ConsumerView = {
  id: string;
  producerId: string;
  userId: UserId;
  legId: LegId;
  kind: MediaKind;
  rtpParameters: RtpParameters;
  type: 'simple' | 'simulcast' | 'svc';
  paused: boolean;
  producerPaused: boolean;
  streamId: string;
  appData: AppData;
};

/**
 * `{consumerId}` and `{consumerIds}` mean the same for one consumer.
 */
export type Consumers = { consumerId?: string; consumerIds?: string[] };

export type CreateTransport = { callId: CallId; direction: 'send' | 'recv' };

/**
 * A new producer or data producer.
 */
export type Created = { id: string };

export type DataConsumerClosed = {
  callId: CallId;
  dataConsumerId: string;
  reason: 'producer-closed' | 'receiver-closed' | 'overflow';
};

export type DataConsumerView = {
  id: string;
  dataProducerId: string;
  sctpStreamParameters: SctpStreamParameters;
  label: string;
  protocol: string;
  userId: UserId;
};

export type DataProducerClosed = {
  callId: CallId;
  dataProducerId: string;
  userId: UserId;
  legId: LegId;
};

/**
 * A data producer as other legs see it.
 */
export type DataProducerView = {
  dataProducerId: string;
  userId: UserId;
  legId: LegId;
  label: string;
  protocol: string;
  appData?: unknown;
};

/**
 * A name that a client gives to its device and keeps across reloads: 1 to 64 visible ASCII characters.
 */
export type DeviceId = string;

/**
 * There is nothing to say but that it is done.
 */
export type Done = Record<string, never>;

export type End = { callId: CallId; reason?: EndReason };

/**
 * Why somebody ends a call.
 */
export type EndReason = 'normal' | 'timeout' | 'error' | 'cancelled';

/**
 * Why a call ended: as somebody said, or as the server found.
 */
export type Ending =
  | 'normal'
  | 'timeout'
  | 'error'
  | 'cancelled'
  | 'declined'
  | 'last-left'
  | 'group-deleted'
  | 'server-restart';

/**
 * The stable codes: `code` in problem documents and in the error acks of sockets.
 */
export type ErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'unsupported_media_type'
  | 'not_in_call'
  | 'conflict'
  | 'call_ended'
  | 'call_exists'
  | 'call_locked'
  | 'call_encrypted'
  | 'already_recording'
  | 'not_recording'
  | 'recording_off'
  | 'storage_full'
  | 'link_expired'
  | 'removed'
  | 'idempotency_mismatch'
  | 'unsupported'
  | 'limit_exceeded'
  | 'too_many_members'
  | 'too_many_participants'
  | 'too_many_producers'
  | 'too_many_consumers'
  | 'too_many_sockets'
  | 'too_large'
  | 'range_not_satisfiable'
  | 'metadata_too_large'
  | 'rate_limited'
  | 'timeout'
  | 'unavailable'
  | 'node_overloaded'
  | 'node_draining'
  | 'unknown_event'
  | 'internal';

export type FailedConsumer = { producerId: string; code: ErrorCode };

/**
 * The people who may take part in a call.
 */
export type GroupId = string;

export type IceRestarted = { iceParameters: IceParameters };

/**
 * A server as `RTCPeerConnection` takes it in `iceServers`.
 */
export type IceServer = {
  urls: Array<string>;
  /**
   * Unix seconds until which it is valid, a colon, and the user's id.
   */
  username?: string;
  credential?: string;
};

export type InCall = { callId: CallId };

/**
 * What became of an invitation.
 */
export type InvitationStatus = 'ringing' | 'answered' | 'declined' | 'missed' | 'cancelled';

/**
 * Somebody who was rung for a call.
 */
export type Invited = { userId: UserId; status: InvitationStatus };

export type Join = {
  callId: CallId;
  device?: DeviceId;
  rtpCapabilities?: RtpCapabilities;
  media?: MediaWish;
  resumeToken?: string;
};

export type JoinTransports = { send?: TransportOptions; recv?: TransportOptions };

export type Joined = {
  /**
   * Proves, after a lost connection, that the leg is this client's.
   */
  resumeToken: string;
  resumeWindowMs: number;
  /**
   * The leg is the one that the resume token was given for.
   */
  resumed: boolean;
  /**
   * The server restarted meanwhile: the leg's transports are gone.
   */
  mediaRestart: boolean;
  /**
   * Whether this user may start, pause and stop recordings of the call; false where the server records nothing.
   */
  mayRecord: boolean;
  transports?: JoinTransports;
  consumers?: Array<ConsumerView>;
  failed?: Array<FailedConsumer>;
  callId: CallId;
  userId: UserId;
  legId: LegId;
  participants: Array<ParticipantView>;
  /**
   * Who was rung, and what became of it.
   */
  invitations: Array<Invited>;
  producers: Array<ProducerView>;
  dataProducers: Array<DataProducerView>;
  routerRtpCapabilities: RtpCapabilities;
  iceServers: Array<IceServer>;
  call: Call;
  epoch: number;
  seq: number;
};

/**
 * One device's stay in a call.
 */
export type LegId = string;

export type Lock = { callId: CallId; locked: boolean };

/**
 * What a joining leg wants in the same round trip.
 */
export type MediaWish = {
  /**
   * A transport to send on.
   */
  send?: boolean;
  /**
   * A transport to receive on.
   */
  recv?: boolean;
  /**
   * Paused consumers for everything others send; needs `recv` and the leg's `rtpCapabilities`.
   */
  consume?: boolean;
};

export type Missed = {
  callId: CallId;
  /**
   * In their order, as they were sent to others.
   */
  events: EventFrame[];
  epoch: number;
  seq: number;
};

export type Mute = {
  callId: CallId;
  producerId: string;
  /**
   * Pause it rather than ask its sender to.
   */
  force?: boolean;
};

/**
 * A moderator asks the sender to pause the producer.
 */
export type MuteRequest = {
  callId: CallId;
  /**
   * The moderator; null if it was the app.
   */
  by: UserId | null;
  producerId: string;
  userId: UserId;
  legId: LegId;
  epoch: number;
  seq: number;
};

export type NewDataProducer = {
  callId: CallId;
  dataProducerId: string;
  userId: UserId;
  legId: LegId;
  label: string;
  protocol: string;
  appData?: unknown;
};

export type NewProducer = {
  callId: CallId;
  epoch: number;
  seq: number;
  producerId: string;
  userId: UserId;
  legId: LegId;
  kind: MediaKind;
  type: 'simple' | 'simulcast' | 'svc';
  paused: boolean;
  appData: AppData;
};

/**
 * What mediasoup-client's `createSendTransport()` and `createRecvTransport()` take.
 */
export type NewTransport = TransportOptions;

export type OfCall = { call: Call };

export type OnConsumer = { consumerId: string };

export type OnDataConsumer = { id: string };

export type OnDataProducer = { id: string };

export type OnProducer = { producerId: string };

export type OnTransport = { transportId: string };

/**
 * A user's first leg opened, or last leg ended.
 */
export type ParticipantChange = {
  callId: CallId;
  userId: UserId;
  name: string;
  /**
   * Who is in the call after the change.
   */
  participants: Array<UserId>;
  reason?: string;
  epoch: number;
  seq: number;
};

export type ParticipantView = {
  userId: UserId;
  name: string;
  legs: Array<LegId>;
  canPublish: Array<Source>;
  canSubscribe: boolean;
  canSignal: boolean;
};

/**
 * What is known of the path to a client. Rates are bit/s of UDP payload.
 */
export type PathStats = {
  /**
   * What the path is thought to carry.
   */
  estimate: number;
  /**
   * What sound, repair and the granted layers of videos take.
   */
  used: number;
  /**
   * What all the wanted layers would take.
   */
  wanted: number;
  /**
   * What arrived in the last second or so; null until ten packets did, and without transport-wide feedback.
   */
  acknowledged: number | null;
  /**
   * Where the estimate is going; `hold` without transport-wide feedback.
   */
  state: 'hold' | 'increase' | 'decrease';
  /**
   * What the estimate follows: delays and probes, loss, the client's own estimate (REMB), or its reception reports if
   * it sends no transport-wide feedback.
   */
  limitedBy: 'delay' | 'loss' | 'receiver' | 'reports';
  /**
   * How long packets wait in queues on the path.
   */
  queueMs: number;
  /**
   * By transport-wide feedback, without the client's waiting; 100 until there is one.
   */
  rttMs: number;
  /**
   * Packets that the client reported as lost, with those that came after all.
   */
  packetsLost: number;
  /**
   * How often it was tried whether the path carries more, how often all came through, and how often it showed that the
   * path carries less. The others said nothing.
   */
  probesBegun: number;
  probesPassed: number;
  probesFull: number;
};

export type PausedBy = 'producer';

export type Permit = {
  callId: CallId;
  userId: UserId;
  /**
   * The sources that may be sent; an empty list makes a listener.
   */
  canPublish?: Array<Source>;
  /**
   * Whether anything may be received.
   */
  canSubscribe?: boolean;
  /**
   * Whether `call:signal` may be sent.
   */
  canSignal?: boolean;
  /**
   * `true` lets somebody in who was removed, or whom a lock keeps out.
   */
  admitted?: boolean;
};

export type Produce = {
  transportId: string;
  kind: MediaKind;
  rtpParameters: RtpParameters;
  appData: AppData;
  paused?: boolean;
};

export type ProduceData = {
  transportId: string;
  sctpStreamParameters: SctpStreamParameters;
  label?: string;
  protocol?: string;
  appData?: unknown;
};

export type ProducerChange = {
  callId: CallId;
  /**
   * The moderator who paused it, if one did.
   */
  by?: UserId;
  epoch: number;
  seq: number;
  producerId: string;
  userId: UserId;
  legId: LegId;
};

/**
 * A producer as other legs see it.
 */
export type ProducerView = {
  producerId: string;
  userId: UserId;
  legId: LegId;
  kind: MediaKind;
  type: 'simple' | 'simulcast' | 'svc';
  paused: boolean;
  appData: AppData;
};

/**
 * Why a recording ended.
 */
export type RecordingEnd =
  | 'stopped'
  | 'call-ended'
  | 'disk-full'
  | 'storage-error'
  | 'server-restart'
  | 'limit';

/**
 * One recording of a call.
 */
export type RecordingId = string;

/**
 * The highest layer of a video that is recorded: of three, the first, the second or the third.
 */
export type RecordingLayer = 'low' | 'medium' | 'high';

export type RecordingMode = 'audio' | 'video';

export type RecordingStatus =
  | 'recording'
  | 'paused'
  | 'finishing'
  | 'ready'
  | 'incomplete'
  | 'failed'
  | 'deleted';

/**
 * What became of a recording after it had stopped; to the members of its group.
 */
export type RecordingUpdated = {
  id: RecordingId;
  callId: CallId;
  groupId: GroupId;
  status: RecordingStatus;
};

export type Refresh = { token: string };

export type Remove = { callId: CallId; userId: UserId };

export type Ring = {
  callId: CallId;
  /**
   * Members of the group, at most 50.
   */
  userIds: UserId[];
};

/**
 * Why devices stop ringing.
 */
export type RingEnd = 'answered-elsewhere' | 'declined' | 'missed' | 'cancelled';

export type RouterCapabilities = { routerRtpCapabilities: RtpCapabilities };

/**
 * A call's running recording, as clients see it.
 */
export type RunningRecording = {
  id: RecordingId;
  /**
   * `recording` or `paused`.
   */
  status: RecordingStatus;
  startedAt: string;
  /**
   * Null if it was the app.
   */
  startedBy: UserId | null;
  consent: Consent;
  /**
   * Which legs accepted, and which did not, where `consent` is `ask`. Others have not answered: they are not
   * recorded.
   */
  answers: Record<LegId, boolean>;
};

export type SetPreferredLayers = {
  consumerId: string;
  /**
   * Zero is the lowest.
   */
  spatialLayer: number;
  /**
   * If absent, the highest there is.
   */
  temporalLayer?: number;
};

export type SetPriority = {
  consumerId: string;
  /**
   * 1 (least) to 255. `null`: what it is by default.
   */
  priority: number | null;
};

export type SetRtpCapabilities = { callId: CallId; rtpCapabilities: RtpCapabilities };

export type Signal = {
  callId: CallId;
  type: string;
  payload: unknown;
  targetUserId?: UserId;
  targetLegId?: LegId;
};

/**
 * A call as one of its legs finds it. Recorded events up to `epoch` and `seq` are in it.
 */
export type Snapshot = {
  callId: CallId;
  userId: UserId;
  legId: LegId;
  participants: Array<ParticipantView>;
  /**
   * Who was rung, and what became of it.
   */
  invitations: Array<Invited>;
  producers: Array<ProducerView>;
  dataProducers: Array<DataProducerView>;
  routerRtpCapabilities: RtpCapabilities;
  iceServers: Array<IceServer>;
  call: Call;
  epoch: number;
  seq: number;
};

export type Source = 'mic' | 'camera' | 'screen' | 'screen-audio';

export type StartRecording = {
  callId: CallId;
  /**
   * `video` by default: sound and pictures.
   */
  mode?: RecordingMode;
  /**
   * The highest of the three sizes of a video that is recorded; by default as the server is set.
   */
  layer?: RecordingLayer;
  /**
   * By default as the server is set; not less than that.
   */
  consent?: Consent;
};

export type Stats = { stats: TransportStats };

export type Sync = {
  callId: CallId;
  /**
   * The last recorded event that the client has seen; without it, it wants the whole picture.
   */
  sinceSeq?: number;
  /**
   * The epoch of that event; if absent, the current one.
   */
  epoch?: number;
};

/**
 * What a client missed, or the call as it is.
 */
export type Synced = Missed | Snapshot;

export type TokenAccepted = {
  /**
   * From then on only `call:leave` and `auth:refresh` are answered.
   */
  expiresAt: string;
};

export type TransportState = {
  callId: CallId;
  transportId: string;
  ice: RTCIceTransportState;
  dtls: RTCDtlsTransportState;
};

/**
 * State and traffic of a transport as the server sees it.
 */
export type TransportStats = {
  ice: 'new' | 'connected' | 'completed' | 'disconnected';
  dtls: 'new' | 'connecting' | 'connected' | 'failed' | 'closed';
  packetsReceived: number;
  bytesReceived: number;
  packetsSent: number;
  bytesSent: number;
  /**
   * By reports; null until there is one.
   */
  rttMs: number | null;
  /**
   * What the path to the client carries; null if that is not estimated: with `MEDIA_ADAPTATION=false`, on a
   * transport to send, and before there is a consumer.
   */
  path: PathStats | null;
};

/**
 * A person, as the app that embeds the server knows them.
 */
export type UserId = string;
