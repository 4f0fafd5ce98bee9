//! Feedback that lies or is garbage: no panic, bounded work, and only this client's own rate changes.

use crate::congestion::acks::{Report, Told};
use crate::congestion::{Config, Controller, FeedbackError, Kind, START_RATE, SentPacket};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

pub(super) const CONFIG: Config =
    Config { start: START_RATE, min: 30_000, max: 10_000_000, transport_wide: true };

/// A feedback packet of given base, count and reference time, with the chunks and deltas in `rest`.
pub(super) fn feedback(base: u16, count: u16, reference: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    packet.extend(base.to_be_bytes());
    packet.extend(count.to_be_bytes());
    packet.extend((reference << 8).to_be_bytes());
    packet.extend(rest);
    packet
}

fn send(controller: &mut Controller, number: u16, at: Instant) {
    let packet = SentPacket { number: Some(number), size: 1_000, kind: Kind::Video, cluster: None, at };
    controller.sent(&packet);
}

#[test]
fn random_bytes_are_read_within_bounds() {
    let mut rng = StdRng::seed_from_u64(7);
    let start = Instant::now();
    let mut controller = Controller::new(CONFIG, start);
    let mut accepted = 0;
    for round in 0..200_000_u32 {
        let now = start + Duration::from_micros(500) * round;
        send(&mut controller, round as u16, now);
        let rest: Vec<u8> = (0..rng.random_range(0..60)).map(|_| rng.random()).collect();
        let base = if rng.random_bool(0.5) { rng.random() } else { (round as u16).wrapping_sub(20) };
        let count = if rng.random_bool(0.5) { rng.random() } else { rng.random_range(0..40) };
        let reference = if rng.random_bool(0.5) { rng.random_range(0..1 << 24) } else { round / 128 };
        let mut packet = feedback(base, count, reference, &rest);
        packet.truncate(rng.random_range(0..=packet.len() + 40));
        accepted += u32::from(controller.feedback(&packet, now).is_ok());
        controller.poll(now);
        if let Ok(report) = Report::open(&packet) {
            assert!(report.told().count() <= 14 * packet.len());
        }
    }
    let faults = controller.faults();
    println!("{accepted} of 200000 packets read, {faults:?}, estimate {}", controller.estimate());
    assert!(
        accepted > 1_000 && faults.malformed > 1_000 && faults.unknown > 1_000 && faults.clock_jumps > 10
    );
    assert!((30_000..=10_000_000).contains(&controller.estimate()));
    assert!(controller.memory() <= 28_000);
}

#[test]
fn a_huge_count_costs_a_few_steps() {
    let run_of_lost = [0x1f, 0xff].repeat(8);
    let packet = feedback(0, u16::MAX, 0, &[&run_of_lost[..], &[0x00, 0x07]].concat());
    let told: Vec<_> = Report::open(&packet).unwrap().told().collect();
    assert_eq!(told.len(), 9);
    assert_eq!(told[8], Told::Missing { first: 65_528, count: 7 });
}

#[test]
fn each_way_to_be_malformed_has_a_name() {
    let named = [
        (feedback(0, 0, 0, &[0x20, 1, 4, 0]), FeedbackError::Empty),
        (feedback(0, 3, 0, &[]), FeedbackError::Short),
        (feedback(0, 3, 0, &[0x20, 3, 1, 2]), FeedbackError::Short),
        (feedback(0, 3, 0, &[0x60, 3, 1, 2, 3]), FeedbackError::Reserved),
        (feedback(0, 7, 0, &[0b1101_0011, 0, 1, 1, 1, 1]), FeedbackError::Reserved),
        (vec![0x8f, 205, 0, 1], FeedbackError::Short),
    ];
    let mut controller = Controller::new(CONFIG, Instant::now());
    for (packet, error) in &named {
        assert_eq!(controller.feedback(packet, Instant::now()), Err(*error), "{packet:?}");
    }
    assert_eq!(controller.faults().malformed, 6);
}

#[test]
fn packets_that_were_never_sent_are_counted_and_raise_nothing() {
    let start = Instant::now();
    let mut controller = Controller::new(CONFIG, start);
    (0..10).for_each(|number| send(&mut controller, number, start));
    for round in 0..100_u32 {
        let now = start + Duration::from_millis(20) * round;
        let packet = feedback(10, 40, round / 3, &[&[0x20, 40][..], &[1; 40]].concat());
        controller.feedback(&packet, now).unwrap();
        controller.poll(now);
    }
    assert_eq!(controller.faults().unknown, 4_000);
    assert!(controller.estimate() <= START_RATE);
}

#[test]
fn a_liar_is_bounded_by_what_was_sent_to_it() {
    let start = Instant::now();
    let mut controller = Controller::new(CONFIG, start);
    // 800 kbit/s, and every packet is said to have come without any delay, in half the time.
    for number in 0..2_000_u16 {
        let now = start + Duration::from_millis(10) * u32::from(number);
        send(&mut controller, number, now);
        let packet = feedback(number, 1, u32::from(number) / 13, &[0x20, 1, (number % 13) as u8 * 19]);
        controller.feedback(&packet, now).unwrap();
        controller.poll(now);
    }
    assert!(controller.estimate() <= 1_210_000 + 20_000, "{}", controller.estimate());
}
