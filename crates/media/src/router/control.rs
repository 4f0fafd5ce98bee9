//! Control of one router: each call validates first, then changes state.

use super::Router;
use crate::allocation::Layer;
use crate::codec::Codec;
use crate::config::{
    Bandwidth, ConsumeOptions, ConsumerParameters, DataConsumerParameters, DataProduceOptions, Direction,
    ProduceOptions, TransportOptions,
};
use crate::consumer::{Consumer, Granted, Plan, Start};
use crate::context::Context;
use crate::data::{DataConsumer, DataOrigin, DataProducer};
use crate::dtls::{DtlsRole, Fingerprint, HashAlgorithm, RtcDtls};
use crate::event::ControlError;
use crate::format::Formats;
use crate::ice::Credentials;
use crate::id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, TransportId};
use crate::keys::{ConsumerKey, DataConsumerKey, DataProducerKey, ProducerKey, TransportKey};
use crate::ortc;
use crate::ortc::{
    DtlsFingerprint, DtlsParameters, FingerprintAlgorithm, IceCandidate, IceParameters, IceProtocol, Layers,
    OrtcError, ProducerKind, RtpParameters, SctpParameters, SctpStreamParameters, TransportParameters,
};
use crate::producer::{Encoding, MAX_ENCODINGS, Offered, Origin, Producer};
use crate::relay::DataMessage;
use crate::rtp::{Mid, PayloadType, Rid, Ssrc};
use crate::sctp::{Delivery, Reliability, SctpOpenError};
use crate::timer::Timer;
use crate::transport::{Budget, Downlink, Side, Transport, Uplink};
use rand::Rng;
use std::num::NonZeroU8;

impl Router {
    pub(crate) fn create_transport(
        &mut self,
        id: TransportId,
        TransportOptions { direction, padding }: TransportOptions,
        ctx: &mut Context<'_>,
    ) -> (TransportKey, TransportParameters) {
        let side = match direction {
            Direction::Send => Side::Uplink(Box::new(Uplink::new())),
            Direction::Recv => {
                Side::Downlink(Downlink::new(ctx.rng.next_u32(), padding && ctx.config.padding, ctx.now))
            }
        };
        let credentials = random_credentials(ctx);
        let parameters = transport_parameters(id, &credentials, ctx);
        let mut cookie = [0; 20];
        ctx.rng.fill_bytes(&mut cookie);
        let dtls = RtcDtls::new(ctx.config.certificate.clone(), cookie);
        let (router, ssrc) = (self.key, ctx.rng.next_u32());
        let key = self.transports.insert_with_key(|key| {
            let budget = Budget::new(ctx.config.max_packet_rate);
            let mut transport = Transport::new((id, (router, key)), credentials, dtls, side, budget, ssrc);
            if direction == Direction::Send {
                transport.timers.set(Timer::Activity, Some(ctx.now + super::upkeep::ACTIVITY_INTERVAL));
            }
            transport
        });
        ctx.outbox.touched.push((router, key));
        (key, parameters)
    }

    pub(crate) fn connect_transport(
        &mut self,
        key: TransportKey,
        parameters: &DtlsParameters,
        ctx: &mut Context<'_>,
    ) -> Result<(), ControlError> {
        parameters.validate()?;
        let fingerprints: Vec<_> = parameters.fingerprints.iter().filter_map(fingerprint).collect();
        // `parameters.role` is the client's role, and ours is the other one. With `auto` the client is the
        // DTLS client, as browsers are.
        let role = match parameters.role {
            ortc::DtlsRole::Auto | ortc::DtlsRole::Client => DtlsRole::Server,
            ortc::DtlsRole::Server => DtlsRole::Client,
        };
        let transport = self.transports.get_mut(key).ok_or(ControlError::TransportNotFound)?;
        let happened = transport.connect(role, fingerprints, ctx)?;
        self.handle_happened(key, happened, ctx);
        Ok(())
    }

