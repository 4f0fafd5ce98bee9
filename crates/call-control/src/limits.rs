//! How much of anything there may be. Each limit that a client can run into has an error code of its own.

/// What an installation allows, besides [`crate::call::Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    pub members_per_group: usize,
    pub producers_per_leg: usize,
    pub consumers_per_transport: usize,
    pub sockets_per_user: usize,
    /// REST requests of one user in a second; 0: any number. Four seconds' worth may come at once.
    pub requests_per_user: u32,
    /// REST requests from one address in a second; likewise.
    pub requests_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            members_per_group: 1_000,
            producers_per_leg: 8,
            consumers_per_transport: 200,
            sockets_per_user: 32,
            requests_per_user: 50,
            requests_per_address: 100,
        }
    }
}
