//! Ends files that a crash, a power cut or a failed disk left without an end.

mod scan;

use crate::event::FinishedFile;
use crate::folder::{Folder, unless_gone};
use crate::ids::{FileKey, RecordingId};
use crate::manifest::Manifest;
use crate::matroska::{Kind, Places, Trailer};
use crate::report::{FileReport, RepairedFile};
use crate::story::name;
use aws_lc_rs::digest::{Context, SHA256};
use scan::{ReadAt, Scanned, scan};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Finishes all files of a recording that nobody finished, and its manifest.
pub(crate) fn repair_interrupted(
    folder: &Folder,
    recording: RecordingId,
    began: SystemTime,
) -> io::Result<Vec<RepairedFile>> {
    let found = repair_recording(folder, recording)?;
    let manifest = Manifest { recording, began, tracks: Vec::new(), earlier: found };
    // A recording without a folder has nothing to describe.
    if let Err(error) = unless_gone(manifest.write(folder)) {
        tracing::warn!(%error, recording = %recording.0, "a recording stays without a manifest");
    }
    Ok(manifest.earlier)
}

/// Finishes all files of a recording, and describes them. A file without any whole cluster is removed; one that is not
/// ours to read is left alone and not described.
pub(crate) fn repair_recording(folder: &Folder, id: RecordingId) -> io::Result<Vec<RepairedFile>> {
    let mut reports = Vec::new();
    for (key, path) in folder.files(id)? {
        reports.extend(repair_file(&path)?.map(|ended| report(key, ended)));
    }
    Ok(reports)
}

/// A file that has its end.
#[derive(Debug)]
pub(crate) struct Ended {
    places: Places,
    bytes: u64,
    /// It got its end only now.
    was_open: bool,
}

fn report(key: FileKey, Ended { places, bytes, was_open }: Ended) -> RepairedFile {
    let kind: Kind = places.kind();
    let file = FileReport {
        track: key.of.track,
        part: key.part,
        key: key.path(kind),
        content_type: kind.content_type(),
        bytes,
        start_ms: places.tag(START_TAG).and_then(|start| start.parse().ok()).unwrap_or(0),
        duration_ms: places.duration_ms.unwrap_or(0),
        sha256: None,
    };
    RepairedFile { file, codec: name(places.codec), size: places.size, was_open, tags: places.tags }
}

/// The tag that tells when the first sample of a file was captured, in milliseconds since the recording began.
pub(crate) const START_TAG: &str = "START_MS";

/// Finishes a file unless it is finished. `None` if nothing of it is left, or if it is none of ours.
pub(crate) fn repair_file(path: &Path) -> io::Result<Option<Ended>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    match scan(&Opened(&file), bytes)? {
        Scanned::Finished(places) => Ok(Some(Ended { places, bytes, was_open: false })),
        Scanned::Unfinished { mut places, length, cues, duration_ms } => {
            file.set_len(length)?;
            let bytes = finish(&file, length, &Trailer::new(&places, &cues, length, duration_ms))?;
            places.duration_ms = Some(duration_ms);
            Ok(Some(Ended { places, bytes, was_open: true }))
        }
        Scanned::Empty => {
            fs::remove_file(path)?;
            Ok(None)
        }
        Scanned::Foreign => {
            tracing::warn!(path = %path.display(), "a file in a recording's folder is damaged or not a recording");
            Ok(None)
        }
    }
}

/// Writes the end of a file of this length. The size comes last and only when the rest is on the disk, so that a file
/// that has one is complete. Returns the final length. A file whose end cannot be written keeps its length.
pub(crate) fn finish(file: &File, length: u64, trailer: &Trailer) -> io::Result<u64> {
    let ended = write_end(file, length, trailer);
    if ended.is_err() {
        // What is there of the index is no cluster, and a player would stumble over it. If the file cannot be cut either,
        // the next repair does it.
        let _ = file.set_len(length);
    }
    ended
}

fn write_end(file: &File, length: u64, trailer: &Trailer) -> io::Result<u64> {
    file.write_all_at(&trailer.index, length)?;
    file.write_all_at(&trailer.duration.1, trailer.duration.0)?;
    file.write_all_at(&trailer.seek_head.1, trailer.seek_head.0)?;
    file.sync_data()?;
    file.write_all_at(&trailer.size.1, trailer.size.0)?;
    Ok(length + trailer.index.len() as u64)
}

/// Length and hash of a file; `None` if it is gone. It is not hashed, or not to its end, once there is no time for it.
pub(crate) fn describe(path: &Path, hurry: &AtomicBool) -> io::Result<Option<FinishedFile>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; HASHED_AT_ONCE];
    let mut bytes = 0;
    loop {
        if hurry.load(Ordering::Relaxed) {
            return Ok(Some(FinishedFile { bytes: file.metadata()?.len(), sha256: None }));
        }
        let read = file.read_at(&mut buffer, bytes)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finish().as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Some(FinishedFile { bytes, sha256: Some(text) }))
}

const HASHED_AT_ONCE: usize = 256 * 1024;

struct Opened<'a>(&'a File);

impl ReadAt for Opened<'_> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buffer, at)
    }
}

#[cfg(test)]
mod tests;