    pub(crate) fn restart_ice(
        &mut self,
        key: TransportKey,
        ctx: &mut Context<'_>,
    ) -> Result<IceParameters, ControlError> {
        let credentials = random_credentials(ctx);
        let transport = self.transports.get_mut(key).ok_or(ControlError::TransportNotFound)?;
        let parameters = ice_parameters(&credentials);
        transport.restart_ice(credentials, ctx);
        Ok(parameters)
    }

    pub(crate) fn produce(
        &mut self,
        key: TransportKey,
        id: ProducerId,
        options: ProduceOptions,
        ctx: &mut Context<'_>,
    ) -> Result<(ProducerKey, ProducerKind), ControlError> {
        let transport = self.transports.get_mut(key).ok_or(ControlError::TransportNotFound)?;
        let Side::Uplink(uplink) = &mut transport.side else { return Err(ControlError::WrongDirection) };
        if uplink.producers.len() >= MAX_PRODUCERS {
            return Err(ControlError::LimitExceeded("producers per transport"));
        }
        let ProduceOptions { kind, mut rtp_parameters, paused } = options;
        let mut cname = uplink.cname.clone();
        ortc::adopt_cname(&mut cname, &mut rtp_parameters, || format!("{:016x}", ctx.rng.next_u64()));
        let router = ortc::router_rtp_capabilities();
        let mapping = ortc::producer_mapping(kind, &rtp_parameters, router, self.next_mapped_ssrc)?;
        let consumable = ortc::consumable_parameters(kind, &rtp_parameters, router, &mapping);
        let mid = match &rtp_parameters.mid {
            Some(mid) => Some(Mid::parse(mid.as_bytes()).ok_or_else(|| invalid("mid"))?),
            None => None,
        };
        if mid.is_some_and(|mid| uplink.mids.iter().any(|(known, _)| *known == mid)) {
            return Err(ControlError::InvalidParameters("the mid is taken".to_owned()));
        }
        let offered = read_offer(&rtp_parameters, consumable, paused)?;
        let producer_kind = offered.producer_kind;
        let ssrcs: Vec<_> =
            offered.encodings.iter().flat_map(|it| [it.ssrc, it.rtx_ssrc]).flatten().collect();
        let siblings = || uplink.producers.iter().filter_map(|&key| self.producers.get(key));
        let taken =
            |ssrc: &Ssrc| uplink.routes.contains_key(ssrc) || siblings().any(|other| other.announces(*ssrc));
        if ssrcs.iter().any(taken) {
            return Err(ControlError::InvalidParameters("an ssrc is taken".to_owned()));
        }
        self.next_mapped_ssrc = self.next_mapped_ssrc.wrapping_add(MAX_ENCODINGS as u32);
        uplink.cname = cname;
        let origin = Origin::Transport(key);
        let producer = self.producers.insert(Producer::new(id, origin, kind, offered));
        uplink.add(producer, mid, &rtp_parameters);
        Ok((producer, producer_kind))
    }

    pub(crate) fn pause_producer(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        if let Some(producer) = self.producers.get_mut(key) {
            producer.paused = true;
        }
        self.announce_state(key, ctx);
    }

    pub(crate) fn resume_producer(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(key) else { return };
        producer.paused = false;
        self.start_consumers_over(key);
        self.retarget(key, ctx);
        self.announce_state(key, ctx);
    }

    /// Lets every consumer wait for a key frame: receivers miss what was not forwarded while the producer was
    /// paused.
    pub(super) fn start_consumers_over(&mut self, key: ProducerKey) {
        let Some(producer) = self.producers.get(key) else { return };
        for &consumer in &producer.consumers {
            if let Some(consumer) = self.consumers.get_mut(consumer) {
                consumer.start_over();
            }
        }
    }

