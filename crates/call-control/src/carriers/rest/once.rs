//! Idempotent requests: the header `Idempotency-Key`.

use aws_lc_rs::digest;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::HeaderMap,
};
use serde::de::DeserializeOwned;

use super::extract::{Json, bad_request, refuse_bytes};
use crate::{calls::Once, error::Refusal};

/// A JSON body, and the idempotency key if the request has one.
pub(super) struct Repeatable<T> {
    pub(super) body: T,
    pub(super) once: Option<Once>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Repeatable<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let key = key(request.headers())?;
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| refuse_bytes(&rejection))?;
        let once = key.map(|key| Once { key, body_hash: hash(&body) });
        let Json(body) = Json::from_request(Request::from_parts(parts, body.into()), state).await?;
        Ok(Self { body, once })
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut keys = headers.get_all(HEADER).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_one = keys.next().is_none();
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()) && is_one);
    let key = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    let key =
        key.ok_or_else(|| bad_request("Idempotency-Key is 1 to 255 visible ASCII characters".to_owned()))?;
    Ok(Some(key.to_owned()))
}

fn hash(body: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    hash
}

pub(super) const HEADER: &str = "idempotency-key";
const MAX_KEY: usize = 255;
