//! Size limits and rate limits. Each limit that a client can reach has an error code.

/// The limits of an installation, besides [`crate::call::Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of a request body, in bytes.
    pub body_bytes: usize,
    pub members_per_group: usize,
    pub producers_per_leg: usize,
    pub consumers_per_transport: usize,
    pub sockets_per_user: usize,
    /// Requests of one user a second, over REST and sockets together; 0 means no limit. The burst is four
    /// seconds' worth.
    pub requests_per_user: u32,
    /// REST requests and socket sign-ins from one address (IPv6: /64 network) a second; 0 and burst as above.
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
