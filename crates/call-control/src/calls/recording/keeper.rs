//! Listens to the recorder, and writes what it reports.

use switchyard_recorder::Notice;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    repair::until_done,
    studio::{Demand, WRITE_PERIOD, recorder_id},
};
use crate::{
    actor::Actor,
    call::{Command, RecordingEnd, RecordingStatus},
    calls::Calls,
    clock::now,
    ids::{CallId, RecordingId},
    store::{Settlement, StoreError},
};

impl Calls {
    /// Takes in the recorder's notices until the server stops.
    pub(in crate::calls) async fn hear_recorder(self) {
        while let Some(notice) = self.shared.studio.next_notice().await {
            self.hear(notice).await;
        }
        tracing::error!(
            "the recorder broke: nothing is recorded until the next start, which repairs the files"
        );
        let running = self.shared.studio.shelf().running();
        for (recording, call) in running {
            self.shared.studio.shelf().broke(recording);
            self.stop_broken(call, recording, RecordingEnd::StorageError);
        }
    }

    /// Finishes all files, and writes what the recorder has reported.
    pub(in crate::calls) async fn stop_recorder(&self) {
        self.shared.studio.recorder.shutdown().await;
        while let Some(notice) = self.shared.studio.waiting_notice().await {
            self.hear(notice).await;
        }
        self.write_reports().await;
        let whole = self.shared.studio.shelf().whole();
        for recording in whole {
            if let Err(error) = self.shared.store.note_whole(recording, true).await {
                tracing::warn!(%recording, %error, "a recording counts as one that a crash cut");
            }
        }
    }

    pub(in crate::calls) async fn hear(&self, notice: Notice) {
        match self.shared.studio.hear(notice) {
            Some(Demand::Stop { call, recording, end }) => self.stop_broken(call, recording, end),
            Some(Demand::Remove(recording)) => {
                if let Err(error) = self.shared.studio.recorder.delete(recorder_id(recording)).await {
                    tracing::warn!(%recording, %error, "the files of a recording that never was stay for now");
                    self.tidy_up();
                }
            }
            None => {}
        }
    }

    fn stop_broken(&self, call: CallId, recording: RecordingId, end: RecordingEnd) {
        tracing::warn!(%call, %recording, ?end, "a recording broke off");
        // A task of its own: the owner task of the call may be waiting for the recorder.
        let calls = self.clone();
        self.shared.tasks.spawn(async move {
            let stop = Command::StopRecording { only: Some(recording), end };
            if let Err(error) = calls.command(call, stop, &Actor::SERVER).await {
                tracing::warn!(%call, %recording, %error, "the end of a recording could not be noted");
            }
        });
    }

    /// Writes what the recorder reports, at intervals, until the server stops.
    pub(in crate::calls) async fn keep_records(self) {
        loop {
            let next = Instant::now() + WRITE_PERIOD;
            self.write_reports().await;
            // New tracks are written soon: people see them, and can download and delete them after a crash.
            sleep_until(next - WRITE_PERIOD / 2).await;
            let urgent = self.shared.studio.urgent.notified();
            let _ = timeout(WRITE_PERIOD / 2, urgent).await;
        }
    }

    /// Writes all that is not stored, and settles the recordings that are finished.
    pub(in crate::calls) async fn write_reports(&self) {
        let recordings = self.shared.studio.shelf().all();
        for recording in recordings {
            match self.write_report(recording).await {
                // The call's ledger has yet to write the recording itself.
                Ok(()) | Err(StoreError::MissingReference) => {}
                Err(error @ (StoreError::Unavailable(_) | StoreError::InDoubt(_))) => {
                    tracing::debug!(%error, "what is recorded cannot be noted yet");
                    return;
                }
                Err(error) => tracing::warn!(%recording, %error, "what is recorded cannot be noted"),
            }
        }
    }

    async fn write_report(&self, recording: RecordingId) -> Result<(), StoreError> {
        let studio = &self.shared.studio;
        let batch = studio.shelf().batch(recording);
        if !batch.tracks.is_empty() {
            self.shared.store.write_reports(recording, &batch.tracks, &batch.files, now()).await?;
            studio.shelf().stored(recording, &batch);
        }
        let Some(finished) = studio.shelf().finished(recording) else { return Ok(()) };
        // Somebody is at its files: later.
        let Some(alone) = studio.try_alone(recording) else { return Ok(()) };
        if finished.broken {
            let calls = self.clone();
            self.until_stop(async move {
                let _alone = alone;
                let finish = || calls.finish_by_files(recording, finished.end, false);
                if until_done("a recording whose disk failed", finish).await {
                    calls.shared.studio.shelf().forget(recording);
                }
            });
            return Ok(());
        }
        if self.shared.stop.is_cancelled() {
            let (_, files) = self.shared.store.reported(recording).await?;
            if files.iter().any(|file| file.sha256.is_none()) {
                // There is no time to hash them: the next start does, and settles it then.
                return Ok(());
            }
        }
        let is_whole = !finished.has_gaps && finished.end.leaves_it_whole();
        let status = if is_whole { RecordingStatus::Ready } else { RecordingStatus::Incomplete };
        if self.settle(recording, status, finished.end, false).await? {
            studio.shelf().forget(recording);
        }
        Ok(())
    }

    /// Says how a recording ended up, and tells the members of its group. Returns whether it is settled.
    pub(super) async fn settle(
        &self,
        recording: RecordingId,
        status: RecordingStatus,
        end: RecordingEnd,
        call_is_gone: bool,
    ) -> Result<bool, StoreError> {
        let now = now();
        let delete_after = self
            .shared
            .studio
            .config
            .kept_for
            .and_then(|time| now.checked_add_signed(chrono::TimeDelta::from_std(time).ok()?));
        let settlement = Settlement { recording, status, end, delete_after, call_is_gone };
        match self.shared.store.settle_recording(settlement, now).await? {
            Some(settled) => {
                // Its deletion is told once it is removed.
                if !settled.is_gone() {
                    self.tell_of_recording(&settled.row);
                }
                Ok(true)
            }
            None => Ok(self.shared.store.is_recording_settled(recording).await?),
        }
    }
}
