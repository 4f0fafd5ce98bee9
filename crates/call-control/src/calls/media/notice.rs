//! What a change of media means to others.

use crate::call::MediaChange;
use crate::hub::Audience;
use crate::wire::event::ServerEvent;

/// Something others must be told.
#[derive(Debug)]
pub enum Notice {
    /// Part of the call's record: the owner stores it, numbers it and tells the call.
    Recorded(MediaChange),
    /// Latest wins, never stored: goes out as it is.
    Observed(Audience, Box<ServerEvent>),
}
