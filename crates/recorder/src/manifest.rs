//! `manifest.json`: what a finished recording consists of, so that its folder is complete without the database.

use crate::folder::{Folder, read, replace, sync_folder, unless_gone};
use crate::ids::{RecordingId, TrackId};
use crate::report::{FileReport, RepairedFile, Span, TrackNote, TrackReport};
use crate::time::millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) recording: RecordingId,
    /// The recording's time zero.
    pub(crate) began: SystemTime,
    pub(crate) tracks: Vec<(TrackReport, Vec<(&'static str, String)>)>,
    /// What an earlier process wrote.
    pub(crate) earlier: Vec<RepairedFile>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson {
    recording: String,
    /// Milliseconds since 1970. All other times count from here.
    began_unix_ms: u64,
    tracks: Vec<Value>,
}

/// What is kept of a manifest when it is written anew.
#[derive(Deserialize)]
struct EarlierJson {
    tracks: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrackJson<'a> {
    id: String,
    /// What was written into the files.
    tags: HashMap<&'a str, &'a str>,
    codec: &'static str,
    /// Absent for what a crash interrupted: then only the files are known.
    #[serde(flatten)]
    told: Option<ToldJson<'a>>,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldJson<'a> {
    start_ms: u64,
    duration_ms: u64,
    packets_lost: u64,
    concealed_ms: u64,
    held_ms: u64,
    size: Option<(u16, u16)>,
    spans: &'a [Span],
    holes: &'a [Span],
    note: Option<TrackNote>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileJson<'a> {
    part: u32,
    name: &'a str,
    content_type: &'static str,
    bytes: u64,
    start_ms: u64,
    duration_ms: u64,
    sha256: Option<&'a str>,
}

impl Manifest {
    /// Writes the manifest. What an earlier manifest tells of other tracks stays.
    pub(crate) fn write(&self, folder: &Folder) -> io::Result<()> {
        let _alone = folder.alone();
        let path = folder.manifest(self.recording);
        let mut tracks = Tracks::default();
        for (report, tags) in &self.tracks {
            tracks.add(&track(report, tags, &self.earlier))?;
        }
        let written = read(&path)?.and_then(|json| serde_json::from_slice::<EarlierJson>(&json).ok());
        written.into_iter().flat_map(|written| written.tracks).for_each(|track| tracks.keep(track));
        for found in &self.earlier {
            tracks.add(&untold_track(found, &self.earlier))?;
        }
        let began = self.began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let json = ManifestJson {
            recording: self.recording.0.to_string(),
            began_unix_ms: millis(began),
            tracks: tracks.entries,
        };
        replace(&path, &serde_json::to_vec_pretty(&json)?)?;
        sync_folder(&folder.recording(self.recording))
    }
}

/// Entries of tracks; of those with one id the first counts.
#[derive(Default)]
struct Tracks {
    entries: Vec<Value>,
    ids: HashSet<String>,
}

impl Tracks {
    fn add(&mut self, track: &TrackJson<'_>) -> serde_json::Result<()> {
        if self.ids.insert(track.id.clone()) {
            self.entries.push(serde_json::to_value(track)?);
        }
        Ok(())
    }

    fn keep(&mut self, track: Value) {
        if let Some(id) = track["id"].as_str()
            && self.ids.insert(id.to_owned())
        {
            self.entries.push(track);
        }
    }
}

fn track<'a>(
    report: &'a TrackReport,
    tags: &'a [(&'static str, String)],
    earlier: &'a [RepairedFile],
) -> TrackJson<'a> {
    TrackJson {
        id: report.track.0.to_string(),
        tags: tags.iter().map(|(name, value)| (*name, value.as_str())).collect(),
        codec: report.codec,
        told: Some(ToldJson {
            start_ms: report.start_ms,
            duration_ms: report.duration_ms,
            packets_lost: report.packets_lost,
            concealed_ms: report.concealed_ms,
            held_ms: report.held_ms,
            size: report.size,
            spans: &report.spans,
            holes: &report.holes,
            note: report.note,
        }),
        files: files_of(report.track, earlier).chain(&report.files).map(FileJson::from).collect(),
    }
}

/// The track of a file of which nothing but the files is known.
fn untold_track<'a>(found: &'a RepairedFile, all: &'a [RepairedFile]) -> TrackJson<'a> {
    TrackJson {
        id: found.file.track.0.to_string(),
        tags: found.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        codec: found.codec,
        told: None,
        files: files_of(found.file.track, all).map(FileJson::from).collect(),
    }
}

fn files_of(track: TrackId, files: &[RepairedFile]) -> impl Iterator<Item = &FileReport> {
    files.iter().map(|found| &found.file).filter(move |file| file.track == track)
}

impl<'a> From<&'a FileReport> for FileJson<'a> {
    fn from(file: &'a FileReport) -> Self {
        Self {
            part: file.part,
            name: file.key.rsplit_once('/').map_or(&file.key, |(_, name)| name),
            content_type: file.content_type,
            bytes: file.bytes,
            start_ms: file.start_ms,
            duration_ms: file.duration_ms,
            sha256: file.sha256.as_deref(),
        }
    }
}

/// Takes a track out of a manifest, if there is one.
pub(crate) fn forget_track(path: &Path, track: TrackId) -> io::Result<()> {
    let Some(json) = read(path)? else { return Ok(()) };
    let Ok(mut json) = serde_json::from_slice::<Value>(&json) else {
        // What nobody can read may name the track as well.
        return unless_gone(fs::remove_file(path));
    };
    let id = track.0.to_string();
    if let Some(tracks) = json.get_mut("tracks").and_then(Value::as_array_mut) {
        tracks.retain(|track| track["id"] != id);
    }
    replace(path, &serde_json::to_vec_pretty(&json)?)
}