    pub(crate) fn consume(
        &mut self,
        key: TransportKey,
        id: ConsumerId,
        producer_key: ProducerKey,
        options: &ConsumeOptions,
        ctx: &mut Context<'_>,
    ) -> Result<(ConsumerKey, ConsumerParameters), ControlError> {
        let transport = self.transports.get_mut(key).ok_or(ControlError::TransportNotFound)?;
        let producer = self.producers.get_mut(producer_key).ok_or(ControlError::ProducerNotFound)?;
        let Side::Downlink(downlink) = &mut transport.side else { return Err(ControlError::WrongDirection) };
        if downlink.consumers.len() >= MAX_CONSUMERS {
            return Err(ControlError::LimitExceeded("consumers per transport"));
        }
        let identity = downlink.next_identity();
        let rtp_parameters =
            ortc::consumer_parameters(&producer.consumable, &options.rtp_capabilities, identity)?;
        let plan = Plan::new(producer.codec, &rtp_parameters).ok_or(ControlError::CannotConsume)?;
        let start = Start {
            paused: options.paused,
            simulcast: producer.is_simulcast(),
            preferred: options.preferred_layers,
            kind: options.video,
            sequence: ctx.rng.next_u32() as u16,
            rtx_sequence: ctx.rng.next_u32() as u16,
        };
        let mut consumer = Consumer::new(id, (producer_key, producer.id), key, plan, start);
        if ctx.config.bandwidth == Bandwidth::Divided {
            // Until the rates of the layers are known, the lowest encoding is as good a guess as the start rate.
            consumer.grant(Granted::UpTo(LOWEST_ENCODING));
        }
        let parameters = ConsumerParameters {
            kind: producer.kind,
            rtp_parameters,
            producer_kind: producer.producer_kind,
            paused: options.paused,
            producer_paused: producer.paused,
        };
        let consumer_key = self.consumers.insert(consumer);
        if let Some(consumer) = self.consumers.get(consumer_key) {
            downlink.add(consumer_key, &consumer.plan);
            if ctx.config.bandwidth == Bandwidth::Divided {
                downlink.estimate(&consumer.plan, ctx.now);
            }
        }
        producer.consumers.push(consumer_key);
        self.ration(consumer_key, ctx);
        self.retarget(producer_key, ctx);
        self.reconsider(key, ctx);
        Ok((consumer_key, parameters))
    }

    pub(crate) fn pause_consumer(&mut self, key: ConsumerKey, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        consumer.pause();
        let producer = consumer.producer;
        self.update_subscription(producer, ctx);
    }

    pub(crate) fn resume_consumer(&mut self, key: ConsumerKey, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        consumer.resume();
        let producer = consumer.producer;
        self.ration(key, ctx);
        self.retarget(producer, ctx);
    }

    pub(crate) fn set_preferred_layers(&mut self, key: ConsumerKey, layers: Layers, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        consumer.prefer(layers);
        let (producer, transport) = (consumer.producer, consumer.transport);
        self.retarget(producer, ctx);
        self.reconsider(transport, ctx);
    }

