//! The models that the reports rest on do what they claim.

use super::baseline::acknowledgements;
use super::call::Row;
use super::{MBIT, millis, secs};
use crate::world::arrivals::{Arrivals, ReceiverClock};
use crate::world::cubic::Cubic;
use crate::world::decoder::Decoder;
use crate::world::network::Network;
use crate::world::quality::Pictures;
use crate::world::rates::{self, LADDER, LossControl, Sizes};
use crate::world::record::Kind;
use crate::world::stamp::Stamp;
use std::time::{Duration, Instant};
use switchyard_link::path::{Path, Queue, Rate};
use switchyard_media::Bandwidth;

#[test]
fn a_camera_sends_the_rates_of_the_ladder_and_large_key_frames() {
    for rate in LADDER {
        let mut sizes = Sizes::new(rate, 1);
        let mut bytes = |key, temporal| -> usize {
            sizes.packets(key, temporal, 3).iter().map(|length| length + 50).sum()
        };
        let by_layer: Vec<usize> =
            [0, 2, 1, 2].iter().map(|temporal| (0..225).map(|_| bytes(false, *temporal)).sum()).collect();
        let rates: Vec<f64> = by_layer.iter().map(|bytes| *bytes as f64 * 8.0 / 30.0 / rate).collect();
        for (share, expected) in rates.iter().zip([0.6, 0.1, 0.2, 0.1]) {
            assert!((share / expected - 1.0).abs() < 0.05, "{rates:?} of {rate}");
        }
        let key: usize = (0..100).map(|_| bytes(true, 0)).sum();
        assert!((key as f64 / 100.0 / (rate / 240.0) / 8.0 - 1.0).abs() < 0.05, "a key frame of {key} bytes");
    }
}

#[test]
fn a_senders_loss_control_leaves_400_kbit_at_30_per_cent() {
    let (mut control, start) = (LossControl::default(), Instant::now());
    let mut bounds = (0..30).filter_map(|second| {
        control.note(1_000, if second < 5 { 0 } else { 300 });
        control.bound(start + secs(second))
    });
    assert_eq!(bounds.next(), Some(f64::INFINITY));
    let last = bounds.last().unwrap();
    assert!((390_000.0..410_000.0).contains(&last), "{last}");
    let parts = rates::divide(last, LADDER.into_iter());
    assert!(matches!(parts[..], [Some(150_000.0), Some(240_000.0..260_000.0), None]), "{parts:?}");
}

#[test]
fn feedback_says_what_arrived_and_when_on_the_receivers_clock() {
    let start = Instant::now();
    let mut arrivals = Arrivals::new(start);
    arrivals.clock = ReceiverClock { drift: 1_000.0, step: 0.0 };
    for number in (0..20u16).filter(|number| *number != 7) {
        arrivals.note(start + millis(u64::from(number) * 2), 65_530u16.wrapping_add(number), 1_000);
    }
    assert_eq!(arrivals.next_timeout(), Some(start + millis(50)));
    let [report] = &arrivals.reports(start + millis(50))[..] else { panic!("not one report") };
    let acknowledged = acknowledgements(report);
    assert_eq!(acknowledged.len(), 20);
    let lost: Vec<u16> = acknowledged.iter().filter(|it| !it.arrived).map(|it| it.sequence_number).collect();
    assert_eq!(lost, [65_530u16.wrapping_add(7)]);
    let span = acknowledged[19].arrival.unwrap() - acknowledged[0].arrival.unwrap();
    assert!(span.abs_diff(Duration::from_micros(38_038)) <= Duration::from_micros(500), "{span:?}");

    // The late one is reported with those around it, and nothing more when nothing comes.
    arrivals.note(start + millis(60), 65_530u16.wrapping_add(7), 1_000);
    let [report] = &arrivals.reports(start + millis(300))[..] else { panic!("not one report") };
    let acknowledged = acknowledgements(report);
    assert_eq!((acknowledged.len(), acknowledged.iter().all(|it| it.arrived)), (13, true));
    assert!(arrivals.reports(start + secs(2)).is_empty());
}

