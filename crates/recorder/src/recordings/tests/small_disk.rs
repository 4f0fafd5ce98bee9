//! A disk that is full: a tmpfs in a mount namespace of its own.

use super::reader::{probe, read};
use crate::repair::repair_recording;
use crate::report::{Notice, Trouble};
use crate::testing::{Rig, opus, silence, vp8};
use bytes::Bytes;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that names the folder of the disk.
const DISK: &str = "SWITCHYARD_SMALL_DISK";
/// Shell script: mounts the disk at $0, then runs the command behind it.
const MOUNT_AND_RUN: &str = r#"mount -t tmpfs -o size=4m small-disk "$0" && exec "$@""#;

#[test]
fn a_full_disk_ends_a_recording_and_leaves_what_was_written() {
    match env::var_os(DISK) {
        Some(disk) => fill(&PathBuf::from(disk)),
        None => {
            run_apart(
                "recordings::tests::small_disk::a_full_disk_ends_a_recording_and_leaves_what_was_written",
            );
        }
    }
}

/// Runs the test of this name again, in a process that alone has the disk. The disk is gone when that process ends.
fn run_apart(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut apart = Command::new("unshare");
    apart.args(["--map-root-user", "--mount", "sh", "-c", MOUNT_AND_RUN]).arg(folder.path());
    apart.arg(env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    let ran = apart.env(DISK, folder.path()).output().expect("the command unshare (util-linux) is there");
    let (told, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(
        ran.status.success() && told.contains("1 passed"),
        "{name} failed in a process of its own ({}). If it was not run, this machine permits no user namespace to \
         mount a tmpfs in:\n{told}\n{errors}",
        ran.status
    );
}

fn fill(disk: &Path) {
    let mut rig = Rig::new(disk.join("recordings"));
    let (camera, microphone) = (rig.add_track(), rig.add_track());
    rig.format(camera, 0, vp8());
    rig.format(microphone, 0, opus());
    // Begins like a key frame of VP8: readers look at it.
    let mut picture = vec![0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00];
    picture.resize(8_000, 7);
    let picture = Bytes::from(picture);
    let broken = Notice::Broken(rig.recording, Trouble::DiskFull);
    let mut ms = 0;
    while !rig.notices.contains(&broken) {
        assert!(ms < 120_000, "the disk has no end");
        rig.picture(camera, ms, true, &picture);
        rig.audio(microphone, ms, &silence());
        rig.wait(ms, |rig| rig.counters().queued_bytes == 0);
        ms += 20;
    }
    rig.wait(ms, |rig| rig.notices.contains(&Notice::Closed(rig.recording)));
    assert_eq!(rig.notices.iter().filter(|notice| **notice == broken).count(), 1, "told once");
    for key in [camera, microphone] {
        let report = rig.report(key).unwrap();
        assert!(report.ended, "{report:?}");
        let packets = probe(&rig.files(key)[0]).packets();
        assert!(packets.len() > 100, "{} of {ms} ms", packets.len());
    }

    // Where the disk was too full for the end of a file, a repair adds it when there is room again.
    let (recording, sound) = (rig.recording, rig.files(microphone).remove(0));
    fs::remove_file(&rig.files(camera)[0]).unwrap();
    let folder = rig.kill();
    let reports = repair_recording(&folder, recording).unwrap();
    assert_eq!(reports.len(), 1);
    let finished = read(&sound);
    assert_eq!(finished.duration_ms(), Some(finished.packets().len() as u64 * 20));
}
