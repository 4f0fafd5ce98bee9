//! Idempotent creates: for a day, a repetition with the same `Idempotency-Key` gets the first answer.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::Calls;
use crate::{
    call::Receipt,
    error::{ErrorCode, Refusal},
    ids::UserId,
};

/// Identifies a create, so that a repetition of it is recognised.
#[derive(Clone, Debug)]
pub struct Once {
    /// 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
}

/// The keys of the creates in progress.
#[derive(Clone, Default)]
pub(super) struct InProgress {
    keys: Arc<Mutex<HashSet<(UserId, String)>>>,
}

/// Reserves a key until its create has been answered.
pub(super) struct Claim {
    in_progress: InProgress,
    key: (UserId, String),
}

impl InProgress {
    /// `None` while another create with this key is in progress.
    fn claim(&self, user: UserId, key: &str) -> Option<Claim> {
        let key = (user, key.to_owned());
        let claimed = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        claimed.then(|| Claim { in_progress: self.clone(), key })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_progress.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Calls {
    /// Reserves the key (inner `Ok`), or returns the stored answer of an earlier create with this key (inner
    /// `Err`).
    ///
    /// # Errors
    /// `conflict` while a create with this key is in progress, `idempotency_mismatch` if an earlier one had
    /// another body, `unavailable`.
    pub(super) async fn claim(&self, user: UserId, once: &Once) -> Result<Result<Claim, Value>, Refusal> {
        let claim = self.shared.in_progress.claim(user, &once.key).ok_or_else(|| {
            Refusal::new(ErrorCode::Conflict, "a request with this Idempotency-Key is being worked on")
        })?;
        match self.shared.store.receipt(user, ROUTE, &once.key).await? {
            None => Ok(Ok(claim)),
            Some((body_hash, response)) if body_hash == once.body_hash => Ok(Err(response)),
            Some(_) => Err(Refusal::new(
                ErrorCode::IdempotencyMismatch,
                "this Idempotency-Key came with another body before",
            )),
        }
    }
}

impl Once {
    pub(super) fn receipt(self, user: UserId, response: Value) -> Receipt {
        Receipt { user, route: ROUTE, key: self.key, body_hash: self.body_hash, response }
    }
}

const ROUTE: &str = "POST /calls";
