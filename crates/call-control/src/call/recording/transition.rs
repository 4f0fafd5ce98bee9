//! The transitions of a call's recording.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Answer, CallRecordingView, Consent, NewRecording, Recording, RecordingEnd, Running, state::Wish,
};
use crate::{
    call::{
        Call, CallError, Ending, Event, Flag, Metadata, RecordingKeys, State, after,
        step::{Follow, Step},
    },
    error::ErrorCode,
    ids::{LegId, RecordingId, UserId},
};

impl Call {
    /// The running recording.
    #[must_use]
    pub fn recording(&self) -> Option<&Running> {
        self.head.recording.running()
    }

    /// The running recording, as clients see it.
    #[must_use]
    pub fn recording_view(&self) -> Option<CallRecordingView> {
        self.head.recording.view()
    }

    /// Whether this patch of the metadata starts a recording.
    #[must_use]
    pub fn would_start_recording(&self, patch: &Metadata) -> bool {
        let asks = patch.recording_keys().is_ok_and(|keys| keys.enabled == Some(Flag::Is(true)));
        asks && matches!(self.head.state, State::Active { .. }) && self.recording().is_none()
    }

    /// Who wished for a recording that can start at this time; the inner `None` stands for the service.
    #[must_use]
    pub fn due_wish(&self) -> Option<Option<UserId>> {
        let wish = self.head.recording.wish?;
        matches!(self.head.state, State::Active { .. }).then_some(wish.by)
    }

    /// When the running recording reaches its maximum duration.
    pub(in crate::call) fn recording_deadline(&self) -> Option<DateTime<Utc>> {
        self.recording().map(|running| after(running.started_at, self.rules.max_recording))
    }

    /// The wish that the metadata of a new call contains.
    pub(in crate::call) fn first_wish(metadata: &Metadata, by: UserId) -> Recording {
        let wished = metadata.recording_keys().is_ok_and(|keys| keys.enabled == Some(Flag::Is(true)));
        Recording { running: None, wish: wished.then_some(Wish { by: Some(by) }) }
    }

    pub(in crate::call) fn start_recording(
        &mut self,
        step: &mut Step,
        new: NewRecording,
        started_by: Option<UserId>,
    ) -> Result<(), CallError> {
        self.ensure_running()?;
        if self.recording().is_some() {
            return Err(CallError::AlreadyRecording);
        }
        self.begin_recording(step, new, started_by);
        self.tell_metadata(step);
        Ok(())
    }

    pub(in crate::call) fn pause_recording(
        &mut self,
        step: &mut Step,
        only: Option<RecordingId>,
        paused: bool,
    ) -> Result<(), CallError> {
        self.ensure_running()?;
        let by = step.by();
        let (origin, now) = (self.origin, step.now());
        let running = self.running_recording()?;
        if only.is_some_and(|only| only != running.what.id) {
            return Err(CallError::NotRecording);
        }
        if running.paused != paused {
            running.paused = paused;
            let (recording, row) = (running.what.id, running.to_row(&origin, now, None));
            step.note_recording(row, if paused { Follow::BeforeTelling } else { Follow::AfterTelling });
            step.record(Event::RecordingPaused { recording, paused, by });
            self.head.updated_at = now;
        }
        Ok(())
    }

    /// Stopping what does not run changes nothing.
    pub(in crate::call) fn stop_recording(
        &mut self,
        step: &mut Step,
        only: Option<RecordingId>,
        end: RecordingEnd,
    ) {
        if only.is_some() && only != self.recording().map(|running| running.what.id) {
            return;
        }
        self.end_recording(step, end, step.now());
        self.tell_metadata(step);
    }

    /// A wished recording cannot start.
    pub(in crate::call) fn fail_recording(&mut self, step: &mut Step, code: ErrorCode) {
        if self.is_over() || self.head.recording.wish.is_none() {
            return;
        }
        Arc::make_mut(&mut self.head.recording).wish = None;
        self.head.updated_at = step.now();
        step.record(Event::RecordingFailed { code });
        Arc::make_mut(&mut self.head.metadata).keep_recording(false, None);
        self.tell_metadata(step);
    }

    /// Rule 2.
    pub(in crate::call) fn consent(
        &mut self,
        step: &mut Step,
        leg: LegId,
        accept: bool,
    ) -> Result<(), CallError> {
        self.ensure_running()?;
        let user_id = self.leg(leg).ok_or(CallError::NotInCall)?.person.id;
        let running = self.running_recording()?;
        if running.what.consent == Consent::Notice {
            return Err(CallError::NotAsked);
        }
        let recording = running.what.id;
        if running.answers.insert(leg, accept) != Some(accept) {
            step.follow(if accept { Follow::AfterTelling } else { Follow::BeforeTelling });
            step.record(Event::RecordingConsent {
                recording,
                answer: Answer { leg_id: leg, user_id, accept },
            });
            self.head.updated_at = step.now();
        }
        Ok(())
    }

