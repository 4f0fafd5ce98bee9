//! One of a producer's encodings: announced by RID or SSRC; its stream exists once packets arrive.

use super::intake::{Intake, Media, RtxStream};
use super::key_frames::KeyFrameRequests;
use super::stream::Stream;
use crate::arrival::{Arrival, Captured, Content, EncodingLife, SenderClock};
use crate::client_clock::Heard;
use crate::clock::NtpTime;
use crate::counters::Counters;
use crate::format::Format;
use crate::history::Incoming;
use crate::ortc::MediaKind;
use crate::relay::RelayedPacket;
use crate::rtp::{Rid, Ssrc};
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Encoding {
    pub(crate) rid: Option<Rid>,
    pub(crate) ssrc: Option<Ssrc>,
    pub(crate) rtx_ssrc: Option<Ssrc>,
    pub(crate) stream: Option<Stream>,
    /// Receives the packets of the encoding's SSRC; `None` if packets are relayed from another shard.
    pub(crate) intake: Option<Intake>,
    pub(crate) rtx: Option<RtxStream>,
    pub(crate) key_frames: KeyFrameRequests,
    /// The clock from the last sender report, and the source that it belongs to.
    pub(crate) clock: Option<(EncodingLife, SenderClock)>,
    /// The same on the server's clock, for recordings.
    pub(crate) captured: Option<(EncodingLife, Captured)>,
}

/// The result of accepting a relayed packet.
#[derive(Debug)]
pub(crate) enum Accepted {
    Taken(Arrival),
    /// The packet is stored already, or too late for any receiver.
    Known,
    Unwanted,
}

impl Encoding {
    pub(super) fn announced(&self, format: Format) -> Option<Ssrc> {
        match format {
            Format::Media => self.ssrc,
            Format::Rtx => self.rtx_ssrc,
        }
    }

    /// Handles a packet from the encoding's sender. `None` if the packet is dropped (counted).
    pub(crate) fn receive(
        &mut self,
        media: &Media<'_>,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<Arrival> {
        let (Some(intake), Some(stream)) = (&mut self.intake, &mut self.stream) else {
            counters.rtp_unknown_stream += 1;
            return None;
        };
        let arrival = intake.receive(stream, media, now, counters)?;
        self.note(&arrival);
        Some(arrival)
    }

    /// Handles a packet relayed by the producer's own shard. If the encoding is not wanted, only packets that
    /// fill a gap are accepted.
    pub(crate) fn accept(
        &mut self,
        kind: MediaKind,
        packet: &RelayedPacket,
        content: Content<'_>,
        wanted: bool,
    ) -> Accepted {
        let &RelayedPacket { source, sequence, timestamp, marker, carried, at, .. } = packet;
        let known = self.stream.take().filter(|stream| stream.source == source);
        let fills_gap = known.as_ref().is_some_and(|stream| sequence < stream.newest().sequence);
        if !wanted && !fills_gap {
            self.stream = known;
            return Accepted::Unwanted;
        }
        let stream =
            self.stream.insert(known.unwrap_or_else(|| Stream::new(kind, source, sequence, timestamp, at)));
        if stream.history.contains(sequence) || stream.is_too_old(sequence) {
            return Accepted::Known;
        }
        stream.advance(sequence, timestamp, at);
        let arrival = match packet.media {
            None => stream.probe(sequence, timestamp, at),
            Some(descriptor) => {
                let packet = Incoming { sequence, timestamp, marker, descriptor, carried };
                stream.store(packet, content, at)
            }
        };
        self.note(&arrival);
        Accepted::Taken(arrival)
    }

    /// Handles a sender report: RTP timestamp `timestamp` at the sender's wall-clock time `ntp`, which is the time
    /// `heard` of our clock. `false` if it comes too soon after the last one and is ignored.
    pub(crate) fn sender_report(
        &mut self,
        (ntp, heard): (NtpTime, Option<Heard>),
        timestamp: u32,
        now: Instant,
        counters: &mut Counters,
    ) -> bool {
        let (Some(intake), Some(stream)) = (&mut self.intake, &self.stream) else { return false };
        let is_due = intake.sender_report(ntp, now);
        if is_due {
            self.clock = Some((stream.source, SenderClock { ntp, timestamp, rate: intake.clock_rate() }));
            if let Some(Heard { at, sets }) = heard {
                self.captured = Some((stream.source, Captured { timestamp, at, sets }));
            }
        } else {
            counters.sender_reports_too_frequent += 1;
        }
        is_due
    }

    fn note(&mut self, arrival: &Arrival) {
        if arrival.is_key_frame() {
            self.key_frames.satisfied();
        }
    }
}
