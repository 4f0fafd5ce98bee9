//! What is left of a track that is deleted.

use crate::folder::Folder;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::removal::delete_track;
use crate::testing::{Rig, opus, silence};
use serde_json::{Value, json};
use std::fs;
use std::sync::Barrier;
use std::thread;
use tempfile::tempdir;

fn lines(folder: &Folder, recording: RecordingId) -> Vec<Value> {
    let text = fs::read_to_string(folder.timeline(recording)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A closed recording of this number of microphones.
fn recorded(rig: &mut Rig, tracks: usize) -> Vec<TrackKey> {
    let keys: Vec<TrackKey> = (0..tracks).map(|_| rig.add_track()).collect();
    for key in &keys {
        rig.format(*key, 0, opus());
        rig.audio(*key, 0, &silence());
    }
    rig.close(10_000);
    keys
}

#[test]
fn when_a_deleted_person_spoke_is_not_told_any_more() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let (deleted, other) = (rig.add_track().track, rig.add_track().track);
    let speakers =
        [Some(deleted), None, Some(other), Some(deleted), None, None, Some(deleted), Some(other), None];
    for (number, speaker) in (0..).zip(speakers) {
        rig.recordings.note_speaker(rig.at(number * 1_000), rig.recording, speaker);
    }
    rig.pause(9_000, true);
    rig.close(10_000);
    let path = rig.folder.timeline(rig.recording);
    let told = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{told}{{\"atMs\": 9500, \"speaker\": \"{}", &deleted.0.to_string()[..20]))
        .unwrap();

    delete_track(&rig.folder, rig.recording, deleted).unwrap();
    let other = other.0.to_string();
    let left = [
        json!({ "atMs": 2_000, "speaker": other }),
        json!({ "atMs": 3_000, "speaker": null }),
        json!({ "atMs": 7_000, "speaker": other }),
        json!({ "atMs": 8_000, "speaker": null }),
        json!({ "atMs": 9_000, "paused": true }),
    ];
    assert_eq!(lines(&rig.folder, rig.recording), left);
}

#[test]
fn tracks_that_are_deleted_at_once_are_all_gone() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let keys = recorded(&mut rig, 20);
    let (gone, kept) = keys.split_at(19);
    let begin = Barrier::new(gone.len());
    thread::scope(|scope| {
        for key in gone {
            let (folder, begin) = (rig.folder.clone(), &begin);
            scope.spawn(move || {
                begin.wait();
                delete_track(&folder, key.recording, key.track).unwrap();
            });
        }
    });
    let manifest: Value =
        serde_json::from_slice(&fs::read(rig.folder.manifest(rig.recording)).unwrap()).unwrap();
    let tracks = manifest["tracks"].as_array().unwrap();
    let left: Vec<&str> = tracks.iter().map(|track| track["id"].as_str().unwrap()).collect();
    assert_eq!(left, [kept[0].track.0.to_string()]);
    let names = fs::read_dir(rig.folder.recording(rig.recording)).unwrap();
    assert_eq!(names.count(), 2, "a file and the manifest");
}

#[test]
fn a_manifest_that_nobody_can_read_goes_with_a_deleted_track() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let key = recorded(&mut rig, 1)[0];
    fs::write(rig.folder.manifest(rig.recording), "{").unwrap();
    for track in [key.track, TrackId(rig.recording.0)] {
        delete_track(&rig.folder, rig.recording, track).unwrap();
    }
    assert_eq!(fs::read_dir(rig.folder.recording(rig.recording)).unwrap().count(), 0);
}