    /// Rule 3: what a patch of the metadata does to the recording. The patch has been merged.
    pub(in crate::call) fn heed_recording_keys(
        &mut self,
        step: &mut Step,
        RecordingKeys { enabled, id }: RecordingKeys,
        new: NewRecording,
    ) -> Result<(), CallError> {
        let records = self.recording().is_some();
        if records && (enabled == Some(Flag::Removed) || id == Some(Flag::Removed)) {
            return Err(CallError::KeysInUse);
        }
        let by = step.by();
        match (enabled, &self.head.state) {
            (Some(Flag::Is(true)), State::Over(_)) => return Err(CallError::Ended),
            (Some(Flag::Is(true)), State::Active { .. }) if !records => self.begin_recording(step, new, by),
            (Some(Flag::Is(true)), State::Waiting) if !records => {
                Arc::make_mut(&mut self.head.recording).wish.get_or_insert(Wish { by });
            }
            (Some(Flag::Is(false)), State::Waiting | State::Active { .. }) if records => {
                self.end_recording(step, RecordingEnd::Stopped, step.now());
            }
            (Some(Flag::Is(false) | Flag::Removed), _) if self.head.recording.wish.is_some() => {
                Arc::make_mut(&mut self.head.recording).wish = None;
            }
            (Some(Flag::Is(_) | Flag::Removed) | None, _) => {}
        }
        Ok(())
    }

    /// Rule 1: the recording ends with its call.
    pub(in crate::call) fn conclude_recording(&mut self, step: &mut Step, ending: Ending, at: DateTime<Utc>) {
        let end = match ending {
            Ending::ServerRestart => RecordingEnd::ServerRestart,
            Ending::Normal
            | Ending::Timeout
            | Ending::Error
            | Ending::Cancelled
            | Ending::Declined
            | Ending::LastLeft
            | Ending::GroupDeleted => RecordingEnd::CallEnded,
        };
        self.end_recording(step, end, at);
        if self.head.recording.wish.is_some() {
            Arc::make_mut(&mut self.head.recording).wish = None;
            Arc::make_mut(&mut self.head.metadata).keep_recording(false, None);
        }
        self.tell_metadata(step);
    }

    /// After a restart everybody is asked again: the last answer, a "no", may have been lost with the server.
    pub(in crate::call) fn forget_answers(&mut self) {
        if self.recording().is_some_and(|running| !running.answers.is_empty())
            && let Some(running) = &mut Arc::make_mut(&mut self.head.recording).running
        {
            running.answers.clear();
        }
    }

    pub(in crate::call) fn forget_answer(&mut self, leg: LegId) {
        if self.recording().is_some_and(|running| running.answers.contains_key(&leg))
            && let Some(running) = &mut Arc::make_mut(&mut self.head.recording).running
        {
            running.answers.remove(&leg);
        }
    }

    /// Records the change of the metadata, if the command has changed it.
    pub(in crate::call) fn tell_metadata(&mut self, step: &mut Step) {
        if self.head.metadata != step.first_metadata() {
            self.head.updated_at = step.now();
            step.record(Event::MetadataChanged);
        }
    }

    fn begin_recording(&mut self, step: &mut Step, what: NewRecording, started_by: Option<UserId>) {
        let started_at = step.now();
        let running = Running { what, started_at, started_by, paused: false, answers: Default::default() };
        step.note_recording(running.to_row(&self.origin, started_at, None), Follow::AfterTelling);
        let NewRecording { id: recording, mode, consent, .. } = what;
        step.record(Event::RecordingStarted { recording, mode, consent, by: started_by });
        self.head.recording = Arc::new(Recording { running: Some(running), wish: None });
        self.head.updated_at = started_at;
        Arc::make_mut(&mut self.head.metadata).keep_recording(true, Some(what.id));
    }

    fn end_recording(&mut self, step: &mut Step, end: RecordingEnd, at: DateTime<Utc>) {
        let Some(running) = self.recording() else { return };
        let at = at.max(running.started_at);
        let recording = running.what.id;
        step.note_recording(running.to_row(&self.origin, step.now(), Some((at, end))), Follow::BeforeTelling);
        step.record(Event::RecordingStopped { recording, reason: end, by: step.by() });
        self.head.recording = Arc::default();
        self.head.updated_at = step.now();
        Arc::make_mut(&mut self.head.metadata).keep_recording(false, None);
    }

    fn running_recording(&mut self) -> Result<&mut Running, CallError> {
        if self.recording().is_none() {
            return Err(CallError::NotRecording);
        }
        Arc::make_mut(&mut self.head.recording).running.as_mut().ok_or(CallError::NotRecording)
    }
}
