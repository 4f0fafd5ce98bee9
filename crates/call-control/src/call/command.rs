use super::{Ending, LegReason, MediaChange, Metadata, ProducerRef, ResumeHash, StandingChange};
use crate::actor::Person;
use crate::ids::{DeviceId, LegId, UserId};

/// What can happen to a call.
#[derive(Clone, Debug)]
pub enum Command {
    /// `leg` is the id of the leg to open, if it takes a new one.
    Join {
        leg: LegId,
        person: Person,
        via: Via,
        /// Whether a lock does not keep this person out.
        privileged: bool,
    },
    /// Ends one leg, or without `leg` all legs of the user.
    Leave {
        user: UserId,
        leg: Option<LegId>,
        reason: LegReason,
    },
    /// The connection of a leg broke without a word.
    ConnectionLost {
        leg: LegId,
    },
    End(Ending),
    /// The server cannot go on with this call.
    Fail {
        message: String,
    },
    /// Merges by RFC 7396.
    MergeMetadata(Metadata),
    /// Whether people who are not in the call are kept out.
    Lock(bool),
    /// Changes what a person may do.
    Permit {
        user: UserId,
        change: StandingChange,
    },
    /// Puts a person out of the call, for good unless a moderator admits them again.
    Remove {
        user: UserId,
    },
    /// A moderator has paused a producer, or asks its sender to.
    Mute {
        producer: ProducerRef,
        force: bool,
    },
    /// Something that already happened to producers, to be numbered and told.
    Record(Vec<MediaChange>),
    /// Time has passed.
    Tick,
}

/// How somebody joins.
#[derive(Clone, Debug)]
pub enum Via {
    /// Over REST: there is no connection yet.
    Rest,
    /// On a live socket. A device that comes back supersedes its own old leg.
    Socket {
        device: Option<DeviceId>,
        /// The token that the leg was given before: it takes up that leg again.
        resume: Option<ResumeHash>,
        /// The token that the leg gets for the next time.
        next: ResumeHash,
    },
}
