//! Parses and writes RTCP, using webrtc-rs's packet types.

use crate::clock::NtpTime;
use bytes::Bytes;
use rtcp::Packet;
use rtcp::extended_report::{DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock};
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};

/// An RTCP packet to be sent as part of a compound packet.
pub(crate) type RtcpPacket = Box<dyn Packet>;

/// The contents of a client's RTCP that the SFU handles.
#[derive(Debug, PartialEq)]
pub(crate) enum Feedback {
    SenderReport {
        ssrc: u32,
        ntp: NtpTime,
        timestamp: u32,
    },
    Reception(ReceptionReport),
    Nack {
        ssrc: u32,
        missing: Vec<u16>,
    },
    /// PLI or FIR.
    KeyFrameRequest {
        ssrc: u32,
    },
    /// Receiver reference time: the sender requests a DLRR block in reply (RFC 3611 §4.4).
    ReferenceTime {
        sender: u32,
        ntp: NtpTime,
    },
    /// The receiver's own estimate (REMB), in bit/s; 0 for no limit.
    Estimate(u64),
    /// The delay since our reference time with middle 32 bits `last` (RFC 3611 §4.5), in 1/65536 s.
    DelaySince {
        last: u32,
        delay: u32,
    },
}

impl Feedback {
    /// The number of items that must be looked up to handle this feedback.
    pub(crate) fn wishes(&self) -> usize {
        match self {
            Self::Nack { missing, .. } => missing.len(),
            Self::SenderReport { .. }
            | Self::Reception(_)
            | Self::KeyFrameRequest { .. }
            | Self::ReferenceTime { .. }
            | Self::Estimate(_)
            | Self::DelaySince { .. } => 1,
        }
    }
}

/// Parses a compound or reduced-size packet; `None` if any part is malformed. Transport-wide feedback is left out: it
/// arrives ten times a second or more, and is read in place (see [`transport_wide_feedback`]).
pub(crate) fn parse(compound: &[u8]) -> Option<Vec<Feedback>> {
    let mut feedback = Vec::new();
    let mut rest = compound;
    while !rest.is_empty() {
        let len = (usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?])) + 1) * 4;
        let (mut packet, after) = rest.split_at_checked(len)?;
        rest = after;
        if is_transport_wide_feedback(packet) {
            continue;
        }
        if let Some(rate) = receiver_estimate(packet) {
            feedback.push(Feedback::Estimate(rate));
            continue;
        }
        for packet in rtcp::packet::unmarshal(&mut packet).ok()? {
            understand(packet.as_ref(), &mut feedback);
        }
    }
    Some(feedback)
}

/// The packets of transport-wide feedback in a compound packet that [`parse`] understood.
pub(crate) fn transport_wide_feedback(compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = compound;
    let packets = std::iter::from_fn(move || {
        let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
        let (packet, after) = rest.split_at_checked((usize::from(words) + 1) * 4)?;
        rest = after;
        Some(packet)
    });
    packets.filter(|packet| is_transport_wide_feedback(packet))
}

/// A sender report with the SDES CNAME by which receivers synchronise streams.
pub(crate) fn sender_report(report: SenderReport, cname: &str) -> [RtcpPacket; 2] {
    let item = SourceDescriptionItem {
        sdes_type: SdesType::SdesCname,
        text: Bytes::copy_from_slice(cname.as_bytes()),
    };
    let chunk = SourceDescriptionChunk { source: report.ssrc, items: vec![item] };
    [Box::new(report), Box::new(SourceDescription { chunks: vec![chunk] })]
}

/// Receiver reports for any number of sources.
pub(crate) fn receiver_reports(ssrc: u32, reports: &[ReceptionReport]) -> impl Iterator<Item = RtcpPacket> {
    reports.chunks(MAX_REPORTS).map(move |reports| -> RtcpPacket {
        Box::new(ReceiverReport { ssrc, reports: reports.to_vec(), profile_extensions: Bytes::new() })
    })
}

