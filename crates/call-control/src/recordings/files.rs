//! The files of recordings: links to them, and their bytes.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    Recordings,
    link::{Grant, LinkKey, Reader, Target, Ticket},
    live::not_running,
    no_such_recording,
    warden::Warden,
};
use crate::{
    actor::Actor,
    audit::{Action, AuditEntry},
    auth::key_file,
    call::RecordingRow,
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{FileId, RecordingId},
    store::{StoredFile, StoredRecording},
};

/// A file that a link has opened. It is opened anew for each part that is read: however many people read slowly, few
/// files are open, and what is deleted ends.
pub struct OpenFile {
    path: Arc<Path>,
    version: Version,
    reads: Arc<Semaphore>,
    pub length: u64,
    pub content_type: String,
    /// A strong validator (RFC 9110 §8.8.3).
    pub etag: String,
    stored: StoredFile,
    recording: RecordingRow,
    /// Of who reads by a link.
    pub(super) warden: Option<Warden>,
}

/// Tells a file from another one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    length: u64,
    /// In nanoseconds since 1970.
    changed: i128,
}

impl Recordings {
    /// Makes a link to a file, and notes in the audit log who may download it.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` for a file of a recording that is not finished, and for a live track of one
    /// that does not run, `unavailable`.
    pub async fn link(&self, by: &Actor, recording: RecordingId, target: Target) -> Result<Ticket, Refusal> {
        let stored = self.present(by, recording).await?;
        self.require_here(&stored.row)?;
        self.require_target(&stored.row, target).await?;
        let now = now();
        let grant = Grant { recording, target, epoch: stored.row.link_epoch };
        let key = self.link_key().await?;
        let ticket = key.sign(grant, Reader::of(by), now, self.shared.config.link_validity);
        self.shared.store.note(&download(&stored.row, target, by, now)).await?;
        Ok(ticket)
    }

    /// Checks that the recording has this, and that it can be read.
    async fn require_target(&self, recording: &RecordingRow, target: Target) -> Result<(), Refusal> {
        match target {
            Target::File(file) => {
                let found = self.shared.store.recording_file(file).await?;
                if found.is_none_or(|found| found.row.recording_id != recording.id) {
                    return Err(no_such_file());
                }
                require_finished(recording)
            }
            Target::Live(track) => {
                let tracks = self.shared.store.recording_tracks(recording.id).await?;
                if tracks.iter().all(|found| found.row.id != track) {
                    return Err(Refusal::new(ErrorCode::NotFound, "there is no such track"));
                }
                if recording.status.is_running() { Ok(()) } else { Err(not_running()) }
            }
        }
    }

    /// Opens the file of a link. Whether its reader may see the recording is checked again.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `link_expired`, `conflict` while the file is not finished, `unavailable`.
    pub async fn open(&self, file: FileId, ticket: &Ticket) -> Result<OpenFile, Refusal> {
        let found = self.shared.store.recording_file(file).await?.ok_or_else(no_such_file)?;
        let stored = self.stored(found.row.recording_id).await?;
        let grant =
            Grant { recording: stored.row.id, target: Target::File(file), epoch: stored.row.link_epoch };
        self.link_key().await?.check(grant, ticket, now())?;
        self.admit_reader(ticket, &stored.row).await?;
        if stored.is_gone() {
            return Err(no_such_recording());
        }
        require_finished(&stored.row)?;
        let warden = Warden::new(self.clone(), stored.row.id, ticket.clone());
        Ok(OpenFile { warden: Some(warden), ..self.open_local(found, stored).await? })
    }

