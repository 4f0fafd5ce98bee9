//! One ICE + DTLS-SRTP connection of a client, and what flows on it: up from the client or down to it.

mod allotment;
mod budget;
mod connection;
mod downlink;
mod path;
mod quiz;
mod repair;
mod uplink;

use crate::counters::Counters;
use crate::dtls::{Dtls, DtlsRole, Fingerprint, RtcDtls};
use crate::due::{Due, DueList};
use crate::event::{DtlsState, TransportStats};
use crate::ice::{Credentials, IceLite};
use crate::id::TransportId;
use crate::keys::TransportAddress;
use crate::pacing::Crowding;
use crate::paths::PathStats;
use crate::prefetch::prefetch;
use crate::rtp::Header;
use crate::sctp::Sctp;
use crate::srtp::{Inbound, OpenError, Outbound};
use crate::timer::Timers;
pub(crate) use budget::Budget;
pub(crate) use connection::{DataReceived, Happened, REPORT_INTERVAL};
pub(crate) use downlink::Downlink;
pub(crate) use path::{Path, Release};
pub(crate) use repair::RepairBudget;
use std::fmt;
use std::time::{Duration, Instant};
pub(crate) use uplink::{ReceivedExtensions, Route, Uplink};

pub(crate) struct Transport {
    pub(crate) id: TransportId,
    pub(crate) address: TransportAddress,
    pub(crate) ice: IceLite,
    /// The local username fragments of this transport, the newest last.
    pub(crate) usernames: Vec<String>,
    dtls: Box<dyn Dtls>,
    dtls_state: DtlsState,
    /// The parameters of [`Self::connect`].
    peer: Option<(DtlsRole, Vec<Fingerprint>)>,
    pub(crate) srtp: Option<Srtp>,
    /// The client's packet budget. Only authenticated packets are charged, so nobody else can use it up.
    pub(crate) budget: Budget,
    pub(crate) sctp: Sctp,
    pub(crate) side: Side,
    pub(crate) timers: Timers,
    /// The time of this transport's entry in the SFU's wake-ups.
    pub(crate) scheduled: Option<Instant>,
    pub(crate) traffic: Traffic,
    /// The SSRC that our own RTCP comes from (RFC 3550 §6.4.2, a receiver that sends nothing).
    pub(crate) rtcp_ssrc: u32,
}

/// What flows on a transport, as its client sees it.
#[expect(clippy::large_enum_variant, reason = "most transports are downlinks, which every packet sent reads")]
pub(crate) enum Side {
    Uplink(Box<Uplink>),
    Downlink(Downlink),
}

/// The keys of a finished handshake.
pub(crate) struct Srtp {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
}

#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) packets_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
}

impl Transport {
    pub(crate) fn new(
        (id, address): (TransportId, TransportAddress),
        credentials: Credentials,
        dtls: RtcDtls,
        side: Side,
        budget: Budget,
        rtcp_ssrc: u32,
    ) -> Self {
        Self {
            id,
            address,
            usernames: vec![credentials.username_fragment.clone()],
            ice: IceLite::new(credentials),
            dtls: Box::new(dtls),
            dtls_state: DtlsState::New,
            peer: None,
            srtp: None,
            budget,
            sctp: Sctp::new(),
            side,
            timers: Timers::default(),
            scheduled: None,
            traffic: Traffic::default(),
            rtcp_ssrc,
        }
    }

    /// Whether there are keys to seal with and a tuple to send to.
    pub(crate) fn can_send(&self) -> bool {
        self.srtp.is_some() && self.ice.selected().is_some()
    }

    /// Whether packets may be sent to where the client says to be, or held until it has proven to be there.
    pub(crate) fn takes(&self, video: bool, now: Instant) -> bool {
        match &self.side {
            Side::Uplink(_) => true,
            Side::Downlink(downlink) => downlink.path.takes(video, now),
        }
    }

    /// How much video waits for its turn.
    pub(crate) fn crowding(&self) -> Crowding {
        match &self.side {
            Side::Uplink(_) => Crowding::None,
            Side::Downlink(downlink) => {
                downlink.pacer.as_ref().map_or(Crowding::None, |pacer| pacer.crowding())
            }
        }
    }

