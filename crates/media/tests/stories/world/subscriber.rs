//! A client that receives: it sends reports and NACKs, and keeps everything for the assertions.

use super::arrivals::{Arrivals, OWN_SSRC};
use super::connection::Connection;
use super::view::View;
use super::wall_clock::WallClock;
use rtcp::extended_report::{DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
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
    /// The greatest rate to be sent, in bit/s, as receivers with an estimator of their own report it.
    pub remb: Option<f32>,
    next_report: Option<Instant>,
    /// Sends transport-wide feedback, as browsers do.
    pub feeds_back: bool,
    pub arrivals: Arrivals,
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
            remb: None,
            next_report: None,
            feeds_back: false,
            arrivals: Arrivals::new(clock.origin),
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
            .chain(self.arrivals.next_timeout())
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
                self.arrivals.note(now, sequence, packet.payload.len());
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
                for block in &extended.reports {
                    if let Some(answer) = block.as_any().downcast_ref::<DLRRReportBlock>() {
                        self.delays_since += 1;
                        self.measure_round_trip(now, answer);
                    }
                }
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
            packets.extend(self.remb.map(|bitrate| self.maximum(bitrate)));
        }
        if self.reporting {
            connection.send_rtcp(&packets);
        }
        self.arrivals.reports(now).iter().for_each(|report| connection.send_raw_rtcp(report));
    }

    fn maximum(&self, bitrate: f32) -> Box<dyn rtcp::Packet> {
        let ssrcs = self.views.iter().map(|view| view.ssrc).collect();
        Box::new(ReceiverEstimatedMaximumBitrate { sender_ssrc: OWN_SSRC, bitrate, ssrcs })
    }

    /// Acts as a browser: transport-wide feedback, and requests in a browser's times.
    pub fn be_a_browser(&mut self) {
        self.feeds_back = true;
        self.views.iter_mut().for_each(View::be_a_browsers);
    }

    fn measure_round_trip(&mut self, now: Instant, answer: &DLRRReportBlock) {
        let middle = (self.clock.ntp(now) >> 16) as u32;
        for report in &answer.reports {
            let round_trip = middle.wrapping_sub(report.last_rr).wrapping_sub(report.dlrr);
            // A round trip of nearly nothing may seem negative.
            let round_trip = Duration::from_secs(1) * (round_trip as i32).max(0) as u32 / 65_536;
            self.views.iter_mut().for_each(|view| view.gaps.note_round_trip(round_trip));
        }
    }

    fn report(&mut self, now: Instant) -> [Box<dyn rtcp::Packet>; 2] {
        let reports = self.views.iter_mut().map(|view| view.reception(now)).collect();
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

pub fn picture_loss(media_ssrc: u32) -> Box<dyn rtcp::Packet> {
    Box::new(PictureLossIndication { sender_ssrc: OWN_SSRC, media_ssrc })
}

/// NACKs in one packet, whose pairs are counted in 8 bits.
const MAX_NACKS: usize = 200;
const FIRST_REPORT: Duration = Duration::from_millis(100);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
