//! `manifest.json`: what a finished recording consists of, so that its folder is complete without the database.

use crate::folder::{Folder, sync_folder};
use crate::ids::{RecordingId, TrackId};
use crate::report::{FileReport, RepairedFile, Span, TrackNote, TrackReport};
use serde::Serialize;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
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
struct ManifestJson<'a> {
    recording: String,
    /// Milliseconds since 1970. All other times count from here.
    began_unix_ms: u64,
    tracks: Vec<TrackJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrackJson<'a> {
    id: String,
    /// What was written into the files.
    tags: HashMap<&'a str, &'a str>,
    /// Absent for what a crash interrupted: then only the files are known.
    #[serde(flatten)]
    told: Option<ToldJson<'a>>,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldJson<'a> {
    codec: &'static str,
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
    sha256: Option<&'a str>,
}

impl Manifest {
    pub(crate) fn write(&self, folder: &Folder) -> io::Result<()> {
        let earlier: Vec<&FileReport> = self.earlier.iter().map(|earlier| &earlier.file).collect();
        let mut tracks: Vec<_> =
            self.tracks.iter().map(|(report, tags)| track(report, tags, &earlier)).collect();
        for file in &earlier {
            if !tracks.iter().any(|track| track.id == file.track.0.to_string()) {
                let files = earlier.iter().filter(|other| other.track == file.track);
                let files = files.map(|file| FileJson::from(*file));
                let id = file.track.0.to_string();
                tracks.push(TrackJson { id, tags: HashMap::new(), told: None, files: files.collect() });
            }
        }
        let began = self.began.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let json = ManifestJson {
            recording: self.recording.0.to_string(),
            began_unix_ms: u64::try_from(began).unwrap_or(u64::MAX),
            tracks,
        };
        store(folder, self.recording, &serde_json::to_vec_pretty(&json)?)
    }
}

fn track<'a>(
    report: &'a TrackReport,
    tags: &'a [(&'static str, String)],
    earlier: &[&'a FileReport],
) -> TrackJson<'a> {
    let before = earlier.iter().copied().filter(|file| file.track == report.track);
    TrackJson {
        id: report.track.0.to_string(),
        tags: tags.iter().map(|(name, value)| (*name, value.as_str())).collect(),
        told: Some(ToldJson {
            codec: report.codec,
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
        files: before.chain(&report.files).map(FileJson::from).collect(),
    }
}

impl<'a> From<&'a FileReport> for FileJson<'a> {
    fn from(file: &'a FileReport) -> Self {
        Self {
            part: file.part,
            name: file.key.rsplit_once('/').map_or(&file.key, |(_, name)| name),
            content_type: file.content_type,
            bytes: file.bytes,
            start_ms: file.start_ms,
            sha256: file.sha256.as_deref(),
        }
    }
}

/// Takes a track out of a manifest, if there is one.
pub(crate) fn forget_track(folder: &Folder, recording: RecordingId, track: TrackId) -> io::Result<()> {
    let json = match fs::read(folder.manifest(recording)) {
        Ok(json) => json,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut json: serde_json::Value = serde_json::from_slice(&json)?;
    let id = track.0.to_string();
    if let Some(tracks) = json.get_mut("tracks").and_then(|tracks| tracks.as_array_mut()) {
        tracks.retain(|track| track.get("id").and_then(|found| found.as_str()) != Some(&id));
    }
    store(folder, recording, &serde_json::to_vec_pretty(&json)?)
}

/// Replaces the manifest as a whole.
fn store(folder: &Folder, recording: RecordingId, json: &[u8]) -> io::Result<()> {
    let path = folder.manifest(recording);
    let new = path.with_extension("json.new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(json)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    });
    if written.is_err() {
        // On a full disk, the half that was written would stay for ever.
        let _ = fs::remove_file(&new);
    }
    written?;
    sync_folder(&folder.recording(recording))
}
