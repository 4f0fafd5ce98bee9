//! What of the call is recorded: the recorder follows the state machine.

use std::{collections::BTreeMap, sync::Arc};

use switchyard_media_worker::media::{Event as MediaEvent, ProducerId};

use super::CallTask;
use crate::{
    actor::Actor,
    call::{CallView, Command, NewRecording, ProducerView, RecordingEnd, Running, TrackNote, TrackRow},
    calls::{
        Calls,
        recording::{Repaired, until_done},
        request::Request,
    },
    clock::now,
    error::Refusal,
    ids::{LegId, RecordingId, RecordingTrackId},
};

/// The recording as the recorder has it.
#[derive(Default)]
pub(super) struct Taps {
    /// The recording that is open.
    pub(super) open: Option<RecordingId>,
    paused: bool,
    tracks: BTreeMap<ProducerId, Track>,
    /// How many tracks each leg began.
    begun: BTreeMap<LegId, u32>,
}

#[derive(Clone, Copy)]
struct Track {
    id: RecordingTrackId,
    is_tapped: bool,
}

impl Taps {
    /// The id of another track of a leg; `None` if the leg has begun as many as it may: whoever says yes and no again
    /// and again, or opens one camera after another, uses up nobody else's tracks.
    fn begin_track(&mut self, leg: LegId) -> Option<RecordingTrackId> {
        let begun = self.begun.entry(leg).or_default();
        if *begun == TRACKS_PER_LEG {
            tracing::warn!(%leg, "a device has begun {TRACKS_PER_LEG} tracks, no more of it is recorded");
        }
        *begun = begun.saturating_add(1);
        (*begun <= TRACKS_PER_LEG).then(RecordingTrackId::random)
    }
}

impl CallTask {
    /// Applies a command of a client. If it starts a recording, the recorder opens that first: whatever the recorder
    /// refuses is then refused as a whole.
    pub(super) async fn command(&mut self, command: Command, by: &Actor) -> Result<CallView, Refusal> {
        let starts = self.recording_started_by(&command);
        if let Some(new) = starts {
            self.open_recording(new).await?;
        }
        let done = self.obey(command, by, None).await;
        if let Some(new) = starts {
            self.discard_unless_started(new.id).await;
        }
        done.map(|_| self.call.view(now()))
    }

    /// Starts the recording that somebody wished for while the call waited.
    pub(super) async fn fulfil_wish(&mut self) {
        let Some(started_by) = self.call.due_wish() else { return };
        let new = self.shared.studio.usual_recording();
        let start = Command::StartRecording { new, started_by };
        if let Err(refusal) = self.command(start, &Actor::SERVER).await
            && self.call.due_wish().is_some()
        {
            tracing::warn!(call = %self.id(), %refusal, "a wished recording cannot start");
            self.go_on(Command::FailRecording(refusal.code)).await;
        }
    }

    /// After a restart: repairs the files of the running recording, and continues it then. It ends if its files are
    /// elsewhere.
    pub(super) async fn take_up_recording(&mut self) {
        let Some(running) = self.call.recording() else { return };
        let (id, storage) = (running.what.id, running.what.storage_id);
        if storage != self.shared.studio.storage || !self.shared.studio.config.on {
            return self.stop_recording(id, RecordingEnd::ServerRestart).await;
        }
        let (calls, call) = (self.calls(), self.id());
        self.calls().until_stop(async move {
            let go_on = async |repaired| {
                let done = calls.ask(call, |reply| Request::Repaired { recording: id, repaired, reply });
                if let Err(refusal) = done.await {
                    tracing::debug!(recording = %id, %refusal, "the call ended before its recording was repaired");
                }
            };
            calls.repair_and_go_on(id, go_on).await;
        });
    }

    /// The files of the running recording are repaired, or cannot be.
    pub(super) async fn continue_recording(&mut self, id: RecordingId, repaired: Result<Repaired, Refusal>) {
        let Some(running) = self.call.recording().filter(|running| running.what.id == id) else { return };
        let (what, started_at) = (running.what, running.started_at);
        let opened = match repaired {
            Ok(Repaired { files, is_whole, .. }) => {
                self.shared.studio.open_again(self.call.origin(), what, started_at, files, !is_whole).await
            }
            Err(refusal) => Err(refusal),
        };
        match opened {
            Ok(()) => {
                self.taps = Taps { open: Some(id), ..Taps::default() };
                self.follow_recording(None).await;
            }
            Err(refusal) => {
                tracing::warn!(recording = %id, %refusal, "a recording cannot be continued");
                self.stop_recording(id, RecordingEnd::ServerRestart).await;
            }
        }
    }

    /// Records what the state machine says is recorded, and nothing else.
    pub(super) async fn follow_recording(&mut self, ended: Option<(RecordingId, RecordingEnd)>) {
        if let Some((id, end)) = ended {
            self.end_recording(id, end).await;
        }
        let Some(running) = self.call.recording().cloned() else { return };
        if self.taps.open != Some(running.what.id) {
            return;
        }
        if self.taps.paused != running.paused {
            self.taps.paused = running.paused;
            self.shared.studio.pause(running.what.id, running.paused).await;
        }
        let producers = self.media.producers();
        self.drop_taps(&running, &producers).await;
        for producer in producers {
            self.follow_producer(&running, &producer).await;
        }
    }

