//! Links whose rate stays, or changes in steps.

use super::call::Row;
use super::report::{LinkReport, print};
use super::{MBIT, millis, secs};
use crate::world::rates::Camera;
use std::time::Duration;
use switchyard_link::path::{Path, Queue, Rate, Spread};

#[test]
fn a_constant_link_of_300_kbit() {
    let report = constant("constant 0.3 Mb/s", 300_000, 1);
    report.assert_complete();
    print(&report);
}

#[test]
fn a_constant_link_of_1_mbit() {
    let report = constant("constant 1 Mb/s", MBIT, 1);
    report.assert_complete();
    print(&report);
}

#[test]
fn a_constant_link_of_3_mbit() {
    let report = constant("constant 3 Mb/s", 3 * MBIT, 2);
    report.assert_complete();
    print(&report);
}

#[test]
fn a_constant_link_of_10_mbit() {
    let camera = Camera { scale: 4.0, ..Camera::USUAL };
    let link = Row::limited("constant 10 Mb/s", Rate::Constant(10 * MBIT), Queue::Time(millis(300)));
    let report = Row { cameras: 2, camera, seconds: 20, ..link }.run();
    report.assert_complete();
    print(&report);
}

#[test]
fn a_step_down_to_half() {
    const HALF: &[(Duration, u64)] = &[(secs(0), 3 * MBIT), (secs(20), 1_500_000)];
    let report = step_down("3 → 1.5 Mb/s at 20 s", HALF);
    report.assert_complete();
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

fn constant(name: &'static str, rate: u64, cameras: u8) -> LinkReport {
    // Two of these cameras want 1.2 times 3 Mb/s.
    let camera = Camera { scale: if cameras > 1 { 1.2 } else { 1.0 }, ..Camera::USUAL };
    Row { cameras, camera, seconds: 20, ..Row::limited(name, Rate::Constant(rate), Queue::Time(millis(300))) }
        .run()
}

fn step_down(name: &'static str, steps: &'static [(Duration, u64)]) -> LinkReport {
    let link = Row::limited(name, Rate::Steps(steps), Queue::Time(secs(1)));
    Row { cameras: 2, seconds: 35, ..link }.run()
}
