//! Links that disturb the way back, the order or the times of packets, but have the rate they have.

use super::baseline::Baseline;
use super::call::Row;
use super::report::{LinkReport, print};
use super::{MBIT, millis, secs};
use crate::world::arrivals::ReceiverClock;
use crate::world::rates::Camera;
use std::time::Duration;
use switchyard_link::path::{Held, Loss, Path, Queue, Rate, Spread};

const LINK: Row = Row {
    cameras: 2,
    camera: CAMERA,
    seconds: 20,
    ..Row::limited("", Rate::Constant(3 * MBIT), Queue::Time(millis(300)))
};

/// Two of them want 1.2 times the link.
const CAMERA: Camera = Camera { scale: 1.2, ..Camera::USUAL };

#[test]
fn lost_feedback() {
    for (name, share) in [("feedback loss 10 %", 0.1), ("feedback loss 30 %", 0.3)] {
        let up = Path { loss: Loss::Random(share), ..LINK.up };
        let report = Row { name, up, ..LINK }.run();
        report.assert_complete();
        report.assert_estimate(3 * MBIT, 0.8..=1.05);
        print(&report);
    }
}

#[test]
fn slow_feedback() {
    let report = Row { name: "feedback + 300 ms", up: Path { delay: millis(325), ..LINK.up }, ..LINK }.run();
    report.assert_complete();
    report.assert_estimate(3 * MBIT, 0.8..=1.05);
    print(&report);
}

#[test]
fn clumped_feedback() {
    let up = Path { tick: Some(millis(500)), ..LINK.up };
    let report = Row { name: "feedback each 500 ms", up, ..LINK }.run();
    report.assert_complete();
    report.assert_estimate(3 * MBIT, 0.8..=1.05);
    print(&report);
}

#[test]
fn two_seconds_without_feedback() {
    const SILENCE: &[(Duration, Duration)] = &[(secs(12), secs(14))];
    let report = Row { name: "no feedback for 2 s", up: Path { silences: SILENCE, ..LINK.up }, ..LINK }.run();
    report.assert_complete();
    print(&report);
}

/// A peer without transport-wide feedback tells only what it lost, and the rate that it can take.
#[test]
fn a_receiver_that_reports_a_maximum() {
    let mut call = Row { name: "REMB of 2.5 Mb/s", ..LINK }.begin();
    let client = call.receivers[0].client;
    let subscriber = call.world.subscriber_mut(client);
    (subscriber.feeds_back, subscriber.remb) = (false, Some(2_500_000.0));
    call.run(20);
    let report = call.report(0);
    report.assert_complete();
    print(&report);
}

#[test]
fn overtaken_packets() {
    for (name, held) in [
        ("5 % held 8 ms", Held { share: 0.05, by: millis(8) }),
        ("1 % held 40 ms", Held { share: 0.01, by: millis(40) }),
    ] {
        let report = Row { name, down: Path { held, ..LINK.down }, ..LINK }.run();
        report.assert_complete();
        print(&report);
    }
}

#[test]
fn jitter_that_keeps_the_order() {
    let report = jitter("jitter σ 30 ms in order", true);
    report.assert_complete();
    report.assert_estimate(3 * MBIT, 0.77..=1.1);
    print(&report);
}

#[test]
fn jitter_that_reorders() {
    let report = jitter("jitter σ 30 ms reordering", false);
    report.assert_complete();
    report.assert_estimate(3 * MBIT, 0.73..=1.1);
    print(&report);
}

#[test]
fn receivers_clocks_that_run_fast_or_slow() {
    for (name, drift) in [
        ("clock −1000 ppm", -1_000.0),
        ("clock −200 ppm", -200.0),
        ("clock +200 ppm", 200.0),
        ("clock +1000 ppm", 1_000.0),
    ] {
        let mut call = Row { name, ..LINK }.begin();
        let client = call.receivers[0].client;
        let clock = ReceiverClock { drift, step: 0.0 };
        call.world.subscriber_mut(client).arrivals.clock = clock;
        call.run(15);
        let report = call.report(0);
        let report = LinkReport { baseline: Some(Baseline::of(&LINK, report.duration, clock)), ..report };
        report.assert_complete();
        report.assert_estimate(3 * MBIT, 0.85..=1.05);
        print(&report);
    }
}

#[test]
fn receivers_clocks_that_are_set() {
    for (name, step) in [("clock set back 5 s", -5.0), ("clock set forward 5 s", 5.0)] {
        let mut call = Row { name, ..LINK }.begin();
        let client = call.receivers[0].client;
        call.run(12);
        call.world.subscriber_mut(client).arrivals.clock.step = step;
        call.run(8);
        let report = call.report(0);
        report.assert_complete();
        print(&report);
    }
}

fn jitter(name: &'static str, keeps_order: bool) -> LinkReport {
    let down = Path { jitter: Spread::HalfNormal(millis(30)), keeps_order, ..LINK.down };
    Row { name, down, ..LINK }.run()
}
