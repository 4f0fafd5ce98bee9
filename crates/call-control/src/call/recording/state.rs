use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use switchyard_media_worker::media::ortc::MediaKind;
use ts_rs::TS;
use utoipa::ToSchema;

use super::{Consent, RecordingEnd, RecordingLayer, RecordingMode, RecordingRow, RecordingStatus};
use crate::{
    call::{Origin, Source},
    ids::{LegId, RecordingId, StorageId, UserId},
};

/// Stored in the call's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Recording {
    pub(super) running: Option<Running>,
    /// Somebody wished, while the call waited, that it be recorded from its start on.
    pub(super) wish: Option<Wish>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wish {
    /// `None`: the service.
    pub(super) by: Option<UserId>,
}

/// A recording that has not been stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    #[serde(flatten)]
    pub what: NewRecording,
    pub started_at: DateTime<Utc>,
    /// `None`: the service.
    pub started_by: Option<UserId>,
    pub paused: bool,
    /// Only those of open legs.
    pub(super) answers: BTreeMap<LegId, bool>,
}

/// What is to be recorded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewRecording {
    pub id: RecordingId,
    pub storage_id: StorageId,
    pub mode: RecordingMode,
    pub layer: RecordingLayer,
    pub consent: Consent,
}

/// A leg's answer to whether it may be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub leg_id: LegId,
    pub user_id: UserId,
    pub accept: bool,
}

/// A call's running recording, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
#[schema(as = CallRecording)]
#[ts(rename = "RunningRecording")]
pub struct CallRecordingView {
    pub id: RecordingId,
    /// `recording` or `paused`.
    pub status: RecordingStatus,
    #[ts(type = "string")]
    pub started_at: DateTime<Utc>,
    /// Null if it was the app.
    pub started_by: Option<UserId>,
    pub consent: Consent,
    /// Which legs accepted, and which did not, where `consent` is `ask`. Others have not answered: they are not
    /// recorded.
    #[schema(value_type = Object)]
    #[ts(type = "Record<LegId, boolean>")]
    pub answers: BTreeMap<LegId, bool>,
}

impl Recording {
    #[must_use]
    pub const fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    #[must_use]
    pub fn view(&self) -> Option<CallRecordingView> {
        self.running.as_ref().map(|running| CallRecordingView {
            id: running.what.id,
            status: running.status(),
            started_at: running.started_at,
            started_by: running.started_by,
            consent: running.what.consent,
            answers: running.answers.clone(),
        })
    }
}

impl Running {
    pub(super) const fn status(&self) -> RecordingStatus {
        if self.paused { RecordingStatus::Paused } else { RecordingStatus::Recording }
    }

    /// Whether the mode includes this source.
    #[must_use]
    pub fn includes(&self, source: Source) -> bool {
        match (self.what.mode, source.kind()) {
            (RecordingMode::Video, _) | (RecordingMode::Audio, MediaKind::Audio) => true,
            (RecordingMode::Audio, MediaKind::Video) => false,
        }
    }

    /// Whether the leg may be recorded.
    #[must_use]
    pub fn may_record(&self, leg: LegId) -> bool {
        match self.what.consent {
            Consent::Notice => true,
            Consent::Ask => self.answers.get(&leg).copied().unwrap_or_default(),
        }
    }

    pub(super) fn to_row(
        &self,
        call: &Origin,
        now: DateTime<Utc>,
        ended: Option<(DateTime<Utc>, RecordingEnd)>,
    ) -> RecordingRow {
        RecordingRow {
            id: self.what.id,
            storage_id: self.what.storage_id,
            call_id: call.id,
            group_id: call.group_id,
            status: if ended.is_some() { RecordingStatus::Finishing } else { self.status() },
            started_by_id: self.started_by,
            started_at: self.started_at,
            ended_at: ended.map(|(at, _)| at),
            end_reason: ended.map(|(_, end)| end),
            mode: self.what.mode,
            consent: self.what.consent,
            bytes: 0,
            delete_after: None,
            link_epoch: 1,
            created_at: self.started_at,
            updated_at: now,
            version: 1,
        }
    }
}