#[test]
fn a_clock_that_is_set_back_still_gives_feedback_that_can_be_read() {
    let start = Instant::now();
    let mut arrivals = Arrivals::new(start);
    for step in [-5.0, 20.0] {
        arrivals.note(start + millis(1), 1, 1_000);
        arrivals.clock.step = step;
        arrivals.note(start + millis(20), 2, 1_000);
        for report in arrivals.reports(start + secs(1)) {
            assert!(acknowledgements(&report).iter().all(|it| it.arrived));
        }
    }
}

#[test]
fn a_picture_without_the_one_it_refers_to_freezes_until_a_key_frame() {
    let start = Instant::now();
    let mut decoder = Decoder::default();
    for frame in (1..=150u32).filter(|frame| *frame != 31) {
        let key = frame == 1 || frame == 91;
        let captured = Duration::from_secs(1) * frame / 30;
        let stamp = Stamp { frame, key, captured, references: [if key { 0 } else { frame - 1 }, 0], ..STAMP };
        decoder.take(start + captured, stamp);
    }
    assert_eq!(decoder.shown.len(), 30 + 60);
    let pictures = Pictures::of(&decoder, start, start + secs(5));
    assert_eq!((pictures.bad_seconds, pictures.seconds), (2, 5));
    assert!((pictures.frozen - 0.4).abs() < 0.02, "{pictures:?}");
}

#[test]
fn a_late_packet_lets_all_pictures_behind_it_be_decoded() {
    let start = Instant::now();
    let mut decoder = Decoder::default();
    let stamp = |frame: u32| Stamp {
        frame,
        key: frame == 1,
        references: [frame - 1, 0],
        captured: millis(u64::from(frame)),
        ..STAMP
    };
    for frame in [1, 2, 4, 5, 6] {
        decoder.take(start + millis(u64::from(frame)), stamp(frame));
    }
    assert_eq!(decoder.shown.len(), 2);
    assert_eq!(decoder.next_request(), Some(start + millis(2) + secs(3)));
    decoder.take(start + millis(90), stamp(3));
    let shown: Vec<(Duration, u32)> =
        decoder.shown[2..].iter().map(|(at, stamp)| (*at - start, stamp.frame)).collect();
    assert_eq!(shown, [3, 4, 5, 6].map(|frame| (millis(90), frame)));
}

#[test]
fn a_download_alone_fills_its_link_and_its_queue() {
    let start = Instant::now();
    let mut network = Network::new(1, start);
    let rate = Rate::Constant(3 * MBIT);
    let index = network.add_bottleneck(Path { rate, queue: Queue::Time(millis(300)), ..Row::USUAL.down });
    network.bottlenecks[index].download = Some(Cubic::new(start, millis(25)));
    let mut now = start;
    while now < start + secs(30) {
        assert!(network.passed(now).is_empty());
        now = network.next_event().unwrap();
    }
    let delivered = network.bottlenecks[index].download.as_ref().unwrap().delivered;
    let share = delivered as f64 * Cubic::SEGMENT as f64 * 8.0 / 30.0 / 3e6;
    assert!((0.9..=1.0).contains(&share), "{share} of the link");
}

#[test]
fn a_call_on_a_wide_link_sends_what_its_cameras_send_and_is_whole() {
    let link = Row::limited("8 Mb/s", Rate::Constant(8 * MBIT), Queue::Time(millis(300)));
    let report = Row { seconds: 15, bandwidth: Bandwidth::Unlimited, ..link }.run();
    report.assert_flawless();
    let sent = report.sent_rate(secs(5), secs(15));
    assert!((1_500_000.0..1_650_000.0).contains(&sent), "{sent} bit/s");
    let per_100_ms = report.record.sent_per(millis(100), &[Kind::Video]);
    assert!(per_100_ms[50..140].iter().all(|bytes| (9_000..40_000).contains(bytes)), "{per_100_ms:?}");
    let pictures = report.pictures[0];
    assert!(pictures.rate > 29.5 && pictures.frozen < 0.01, "{pictures:?}");
    assert!(report.sound.late == 0.0 && report.sound.concealed < 0.01, "{:?}", report.sound);
    assert!(report.waits(secs(5), secs(15)).p95 < millis(20));
}

const STAMP: Stamp = Stamp {
    track: 0,
    encoding: 0,
    spatial: 0,
    temporal: 0,
    key: false,
    packet: 0,
    packets: 1,
    frame: 0,
    references: [0; 2],
    captured: Duration::ZERO,
};
