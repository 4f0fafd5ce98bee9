//! The thread that writes: one write for each cluster, at the end of its file. A disk that stands still stops this thread
//! and no other.

use crate::counters::Counting;
use crate::event::Event;
use crate::finisher::Chore;
use crate::folder::{Folder, sync_folder};
use crate::ids::{FileKey, RecordingId};
use crate::matroska::{Kind, Trailer, write_mark};
use crate::queue::{Inbox, Job, Taken};
use crate::repair::finish;
use crate::report::Trouble;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The free space is looked up at this interval.
const SPACE_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) struct Writer {
    files: HashMap<FileKey, Open>,
    /// Recordings with files whose names are not safely on the disk.
    unsynced_folders: HashSet<RecordingId>,
    next_sync: Instant,
    next_space: Instant,
    ends: Ends,
}

/// What the writer shares with other threads, and its settings.
pub(crate) struct Ends {
    pub(crate) folder: Folder,
    pub(crate) inbox: Inbox,
    pub(crate) chores: SyncSender<Chore>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) counting: Counting,
    pub(crate) sync_interval: Duration,
    pub(crate) min_free: u64,
}

struct Open {
    file: File,
    mark_at: u64,
    length: u64,
    synced: u64,
    /// An operation failed; nothing more is written.
    broken: bool,
}

impl Writer {
    pub(crate) fn new(ends: Ends) -> Self {
        let now = Instant::now();
        Self {
            files: HashMap::new(),
            unsynced_folders: HashSet::new(),
            next_sync: now + ends.sync_interval,
            next_space: now,
            ends,
        }
    }

    /// Works until it is stopped.
    pub(crate) fn run(mut self) {
        loop {
            let wait = self.next_sync.min(self.next_space).saturating_duration_since(Instant::now());
            match self.ends.inbox.take(wait) {
                Taken::Job(Job::Stop) | Taken::Ended => return self.sync(),
                Taken::Job(job) => self.perform(job),
                Taken::TimedOut => {}
            }
            let now = Instant::now();
            if now >= self.next_sync {
                self.sync();
                self.next_sync = Instant::now() + self.ends.sync_interval;
            }
            if now >= self.next_space {
                self.check_space();
                self.next_space = Instant::now() + SPACE_INTERVAL;
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Create { file, kind, mark_at, bytes } => self.create(file, kind, mark_at, &bytes),
            Job::Append { file, cluster } => self.append(file, &cluster),
            Job::Finish { file, kind, trailer } => self.finish(file, kind, &trailer),
            Job::Note { recording, line } => self.note(recording, &line),
            Job::Close(manifest) => self.pass_on(Chore::Manifest(manifest)),
            Job::Stop => {}
        }
    }

    fn create(&mut self, key: FileKey, kind: Kind, mark_at: u64, bytes: &Bytes) {
        let path = self.ends.folder.file(key, kind);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => {
                self.files.insert(key, Open { file, mark_at, length: 0, synced: 0, broken: false });
                self.unsynced_folders.insert(key.of.recording);
                self.append(key, bytes);
            }
            Err(error) => self.fail(key, "create", &error),
        }
    }

    fn append(&mut self, key: FileKey, bytes: &Bytes) {
        let Some(open) = self.files.get_mut(&key).filter(|open| !open.broken) else { return };
        let began = Instant::now();
        let written = open.append(bytes);
        let took = micros(began);
        let mut counters = self.ends.counting.lock();
        counters.writes += 1;
        counters.write_us += took;
        match written {
            Ok(()) => counters.bytes += bytes.len() as u64,
            Err(error) => {
                drop(counters);
                self.fail(key, "write", &error);
            }
        }
    }

    fn finish(&mut self, key: FileKey, kind: Kind, trailer: &Trailer) {
        let Some(open) = self.files.remove(&key) else { return self.pass_on(Chore::Describe(key, kind)) };
        if open.broken {
            return self.pass_on(Chore::Repair(key, kind));
        }
        let began = Instant::now();
        match finish(&open.file, open.length, trailer) {
            Ok(_) => {
                self.count_sync(began);
                self.pass_on(Chore::Describe(key, kind));
            }
            Err(error) => {
                self.fail(key, "finish", &error);
                self.pass_on(Chore::Repair(key, kind));
            }
        }
    }

    /// The time line is a help, not the record: a line that cannot be written is counted, not told.
    fn note(&mut self, recording: RecordingId, line: &str) {
        let path = self.ends.folder.timeline(recording);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        if opened.and_then(|mut file| file.write_all(line.as_bytes())).is_err() {
            self.ends.counting.lock().notes_dropped += 1;
        }
    }

    fn sync(&mut self) {
        for recording in std::mem::take(&mut self.unsynced_folders) {
            if let Err(error) = sync_folder(&self.ends.folder.recording(recording)) {
                self.report(recording, &error);
            }
        }
        let news: Vec<FileKey> =
            self.files.iter().filter(|(_, open)| open.has_news()).map(|(key, _)| *key).collect();
        for key in news {
            let Some(open) = self.files.get_mut(&key) else { continue };
            let began = Instant::now();
            let synced = open.sync();
            self.count_sync(began);
            if let Err(error) = synced {
                self.fail(key, "sync", &error);
            }
        }
    }

    fn count_sync(&self, began: Instant) {
        let took = micros(began);
        let mut counters = self.ends.counting.lock();
        counters.syncs += 1;
        counters.sync_us += took;
        counters.longest_sync_us = counters.longest_sync_us.max(took);
    }

    fn check_space(&mut self) {
        // A disk that does not answer this will not take a cluster either, and that is told.
        let Ok(free) = self.ends.folder.free() else { return };
        self.ends.counting.lock().free_bytes = free;
        if free < self.ends.min_free && !self.files.is_empty() {
            self.tell(Event::LowSpace);
        }
    }

    fn fail(&mut self, key: FileKey, operation: &str, error: &io::Error) {
        let file = key.of.track.0;
        tracing::warn!(%error, operation, track = %file, part = key.part, "a recorded file failed");
        if let Some(open) = self.files.get_mut(&key) {
            open.broken = true;
        }
        self.ends.counting.lock().files_failed += 1;
        self.report(key.of.recording, error);
    }

    fn report(&self, recording: RecordingId, error: &io::Error) {
        self.tell(Event::Failed(recording, trouble(error)));
    }

    fn tell(&self, event: Event) {
        // Without a recorder thread nobody waits for it.
        let _ = self.ends.events.blocking_send(event);
    }

    fn pass_on(&self, chore: Chore) {
        // The finisher lives as long as this end of its queue.
        let _ = self.ends.chores.send(chore);
    }
}

impl Open {
    fn append(&mut self, bytes: &Bytes) -> io::Result<()> {
        let written = self.file.write_all_at(bytes, self.length);
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            // The file ends with a whole cluster again. If that fails too, the repair cuts it.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }

    fn has_news(&self) -> bool {
        !self.broken && self.synced < self.length
    }

    /// Gets everything onto the disk, and then notes in the file that it is there.
    fn sync(&mut self) -> io::Result<()> {
        // Writing to a file whose folder was removed succeeds and is lost.
        if self.file.metadata()?.nlink() == 0 {
            return Err(ErrorKind::NotFound.into());
        }
        self.file.sync_data()?;
        self.synced = self.length;
        self.file.write_all_at(&write_mark(self.length), self.mark_at)
    }
}

fn trouble(error: &io::Error) -> Trouble {
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        Trouble::DiskFull
    } else {
        Trouble::StorageError
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
