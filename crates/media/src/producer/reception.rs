//! What a receiver report says about one incoming SSRC (RFC 3550 §6.4.1 and appendix A).

use crate::clock::{NtpTime, duration_ticks};
use rtcp::reception_report::ReceptionReport;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Reception {
    ssrc: u32,
    clock_rate: u32,
    first: u64,
    highest: u64,
    received: u64,
    reported_expected: u64,
    reported_received: u64,
    /// Interarrival jitter in RTP ticks, scaled by 16 as in appendix A.8.
    jitter: u32,
    transit: Option<u32>,
    last_sender_report: Option<(u32, Instant)>,
    origin: Instant,
}

impl Reception {
    /// `sequence` is the extended sequence number of the first packet.
    pub(crate) fn new(ssrc: u32, clock_rate: u32, sequence: u64, now: Instant) -> Self {
        Self {
            ssrc,
            clock_rate,
            first: sequence,
            highest: sequence,
            received: 0,
            reported_expected: 0,
            reported_received: 0,
            jitter: 0,
            transit: None,
            last_sender_report: None,
            origin: now,
        }
    }

    pub(crate) fn received(&mut self, sequence: u64, timestamp: u32, arrival: Instant) {
        self.received += 1;
        self.first = self.first.min(sequence);
        self.highest = self.highest.max(sequence);
        let arrived = duration_ticks(arrival.saturating_duration_since(self.origin), self.clock_rate);
        let transit = arrived.wrapping_sub(timestamp);
        if let Some(previous) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(previous) as i32).unsigned_abs();
            let step = i64::from(difference) - ((i64::from(self.jitter) + 8) >> 4);
            self.jitter = (i64::from(self.jitter) + step).clamp(0, i64::from(u32::MAX)) as u32;
        }
    }

    /// False if it comes too soon after the last one; then it changes nothing.
    pub(crate) fn sender_report(&mut self, ntp: NtpTime, arrival: Instant) -> bool {
        let is_due = self
            .last_sender_report
            .is_none_or(|(_, last)| arrival.saturating_duration_since(last) >= MIN_SENDER_REPORT_INTERVAL);
        if is_due {
            self.last_sender_report = Some((ntp.middle(), arrival));
        }
        is_due
    }

    /// The report block for the time since the last report.
    pub(crate) fn report(&mut self, now: Instant) -> ReceptionReport {
        let expected = self.highest - self.first + 1;
        let expected_interval = expected - self.reported_expected.min(expected);
        let received_interval = self.received - self.reported_received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        self.reported_expected = expected;
        self.reported_received = self.received;
        let (last_sender_report, delay) = match self.last_sender_report {
            Some((middle, arrival)) => {
                (middle, duration_ticks(now.saturating_duration_since(arrival), 65_536))
            }
            None => (0, 0),
        };
        ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: (lost_interval * 256).checked_div(expected_interval).unwrap_or(0).min(255) as u8,
            total_lost: expected.saturating_sub(self.received).min(MAX_TOTAL_LOST) as u32,
            last_sequence_number: self.highest as u32,
            jitter: self.jitter >> 4,
            last_sender_report,
            delay,
        }
    }
}

/// Cumulative loss is a signed 24-bit field.
const MAX_TOTAL_LOST: u64 = 0x7f_ffff;

/// Each sender report causes a message to every subscribed shard. Browsers report about once a second.
const MIN_SENDER_REPORT_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_reported_for_the_interval_and_in_total() {
        let start = Instant::now();
        let mut reception = Reception::new(7, 90_000, 65_536, start);
        for sequence in (65_536..65_636).filter(|sequence| sequence % 4 != 0) {
            reception.received(sequence, 0, start);
        }
        let report = reception.report(start);
        assert_eq!((report.fraction_lost, report.total_lost), (64, 25));
        assert_eq!(report.last_sequence_number, 65_635);
        for sequence in 65_636..65_736 {
            reception.received(sequence, 0, start);
        }
        let report = reception.report(start);
        assert_eq!((report.fraction_lost, report.total_lost), (0, 25));
    }

    #[test]
    fn evenly_spaced_packets_have_no_jitter() {
        let start = Instant::now();
        let mut even = Reception::new(7, 48_000, 65_536, start);
        let mut shaken = Reception::new(7, 48_000, 65_536, start);
        for i in 0..100u32 {
            let at = start + Duration::from_millis(20) * i;
            even.received(u64::from(65_536 + i), i * 960, at);
            shaken.received(u64::from(65_536 + i), i * 960, at + Duration::from_millis(10) * (i % 2));
        }
        assert_eq!(even.report(start).jitter, 0);
        let jitter = shaken.report(start).jitter;
        assert!((400..500).contains(&jitter), "10 ms back and forth is 480 ticks, measured {jitter}");
    }

    #[test]
    fn the_delay_since_the_last_sender_report_is_counted() {
        let start = Instant::now();
        let mut reception = Reception::new(7, 90_000, 65_536, start);
        reception.received(65_536, 0, start);
        assert_eq!(reception.report(start).last_sender_report, 0);
        assert!(reception.sender_report(NtpTime(0x1234_5678_9abc_def0), start));
        assert!(!reception.sender_report(NtpTime(0), start + Duration::from_millis(99)));
        let report = reception.report(start + Duration::from_millis(500));
        assert_eq!((report.last_sender_report, report.delay), (0x5678_9abc, 32_768));
    }
}
