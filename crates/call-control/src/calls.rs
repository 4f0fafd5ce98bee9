//! The calls of this server.

pub mod media;