    pub(crate) fn set_priority(
        &mut self,
        key: ConsumerKey,
        priority: Option<NonZeroU8>,
        ctx: &mut Context<'_>,
    ) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        consumer.share.chosen = priority;
        let transport = consumer.transport;
        self.reconsider(transport, ctx);
    }

    pub(crate) fn request_key_frame(&mut self, key: ConsumerKey, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get(key) else { return };
        let (producer, source) = (consumer.producer, consumer.source());
        if let Some(source) = source {
            self.wish_key_frame(producer, source.encoding, ctx);
        }
    }

    pub(crate) fn produce_data(
        &mut self,
        key: TransportKey,
        id: DataProducerId,
        options: DataProduceOptions,
    ) -> Result<DataProducerKey, ControlError> {
        let DataProduceOptions { sctp_stream_parameters, label, protocol } = options;
        let reliability = reliability(&sctp_stream_parameters)?;
        let transport = self.transports.get_mut(key).ok_or(ControlError::TransportNotFound)?;
        if matches!(transport.side, Side::Downlink(_)) {
            return Err(ControlError::WrongDirection);
        }
        let stream = sctp_stream_parameters.stream_id;
        let mut taken = self.data_producers.values().filter_map(|other| other.stream_on(key));
        if taken.clone().count() >= MAX_DATA_PRODUCERS {
            return Err(ControlError::LimitExceeded("data producers per transport"));
        }
        if taken.any(|other| other == stream) {
            return Err(ControlError::InvalidParameters("the stream id is taken".to_owned()));
        }
        transport.sctp.open_stream(stream, reliability)?;
        let offer = DataConsumerParameters { sctp_stream_parameters, label, protocol };
        Ok(self.data_producers.insert(DataProducer::new(id, DataOrigin::Stream(key, stream), offer)))
    }

    pub(crate) fn consume_data(
        &mut self,
        key: TransportKey,
        id: DataConsumerId,
        producer_key: DataProducerKey,
        ctx: &mut Context<'_>,
    ) -> Result<(DataConsumerKey, DataConsumerParameters), ControlError> {
        let transport = self.transports.get_mut(key).ok_or(ControlError::TransportNotFound)?;
        let producer = self.data_producers.get_mut(producer_key).ok_or(ControlError::DataProducerNotFound)?;
        if matches!(transport.side, Side::Uplink(_)) {
            return Err(ControlError::WrongDirection);
        }
        let stream =
            transport.sctp.free_stream().ok_or(ControlError::LimitExceeded("data channels per transport"))?;
        let mut parameters = producer.offer.clone();
        parameters.sctp_stream_parameters.stream_id = stream;
        let reliability = reliability(&parameters.sctp_stream_parameters)?;
        transport.sctp.open_stream(stream, reliability)?;
        let reliable = reliability.delivery == Delivery::Reliable;
        let consumer = DataConsumer { id, producer: producer_key, transport: key, stream, reliable };
        let consumer_key = self.data_consumers.insert(consumer);
        producer.consumers.push(consumer_key);
        let (id, origin) = (producer.id, producer.origin);
        if let DataOrigin::Relay(shard) = origin {
            self.tell_data(shard, id, DataMessage::Subscribe, ctx);
        }
        Ok((consumer_key, parameters))
    }

    pub(crate) fn close_data_producer(&mut self, key: DataProducerKey, ctx: &mut Context<'_>) {
        if let Some(DataOrigin::Stream(transport_key, stream)) =
            self.data_producers.get(key).map(|it| it.origin)
            && let Some(transport) = self.transports.get_mut(transport_key)
        {
            transport.sctp.close_stream(ctx.now, stream);
            transport.pump(&mut Vec::new(), ctx);
            ctx.outbox.touched.push((self.key, transport_key));
        }
        self.remove_data_producer(key, ctx);
    }

    pub(crate) fn close_data_consumer(&mut self, key: DataConsumerKey, ctx: &mut Context<'_>) {
        self.remove_data_consumer(key, ctx);
    }
}

/// Parses a producer's parameters.
fn read_offer(
    parameters: &RtpParameters,
    consumable: RtpParameters,
    paused: bool,
) -> Result<Offered, ControlError> {
    let media =
        parameters.codecs.iter().find(|codec| !codec.mime_type.is_rtx()).ok_or_else(|| invalid("codecs"))?;
    let codec = Codec::from_mime_type(&media.mime_type.0).ok_or_else(|| unsupported(&media.mime_type.0))?;
    let rtx = parameters.codecs.iter().find(|codec| codec.mime_type.is_rtx());
    let formats = Formats {
        media: PayloadType(media.payload_type),
        rtx: rtx.map(|codec| PayloadType(codec.payload_type)),
        clock_rate: media.clock_rate,
        nack: media.rtcp_feedback.iter().any(|it| it.feedback_type == "nack" && it.parameter.is_empty()),
    };
    if parameters.encodings.len() > MAX_ENCODINGS {
        return Err(ControlError::LimitExceeded("encodings per producer"));
    }
    let mut encodings = Vec::new();
    for encoding in &parameters.encodings {
        let rid = match &encoding.rid {
            Some(rid) => Some(Rid::parse(rid.as_bytes()).ok_or_else(|| invalid("rid"))?),
            None => None,
        };
        let rtx_ssrc = encoding.rtx.map(|rtx| Ssrc(rtx.ssrc));
        encodings.push(Encoding { rid, ssrc: encoding.ssrc.map(Ssrc), rtx_ssrc, ..Encoding::default() });
    }
    if encodings.is_empty() {
        encodings.push(Encoding::default());
    }
    Ok(Offered { codec, producer_kind: ProducerKind::of(parameters), formats, encodings, consumable, paused })
}

