//! When something was on, what is missing, and what was not to be recorded.

use super::reader::{read, vp8_pictures};
use crate::removal::delete_track;
use crate::report::{Notice, Span, TrackNote};
use crate::testing::{Rig, opus, silence, vp8};
use serde_json::{Value, json};
use std::fs;
use switchyard_media_worker::media::TapNotice;
use tempfile::tempdir;

#[test]
fn nothing_of_a_pause_is_in_any_file() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let (camera, microphone) = (rig.add_track(), rig.add_track());
    rig.format(camera, 0, vp8());
    rig.format(microphone, 0, opus());
    for (number, picture) in vp8_pictures()[..150].iter().enumerate() {
        let ms = number as u64 * 40;
        match ms {
            2_000 => assert!(rig.pause(2_000, true).is_empty()),
            4_000 => assert_eq!(rig.pause(4_000, false), [camera], "the tap has to ask for a key frame"),
            _ => {}
        }
        // Samples come 100 ms after they were captured.
        rig.picture(camera, ms.saturating_sub(100), picture.key_frame, &picture.payload);
        rig.audio(microphone, ms.saturating_sub(100), &silence());
        rig.tick(ms);
    }
    rig.close(6_000);

    let starts = |key| rig.report(key).unwrap().files.iter().map(|file| file.start_ms).collect::<Vec<_>>();
    assert_eq!(starts(microphone), [0, 4_020]);
    // The key frame behind the pause: one in 30 pictures is.
    assert_eq!(starts(camera), [0, 4_700]);
    for key in [camera, microphone] {
        for (file, path) in rig.report(key).unwrap().files.iter().zip(rig.files(key)) {
            let last = read(&path).packets().last().unwrap().ms + file.start_ms;
            assert!(last < 2_000 || file.start_ms >= 4_000, "{file:?} ends at {last}");
        }
    }
    let spans = &rig.report(microphone).unwrap().spans;
    assert_eq!(*spans, [Span { from_ms: 0, to_ms: 2_000 }, Span { from_ms: 4_000, to_ms: 6_000 }]);
}

#[test]
fn the_record_tells_when_a_track_was_on_and_what_is_missing() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    rig.format(camera, 0, vp8());
    rig.notice(camera, 0, TapNotice::Sending(true, rig.at(0)));
    rig.picture(camera, 0, true, &vp8_pictures()[0].payload);
    rig.notice(camera, 3_000, TapNotice::Hole { from: rig.at(1_000), to: rig.at(3_000) });
    rig.notice(camera, 5_000, TapNotice::Sending(false, rig.at(5_000)));
    rig.notice(camera, 7_000, TapNotice::Sending(true, rig.at(7_000)));
    rig.notice(camera, 8_000, TapNotice::ClockSet(rig.at(8_000)));
    rig.tick(8_000);
    let report = rig.report(camera).unwrap();
    assert_eq!(report.spans, [Span { from_ms: 0, to_ms: 5_000 }, Span { from_ms: 7_000, to_ms: 8_000 }]);
    assert_eq!(report.holes, [Span { from_ms: 1_000, to_ms: 3_000 }]);
    assert_eq!(report.note, Some(TrackNote::ClockSet));
    assert!(!report.ended);
}

#[test]
fn a_track_without_any_picture_is_told_and_has_no_file() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    rig.notice(camera, 10_000, TapNotice::NoKeyFrame);
    rig.tick(10_000);
    assert_eq!(rig.report(camera).unwrap().note, Some(TrackNote::NoKeyFrame));
    rig.close(11_000);
    let report = rig.report(camera).unwrap();
    assert!(report.ended && report.files.is_empty());
    assert!(rig.files(camera).is_empty());
}

#[test]
fn ten_thousand_mutes_and_holes_stay_a_thousand_in_the_record() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    rig.format(camera, 0, vp8());
    for number in 0..10_000u64 {
        let ms = number * 100;
        let long = if number == 77 { 60 } else { 10 };
        rig.notice(camera, ms, TapNotice::Sending(true, rig.at(ms)));
        rig.notice(camera, ms, TapNotice::Hole { from: rig.at(ms), to: rig.at(ms + long) });
        rig.notice(camera, ms, TapNotice::Sending(false, rig.at(ms + 50)));
    }
    rig.close(1_000_000);
    let report = rig.report(camera).unwrap();
    assert_eq!((report.spans.len(), report.holes.len()), (1_000, 1_000));
    assert!(report.holes.contains(&Span { from_ms: 7_700, to_ms: 7_760 }), "the longest stay");
}

#[test]
fn reports_come_every_ten_seconds_and_not_with_every_sample() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    for number in 0..3_000 {
        rig.audio(microphone, number * 20, &silence());
        rig.tick(number * 20);
    }
    let told = rig.notices.iter().filter(|notice| matches!(notice, Notice::Track(..))).count();
    assert!((6..=7).contains(&told), "{told} reports in a minute");
}

#[test]
fn the_folder_tells_what_is_in_it_without_the_database() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let (microphone, other) = (rig.add_track(), rig.add_track());
    for key in [microphone, other] {
        rig.format(key, 0, opus());
        (0..100).for_each(|number| rig.audio(key, number * 20, &silence()));
    }
    rig.recordings.note_speaker(rig.at(500), rig.recording, Some(microphone.track));
    rig.recordings.note_speaker(rig.at(1_500), rig.recording, None);
    rig.pause(1_900, true);
    rig.close(2_000);

    let lines = fs::read_to_string(rig.folder.timeline(rig.recording)).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let speaker = microphone.track.0.to_string();
    let expected = json!([
        { "atMs": 500, "speaker": speaker },
        { "atMs": 1_500, "speaker": null },
        { "atMs": 1_900, "paused": true },
    ]);
    assert_eq!(Value::from(lines), expected);

    let manifest = |rig: &Rig| -> Value {
        serde_json::from_slice(&fs::read(rig.folder.manifest(rig.recording)).unwrap()).unwrap()
    };
    let told = manifest(&rig);
    assert_eq!(told["recording"], rig.recording.0.to_string());
    let tracks = told["tracks"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    let track = tracks.iter().find(|track| track["id"] == speaker).unwrap();
    assert_eq!((&track["codec"], &track["tags"]["CALL_ID"]), (&json!("opus"), &json!("a call")));
    let report = rig.report(microphone).unwrap();
    assert_eq!(track["files"][0]["sha256"], json!(report.files[0].sha256));
    assert!(report.files[0].key.ends_with(track["files"][0]["name"].as_str().unwrap()));

    delete_track(&rig.folder, rig.recording, microphone.track).unwrap();
    assert!(rig.files(microphone).is_empty());
    assert_eq!(rig.files(other).len(), 1);
    assert_eq!(manifest(&rig)["tracks"].as_array().unwrap().len(), 1);
}
