//! `timeline.jsonl`: who spoke when, and when the recording was paused.

use crate::folder::{read, replace};
use crate::ids::TrackId;
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// Somebody has the floor from this time on, or nobody.
pub(crate) fn speaker(at_ms: u64, track: Option<TrackId>) -> Value {
    json!({ "atMs": at_ms, "speaker": track.map(|track| track.0.to_string()) })
}

pub(crate) fn pause(at_ms: u64, paused: bool) -> Value {
    json!({ "atMs": at_ms, "paused": paused })
}

/// Takes a track out of a time line, if there is one: nobody had the floor instead. That others lost the floor to it
/// stays, when it lost the floor does not.
pub(crate) fn forget_track(path: &Path, track: TrackId) -> io::Result<()> {
    let Some(content) = read(path)? else { return Ok(()) };
    let id = track.0.to_string();
    let mut kept = String::with_capacity(content.len());
    let mut nobody = true;
    for line in String::from_utf8_lossy(&content).lines() {
        // A power cut may have torn the last one.
        let Ok(mut line) = serde_json::from_str::<Value>(line) else { continue };
        if let Some(speaker) = line.get_mut("speaker") {
            if *speaker == id {
                *speaker = Value::Null;
            }
            if nobody && speaker.is_null() {
                continue;
            }
            nobody = speaker.is_null();
        }
        kept.push_str(&format!("{line}\n"));
    }
    replace(path, kept.as_bytes())
}
