//! Starting, pausing and stopping recordings, and the answers of those who are recorded.

use switchyard_recorder::Recorder;

use super::{RecordingBy, RecordingFigures, config::only_the_app, studio::recording_off};
use crate::{
    actor::Actor,
    call::{
        CallView, Command, Consent, Flag, Metadata, NewRecording, RecordingEnd, RecordingLayer, RecordingMode,
    },
    calls::{Calls, access::Say},
    error::{ErrorCode, Refusal},
    ids::{CallId, LegId, RecordingId, StorageId},
};

/// How a recording is wished to be; what is absent is as the server is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingWish {
    pub mode: Option<RecordingMode>,
    pub layer: Option<RecordingLayer>,
    pub consent: Option<Consent>,
}

impl Calls {
    /// Starts recording the call.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for those who may not record and for less consent than the server is set to,
    /// `recording_off`, `call_ended`, `already_recording`, `limit_exceeded`, `storage_full`, `unavailable`.
    pub async fn start_recording(
        &self,
        by: &Actor,
        call: CallId,
        wish: RecordingWish,
    ) -> Result<(RecordingId, CallView), Refusal> {
        self.require_recording(by, call).await?;
        if !self.shared.studio.config.on {
            return Err(recording_off());
        }
        let new = self.new_recording(wish)?;
        let start = Command::StartRecording { new, started_by: by.user_id() };
        let started = self.command(call, start, by).await?;
        Ok((new.id, started))
    }

    /// Pauses the call's recording, or continues it.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `call_ended`, `not_recording`, `unavailable`.
    pub async fn pause_recording(
        &self,
        by: &Actor,
        call: CallId,
        only: Option<RecordingId>,
        paused: bool,
    ) -> Result<CallView, Refusal> {
        self.require_recording_always(by, call).await?;
        self.command(call, Command::PauseRecording { only, paused }, by).await
    }

    /// Stops the call's recording; a second stop changes nothing.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn stop_recording(
        &self,
        by: &Actor,
        call: CallId,
        only: Option<RecordingId>,
    ) -> Result<CallView, Refusal> {
        self.require_recording_always(by, call).await?;
        self.command(call, Command::StopRecording { only, end: RecordingEnd::Stopped }, by).await
    }

    /// A leg says whether it may be recorded, and may say otherwise later.
    ///
    /// # Errors
    /// `not_in_call`, `call_ended`, `not_recording`, `conflict` for a recording that does not ask.
    pub async fn consent(
        &self,
        by: &Actor,
        call: CallId,
        leg: LegId,
        accept: bool,
    ) -> Result<CallView, Refusal> {
        self.command(call, Command::Consent { leg, accept }, by).await
    }

    /// The call of a recording. That of a running one is known without the database.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    pub async fn call_of_recording(&self, recording: RecordingId) -> Result<CallId, Refusal> {
        if let Some(call) = self.shared.studio.call_of(recording) {
            return Ok(call);
        }
        let found = self.shared.store.call_of_recording(recording).await?;
        found
            .map(|(call, _)| call)
            .ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such recording"))
    }

    /// The recorder, and the id of the folder with its files, for those who read and delete recordings.
    #[must_use]
    pub fn recorder(&self) -> (Recorder, StorageId) {
        let studio = &self.shared.studio;
        (studio.recorder.clone(), studio.storage)
    }

    /// What is recorded, for metrics.
    #[must_use]
    pub fn recording_figures(&self) -> RecordingFigures {
        self.shared.studio.figures()
    }

    /// Whether somebody who joins the call may record it. `say` is absent while the database is unreachable.
    pub(in crate::calls) async fn may_record(&self, by: &Actor, call: CallId, say: Option<&Say>) -> bool {
        let config = &self.shared.studio.config;
        let admitted = match say {
            Some(say) => config.by.admit(say),
            None => self.require_recording_always(by, call).await,
        };
        config.on && admitted.is_ok()
    }

    /// Checks what new metadata, or a patch of it, says about recording.
    pub(in crate::calls) async fn require_recording_keys(
        &self,
        by: &Actor,
        call: CallId,
        patch: &Metadata,
    ) -> Result<(), Refusal> {
        match patch.recording_keys()?.enabled {
            Some(Flag::Is(true)) if !self.shared.studio.config.on => Err(recording_off()),
            Some(Flag::Is(_)) => self.require_recording(by, call).await,
            Some(Flag::Removed) | None => Ok(()),
        }
    }

    /// Checks what the metadata of a new call says about recording. Its creator is its initiator.
    pub(in crate::calls) fn require_first_recording_keys(
        &self,
        by: &Actor,
        metadata: &Metadata,
    ) -> Result<(), Refusal> {
        metadata.check_recording_keys()?;
        if metadata.recording_keys()?.enabled != Some(Flag::Is(true)) {
            return Ok(());
        }
        let config = &self.shared.studio.config;
        match config.by {
            _ if !config.on => Err(recording_off()),
            RecordingBy::Service if !by.is_admin() => Err(only_the_app()),
            RecordingBy::Moderators | RecordingBy::Members | RecordingBy::Service => Ok(()),
        }
    }

    /// Checks that the caller may start, pause and stop recordings of the call.
    async fn require_recording(&self, by: &Actor, call: CallId) -> Result<(), Refusal> {
        self.shared.studio.config.by.admit(&self.say(by, call).await?)
    }

    /// As [`Calls::require_recording`], for what must work while the database is unreachable.
    async fn require_recording_always(&self, by: &Actor, call: CallId) -> Result<(), Refusal> {
        match self.require_recording(by, call).await {
            Err(refusal) if refusal.code == ErrorCode::Unavailable => match self.shared.studio.config.by {
                _ if by.is_admin() && self.shared.live.get(call).is_some() => Ok(()),
                RecordingBy::Members if self.is_in_live(by, call).await => Ok(()),
                RecordingBy::Moderators => self.require_say_always(by, call).await,
                RecordingBy::Members | RecordingBy::Service => Err(refusal),
            },
            said => said,
        }
    }

    fn new_recording(&self, wish: RecordingWish) -> Result<NewRecording, Refusal> {
        let usual = self.shared.studio.usual_recording();
        let RecordingWish { mode, layer, consent } = wish;
        if (usual.consent, consent) == (Consent::Ask, Some(Consent::Notice)) {
            return Err(Refusal::new(ErrorCode::Forbidden, "this server records only those who accept it"));
        }
        Ok(NewRecording {
            mode: mode.unwrap_or(usual.mode),
            layer: layer.unwrap_or(usual.layer),
            consent: consent.unwrap_or(usual.consent),
            ..usual
        })
    }
}
