//! Disks that are slow, full or gone.

use super::reader::read;
use crate::report::{Notice, Span, TrackNote, Trouble};
use crate::testing::{Rig, Setting, opus, silence, vp8};
use bytes::Bytes;
use std::fs;
use std::time::Duration;
use tempfile::tempdir;

fn picture() -> Bytes {
    // Begins like a key frame of VP8: readers look at it.
    let mut bytes = vec![0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00];
    bytes.resize(10_000, 7);
    bytes.into()
}

#[test]
fn a_disk_that_stands_still_costs_pictures_first_and_the_recorder_goes_on() {
    let folder = tempdir().unwrap();
    let setting = Setting { queue_bytes: 1024 * 1024, stands_still: true, ..Setting::default() };
    let mut rig = Rig::with(folder.path().to_owned(), setting);
    let (camera, microphone) = (rig.add_track(), rig.add_track());
    rig.format(camera, 0, vp8());
    rig.format(microphone, 0, opus());
    let mut asked = Vec::new();
    for ms in (0..10_000).step_by(20) {
        rig.picture(camera, ms, ms % 1_000 == 0, &picture());
        rig.audio(microphone, ms, &silence());
        asked.extend(rig.tick(ms));
    }
    let dropped = rig.counters().clusters_dropped;
    assert_eq!(dropped, 1, "after the first loss nothing is kept until there is room");
    assert!(rig.counters().queued_bytes <= 1024 * 1024);
    assert!(asked.is_empty(), "a key frame is of no use while there is no room");

    rig.start_writer();
    rig.wait(10_000, |rig| rig.counters().queued_bytes == 0);
    assert_eq!(rig.tick(10_000), [], "the question was asked while waiting");
    for ms in (10_000..12_000).step_by(20) {
        rig.picture(camera, ms, ms % 1_000 == 0, &picture());
        rig.audio(microphone, ms, &silence());
        rig.wait(ms, |rig| rig.counters().queued_bytes == 0);
    }
    rig.close(12_000);
    let report = rig.report(camera).unwrap();
    assert_eq!(report.note, Some(TrackNote::Dropped));
    assert!(matches!(report.holes[..], [Span { from_ms: 1..2_000, to_ms: 10_000 }]), "{report:?}");
    let times: Vec<u64> = read(&rig.files(camera)[0]).packets().iter().map(|packet| packet.ms).collect();
    assert!(times.contains(&10_000), "it goes on with the first key frame");
    assert!(!times.contains(&9_000));
    let sound = rig.report(microphone).unwrap();
    assert_eq!((sound.note, sound.files.len()), (None, 1));
    assert_eq!(read(&rig.files(microphone)[0]).packets().len(), 600, "audio had room all the time");
}

#[test]
fn a_track_on_which_the_recorder_breaks_says_that_parts_are_missing() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    rig.audio(microphone, 0, &silence());
    rig.recordings.break_track(microphone);
    rig.close(1_000);
    assert_eq!(rig.report(microphone).unwrap().note, Some(TrackNote::Dropped));
}

#[test]
fn audio_that_finds_no_room_continues_in_a_new_file_at_the_right_time() {
    let folder = tempdir().unwrap();
    let setting = Setting { queue_bytes: 6 * 1024, stands_still: true, ..Setting::default() };
    let mut rig = Rig::with(folder.path().to_owned(), setting);
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    let packet = Bytes::from_iter([&silence()[..], &[0; 60]].concat());
    for ms in (0..5_000).step_by(20) {
        rig.audio(microphone, ms, &packet);
        rig.tick(ms);
    }
    rig.start_writer();
    rig.wait(5_000, |rig| rig.counters().queued_bytes == 0);
    for ms in (5_000..6_000).step_by(20) {
        rig.audio(microphone, ms, &packet);
        rig.tick(ms);
    }
    rig.close(6_000);
    let report = rig.report(microphone).unwrap();
    let starts: Vec<u64> = report.files.iter().map(|file| file.start_ms).collect();
    assert_eq!(starts, [0, 5_000]);
    for path in rig.files(microphone) {
        let times: Vec<u64> = read(&path).packets().iter().map(|packet| packet.ms).collect();
        assert_eq!(times, (0..times.len() as u64).map(|number| number * 20).collect::<Vec<_>>(), "no gap");
    }
}