pub(crate) fn reference_time(ssrc: u32, now: NtpTime) -> RtcpPacket {
    let block = ReceiverReferenceTimeReportBlock { ntp_timestamp: now.0 };
    Box::new(ExtendedReport { sender_ssrc: ssrc, reports: vec![Box::new(block)] })
}

pub(crate) fn delay_since(ssrc: u32, block: DLRRReportBlock) -> RtcpPacket {
    Box::new(ExtendedReport { sender_ssrc: ssrc, reports: vec![Box::new(block)] })
}

pub(crate) fn picture_loss(sender_ssrc: u32, media_ssrc: u32) -> RtcpPacket {
    Box::new(PictureLossIndication { sender_ssrc, media_ssrc })
}

/// A generic NACK for each 253 pairs or fewer.
pub(crate) fn nack(sender_ssrc: u32, media_ssrc: u32, nacks: Vec<NackPair>) -> RtcpPacket {
    Box::new(TransportLayerNack { sender_ssrc, media_ssrc, nacks })
}

/// Serialized packets, joined into compounds of at most [`MAX_COMPOUND`] bytes, which fit any path.
pub(crate) fn compounds(packets: &[RtcpPacket]) -> Vec<Vec<u8>> {
    let mut compounds: Vec<Vec<u8>> = Vec::new();
    for packet in packets {
        let Ok(bytes) = packet.marshal() else { continue };
        match compounds.last_mut().filter(|last| last.len() + bytes.len() <= MAX_COMPOUND) {
            Some(last) => last.extend_from_slice(&bytes),
            None => compounds.push(bytes.to_vec()),
        }
    }
    compounds
}

fn understand(packet: &dyn Packet, feedback: &mut Vec<Feedback>) {
    let packet = packet.as_any();
    if let Some(report) = packet.downcast_ref::<SenderReport>() {
        let ntp = NtpTime(report.ntp_time);
        feedback.push(Feedback::SenderReport { ssrc: report.ssrc, ntp, timestamp: report.rtp_time });
        feedback.extend(report.reports.iter().cloned().map(Feedback::Reception));
    } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
        feedback.extend(report.reports.iter().cloned().map(Feedback::Reception));
    } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
        let missing = nack.nacks.iter().flat_map(NackPair::packet_list).collect();
        feedback.push(Feedback::Nack { ssrc: nack.media_ssrc, missing });
    } else if let Some(pli) = packet.downcast_ref::<PictureLossIndication>() {
        feedback.push(Feedback::KeyFrameRequest { ssrc: pli.media_ssrc });
    } else if let Some(fir) = packet.downcast_ref::<FullIntraRequest>() {
        feedback.extend(fir.fir.iter().map(|entry| Feedback::KeyFrameRequest { ssrc: entry.ssrc }));
    } else if let Some(report) = packet.downcast_ref::<ExtendedReport>() {
        understand_extended(report, feedback);
    }
}

fn understand_extended(report: &ExtendedReport, feedback: &mut Vec<Feedback>) {
    for block in &report.reports {
        let block = block.as_any();
        if let Some(time) = block.downcast_ref::<ReceiverReferenceTimeReportBlock>() {
            let ntp = NtpTime(time.ntp_timestamp);
            feedback.push(Feedback::ReferenceTime { sender: report.sender_ssrc, ntp });
        } else if let Some(delays) = block.downcast_ref::<DLRRReportBlock>() {
            let delay = |report: &rtcp::extended_report::DLRRReport| Feedback::DelaySince {
                last: report.last_rr,
                delay: report.dlrr,
            };
            feedback.extend(delays.reports.iter().map(delay));
        }
    }
}

fn is_transport_wide_feedback(packet: &[u8]) -> bool {
    matches!(packet, [first, TRANSPORT_FEEDBACK, ..] if first & 0x1f == TRANSPORT_WIDE)
}

