use super::{
    Ending, Invitee, LegReason, MediaChange, Metadata, NewRecording, ProducerRef, RecordingEnd, ResumeHash,
    StandingChange,
};
use crate::actor::Person;
use crate::error::ErrorCode;
use crate::ids::{DeviceId, LegId, RecordingId, UserId};

/// The inputs of the state machine.
#[derive(Clone, Debug)]
pub enum Command {
    /// `leg` is the id for a new leg, if the join opens one.
    Join {
        leg: LegId,
        person: Person,
        via: Via,
        /// Whether the user may join a locked call.
        privileged: bool,
    },
    /// Ends one leg, or without `leg` all legs of the user.
    Leave {
        user: UserId,
        leg: Option<LegId>,
        reason: LegReason,
    },
    /// The connection of a leg was lost.
    ConnectionLost {
        leg: LegId,
    },
    End(Ending),
    /// Rings people who are not in the call.
    Ring(Vec<Invitee>),
    /// Somebody who is being rung does not want to join.
    Decline {
        user: UserId,
    },
    /// The call ends because of a fault of the server.
    Fail {
        message: String,
    },
    /// Applies a JSON merge patch (RFC 7396).
    MergeMetadata {
        patch: Metadata,
        /// The recording that the patch may start.
        recording: NewRecording,
    },
    /// Locks the call (users who are not in it cannot join) or unlocks it.
    Lock(bool),
    /// Changes what a user may do.
    Permit {
        user: UserId,
        change: StandingChange,
    },
    /// Removes a user from the call. The user cannot join again until a moderator admits them.
    Remove {
        user: UserId,
    },
    /// A moderator has paused a producer (`force`), or asks its sender to pause it.
    Mute {
        producer: ProducerRef,
        force: bool,
    },
    StartRecording {
        new: NewRecording,
        started_by: Option<UserId>,
    },
    /// Pauses the running recording, or continues it.
    PauseRecording {
        /// The recording that the command is meant for; `None`: whichever runs.
        only: Option<RecordingId>,
        paused: bool,
    },
    StopRecording {
        only: Option<RecordingId>,
        end: RecordingEnd,
    },
    /// The recording that somebody wished for cannot start.
    FailRecording(ErrorCode),
    /// A leg says whether it may be recorded.
    Consent {
        leg: LegId,
        accept: bool,
    },
    /// Changes of producers that already happened: they are numbered, stored and sent.
    Record(Vec<MediaChange>),
    /// Checks the deadlines against the time.
    Tick,
}

/// The way in which a user joins.
#[derive(Clone, Debug)]
pub enum Via {
    /// Over REST: there is no connection yet.
    Rest,
    /// On a socket. A device that joins again replaces its own old leg.
    Socket {
        device: Option<DeviceId>,
        /// The hash of the resume token of an open leg: the join resumes that leg.
        resume: Option<ResumeHash>,
        /// The hash of the leg's new resume token.
        next: ResumeHash,
    },
}
