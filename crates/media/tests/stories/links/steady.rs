//! Links whose rate stays, or changes in steps.

use super::call::Row;
use super::report::{LinkReport, WARM_UP, print};
use super::{MBIT, millis, secs};
use crate::world::rates::Camera;
use std::time::Duration;
use switchyard_link::path::{Path, Queue, Rate, Spread};

#[test]
fn a_constant_link_of_300_kbit() {
    let report = constant("constant 0.3 Mb/s", 300_000, 1);
    report.assert_complete();
    report.assert_estimate(300_000, 0.85..=1.05);
    report.assert_uses(300_000, Camera::USUAL, 1);
    report.assert_queue(WARM_UP, 20, 100);
    report.assert_steady();
    report.assert_pictures(25.0, 0.01);
    report.assert_sound(0.03);
    print(&report);
}

#[test]
fn a_constant_link_of_1_mbit() {
    let report = constant("constant 1 Mb/s", MBIT, 1);
    report.assert_complete();
    report.assert_estimate(MBIT, 0.85..=1.05);
    report.assert_uses(MBIT, Camera::USUAL, 1);
    report.assert_queue(WARM_UP, 20, 100);
    report.assert_steady();
    report.assert_pictures(25.0, 0.01);
    report.assert_sound(0.03);
    print(&report);
}

#[test]
fn a_constant_link_of_3_mbit() {
    let report = constant("constant 3 Mb/s", 3 * MBIT, 2);
    report.assert_complete();
    report.assert_estimate(3 * MBIT, 0.85..=1.05);
    report.assert_uses(3 * MBIT, WANTING, 2);
    // The receiver joins 0.2 s before its path is connected.
    report.assert_reached(2_550_000, secs(0), millis(1_850));
    report.assert_queue(WARM_UP, 22, 100);
    report.assert_steady();
    report.assert_pictures(20.0, 0.02);
    print(&report);
}

#[test]
fn a_constant_link_of_10_mbit() {
    let camera = Camera { scale: 4.0, ..Camera::USUAL };
    let link = Row::limited("constant 10 Mb/s", Rate::Constant(10 * MBIT), Queue::Time(millis(300)));
    let report = Row { cameras: 2, camera, seconds: 20, ..link }.run();
    report.assert_complete();
    report.assert_estimate(10 * MBIT, 0.85..=1.05);
    report.assert_uses(10 * MBIT, camera, 2);
    report.assert_reached(8_500_000, secs(0), millis(3_500));
    report.assert_queue(WARM_UP, 22, 100);
    report.assert_steady();
    report.assert_pictures(20.0, 0.02);
    print(&report);
}

#[test]
fn a_step_down_to_half() {
    const HALF: &[(Duration, u64)] = &[(secs(0), 3 * MBIT), (secs(20), 1_500_000)];
    let report = step_down("3 → 1.5 Mb/s at 20 s", HALF);
    report.assert_complete();
    let sent = report.sent_rate(secs(21), secs(24));
    assert!(sent <= 1_650_000.0, "{sent}");
    let peak = report.waits(secs(20), report.duration).most;
    assert!(peak <= millis(550), "{peak:?}");
    report.assert_sound(0.03);
    print(&report);
}

#[test]
fn a_step_down_to_a_sixth() {
    const SIXTH: &[(Duration, u64)] = &[(secs(0), 3 * MBIT), (secs(20), 500_000)];
    let report = step_down("3 → 0.5 Mb/s at 20 s", SIXTH);
    report.assert_complete();
    print(&report);
}

#[test]
fn a_step_up() {
    const STEPS: &[(Duration, u64)] = &[(secs(0), MBIT), (secs(20), 3 * MBIT)];
    let link = Row::limited("1 → 3 Mb/s at 20 s", Rate::Steps(STEPS), Queue::Time(millis(300)));
    let report = Row { seconds: 30, ..link }.run();
    report.assert_complete();
    report.assert_reached(1_725_000, secs(20), millis(25_500));
    report.assert_pictures(25.0, 0.02);
    print(&report);
}

/// RFC 8867, section 5.1: variable available capacity with a single flow.
#[test]
fn a_variable_link_as_in_rfc_8867() {
    const STEPS: &[(Duration, u64)] =
        &[(secs(0), MBIT), (secs(40), 2_500_000), (secs(60), 600_000), (secs(80), MBIT)];
    let link = Row::limited("RFC 8867 5.1", Rate::Steps(STEPS), Queue::Time(millis(300)));
    let down = Path { delay: millis(50), jitter: Spread::Uniform(millis(30)), ..link.down };
    let up = Path { delay: millis(50), ..link.up };
    let report = Row { down, up, cameras: 2, seconds: 100, ..link }.run();
    report.assert_complete();
    print(&report);
}

/// Two of these cameras want 1.2 times 3 Mb/s.
const WANTING: Camera = Camera { scale: 1.2, ..Camera::USUAL };

fn constant(name: &'static str, rate: u64, cameras: u8) -> LinkReport {
    let camera = if cameras > 1 { WANTING } else { Camera::USUAL };
    Row { cameras, camera, seconds: 20, ..Row::limited(name, Rate::Constant(rate), Queue::Time(millis(300))) }
        .run()
}

fn step_down(name: &'static str, steps: &'static [(Duration, u64)]) -> LinkReport {
    let link = Row::limited(name, Rate::Steps(steps), Queue::Time(secs(1)));
    Row { cameras: 2, seconds: 35, ..link }.run()
}
