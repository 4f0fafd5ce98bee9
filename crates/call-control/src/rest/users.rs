//! `/users`: who is who.

pub(super) mod me;
pub(super) mod search;