    /// The name under which a file is saved, as `2026-11-29 1204 Ada camera 0.webm`.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn name_of(&self, file: &OpenFile) -> Result<String, Refusal> {
        let began = file.recording.started_at.format("%Y-%m-%d %H%M");
        let row = &file.stored.row;
        let tracks = self.shared.store.recording_tracks(row.recording_id).await?;
        let track = tracks.into_iter().find(|track| Some(track.row.id) == row.track_id);
        let ending = Path::new(&row.key).extension().and_then(|ending| ending.to_str()).unwrap_or("bin");
        Ok(match (track, &file.stored.language) {
            (Some(track), _) => {
                let name = track.name.unwrap_or_else(|| track.row.user_id.short());
                format!("{began} {} {} {}.{ending}", plain(&name), track.row.source.as_str(), row.part)
            }
            (None, Some(language)) => format!("{began} {language}.{ending}"),
            (None, None) => format!("{began}.{ending}"),
        })
    }

    pub(super) async fn open_local(
        &self,
        found: StoredFile,
        stored: StoredRecording,
    ) -> Result<OpenFile, Refusal> {
        self.require_here(&stored.row)?;
        let path: Arc<Path> = self.path_of(&found.row.key)?.into();
        let looked_at = Arc::clone(&path);
        let metadata = self.on_disk(move || fs::metadata(looked_at)).await?;
        let version = Version::of(&metadata);
        Ok(OpenFile {
            path,
            version,
            reads: Arc::clone(&self.shared.reads),
            length: version.length,
            content_type: found.row.content_type.clone(),
            etag: format!("\"{:x}-{:x}\"", version.length, version.changed),
            stored: found,
            recording: stored.row,
            warden: None,
        })
    }

    /// Where a file is. Keys are made by the server, and lead nowhere else.
    pub(super) fn path_of(&self, key: &str) -> Result<PathBuf, Refusal> {
        let is_below = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below || key.is_empty() {
            return Err(Refusal::internal(&io::Error::other(format!("the key of a file is {key:?}"))));
        }
        Ok(self.shared.config.recorder.folder.join(key))
    }

    /// Works on the disk, apart from the threads that serve requests.
    ///
    /// # Errors
    /// `not_found` for a file that is not there, `internal`.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        aside(&self.shared.reads, work).await.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { no_such_file() } else { Refusal::internal(&error) }
        })
    }

    pub(super) async fn link_key(&self) -> Result<&LinkKey, Refusal> {
        let folder = self.shared.config.recorder.folder.clone();
        let load = async {
            let loaded = spawn_blocking(move || key_file::load_or_create(&folder, KEY_FILE)).await;
            let secret = loaded.map_err(|broken| Refusal::internal(&broken))?;
            let secret = secret.map_err(|error| Refusal::internal(&error))?;
            Ok(LinkKey::new(secret.expose_secret().as_bytes()))
        };
        self.shared.key.get_or_try_init(|| load).await
    }
}

impl Version {
    fn of(file: &Metadata) -> Self {
        let changed = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
        Self { length: file.len(), changed }
    }
}

impl OpenFile {
    /// The bytes from `first` up to, and without, `end`. It breaks off with an error when the file is deleted or
    /// replaced meanwhile, or its reader may not see it any more.
    pub fn bytes(self, first: u64, end: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let Self { path, version, reads, warden, .. } = self;
        stream::try_unfold((first, warden), move |(position, mut warden)| {
            let (path, reads) = (Arc::clone(&path), Arc::clone(&reads));
            async move {
                if let Some(warden) = &mut warden {
                    warden.check().await?;
                }
                let wanted = end.saturating_sub(position).min(CHUNK);
                if wanted == 0 {
                    return Ok(None);
                }
                let chunk = aside(&reads, move || read_of(&path, version, position, wanted)).await?;
                let next = position + chunk.len() as u64;
                Ok(Some((chunk, (next, warden))))
            }
        })
    }
}

fn read_of(path: &Path, version: Version, position: u64, wanted: u64) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if Version::of(&file.metadata()?) != version {
        return Err(io::Error::other("the file was replaced"));
    }
    read_at(&file, position, wanted)
}

/// At least one byte, at most `wanted`.
fn read_at(file: &File, position: u64, wanted: u64) -> io::Result<Bytes> {
    let mut chunk = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut chunk, position)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    chunk.truncate(read);
    Ok(chunk.into())
}

/// Runs the work on a thread that may block, when it is its turn.
pub(super) async fn aside<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
    let done = spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    done.await.map_err(io::Error::other)?
}

/// # Errors
/// `conflict` for a recording whose files are not finished.
fn require_finished(recording: &RecordingRow) -> Result<(), Refusal> {
    if recording.status.is_finished() {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::Conflict, "the recording is not finished"))
    }
}

fn download(recording: &RecordingRow, target: Target, by: &Actor, now: DateTime<Utc>) -> AuditEntry {
    let entry = AuditEntry::new(Action::RecordingDownloaded, by, now).on_group(recording.group_id);
    entry.on_call(recording.call_id).with(match target {
        Target::File(file) => json!({ "recordingId": recording.id, "fileId": file }),
        Target::Live(track) => json!({ "recordingId": recording.id, "trackId": track }),
    })
}

/// A person's name as a part of a file name: letters and digits of any script.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect()
}

pub(super) fn no_such_file() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such file")
}

/// Bytes that are read at once, and wait in memory for each reader.
const CHUNK: u64 = 128 * 1024;
const KEY_FILE: &str = "link-key";
