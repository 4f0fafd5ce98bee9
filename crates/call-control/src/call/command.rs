use super::{Ending, LegReason, MediaChange, Metadata};
use crate::ids::{DeviceId, LegId, UserId};

/// What can happen to a call.
#[derive(Clone, Debug)]
pub enum Command {
    /// `leg` is the id of the leg to open, if it takes a new one.
    Join {
        leg: LegId,
        person: Person,
        via: Via,
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
    /// Something that already happened to producers, to be numbered and told.
    Record(Vec<MediaChange>),
    /// Time has passed.
    Tick,
}

/// A user as others in the call see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub name: String,
}

/// How somebody joins.
#[derive(Clone, Debug)]
pub enum Via {
    /// Over REST: there is no connection yet.
    Rest,
    /// On a live socket. A device that comes back supersedes its own old leg.
    Socket { device: Option<DeviceId> },
}
