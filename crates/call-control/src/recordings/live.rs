//! Reading a file while it is written.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use switchyard_recorder::growing::{self, Next};
use tokio::time::sleep;

use super::{
    Recordings,
    files::{aside, no_such_file},
    link::{self, Grant, Target, Ticket},
    no_such_recording,
    warden::Warden,
};
use crate::{
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{FileId, RecordingId, RecordingTrackId},
};

/// The growing file of a track, from some key frame on.
pub struct LiveFile {
    pub id: FileId,
    pub content_type: String,
    reader: Reader,
}

/// A reader of a growing file: it has one of the recording's places.
struct Reader {
    recordings: Recordings,
    warden: Warden,
    path: Arc<Path>,
    /// The file's header, until it is sent.
    header: Option<Bytes>,
    /// Where the next cluster begins.
    position: u64,
    _place: Place,
}

/// Who reads each recording, once for each place that they have.
#[derive(Default)]
pub(super) struct Readers {
    places: Mutex<HashMap<RecordingId, Vec<link::Reader>>>,
}

/// One reader of one track; free again when dropped.
struct Place {
    recordings: Recordings,
    recording: RecordingId,
    of: link::Reader,
}

impl Recordings {
    /// Opens the growing file of a track, at the last key frame, or at the last one before `from` seconds of the
    /// recording.
    ///
    /// # Errors
    /// `not_found` also while nothing of the track is recorded, `forbidden`, `link_expired`, `conflict` for a recording
    /// that has been stopped, `limit_exceeded`, `unavailable`.
    pub async fn open_live(
        &self,
        recording: RecordingId,
        track: RecordingTrackId,
        ticket: Ticket,
        from: Option<u64>,
    ) -> Result<LiveFile, Refusal> {
        let stored = self.stored(recording).await?;
        let grant = Grant { recording, target: Target::Live(track), epoch: stored.row.link_epoch };
        self.link_key().await?.check(grant, &ticket, now())?;
        self.admit_reader(&ticket, &stored.row).await?;
        if stored.is_gone() {
            return Err(no_such_recording());
        }
        self.require_here(&stored.row)?;
        if !stored.row.status.is_running() {
            return Err(not_running());
        }
        let files = self.shared.store.recording_files(recording).await?;
        let of_track = files.into_iter().filter(|file| file.row.track_id == Some(track));
        let file = of_track.max_by_key(|file| file.row.part).ok_or_else(no_such_file)?.row;
        let place = self.take_place(recording, ticket.reader)?;
        let path: Arc<Path> = self.path_of(&file.key)?.into();
        // In the time of the file.
        let from_ms = from.map(|seconds| {
            seconds.saturating_mul(1000).saturating_sub(u64::try_from(file.start_ms).unwrap_or(0))
        });
        let read = Arc::clone(&path);
        let start = self.on_disk(move || growing::start(&read, from_ms)).await?;
        let reader = Reader {
            recordings: self.clone(),
            warden: Warden::new(self.clone(), recording, ticket),
            path,
            header: Some(start.header),
            position: start.position,
            _place: place,
        };
        Ok(LiveFile { id: file.id, content_type: file.content_type, reader })
    }

    fn take_place(&self, recording: RecordingId, of: link::Reader) -> Result<Place, Refusal> {
        let mut places = self.shared.readers.lock();
        let taken = places.entry(recording).or_default();
        let own = taken.iter().filter(|reader| **reader == of).count();
        if own >= TRACKS_PER_READER {
            return Err(Refusal::new(
                ErrorCode::LimitExceeded,
                "you are watching 32 tracks of this recording",
            ));
        }
        if own == 0 && taken.iter().collect::<HashSet<_>>().len() >= READERS {
            return Err(Refusal::new(ErrorCode::LimitExceeded, "16 people are watching this recording"));
        }
        taken.push(of);
        Ok(Place { recordings: self.clone(), recording, of })
    }
}

impl LiveFile {
    /// The header, and whole clusters as they are written, until the file ends. It breaks off with an error when the
    /// reader may not see the recording any more.
    pub fn bytes(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::try_unfold(self.reader, |mut reader| async move {
            let next = reader.next().await?;
            Ok(next.map(|bytes| (bytes, reader)))
        })
    }
}

impl Reader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header));
        }
        // The writer may write once more before it ends the file.
        let mut ends_soon = false;
        loop {
            if let Some(still_runs) = self.warden.check().await? {
                ends_soon = !still_runs;
            }
            let (path, position) = (Arc::clone(&self.path), self.position);
            match aside(&self.recordings.shared.reads, move || growing::next(&path, position)).await? {
                Next::Cluster(bytes) => {
                    self.position += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Next::End => return Ok(None),
                Next::NotYet if ends_soon => return Ok(None),
                Next::NotYet => sleep(LOOK_AGAIN).await,
            }
        }
    }
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, HashMap<RecordingId, Vec<link::Reader>>> {
        // Each change is a single push or removal, so a poisoned map is still consistent.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.recordings.shared.readers.lock();
        let Some(taken) = places.get_mut(&self.recording) else { return };
        if let Some(own) = taken.iter().position(|reader| *reader == self.of) {
            taken.swap_remove(own);
        }
        if taken.is_empty() {
            places.remove(&self.recording);
        }
    }
}

pub(super) fn not_running() -> Refusal {
    Refusal::new(ErrorCode::Conflict, "the recording has been stopped; ask for a link to its file")
}

/// People who watch one recording. The app is one of them.
const READERS: usize = 16;
const TRACKS_PER_READER: usize = 32;
/// How often a file that has not grown is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
