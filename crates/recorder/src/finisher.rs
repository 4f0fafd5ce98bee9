//! The thread for what takes long once a file is written: its hash, the repair of failed files, and the manifest.

use crate::event::{Event, FinishedFile};
use crate::folder::Folder;
use crate::ids::FileKey;
use crate::manifest::Manifest;
use crate::matroska::Kind;
use crate::repair::{describe, repair_file};
use crate::report::Trouble;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use tokio::sync::mpsc;

#[derive(Debug)]
pub(crate) enum Chore {
    Describe(FileKey, Kind),
    /// The file could not be written to its end.
    Repair(FileKey, Kind),
    Manifest(Box<Manifest>),
}

pub(crate) struct Finisher {
    pub(crate) folder: Folder,
    pub(crate) chores: Receiver<Chore>,
    pub(crate) events: mpsc::Sender<Event>,
    /// Set when files have to be finished without their hashes.
    pub(crate) hurry: Arc<AtomicBool>,
}

impl Finisher {
    /// Works until nobody can send a chore.
    pub(crate) fn run(self) {
        while let Ok(chore) = self.chores.recv() {
            let event = match chore {
                Chore::Describe(file, kind) => self.describe(file, kind),
                Chore::Repair(file, kind) => {
                    if let Err(error) = repair_file(&self.folder.file(file, kind)) {
                        tracing::warn!(%error, file = file.path(kind), "a recorded file stays without an end");
                    }
                    self.describe(file, kind)
                }
                Chore::Manifest(manifest) => {
                    if let Err(error) = manifest.write(&self.folder) {
                        let recording = manifest.recording.0;
                        tracing::warn!(%error, %recording, "a recording stays without a manifest");
                    }
                    Event::Closed(manifest.recording)
                }
            };
            self.tell(event);
        }
    }

    fn describe(&self, file: FileKey, kind: Kind) -> Event {
        let path = self.folder.file(file, kind);
        let described = describe(&path, &self.hurry).unwrap_or_else(|error| {
            tracing::warn!(%error, file = file.path(kind), "a recorded file cannot be read");
            self.tell(Event::Failed(file.of.recording, Trouble::StorageError));
            // Its length is known without opening it.
            fs::metadata(&path).ok().map(|file| FinishedFile { bytes: file.len(), sha256: None })
        });
        Event::File(file, described)
    }

    fn tell(&self, event: Event) {
        // Without a recorder thread nobody waits for it.
        let _ = self.events.blocking_send(event);
    }
}
