//! The events that media changes cause.

use crate::call::MediaChange;
use crate::hub::Audience;
use crate::wire::event::ServerEvent;

/// An event to send because of a media change.
#[derive(Debug)]
pub enum Notice {
    /// Part of the call's record: the owner task numbers it, stores it and sends it to the call.
    Recorded(MediaChange),
    /// Current state, sent without a number and never stored: the latest event replaces earlier ones.
    Observed(Audience, Box<ServerEvent>),
}
