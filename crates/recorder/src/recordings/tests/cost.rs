//! What recording costs.

use crate::testing::{Rig, Setting, vp8};
use bytes::Bytes;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::time::Duration;
use tempfile::tempdir;

/// Time of this thread on a processor.
fn busy() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros as u64)
}

#[test]
fn a_track_of_a_megabit_costs_less_than_half_a_percent_of_a_core() {
    const SECONDS: u64 = 120;
    let folder = tempdir().unwrap();
    let setting = Setting { sync_interval: Duration::from_secs(5), ..Setting::default() };
    let mut rig = Rig::with(folder.path().to_owned(), setting);
    let camera = rig.add_track();
    rig.format(camera, 0, vp8());
    // A full queue would make it cheap.
    let picture = Bytes::from(vec![7; 1_000_000 / 8 / 25]);
    let began = busy();
    for number in 0..SECONDS * 25 {
        rig.picture(camera, number * 40, number % 250 == 0, &picture);
        rig.tick(number * 40);
    }
    let thread = busy() - began;
    rig.close(SECONDS * 1_000);
    let counters = rig.counters();
    let writer = Duration::from_micros(counters.write_us + counters.sync_us);
    let cost = (thread + writer).as_secs_f64() / SECONDS as f64;
    println!(
        "a track of 1 Mb/s: {cost:.5} core (samples to clusters {thread:?}, {} writes and {} syncs {writer:?}, for {SECONDS} s)",
        counters.writes, counters.syncs
    );
    assert_eq!(counters.clusters_dropped, 0);
    assert!(cost < 0.005, "{cost} core");
}
