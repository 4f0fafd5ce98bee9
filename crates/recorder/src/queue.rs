//! The queue from the recorder thread to the writer thread, bounded in bytes. To put something into it never waits.

use crate::ids::{FileKey, RecordingId};
use crate::manifest::Manifest;
use crate::matroska::{Kind, Trailer};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// What the writer has to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Makes a file. The bytes are its header and its first cluster; `mark_at` is the place of its sync mark.
    Create {
        file: FileKey,
        kind: Kind,
        mark_at: u64,
        bytes: Bytes,
    },
    /// Adds a cluster to a file.
    Append {
        file: FileKey,
        cluster: Bytes,
    },
    /// Ends a file that was made.
    Finish {
        file: FileKey,
        kind: Kind,
        trailer: Box<Trailer>,
    },
    /// Adds a line to the time line.
    Note {
        recording: RecordingId,
        line: String,
    },
    /// All files of a recording are finished.
    Close(Box<Manifest>),
    Stop,
}

/// How much of the queue something may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Leaves a quarter to audio.
    Video,
    Audio,
    /// The end of what has found room. There is at most one of these for each file and each recording.
    Always,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What a job weighs beside its bytes.
const JOB_BYTES: usize = 256;

#[derive(Debug)]
pub(crate) struct Queue {
    sender: Sender<Job>,
    held: Arc<AtomicUsize>,
    limit: usize,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: Receiver<Job>,
    held: Arc<AtomicUsize>,
    /// What the last job weighs. It counts until the next one is taken.
    taken: usize,
}

pub(crate) fn queue(limit: usize) -> (Queue, Inbox) {
    let (sender, receiver) = channel();
    let held = Arc::new(AtomicUsize::new(0));
    (Queue { sender, held: held.clone(), limit }, Inbox { receiver, held, taken: 0 })
}

impl Queue {
    /// # Errors
    /// [`Full`]: the job was dropped.
    pub(crate) fn offer(&self, room: Room, job: Job) -> Result<(), Full> {
        let weight = job.weight();
        let limit = match room {
            Room::Video => self.limit / 4 * 3,
            Room::Audio => self.limit,
            Room::Always => usize::MAX,
        };
        if self.held.load(Ordering::Relaxed) + weight > limit {
            return Err(Full);
        }
        self.held.fetch_add(weight, Ordering::Relaxed);
        self.sender.send(job).map_err(|_| Full)
    }

    /// Whether so much is free that it is worth to begin again after a loss.
    pub(crate) fn has_room(&self) -> bool {
        self.held() <= self.limit / 2
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) enum Taken {
    Job(Job),
    TimedOut,
    Ended,
}

impl Inbox {
    pub(crate) fn take(&mut self, wait: Duration) -> Taken {
        self.held.fetch_sub(std::mem::take(&mut self.taken), Ordering::Relaxed);
        match self.receiver.recv_timeout(wait) {
            Ok(job) => {
                self.taken = job.weight();
                Taken::Job(job)
            }
            Err(RecvTimeoutError::Timeout) => Taken::TimedOut,
            Err(RecvTimeoutError::Disconnected) => Taken::Ended,
        }
    }
}

impl Job {
    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Create { bytes, .. } | Self::Append { cluster: bytes, .. } => bytes.len(),
            Self::Finish { trailer, .. } => trailer.index.len(),
            Self::Note { line, .. } => line.len(),
            Self::Close(_) | Self::Stop => 0,
        };
        bytes + JOB_BYTES
    }
}
