//! What the controller does besides estimating.

use super::hostile::feedback;
use crate::congestion::{Config, Controller, Demand, Fate, Hearing, Kind, START_RATE, SentPacket};
use std::time::{Duration, Instant};

const CONFIG: Config = Config { start: START_RATE, min: 30_000, max: 10_000_000, transport_wide: true };

struct Story {
    controller: Controller,
    start: Instant,
    now: Instant,
    number: u16,
}

impl Story {
    fn new(config: Config) -> Self {
        let start = Instant::now();
        Self { controller: Controller::new(config, start), start, now: start, number: 0 }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn send(&mut self) -> u16 {
        let number = self.number;
        self.number += 1;
        let at = self.now;
        let packet = SentPacket { number: Some(number), size: 1_000, kind: Kind::Video, cluster: None, at };
        self.controller.sent(&packet);
        number
    }

    /// A report on `count` packets from `base` on, all arrived at once, or none but the last.
    fn report(&mut self, base: u16, count: u16, all: bool) {
        let reference = (self.now - self.start).as_millis() as u32 / 64;
        let symbols = if all { vec![0x20, count as u8] } else { vec![0, count as u8 - 1, 0x20, 1] };
        let deltas = vec![0; if all { count.into() } else { 1 }];
        let packet = feedback(base, count, reference, &[symbols, deltas].concat());
        self.controller.feedback(&packet, self.now).unwrap();
    }

    /// Sends 10 packets a second and reports on each, for some seconds.
    fn talk(&mut self, seconds: u32) {
        for _ in 0..10 * seconds {
            let number = self.send();
            self.pass(50);
            self.report(number, 1, true);
            self.controller.poll(self.now);
            self.pass(50);
        }
    }
}

#[test]
fn a_packet_that_the_host_refused_is_not_lost_on_the_path() {
    let mut story = Story::new(CONFIG);
    let first = story.send();
    let refused = story.send();
    let last = story.send();
    assert!(story.controller.refused(refused));
    assert!(!story.controller.refused(refused));
    assert_eq!((story.controller.in_flight(), story.controller.sent_bytes(Kind::Video)), (2_000, 2_000));
    story.report(first, 3, false);
    assert_eq!(
        [first, refused, last].map(|number| story.controller.fate(number)),
        [Fate::Missing, Fate::Unsent, Fate::Arrived],
    );
}

#[test]
fn missing_packets_may_still_arrive_and_are_lost_when_the_next_report_is_silent_on_them() {
    let mut story = Story::new(CONFIG);
    (0..6).for_each(|_| _ = story.send());
    story.report(0, 3, false);
    assert_eq!(story.controller.fate(1), Fate::Missing);
    story.report(1, 1, true);
    assert_eq!(story.controller.fate(1), Fate::Arrived);
    story.report(3, 2, true);
    assert_eq!(
        [0, 1, 5].map(|number| story.controller.fate(number)),
        [Fate::Lost, Fate::Arrived, Fate::InFlight]
    );
    story.report(0, 1, true);
    assert_eq!(story.controller.fate(0), Fate::Arrived, "even then");
}

#[test]
fn packets_of_a_report_that_got_lost_are_not_lost() {
    let mut story = Story::new(CONFIG);
    (0..9).for_each(|_| _ = story.send());
    story.report(0, 3, true);
    story.report(6, 3, true);
    assert_eq!(story.controller.fate(4), Fate::Untold);
    assert_eq!(story.controller.in_flight(), 0);
}

#[test]
fn silence_holds_then_lowers_then_pauses_video_and_ends_with_the_next_report() {
    let mut story = Story::new(CONFIG);
    story.talk(5);
    let before = story.controller.estimate();
    let mut heard = Vec::new();
    for _ in 0..40 {
        story.send();
        story.pass(100);
        if let Some(change) = story.controller.poll(story.now) {
            heard.push(change.hearing);
        }
    }
    heard.dedup();
    assert_eq!(heard, [Hearing::Late, Hearing::Silent, Hearing::Deaf]);
    let share = story.controller.estimate() as f64 / before as f64;
    assert!((0.40..0.42).contains(&share), "{share}: a fifth less for each of four seconds");
    let last = story.number - 1;
    story.report(last, 1, true);
    assert_eq!(story.controller.poll(story.now).map(|change| change.hearing), Some(Hearing::Heard));
}

#[test]
fn a_pause_of_the_sender_is_no_silence() {
    let mut story = Story::new(CONFIG);
    story.talk(5);
    story.pass(60_000);
    story.controller.poll(story.now);
    let before = story.controller.estimate();
    story.talk(1);
    assert!(story.controller.estimate() >= before);
}

#[test]
fn a_receivers_estimate_bounds_ours_and_zero_lifts_it() {
    let mut story = Story::new(CONFIG);
    story.talk(2);
    let own = story.controller.estimate();
    for (told, bound) in [(100_000, 100_000), (u64::MAX, own), (1, CONFIG.min), (0, own)] {
        story.controller.remb(told, story.now);
        assert_eq!(story.controller.estimate(), bound, "told {told}");
    }
    assert_eq!(story.controller.faults().remb_zero, 1);
}

#[test]
fn without_transport_wide_feedback_reception_reports_decide() {
    let mut story = Story::new(Config { transport_wide: false, ..CONFIG });
    for _ in 0..30 {
        for _ in 0..40 {
            story.send();
            story.pass(25);
        }
        story.controller.reception(0, 40, story.now);
        story.controller.poll(story.now);
    }
    let raised = story.controller.estimate();
    assert!((470_000..500_000).contains(&raised), "1.5 times what is sent: {raised}");
    for _ in 0..2 {
        story.pass(1_000);
        story.controller.reception(20, 40, story.now);
    }
    assert!(story.controller.estimate() < raised * 6 / 10);
    story.controller.reception(41, 40, story.now);
    assert_eq!(story.controller.faults().impossible, 1);
    story.talk(1);
    let by_feedback = story.controller.estimate();
    story.controller.reception(40, 40, story.now);
    assert_eq!(story.controller.estimate(), by_feedback, "no word any more");
}

#[test]
fn another_path_begins_anew_and_is_probed_for_the_old_rate() {
    let mut story = Story::new(Config { start: 4_000_000, ..CONFIG });
    story.controller.want(Demand { granted: 200_000, next: Some(5_000_000), wanted: 6_000_000 }, story.now);
    story.talk(2);
    let old = story.number - 1;
    story.send();
    assert!(story.controller.estimate() > 1_000_000);
    story.controller.path_changed(START_RATE, story.now);
    assert_eq!((story.controller.estimate(), story.controller.in_flight()), (START_RATE, 0));
    assert_eq!(story.controller.fate(old), Fate::Unsent, "reports of the old path mean nothing");
    let probe = story.controller.poll(story.now).and_then(|change| change.probe).unwrap();
    assert!((600_000..=1_000_000).contains(&probe.rate), "{}", probe.rate);
}

#[test]
fn a_resumed_leg_begins_with_four_fifths_for_half_a_minute() {
    let mut story = Story::new(Config { start: 1_000_000, ..CONFIG });
    let remembered = story.controller.remember(story.now);
    story.pass(30_000);
    assert_eq!(remembered.start(story.now), Some(800_000));
    story.pass(1);
    assert_eq!(remembered.start(story.now), None);
}

#[test]
fn a_probe_goes_out_before_media_and_none_while_nothing_more_is_wanted() {
    let mut story = Story::new(CONFIG);
    assert_eq!(story.controller.poll(story.now), None);
    story.controller.want(Demand { granted: 0, next: Some(400_000), wanted: 3_000_000 }, story.now);
    let change = story.controller.poll(story.now).unwrap();
    assert_eq!(change.probe.map(|probe| (probe.rate, probe.runs)), Some((900_000, 4)));
    assert_eq!(story.controller.poll(story.now), None, "one at a time");
    assert!(story.controller.next_timeout().is_some());
}

#[test]
fn a_round_trip_of_seconds_lowers_the_rate_each_second() {
    let mut story = Story::new(Config { transport_wide: false, ..CONFIG });
    story.controller.round_trip(Duration::from_secs(4));
    for _ in 0..3 {
        story.pass(1_000);
        story.controller.poll(story.now);
    }
    assert_eq!(story.controller.estimate(), 153_600);
}
