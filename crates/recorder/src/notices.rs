//! Notices on their way to the owner. While it does not read, a newer report of a track replaces the older one.

use crate::ids::{RecordingId, TrackId};
use crate::report::Notice;
use std::collections::VecDeque;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The receiver of notices, with room for as many as this.
pub(crate) const CAPACITY: usize = 1024;

#[derive(Debug)]
pub(crate) struct Notices {
    sender: mpsc::Sender<Notice>,
    /// At most one for each track, and two for each recording.
    waiting: VecDeque<Notice>,
}

impl Notices {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self { sender, waiting: VecDeque::new() }, receiver)
    }

    pub(crate) fn send(&mut self, notice: Notice) {
        if let Some(track) = track(&notice) {
            // The newer one goes behind, so that the order of what happened stays.
            self.waiting.retain(|waiting| self::track(waiting) != Some(track));
        }
        self.waiting.push_back(notice);
        self.flush();
    }

    /// Sends what finds room.
    pub(crate) fn flush(&mut self) {
        while let Some(notice) = self.waiting.pop_front() {
            match self.sender.try_send(notice) {
                Ok(()) => {}
                Err(TrySendError::Full(notice)) => {
                    self.waiting.push_front(notice);
                    return;
                }
                Err(TrySendError::Closed(_)) => return self.waiting.clear(),
            }
        }
    }
}

fn track(notice: &Notice) -> Option<(RecordingId, TrackId)> {
    match notice {
        Notice::Track(recording, report) => Some((*recording, report.track)),
        Notice::Broken(..) | Notice::Closed(_) => None,
    }
}
