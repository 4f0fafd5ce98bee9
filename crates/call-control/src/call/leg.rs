use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LegRecord, Rules, after};
use crate::actor::Person;
use crate::ids::{CallId, DeviceId, LegId};

/// One device's stay in a call, as long as it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    pub id: LegId,
    pub person: Person,
    pub device: Option<DeviceId>,
    pub joined_at: DateTime<Utc>,
    pub attached_at: Option<DateTime<Utc>>,
    pub last_seen_at: DateTime<Utc>,
    pub state: LegState,
    /// Hash of the token with which a client may resume the leg.
    pub resume: Option<ResumeHash>,
}

/// SHA-256 of a leg's resume token. The token itself is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeHash(pub [u8; 32]);

/// How a socket got its leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// The leg is new to its client.
    Joined,
    /// The client resumed its leg.
    Resumed {
        /// The server restarted in the meantime: the leg's transports no longer exist.
        media_restart: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// Rule 2: joined over REST; no device has claimed the leg.
    Unattached,
    /// Attached to a socket.
    Open,
    /// Rule 3: the connection was lost; the leg counts as open for the resume window.
    Lost { since: DateTime<Utc>, loss: Loss },
}

/// Why a leg has no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    Connection,
    /// Rule 6: the server restarted. If the leg is not resumed, its end is the time when it was last seen.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "TEXT", rename_all = "kebab-case")]
pub enum LegReason {
    Left,
    ConnectionLost,
    NeverConnected,
    Replaced,
    Moved,
    Removed,
    NotAMember,
    CallEnded,
    ServerRestart,
}

impl LegReason {
    /// The reason as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::ConnectionLost => "connection-lost",
            Self::NeverConnected => "never-connected",
            Self::Replaced => "replaced",
            Self::Moved => "moved",
            Self::Removed => "removed",
            Self::NotAMember => "not-a-member",
            Self::CallEnded => "call-ended",
            Self::ServerRestart => "server-restart",
        }
    }
}

impl Leg {
    pub(super) fn unattached(id: LegId, person: Person, now: DateTime<Utc>) -> Self {
        let state = LegState::Unattached;
        Self {
            id,
            person,
            device: None,
            joined_at: now,
            attached_at: None,
            last_seen_at: now,
            state,
            resume: None,
        }
    }

    pub(super) fn open(
        id: LegId,
        person: Person,
        device: Option<DeviceId>,
        resume: ResumeHash,
        now: DateTime<Utc>,
    ) -> Self {
        let mut leg = Self::unattached(id, person, now);
        leg.claim(device, resume, now);
        leg
    }

    /// Restores a leg that has not ended.
    pub(super) fn restore(record: LegRecord) -> Self {
        let state = match record.attached_at {
            None => LegState::Unattached,
            Some(_) => LegState::Open,
        };
        Self {
            id: record.id,
            person: Person { id: record.user_id, name: record.name },
            device: record.device_id,
            joined_at: record.joined_at,
            attached_at: record.attached_at,
            last_seen_at: record.last_seen_at,
            state,
            resume: record.resume_hash.and_then(|hash| hash.try_into().ok()).map(ResumeHash),
        }
    }

    pub(super) fn claim(&mut self, device: Option<DeviceId>, resume: ResumeHash, now: DateTime<Utc>) {
        self.device = device;
        self.attached_at = Some(now);
        self.last_seen_at = now;
        self.state = LegState::Open;
        self.resume = Some(resume);
    }

    /// Resumes the leg, on the same or another socket.
    pub(super) fn take_up(&mut self, resume: ResumeHash, now: DateTime<Utc>) -> Attachment {
        let media_restart = matches!(self.state, LegState::Lost { loss: Loss::Restart, .. });
        self.last_seen_at = now;
        self.state = LegState::Open;
        self.resume = Some(resume);
        Attachment::Resumed { media_restart }
    }

    /// Rule 3: marks an attached leg as lost.
    pub(super) fn lose(&mut self, now: DateTime<Utc>, loss: Loss) {
        if self.state != LegState::Open {
            return;
        }
        self.state = LegState::Lost { since: now, loss };
        if loss == Loss::Connection {
            self.last_seen_at = now;
        }
    }

    /// The row of the leg after its end.
    pub(super) fn end(mut self, call: CallId, at: DateTime<Utc>, reason: LegReason) -> LegRecord {
        if self.state == LegState::Open {
            self.last_seen_at = at;
        }
        self.resume = None;
        LegRecord { left_at: Some(at), reason: Some(reason), ..self.to_record(call) }
    }

    /// When the leg ends unless a device claims or resumes it.
    pub(super) fn deadline(&self, rules: &Rules) -> Option<DateTime<Utc>> {
        match self.state {
            LegState::Unattached => Some(after(self.joined_at, rules.unattached?)),
            LegState::Lost { since, .. } => Some(after(since, rules.resume_window)),
            LegState::Open => None,
        }
    }

    /// The end time and reason of a leg whose deadline has passed.
    pub(super) const fn expiry(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, LegReason)> {
        match self.state {
            LegState::Unattached => Some((now, LegReason::NeverConnected)),
            LegState::Lost { loss: Loss::Connection, .. } => Some((now, LegReason::ConnectionLost)),
            LegState::Lost { loss: Loss::Restart, .. } => Some((self.last_seen_at, LegReason::ServerRestart)),
            LegState::Open => None,
        }
    }

    pub(super) fn to_record(&self, call_id: CallId) -> LegRecord {
        LegRecord {
            id: self.id,
            call_id,
            user_id: self.person.id,
            name: self.person.name.clone(),
            device_id: self.device.clone(),
            joined_at: self.joined_at,
            attached_at: self.attached_at,
            last_seen_at: self.last_seen_at,
            left_at: None,
            reason: None,
            resume_hash: self.resume.map(|hash| hash.0.to_vec()),
        }
    }
}