#[test]
fn a_folder_that_is_removed_ends_the_recording_and_nothing_else() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    rig.audio(microphone, 0, &silence());
    rig.tick(1_000);
    rig.wait(1_000, |rig| !rig.files(microphone).is_empty());
    fs::remove_dir_all(rig.folder.recording(rig.recording)).unwrap();
    rig.audio(microphone, 1_000, &silence());
    rig.tick(2_000);
    rig.wait(2_000, |rig| rig.notices.contains(&Notice::Closed(rig.recording)));
    assert!(rig.notices.contains(&Notice::Broken(rig.recording, Trouble::StorageError)));
    let report = rig.report(microphone).unwrap();
    assert!(report.ended && report.files.is_empty(), "there is no file left: {report:?}");
}

#[test]
fn what_fails_after_the_recording_was_closed_is_told_once() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::with(folder.path().to_owned(), Setting { stands_still: true, ..Setting::default() });
    let microphones = [rig.add_track(), rig.add_track()];
    for microphone in microphones {
        rig.format(microphone, 0, opus());
        rig.audio(microphone, 0, &silence());
    }
    rig.tick(1_000);
    fs::remove_dir(rig.folder.recording(rig.recording)).unwrap();
    rig.start_closing(1_000);
    rig.start_writer();
    rig.wait(1_000, |rig| rig.notices.contains(&Notice::Closed(rig.recording)));
    assert_eq!(rig.counters().files_failed, 2);
    let broken = Notice::Broken(rig.recording, Trouble::StorageError);
    assert_eq!(rig.notices.iter().filter(|notice| **notice == broken).count(), 1);
}

#[test]
fn a_file_that_vanishes_unnoticed_is_told_when_it_is_finished() {
    let folder = tempdir().unwrap();
    let setting = Setting { sync_interval: Duration::from_secs(3600), ..Setting::default() };
    let mut rig = Rig::with(folder.path().to_owned(), setting);
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    rig.audio(microphone, 0, &silence());
    rig.tick(1_000);
    rig.wait(1_000, |rig| !rig.files(microphone).is_empty());
    fs::remove_file(&rig.files(microphone)[0]).unwrap();
    rig.close(1_000);
    assert_eq!(rig.counters().files_failed, 0);
    assert!(rig.notices.contains(&Notice::Broken(rig.recording, Trouble::StorageError)));
    assert!(rig.report(microphone).unwrap().files.is_empty());
}

#[test]
fn a_file_that_cannot_be_made_ends_the_recording() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    fs::remove_dir(rig.folder.recording(rig.recording)).unwrap();
    rig.format(microphone, 0, opus());
    rig.audio(microphone, 0, &silence());
    rig.tick(1_000);
    rig.wait(1_000, |rig| rig.notices.contains(&Notice::Closed(rig.recording)));
    assert!(rig.notices.contains(&Notice::Broken(rig.recording, Trouble::StorageError)));
    assert_eq!(rig.counters().files_failed, 1);
}

#[test]
fn too_little_free_space_ends_recordings_in_order() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::with(folder.path().to_owned(), Setting { stands_still: true, ..Setting::default() });
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    (0..100).for_each(|number| rig.audio(microphone, number * 20, &silence()));
    rig.tick(2_000);
    let low = rig.recordings.event(rig.at(2_000), crate::event::Event::LowSpace);
    assert_eq!(low, [rig.recording]);
    rig.start_writer();
    rig.close(2_000);
    assert!(rig.notices.contains(&Notice::Broken(rig.recording, Trouble::DiskFull)));
    assert_eq!(read(&rig.files(microphone)[0]).duration_ms(), Some(2_000));
}