    /// Prefetches the state needed to send a packet to the client.
    pub(crate) fn prefetch(&self) {
        prefetch(&self.side);
        prefetch(&self.srtp);
        prefetch(&self.ice);
    }

    /// The last measured round-trip time to the client, or [`DEFAULT_RTT`].
    pub(crate) fn rtt(&self) -> Duration {
        self.measured_rtt().unwrap_or(DEFAULT_RTT)
    }

    pub(crate) fn set_rtt(&mut self, rtt: Duration) {
        let slot = match &mut self.side {
            Side::Uplink(uplink) => &mut uplink.rtt,
            Side::Downlink(downlink) => &mut downlink.rtt,
        };
        *slot = Some(rtt.min(MAX_RTT));
    }

    /// Uses a round trip measured by a retransmission, if there is no better measurement.
    pub(crate) fn guess_rtt(&mut self, rtt: Duration) {
        if self.measured_rtt().is_none() {
            self.set_rtt(rtt);
        }
    }

    pub(crate) fn stats(&self) -> TransportStats {
        TransportStats {
            ice: self.ice.state(),
            dtls: self.dtls_state,
            packets_received: self.traffic.packets_received,
            bytes_received: self.traffic.bytes_received,
            packets_sent: self.traffic.packets_sent,
            bytes_sent: self.traffic.bytes_sent,
            rtt_ms: self.measured_rtt().map(|rtt| rtt.as_millis() as u32),
            path: self.path(),
        }
    }

    /// What the path to the client carries; `None` if that is not estimated.
    pub(crate) fn path(&self) -> Option<PathStats> {
        match &self.side {
            Side::Uplink(_) => None,
            Side::Downlink(downlink) => downlink.path_stats(),
        }
    }

    /// Opens an SRTP packet that arrived at time `at`, in place. Returns the plaintext's length including the
    /// header.
    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: &Header,
        at: Instant,
        counters: &mut Counters,
    ) -> Option<usize> {
        let Some(srtp) = &mut self.srtp else {
            counters.srtp_without_keys += 1;
            return None;
        };
        if !self.budget.has_room(at) {
            counters.packets_over_budget += 1;
            return None;
        }
        let bytes = packet.len();
        match srtp.inbound.open_rtp(packet, header.header_len(), header.ssrc.0, header.sequence_number) {
            Ok(opened) => {
                self.budget.spend(bytes, at);
                self.traffic.packets_received += 1;
                self.traffic.bytes_received += bytes as u64;
                counters.packets_received += 1;
                counters.bytes_received += bytes as u64;
                Some(opened.len)
            }
            Err(OpenError::Replayed) => {
                counters.rtp_duplicate += 1;
                None
            }
            Err(_) => {
                counters.srtp_rejected += 1;
                None
            }
        }
    }

    /// Queues a packet to be sealed.
    pub(crate) fn queue(&mut self, due: Due, list: &mut DueList, counters: &mut Counters) {
        match &mut self.side {
            Side::Uplink(_) => {}
            Side::Downlink(downlink) => list.push(&mut downlink.due, self.address, due, counters),
        }
    }

    /// Drops all queued packets (counted).
    pub(crate) fn forget_due(&mut self, counters: &mut Counters) {
        if let Side::Downlink(downlink) = &mut self.side {
            let waiting = downlink.pacer.as_mut().map_or(0, |pacer| pacer.clear());
            counters.egress_undeliverable += (downlink.due.len() + waiting) as u64;
            downlink.due.clear();
        }
    }

    fn measured_rtt(&self) -> Option<Duration> {
        match &self.side {
            Side::Uplink(uplink) => uplink.rtt,
            Side::Downlink(downlink) => downlink.rtt,
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("id", &self.id)
            .field("dtls", &self.dtls_state)
            .finish_non_exhaustive()
    }
}

/// Assumed until a report allows a measurement: a round trip across a continent.
const DEFAULT_RTT: Duration = Duration::from_millis(100);
/// The largest round trip believed: a higher measurement is an error.
const MAX_RTT: Duration = Duration::from_secs(5);