    /// Notes a change of the dominant speaker in the time line of the recording, as far as the speaker is recorded.
    pub(super) fn note_speaker(&mut self, event: &MediaEvent) {
        let &MediaEvent::ActiveSpeaker { producer } = event else { return };
        self.speaker = producer;
        let Some(recording) = self.taps.open else { return };
        let track = producer.and_then(|producer| self.taps.tracks.get(&producer));
        let track = track.filter(|track| track.is_tapped).map(|track| track.id);
        self.shared.studio.note_speaker(recording, track);
    }

    /// Ends the taps of producers that are gone, or whose leg took its consent back.
    async fn drop_taps(&mut self, running: &Running, producers: &[ProducerView]) {
        let tracks = std::mem::take(&mut self.taps.tracks);
        for (id, track) in tracks {
            let producer = producers.iter().find(|producer| producer.producer_id == id);
            match producer {
                Some(producer) if running.may_record(producer.leg_id) || !track.is_tapped => {
                    self.taps.tracks.insert(id, track);
                }
                Some(_) | None if track.is_tapped => {
                    self.shared.studio.untap(running.what.id, track.id).await
                }
                Some(_) | None => {}
            }
        }
    }

    /// Taps a producer that is to be recorded; of one that may not be, only that is noted.
    async fn follow_producer(&mut self, running: &Running, producer: &ProducerView) {
        if !running.includes(producer.app_data.source) {
            return;
        }
        let known = self.taps.tracks.get(&producer.producer_id).copied();
        let may = running.may_record(producer.leg_id);
        if known.is_some_and(|track| track.is_tapped || !may) {
            return;
        }
        let Some(id) = known.map(|track| track.id).or_else(|| self.taps.begin_track(producer.leg_id)) else {
            if may {
                self.shared.studio.note_gap(running.what.id);
            }
            return;
        };
        let mut row = self.new_track(id, running, producer);
        if !may {
            row.note = Some(TrackNote::Declined);
            self.shared.studio.note_track(row, false);
        } else if let Ok(tapped) = self.media.tap(producer.producer_id).await {
            let tags = self.tags(running, producer);
            self.shared.studio.tap(row, tapped, tags).await;
        } else {
            // It has just closed; its event follows.
            return;
        }
        self.taps.tracks.insert(producer.producer_id, Track { id, is_tapped: may });
        if may && self.speaker == Some(producer.producer_id) {
            self.shared.studio.note_speaker(running.what.id, Some(id));
        }
    }

    fn new_track(&self, id: RecordingTrackId, running: &Running, producer: &ProducerView) -> TrackRow {
        let since = (now() - running.started_at).num_milliseconds().max(0);
        let whose = (producer.leg_id, producer.user_id, producer.app_data.source);
        TrackRow::empty(id, running.what.id, producer.producer_id, whose, since)
    }

    /// What the file says about itself. Ids only: names and other texts of users stay in the database.
    fn tags(&self, running: &Running, producer: &ProducerView) -> Vec<(&'static str, String)> {
        vec![
            ("CALL_ID", self.id().to_string()),
            ("RECORDING_ID", running.what.id.to_string()),
            ("LEG_ID", producer.leg_id.to_string()),
            ("USER_ID", producer.user_id.to_string()),
            ("PRODUCER_ID", producer.producer_id.to_string()),
            ("SOURCE", producer.app_data.source.as_str().to_owned()),
        ]
    }

    async fn stop_recording(&mut self, id: RecordingId, end: RecordingEnd) {
        self.go_on(Command::StopRecording { only: Some(id), end }).await;
    }

    async fn end_recording(&mut self, id: RecordingId, end: RecordingEnd) {
        if self.taps.open == Some(id) {
            self.taps = Taps::default();
            self.shared.studio.close(id, end).await;
        } else {
            // It was not continued since the server started.
            let calls = self.calls();
            self.calls().until_stop(async move {
                until_done("a recording that was not continued", || calls.finish_unopened(id)).await;
            });
        }
    }

    fn calls(&self) -> Calls {
        Calls { shared: Arc::clone(&self.shared) }
    }

    /// The recording that the command would start.
    fn recording_started_by(&self, command: &Command) -> Option<NewRecording> {
        if let Command::StartRecording { new, started_by: _ } = command {
            return Some(*new).filter(|_| self.call.recording().is_none() && !self.call.is_over());
        }
        if let Command::MergeMetadata { patch, recording } = command {
            return Some(*recording).filter(|_| self.call.would_start_recording(patch));
        }
        None
    }

    async fn open_recording(&mut self, new: NewRecording) -> Result<(), Refusal> {
        let tracks = self.media.producers().len();
        self.shared.studio.open(self.call.origin(), new, now(), tracks).await?;
        self.taps = Taps { open: Some(new.id), ..Taps::default() };
        Ok(())
    }

    /// A start whose outcome is in doubt counts as started.
    async fn discard_unless_started(&mut self, id: RecordingId) {
        if self.call.recording().is_none_or(|running| running.what.id != id) && self.taps.open == Some(id) {
            self.taps = Taps::default();
            self.shared.studio.discard(id).await;
        }
    }
}

/// In one recording.
const TRACKS_PER_LEG: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_begins_so_many_tracks_and_others_are_not_concerned() {
        let mut taps = Taps::default();
        let (one, other) = (LegId::random(), LegId::random());
        let begun =
            (0..1_000).filter_map(|_| taps.begin_track(one)).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(begun.len(), TRACKS_PER_LEG as usize);
        assert!(taps.begin_track(other).is_some());
    }
}
