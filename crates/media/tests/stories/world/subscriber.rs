//! A client that receives: it sends reports and NACKs, and keeps everything for the assertions.

use super::connection::Connection;
use super::view::View;
use super::wall_clock::WallClock;
use rtcp::extended_report::{DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::SourceDescription;
use rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use std::time::{Duration, Instant};

pub struct Subscriber {
    pub clock: WallClock,
    pub views: Vec<View>,
    /// Transport-wide sequence numbers in the order of arrival, extended.
    pub transport_sequences: Vec<u64>,
    /// Packets with SSRCs that signaling did not announce.
    pub strays: usize,
    pub cnames: Vec<(u32, String)>,
    /// DLRR blocks received in answer to our reference times.
    pub delays_since: usize,
    reporting: bool,
    next_report: Option<Instant>,
    /// Sends transport-wide feedback, as browsers do.
    pub feeds_back: bool,
    /// Transport-wide sequence numbers that are not reported yet.
    unreported: Vec<u16>,
    next_feedback: Option<Instant>,
}

impl Subscriber {
    pub fn new(clock: WallClock) -> Self {
        Self {
            clock,
            views: Vec::new(),
            transport_sequences: Vec::new(),
            strays: 0,
            cnames: Vec::new(),
            delays_since: 0,
            reporting: true,
            next_report: None,
            feeds_back: false,
            unreported: Vec::new(),
            next_feedback: None,
        }
    }

    /// Sends nothing more.
    pub fn stop(&mut self) {
        self.reporting = false;
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.views
            .iter()
            .filter_map(View::next_request)
            .chain(self.next_report)
            .chain(self.next_feedback)
            .min()
    }

    pub fn handle_rtp(&mut self, now: Instant, packet: &rtc_rtp::Packet) {
        let Some(view) = self.views.iter_mut().find(|view| view.carries(packet.header.ssrc)) else {
            self.strays += 1;
            return;
        };
        self.next_report.get_or_insert(now + FIRST_REPORT);
        if let Some(sequence) = view.handle_packet(now, packet) {
            if self.feeds_back {
                self.unreported.push(sequence);
                self.next_feedback.get_or_insert(now + FEEDBACK_INTERVAL);
            }
            let last = self.transport_sequences.last().copied().unwrap_or(1 << 16);
            let distance = i64::from(sequence.wrapping_sub(last as u16) as i16);
            self.transport_sequences.push(last.checked_add_signed(distance).unwrap());
        }
    }

    pub fn handle_rtcp(&mut self, now: Instant, packets: &[Box<dyn rtcp::Packet>]) {
        for packet in packets {
            let packet = packet.as_any();
            if let Some(report) = packet.downcast_ref::<SenderReport>() {
                let view = self.views.iter_mut().find(|view| view.carries(report.ssrc));
                let view = view.expect("a sender report for a stream that nobody announced");
                view.sender_reports.push((now, report.clone()));
            } else if let Some(description) = packet.downcast_ref::<SourceDescription>() {
                let names = description.chunks.iter().flat_map(|chunk| {
                    chunk
                        .items
                        .iter()
                        .map(|item| (chunk.source, String::from_utf8_lossy(&item.text).into_owned()))
                });
                self.cnames.extend(names);
            } else if let Some(extended) = packet.downcast_ref::<ExtendedReport>() {
                let answers = extended.reports.iter().filter(|block| block.as_any().is::<DLRRReportBlock>());
                self.delays_since += answers.count();
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, connection: &mut Connection) {
        let mut packets: Vec<Box<dyn rtcp::Packet>> = Vec::new();
        for view in &mut self.views {
            let (missing, hopeless) = view.requests(now);
            for missing in missing.chunks(MAX_NACKS) {
                let nacks = nack_pairs_from_sequence_numbers(missing);
                packets.push(Box::new(TransportLayerNack {
                    sender_ssrc: OWN_SSRC,
                    media_ssrc: view.ssrc,
                    nacks,
                }));
            }
            if hopeless {
                packets.push(picture_loss(view.ssrc));
            }
        }
        if self.next_report.is_some_and(|at| at <= now) {
            self.next_report = Some(now + REPORT_INTERVAL);
            packets.extend(self.report(now));
        }
        if self.reporting {
            connection.send_rtcp(&packets);
        }
        if self.next_feedback.is_some_and(|at| at <= now) {
            self.next_feedback = None;
            let arrived = std::mem::take(&mut self.unreported);
            connection.send_raw_rtcp(&transport_feedback(&arrived));
        }
    }

    fn report(&self, now: Instant) -> [Box<dyn rtcp::Packet>; 2] {
        let reports = self.views.iter().map(|view| view.reception(now)).collect();
        let ntp_timestamp = self.clock.ntp(now);
        let block = ReceiverReferenceTimeReportBlock { ntp_timestamp };
        [
            Box::new(ReceiverReport { ssrc: OWN_SSRC, reports, ..ReceiverReport::default() }),
            Box::new(ExtendedReport { sender_ssrc: OWN_SSRC, reports: vec![Box::new(block)] }),
        ]
    }

    /// Every transport-wide sequence number from the first to the last arrived once. Bandwidth estimation
    /// needs this to distinguish loss from unsent packets.
    pub fn assert_transport_sequence_is_whole(&self) {
        let mut sorted = self.transport_sequences.clone();
        sorted.sort_unstable();
        let gaps: Vec<_> = sorted.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        assert!(gaps.is_empty(), "transport-wide numbers jump: {gaps:?}");
    }
}

/// Transport-wide feedback that these packets arrived, in steps of 250 µs: a chunk of one bit each for 14 numbers.
pub fn transport_feedback(arrived: &[u16]) -> Vec<u8> {
    let base = arrived[0];
    let steps: Vec<usize> = arrived.iter().map(|number| usize::from(number.wrapping_sub(base))).collect();
    let count = steps.iter().max().unwrap() + 1;
    let mut chunks = vec![0x8000u16; count.div_ceil(14)];
    for step in &steps {
        chunks[step / 14] |= 1 << (13 - step % 14);
    }
    let mut packet = vec![0x8f, 205, 0, 0];
    packet.extend([OWN_SSRC, 0].into_iter().flat_map(u32::to_be_bytes));
    packet.extend([base, count as u16].into_iter().flat_map(u16::to_be_bytes));
    packet.extend([0; 4]);
    packet.extend(chunks.into_iter().flat_map(u16::to_be_bytes));
    packet.extend(steps.iter().map(|_| 1));
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}

pub fn picture_loss(media_ssrc: u32) -> Box<dyn rtcp::Packet> {
    Box::new(PictureLossIndication { sender_ssrc: OWN_SSRC, media_ssrc })
}

/// The SSRC of a browser's RTCP when it sends no media.
const OWN_SSRC: u32 = 1;
/// NACKs in one packet, whose pairs are counted in 8 bits.
const MAX_NACKS: usize = 200;
const FIRST_REPORT: Duration = Duration::from_millis(100);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);
