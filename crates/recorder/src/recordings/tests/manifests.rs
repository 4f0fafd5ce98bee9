//! Manifests of recordings that were interrupted.

use crate::folder::Folder;
use crate::ids::{RecordingId, TrackId};
use crate::repair::repair_interrupted;
use crate::testing::{Rig, opus, silence};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, SystemTime};
use tempfile::tempdir;

fn manifest(folder: &Folder, recording: RecordingId) -> Value {
    serde_json::from_slice(&fs::read(folder.manifest(recording)).unwrap()).unwrap()
}

fn entry(manifest: &Value, track: TrackId) -> &Value {
    let tracks = manifest["tracks"].as_array().unwrap();
    tracks.iter().find(|entry| entry["id"] == track.0.to_string()).unwrap()
}

#[test]
fn the_folder_of_a_recording_that_a_kill_interrupted_tells_what_is_in_it() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let keys = [rig.add_track(), rig.add_track()];
    for key in keys {
        rig.format(key, 0, opus());
        (0..100).for_each(|number| rig.audio(key, number * 20, &silence()));
    }
    rig.tick(3_000);
    rig.wait(3_000, |rig| keys.iter().all(|key| rig.files(*key).len() == 1));
    let (recording, began) =
        (rig.recording, SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123));
    let folder = rig.kill();
    assert!(!folder.manifest(recording).exists());

    let found = repair_interrupted(&folder, recording, began).unwrap();
    let told = manifest(&folder, recording);
    assert_eq!(told["beganUnixMs"], 1_790_000_000_123_u64);
    assert_eq!(told["tracks"].as_array().unwrap().len(), 2);
    for key in keys {
        let entry = entry(&told, key.track);
        assert_eq!((&entry["codec"], &entry["tags"]["CALL_ID"]), (&json!("opus"), &json!("a call")));
        let file = &found.iter().find(|found| found.file.track == key.track).unwrap().file;
        assert_eq!(entry["files"][0]["bytes"], file.bytes);
        assert_eq!(entry["files"][0]["durationMs"], file.duration_ms);
        assert!(file.key.ends_with(entry["files"][0]["name"].as_str().unwrap()));
    }
}

#[test]
fn what_a_manifest_tells_of_a_track_stays_when_the_recording_is_interrupted_later() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let first = rig.add_track();
    rig.format(first, 0, opus());
    rig.audio(first, 0, &silence());
    rig.close(1_000);
    let before = manifest(&rig.folder, rig.recording);
    assert_eq!(entry(&before, first.track)["spans"], json!([{ "fromMs": 0, "toMs": 1_000 }]));

    repair_interrupted(&rig.folder, rig.recording, SystemTime::now()).unwrap();
    assert_eq!(manifest(&rig.folder, rig.recording)["tracks"], before["tracks"], "and is told once");
}

#[test]
fn a_recording_without_a_folder_is_repaired_to_nothing() {
    let folder = tempdir().unwrap();
    let rig = Rig::new(folder.path().to_owned());
    fs::remove_dir(rig.folder.recording(rig.recording)).unwrap();
    assert!(repair_interrupted(&rig.folder, rig.recording, SystemTime::now()).unwrap().is_empty());
    assert!(!rig.folder.recording(rig.recording).exists());
}