/// The bit/s of a receiver's own estimate (draft-alvestrand-rmcat-remb-03 §2.2). It is read here, because the library
/// takes 0 for 8 Mbit/s.
fn receiver_estimate(packet: &[u8]) -> Option<u64> {
    let is_estimate = matches!(packet, [first, PAYLOAD_FEEDBACK, ..] if first & 0x1f == APPLICATION_LAYER)
        && packet.get(12..16) == Some(b"REMB");
    let rate: [u8; 3] = packet.get(17..20).filter(|_| is_estimate)?.try_into().ok()?;
    let [high, middle, low] = rate.map(u128::from);
    let (exponent, mantissa) = (high >> 2, (high & 0b11) << 16 | middle << 8 | low);
    // Saturates: a mantissa and an exponent can say more than any link carries.
    Some(u64::try_from(mantissa << exponent).unwrap_or(u64::MAX))
}

const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const APPLICATION_LAYER: u8 = 15;
const TRANSPORT_WIDE: u8 = 15;
/// The count field has five bits.
const MAX_REPORTS: usize = 31;
/// Bytes: with headers, SRTCP index and tag, a packet stays below the IPv6 minimum MTU.
const MAX_COMPOUND: usize = 1_150;

#[cfg(test)]
mod tests {
    use super::*;
    use rtcp::extended_report::DLRRReport;

    #[test]
    fn what_is_written_is_understood() {
        let report = SenderReport { ssrc: 1, ntp_time: 2 << 32, rtp_time: 3, ..SenderReport::default() };
        let dlrr = DLRRReportBlock { reports: vec![DLRRReport { ssrc: 9, last_rr: 8, dlrr: 7 }] };
        let pairs = vec![NackPair { packet_id: 10, lost_packets: 0b101 }];
        let mut packets = Vec::from(sender_report(report, "alice"));
        packets.extend(receiver_reports(4, &[ReceptionReport { ssrc: 5, ..ReceptionReport::default() }]));
        packets.extend([
            reference_time(6, NtpTime(99)),
            delay_since(6, dlrr),
            picture_loss(6, 7),
            nack(6, 7, pairs),
        ]);
        let compounds = compounds(&packets);
        assert_eq!(compounds.len(), 1);
        let expected = [
            Feedback::SenderReport { ssrc: 1, ntp: NtpTime(2 << 32), timestamp: 3 },
            Feedback::Reception(ReceptionReport { ssrc: 5, ..ReceptionReport::default() }),
            Feedback::ReferenceTime { sender: 6, ntp: NtpTime(99) },
            Feedback::DelaySince { last: 8, delay: 7 },
            Feedback::KeyFrameRequest { ssrc: 7 },
            Feedback::Nack { ssrc: 7, missing: vec![10, 11, 13] },
        ];
        assert_eq!(parse(&compounds[0]).unwrap(), expected);
    }

    #[test]
    fn long_reports_are_cut_into_datagrams_that_fit() {
        let reports: Vec<_> =
            (0..100).map(|ssrc| ReceptionReport { ssrc, ..ReceptionReport::default() }).collect();
        let packets: Vec<_> = receiver_reports(1, &reports).collect();
        let compounds = compounds(&packets);
        assert!(compounds.iter().all(|compound| compound.len() <= MAX_COMPOUND));
        let blocks: usize = compounds.iter().map(|compound| parse(compound).unwrap().len()).sum();
        assert_eq!(blocks, 100);
    }

    #[test]
    fn a_receivers_estimate_is_read_from_nothing_to_more_than_any_link_carries() {
        for (rate, expected) in [
            ([0, 0, 0], 0),
            ([0xfc, 0, 0], 0),
            ([3 << 2 | 1, 0x86, 0xa0], 800_000),
            ([0, 0, 1], 1),
            ([0xff, 0xff, 0xff], u64::MAX),
        ] {
            let mut packet = [0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1].to_vec();
            packet.extend(rate);
            packet.extend([0, 0, 0, 2]);
            assert_eq!(parse(&packet), Some(vec![Feedback::Estimate(expected)]));
        }
        assert_eq!(parse(&[0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B']), None);
    }

    #[test]
    fn a_length_beyond_the_datagram_is_malformed() {
        assert_eq!(parse(&[0x80, 201, 0, 9, 0, 0, 0, 1]), None);
        assert_eq!(parse(&[0x80, 201]), None);
    }
}
