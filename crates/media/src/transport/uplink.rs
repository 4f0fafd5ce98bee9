//! The receiving side of a transport: its producers, and how packets are assigned to them.

use crate::arrival::Carried;
use crate::client_clock::ClientClock;
use crate::clock::NtpTime;
use crate::congestion::Incoming;
use crate::format::Format;
use crate::keys::ProducerKey;
use crate::ortc::{HeaderExtensionUri, RtpParameters};
use crate::rtp::{Header, Mid, Rid, Ssrc, TransportSequence};
use crate::transport_cc::Recorder;
use rustc_hash::FxHashMap;
use std::time::Duration;

pub(crate) struct Uplink {
    pub(crate) producers: Vec<ProducerKey>,
    /// The route of each known SSRC.
    pub(crate) routes: FxHashMap<Ssrc, Route>,
    pub(crate) mids: Vec<(Mid, ProducerKey)>,
    pub(crate) extensions: IncomingExtensions,
    /// Arrival times for transport-wide feedback.
    pub(crate) arrivals: Recorder,
    /// Whether the client uses transport-wide feedback.
    pub(crate) transport_cc: bool,
    /// What the path carries, to tell a client by REMB that does not use transport-wide feedback.
    pub(crate) incoming: Option<Box<Incoming>>,
    pub(crate) cname: Option<String>,
    /// Our wall clock minus the client's, in 2^-32 s. One value for all its streams, so that they stay
    /// synchronized.
    clock_offset: Option<i64>,
    /// The same for recordings, which last for hours.
    pub(crate) clock: ClientClock,
    pub(crate) rtt: Option<Duration>,
}

/// The producer, encoding and format of an SSRC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) producer: ProducerKey,
    pub(crate) encoding: u8,
    pub(crate) format: Format,
}

/// The client's header extension ids; an id has one meaning in a transport (RFC 8843 §9.2).
#[derive(Debug)]
pub(crate) struct IncomingExtensions(Box<[Option<HeaderExtensionUri>; 256]>);

/// The header extension values of one packet.
#[derive(Debug, Default)]
pub(crate) struct ReceivedExtensions<'a> {
    pub(crate) mid: Option<Mid>,
    pub(crate) rid: Option<Rid>,
    pub(crate) repaired_rid: Option<Rid>,
    pub(crate) transport_sequence: Option<u16>,
    pub(crate) send_time: Option<[u8; 3]>,
    pub(crate) dependency: Option<&'a [u8]>,
    /// The target rates of the video's layers.
    pub(crate) allocation: Option<&'a [u8]>,
    pub(crate) carried: Carried,
}

impl Uplink {
    pub(crate) fn new() -> Self {
        Self {
            producers: Vec::new(),
            routes: FxHashMap::default(),
            mids: Vec::new(),
            extensions: IncomingExtensions(Box::new([None; 256])),
            arrivals: Recorder::default(),
            transport_cc: false,
            incoming: None,
            cname: None,
            clock_offset: None,
            clock: ClientClock::default(),
            rtt: None,
        }
    }

    /// Adds a producer, whose MID (if any) must be unique on this transport.
    pub(crate) fn add(&mut self, key: ProducerKey, mid: Option<Mid>, parameters: &RtpParameters) {
        self.producers.push(key);
        self.mids.extend(mid.map(|mid| (mid, key)));
        self.extensions.learn(parameters);
        self.transport_cc |= parameters.extension_id(HeaderExtensionUri::TransportWideCc).is_some();
        if self.transport_cc {
            self.incoming = None;
        }
    }

    pub(crate) fn forget(&mut self, key: ProducerKey) {
        self.producers.retain(|&other| other != key);
        self.mids.retain(|&(_, other)| other != key);
        self.routes.retain(|_, route| route.producer != key);
    }

    /// Sets our wall clock minus the client's from its first sender report, and again after a step of the
    /// client's clock.
    pub(crate) fn align_clock(&mut self, ours: NtpTime, theirs: NtpTime) {
        let offset = ours.since(theirs);
        let known = self.clock_offset.get_or_insert(offset);
        if known.abs_diff(offset) > MAX_CLOCK_DRIFT {
            *known = offset;
        }
    }

    /// Our wall clock minus the client's, in 2^-32 s, once known.
    pub(crate) fn clock_offset(&self) -> Option<i64> {
        self.clock_offset
    }
}

impl IncomingExtensions {
    fn learn(&mut self, parameters: &RtpParameters) {
        for extension in &parameters.header_extensions {
            self.0[usize::from(extension.id)] = HeaderExtensionUri::from_uri(&extension.uri);
        }
    }

    pub(crate) fn read<'a>(&self, header: &Header, packet: &'a [u8]) -> ReceivedExtensions<'a> {
        let mut received = ReceivedExtensions::default();
        for (id, value) in header.extensions(packet) {
            match self.0[usize::from(id)] {
                Some(HeaderExtensionUri::Mid) => received.mid = Mid::parse(value),
                Some(HeaderExtensionUri::Rid) => received.rid = Rid::parse(value),
                Some(HeaderExtensionUri::RepairedRid) => received.repaired_rid = Rid::parse(value),
                Some(HeaderExtensionUri::TransportWideCc) => {
                    received.transport_sequence = TransportSequence::parse(value).map(|sequence| sequence.0);
                }
                Some(HeaderExtensionUri::DependencyDescriptor) => received.dependency = Some(value),
                Some(HeaderExtensionUri::VideoLayersAllocation) => received.allocation = Some(value),
                Some(HeaderExtensionUri::AudioLevel) => received.carried.audio_level = value.first().copied(),
                Some(HeaderExtensionUri::VideoOrientation) => {
                    received.carried.video_orientation = value.first().copied();
                }
                Some(HeaderExtensionUri::PlayoutDelay) => {
                    received.carried.playout_delay = value.try_into().ok()
                }
                Some(HeaderExtensionUri::AbsSendTime) => received.send_time = value.try_into().ok(),
                Some(HeaderExtensionUri::AbsCaptureTime | HeaderExtensionUri::TransmissionOffset) | None => {}
            }
        }
        received
    }
}

/// In 2^-32 s, so one second: a larger change is a step of the clock, not drift.
const MAX_CLOCK_DRIFT: u64 = 1 << 32;
