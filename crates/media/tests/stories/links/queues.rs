//! Links with queues of unusual depth.

use super::call::Row;
use super::report::{WARM_UP, print};
use super::{MBIT, millis, secs};
use switchyard_link::path::{Markov, Path, Policer, Queue, Rate, Spread};

#[test]
fn a_bloated_buffer() {
    let link = Row::limited("bufferbloat 2 Mb/s, 2 s", Rate::Constant(2 * MBIT), Queue::Time(secs(2)));
    let report = Row { cameras: 2, seconds: 45, ..link }.run();
    report.assert_complete();
    report.assert_queue(WARM_UP, 33, 165);
    report.assert_queue(secs(30), 33, 165);
    report.assert_sound(0.03);
    print(&report);
}

#[test]
fn a_shallow_buffer() {
    let link = Row::limited("shallow 3 Mb/s, 20 ms", Rate::Constant(3 * MBIT), Queue::Time(millis(20)));
    let report = Row { cameras: 3, ..link }.run();
    report.assert_complete();
    print(&report);
}

#[test]
fn a_policer_without_a_queue() {
    let policer = Some(Policer { rate: 2 * MBIT, burst: 30_000 });
    let down = Path { policer, ..Row::USUAL.down };
    let report = Row { name: "policer 2 Mb/s, 30 kB", down, cameras: 2, ..Row::USUAL }.run();
    report.assert_complete();
    report.assert_estimate(2 * MBIT, 0.75..=1.15);
    report.assert_sound(0.01);
    print(&report);
}

/// A phone on the move.
#[test]
fn a_radio_link_like_lte() {
    const STATES: &[u64] = &[300_000, MBIT, 3 * MBIT, 8 * MBIT, 20 * MBIT];
    let wandering = Markov {
        states: STATES,
        dwell: millis(400),
        outage_every: secs(20),
        outage: (millis(150), millis(500)),
    };
    let link = Row::limited("LTE-like, 1.5 s", Rate::Markov(wandering), Queue::Time(millis(1_500)));
    let down = Path { jitter: Spread::Uniform(millis(8)), ..link.down };
    let report = Row { down, cameras: 2, seconds: 60, seed: 7, ..link }.run();
    report.assert_complete();
    print(&report);
}