fn reliability(parameters: &SctpStreamParameters) -> Result<Reliability, ControlError> {
    parameters.validate()?;
    let delivery = match (parameters.max_packet_life_time, parameters.max_retransmits) {
        (Some(milliseconds), _) => Delivery::MaxPacketLifeTime(milliseconds),
        (None, Some(times)) => Delivery::MaxRetransmits(times),
        (None, None) => Delivery::Reliable,
    };
    Ok(Reliability { ordered: parameters.is_ordered(), delivery })
}

fn transport_parameters(
    id: TransportId,
    credentials: &Credentials,
    ctx: &Context<'_>,
) -> TransportParameters {
    let candidates = ctx.config.candidates.iter().zip(0..);
    let candidate = |(&address, rank)| IceCandidate::host(IceProtocol::Udp, address, rank);
    let fingerprint = ctx.config.certificate.fingerprint(HashAlgorithm::Sha256);
    TransportParameters {
        id,
        ice_parameters: ice_parameters(credentials),
        ice_candidates: candidates.map(candidate).collect(),
        dtls_parameters: DtlsParameters {
            role: ortc::DtlsRole::Auto,
            fingerprints: vec![DtlsFingerprint {
                algorithm: FingerprintAlgorithm::Sha256.name().to_owned(),
                value: fingerprint.to_string(),
            }],
        },
        sctp_parameters: SctpParameters::default(),
    }
}

fn ice_parameters(credentials: &Credentials) -> IceParameters {
    IceParameters {
        username_fragment: credentials.username_fragment.clone(),
        password: credentials.password.clone(),
        ice_lite: true,
    }
}

fn random_credentials(ctx: &mut Context<'_>) -> Credentials {
    let mut random = [0; Credentials::RANDOM_BYTES];
    ctx.rng.fill_bytes(&mut random);
    Credentials::from_random("", &random)
}

/// Parses a fingerprint; `None` for an algorithm that is not supported.
fn fingerprint(told: &DtlsFingerprint) -> Option<Fingerprint> {
    Fingerprint::parse(&told.algorithm, &told.value).ok()
}

fn invalid(what: &str) -> ControlError {
    ControlError::InvalidParameters(what.to_owned())
}

fn unsupported(what: &str) -> ControlError {
    ControlError::Unsupported(what.to_owned())
}

impl From<OrtcError> for ControlError {
    fn from(error: OrtcError) -> Self {
        match error {
            OrtcError::Invalid(what) => Self::InvalidParameters(what),
            OrtcError::Unsupported(what) => Self::Unsupported(what),
            OrtcError::CannotConsume => Self::CannotConsume,
        }
    }
}

impl From<SctpOpenError> for ControlError {
    fn from(error: SctpOpenError) -> Self {
        Self::InvalidParameters(error.to_string())
    }
}

const LOWEST_ENCODING: Layer = Layer { spatial: 0, temporal: u8::MAX };

/// Limits per transport that no real client reaches.
const MAX_PRODUCERS: usize = 64;
const MAX_CONSUMERS: usize = 1_000;
const MAX_DATA_PRODUCERS: usize = 64;
