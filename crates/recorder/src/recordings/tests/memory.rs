//! What recorded tracks take in memory, measured in a process that does nothing else.

use crate::testing::{Rig, Setting, vp8};
use bytes::Bytes;
use std::path::Path;
use std::process::Command;
use std::{env, fs};
use tempfile::tempdir;

/// The environment variable of the process that measures.
const ALONE: &str = "SWITCHYARD_MEASURES_MEMORY";
const MEBIBYTE: f64 = 1024.0 * 1024.0;
const TRACKS: usize = 50;
const QUEUE: usize = 64 * 1024 * 1024;

#[test]
fn a_track_takes_less_than_three_mebibytes_and_what_waits_for_the_disk_is_bounded() {
    const NAME: &str = "recordings::tests::memory::\
                        a_track_takes_less_than_three_mebibytes_and_what_waits_for_the_disk_is_bounded";
    if env::var_os(ALONE).is_some() {
        return measure();
    }
    let mut apart = Command::new(env::current_exe().unwrap());
    let ran = apart.args(["--exact", NAME, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && told.contains("1 passed"), "{told}\n{ran:?}");
    told.lines().filter(|line| line.contains("MiB")).for_each(|line| println!("{line}"));
}

fn measure() {
    let folder = tempdir().unwrap();
    let track = record(folder.path(), false) / TRACKS as f64;
    println!("{track:.3} MiB for each of {TRACKS} tracks of 1 Mb/s while the disk works");
    assert!(track < 3.0, "{track} MiB");
    let all = record(folder.path(), true);
    println!("{all:.1} MiB for {TRACKS} tracks while the disk stands still");
    assert!(all < QUEUE as f64 / MEBIBYTE + 3.0 * TRACKS as f64, "{all} MiB");
}

/// Records for 30 s. Returns how much the process has grown, in MiB.
fn record(folder: &Path, stands_still: bool) -> f64 {
    let setting = Setting { queue_bytes: QUEUE, stands_still, ..Setting::default() };
    let mut rig = Rig::with(folder.to_owned(), setting);
    let before = resident();
    let cameras: Vec<_> = (0..TRACKS).map(|_| rig.add_track()).collect();
    cameras.iter().for_each(|camera| rig.format(*camera, 0, vp8()));
    let picture = Bytes::from(vec![7; 1_000_000 / 8 / 25]);
    let mut most = before;
    for number in 0..30 * 25u64 {
        let ms = number * 40;
        cameras.iter().for_each(|camera| rig.picture(*camera, ms, number % 250 == 0, &picture));
        rig.tick(ms);
        if !stands_still {
            rig.wait(ms, |rig| rig.counters().queued_bytes == 0);
        }
        most = most.max(resident());
    }
    if stands_still {
        assert!(rig.counters().clusters_dropped > 0, "the queue was full");
        rig.start_writer();
    }
    rig.close(30_000);
    most - before
}

/// The memory of this process, in MiB (proc(5), `statm`: pages).
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096.0 / MEBIBYTE
}
