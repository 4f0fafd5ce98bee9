//! For the app that embeds the server, and for admins.

pub(super) mod audit;
pub(super) mod sweep;
