//! Whoever reads for long is admitted again from time to time: membership may end while they read.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Recordings, link::Ticket, no_such_recording};
use crate::{error::Refusal, ids::RecordingId};

/// Watches one reader.
#[derive(Clone)]
pub(super) struct Warden {
    recordings: Recordings,
    recording: RecordingId,
    ticket: Ticket,
    admitted: Instant,
}

impl Warden {
    /// For a reader who was just admitted.
    pub(super) fn new(recordings: Recordings, recording: RecordingId, ticket: Ticket) -> Self {
        Self { recordings, recording, ticket, admitted: Instant::now() }
    }

    /// As [`Warden::admit_again`], if it is time.
    pub(super) async fn check(&mut self) -> io::Result<Option<bool>> {
        if self.admitted.elapsed() < ADMIT_AGAIN { Ok(None) } else { self.admit_again().await.map(Some) }
    }

    /// Returns whether the recording still runs.
    ///
    /// # Errors
    /// `PermissionDenied` if the recording was deleted, or the reader may not see it any more.
    pub(super) async fn admit_again(&mut self) -> io::Result<bool> {
        let refused = |refusal: Refusal| io::Error::new(io::ErrorKind::PermissionDenied, refusal);
        let stored = self.recordings.stored(self.recording).await.map_err(refused)?;
        if stored.is_gone() {
            return Err(refused(no_such_recording()));
        }
        self.recordings.admit_reader(&self.ticket, &stored.row).await.map_err(refused)?;
        self.admitted = Instant::now();
        Ok(stored.row.status.is_running())
    }
}

const ADMIT_AGAIN: Duration = Duration::from_secs(10);
