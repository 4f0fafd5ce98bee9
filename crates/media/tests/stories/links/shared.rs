//! Bottlenecks that several flows share.

use super::call::{Call, Row};
use super::report::print;
use super::{MBIT, millis};
use crate::world::cubic::Cubic;
use crate::world::rates::Camera;
use switchyard_link::path::{Path, Queue, Rate};

#[test]
fn three_equal_receivers_one_after_another() {
    let row = Row { name: "three flows, 3 Mb/s", cameras: 2, ..Row::USUAL };
    let mut call = Call::new(row);
    let bottleneck = call.world.network.add_bottleneck(bottleneck(3 * MBIT));
    for _ in 0..3 {
        let client = call.add_receiver(row.down);
        call.world.party_mut(client).down.bottleneck = Some(bottleneck);
        call.run(20);
    }
    for index in 0..3 {
        let report = call.report(index);
        report.assert_complete();
        print(&report);
        report.assert_estimate(3 * MBIT, 0.06..=1.0);
        report.assert_sound(0.05);
    }
}

#[test]
fn a_download_beside_the_call() {
    let row = Row { name: "against a TCP download, 3 Mb/s", cameras: 2, ..Row::USUAL };
    let mut call = Call::new(row);
    let bottleneck = call.world.network.add_bottleneck(bottleneck(3 * MBIT));
    let client = call.add_receiver(row.down);
    call.world.party_mut(client).down.bottleneck = Some(bottleneck);
    call.run(10);
    let download = Cubic::new(call.world.now, millis(50));
    call.world.network.bottlenecks[bottleneck].download = Some(download);
    call.run(30);
    let report = call.report(0);
    report.assert_complete();
    print(&report);
    // A third of a fair share is what a call by delay alone would keep.
    report.assert_estimate(3 * MBIT, 0.25..=0.6);
    report.assert_pictures(18.0, 0.25);
    report.assert_sound(0.08);
    let download = call.world.network.bottlenecks[bottleneck].download.as_ref().unwrap();
    eprintln!("the download got {} kb/s", download.delivered * Cubic::SEGMENT as u64 * 8 / 30_000);
    assert!(download.delivered > 0);
}

/// Forty receivers, every fifth on a link that is too narrow. What this costs is measured elsewhere.
#[test]
fn many_receivers_on_different_links() {
    let camera = Camera { scale: 0.3, ..Camera::USUAL };
    let row = Row { name: "one of many", camera, seconds: 10, ..Row::USUAL };
    let mut call = Call::new(row);
    for index in 0..40 {
        let rate = if index % 5 == 0 { 300_000 } else { 2 * MBIT };
        call.add_receiver(Path { rate: Rate::Constant(rate), queue: Queue::Time(millis(300)), ..row.down });
    }
    call.run(row.seconds);
    for index in 0..40 {
        let report = call.report(index);
        report.assert_complete();
        if index < 2 {
            print(&report);
        }
    }
}

fn bottleneck(rate: u64) -> Path {
    Path { rate: Rate::Constant(rate), queue: Queue::Time(millis(300)), delay: millis(0), ..Row::USUAL.down }
}
