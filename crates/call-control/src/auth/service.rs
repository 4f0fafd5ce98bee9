//! The token by which the app itself asks, rather than one of its people.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use secrecy::{ExposeSecret, SecretString};

/// Kept as a hash: comparing hashes tells nothing about the token, not even its length.
pub(super) struct ServiceToken {
    hash: Vec<u8>,
}

impl ServiceToken {
    pub(super) fn new(token: &SecretString) -> Self {
        Self { hash: hash(token.expose_secret()) }
    }

    pub(super) fn is(&self, token: &str) -> bool {
        verify_slices_are_equal(&hash(token), &self.hash).is_ok()
    }
}

fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
