//! The service token, with which the app itself sends requests, rather than one of its users.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use secrecy::{ExposeSecret, SecretString};

/// Stored as a hash: the time to compare hashes reveals nothing about the token, not even its length.
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
