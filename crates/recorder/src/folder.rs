//! The folder of the recordings: one folder for each, named by its id.
//!
//! `<recording>/<track>-<part>.<webm|mkv|mka>`, `<recording>/timeline.jsonl` and, at the end, `<recording>/manifest.json`.

use crate::ids::{FileKey, RecordingId};
use crate::matroska::Kind;
use nix::sys::statvfs::statvfs;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    edits: Arc<Mutex<()>>,
}

impl Folder {
    /// Makes the folder if it is not there.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        make(&path)?;
        Ok(Self { path, edits: Arc::default() })
    }

    pub(crate) fn recording(&self, id: RecordingId) -> PathBuf {
        self.path.join(id.0.to_string())
    }

    pub(crate) fn file(&self, key: FileKey, kind: Kind) -> PathBuf {
        self.recording(key.of.recording).join(key.name(kind))
    }

    /// The file with this path below the folder; `None` if no file of a track has such a path.
    pub(crate) fn file_at(&self, path: &str) -> Option<PathBuf> {
        let (recording, name) = path.split_once('/')?;
        let recording = RecordingId(Uuid::try_parse(recording).ok()?);
        FileKey::parse(recording, name).map(|_| self.recording(recording).join(name))
    }

    pub(crate) fn timeline(&self, id: RecordingId) -> PathBuf {
        self.recording(id).join("timeline.jsonl")
    }

    pub(crate) fn manifest(&self, id: RecordingId) -> PathBuf {
        self.recording(id).join("manifest.json")
    }

    /// Makes the folder of a recording, in a way that outlasts a power cut.
    pub(crate) fn make_recording(&self, id: RecordingId) -> io::Result<()> {
        make(&self.recording(id))?;
        sync_folder(&self.path)
    }

    /// Free bytes for this process.
    #[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "narrower types on macOS"))]
    pub(crate) fn free(&self) -> io::Result<u64> {
        let found = statvfs(&self.path)?;
        Ok(u64::from(found.blocks_available()) * u64::from(found.fragment_size()))
    }

    pub(crate) fn stored(&self) -> io::Result<Vec<RecordingId>> {
        let names = names(&self.path)?;
        let id =
            |name: &String| Uuid::try_parse(name).ok().filter(|id| id.to_string() == *name).map(RecordingId);
        Ok(names.iter().filter_map(id).collect())
    }

    /// The files of a recording's tracks, in the order of tracks and parts.
    pub(crate) fn files(&self, id: RecordingId) -> io::Result<Vec<(FileKey, PathBuf)>> {
        let folder = self.recording(id);
        let mut files: Vec<_> = names(&folder)?
            .into_iter()
            .filter_map(|name| Some((FileKey::parse(id, &name)?, folder.join(name))))
            .collect();
        files.sort_by_key(|(key, _)| (key.of.track, key.part));
        Ok(files)
    }

    pub(crate) fn delete(&self, id: RecordingId) -> io::Result<()> {
        let _alone = self.alone();
        unless_gone(fs::remove_dir_all(self.recording(id)))?;
        unless_gone(sync_folder(&self.path))
    }

    /// For whoever changes what finished recordings have: two at once would undo each other's changes.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        // It guards files, and each of them is replaced as a whole.
        self.edits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces a file as a whole, in a way that outlasts a power cut once its folder is synced.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    if written.is_err() {
        // On a full disk, the half that was written would stay for ever.
        let _ = fs::remove_file(&new);
    }
    written
}

/// The content of a file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names in a folder; none if the folder is not there.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that is not UTF-8 is none of ours.
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Only the server's user may read recordings.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Without this, a power cut may leave the content of a new file without its name.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(crate) fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
