//! Links that lose packets for other reasons than congestion.

use super::call::Row;
use super::report::{LinkReport, print};
use super::{MBIT, millis, secs};
use switchyard_link::path::{Bursts, Loss, Path, Queue, Rate};

#[test]
fn mild_bursts_as_on_wifi() {
    let report = wifi("Wi-Fi mild", 0.003, 0.25, 0.85, 0.0005);
    report.assert_complete();
    report.assert_estimate(5 * MBIT, 0.82..=1.05);
    print(&report);
}

#[test]
fn bursts_as_on_busy_wifi() {
    let report = wifi("Wi-Fi busy", 0.01, 0.2, 0.8, 0.002);
    report.assert_complete();
    report.assert_estimate(5 * MBIT, 0.64..=1.05);
    print(&report);
}

#[test]
fn bursts_as_on_bad_wifi() {
    let report = wifi("Wi-Fi bad", 0.02, 0.125, 0.7, 0.005);
    report.assert_complete();
    print(&report);
}

#[test]
fn random_loss() {
    for (name, share) in [
        ("random loss 1 %", 0.01),
        ("random loss 5 %", 0.05),
        ("random loss 10 %", 0.1),
        ("random loss 20 %", 0.2),
        ("random loss 30 %", 0.3),
    ] {
        let down = Path { loss: Loss::Random(share), ..Row::USUAL.down };
        let report = Row { name, down, seconds: 20, ..Row::USUAL }.run();
        report.assert_flawless();
        print(&report);
    }
}

/// The publisher's line loses 30 % both ways.
#[test]
fn a_publisher_with_a_bad_line() {
    let publisher = Path::losing(0.3);
    let report = Row { name: "30 % lost uplink", publisher, seconds: 40, ..Row::USUAL }.run();
    report.assert_complete();
    print(&report);
}

/// 5 Mb/s with a Gilbert–Elliott loss and rare long bursts.
/// A full socket is no lossy path. Repairs come later, so they go by the path.
#[test]
fn packets_that_the_host_refuses_are_not_lost_on_the_path() {
    let mut call = Row { name: "one run in eight refused", ..Row::USUAL }.begin();
    call.run(5);
    let mut runs = 0;
    call.world.refuses = Box::new(move || {
        runs += 1;
        runs % 8 == 0
    });
    call.run(15);
    assert_eq!(call.world.sfu.counters().packets_lost, 0);
    let report = call.report(0);
    assert!(report.estimate(secs(15), secs(20)) > 1_500_000.0, "{}", report.estimate(secs(15), secs(20)));
}

fn wifi(name: &'static str, to_bad: f64, to_good: f64, bad: f64, good: f64) -> LinkReport {
    let link = Row::limited(name, Rate::Constant(5 * MBIT), Queue::Time(millis(300)));
    let down = Path {
        loss: Loss::GilbertElliott { to_bad, to_good, good, bad },
        bursts: Some(Bursts { share: 0.01, shortest: millis(10), longest: millis(60) }),
        ..link.down
    };
    Row { down, cameras: 4, ..link }.run()
}
