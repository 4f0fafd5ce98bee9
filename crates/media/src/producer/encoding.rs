//! One of a producer's encodings: announced by RID or SSRC, alive once packets came.

use super::intake::{Intake, Media, RtxStream};
use super::key_frames::KeyFrameRequests;
use super::stream::Stream;
use crate::arrival::{Arrival, Content, EncodingLife, SenderClock};
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
    /// Where its packets are received; `None` where they come by relay.
    pub(crate) intake: Option<Intake>,
    pub(crate) rtx: Option<RtxStream>,
    pub(crate) key_frames: KeyFrameRequests,
    /// What its sender's report said of media time, and of which life of the stream.
    pub(crate) clock: Option<(EncodingLife, SenderClock)>,
}

/// What became of a relayed packet.
#[derive(Debug)]
pub(crate) enum Accepted {
    Taken(Arrival),
    /// It is here already, or too late for any receiver.
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

    /// Takes in a packet from its sender. `None` if nobody is to see it (counted).
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

    /// Takes in a packet from the shard that receives it. Of an encoding that is not wanted only those that fill a gap.
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

    /// A sender report: its media time at the sender's wall-clock time. False if it changes nothing.
    pub(crate) fn sender_report(
        &mut self,
        ntp: NtpTime,
        timestamp: u32,
        now: Instant,
        counters: &mut Counters,
    ) -> bool {
        let (Some(intake), Some(stream)) = (&mut self.intake, &self.stream) else { return false };
        let is_due = intake.sender_report(ntp, now);
        if is_due {
            self.clock = Some((stream.source, SenderClock { ntp, timestamp, rate: intake.clock_rate() }));
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
