//! The trace of one transport for operators: what its congestion control sees and decides, line by line as it happens.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{SecondsFormat, Utc};
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::json;
use switchyard_media_worker::media::{ControlError, TracePart, TransportId};
use switchyard_media_worker::{Media, MediaError};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

/// Answers `GET /transports/{id}/trace?seconds=60` with one JSON object per line, without authentication.
pub(crate) fn router(media: Media) -> Router {
    let desk = Desk { media, traced: Arc::default() };
    Router::new().route("/transports/{id}/trace", get(trace)).with_state(desk)
}

#[derive(Clone)]
struct Desk {
    media: Media,
    /// The transports of which a trace is running.
    traced: Arc<Mutex<HashSet<TransportId>>>,
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default = "usual_seconds")]
    seconds: u64,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
enum TraceError {
    #[error("seconds must be from 1 to {MAX_SECONDS}")]
    Seconds,
    #[error("a trace of this transport is running")]
    Running,
    #[error("{MAX_TRACES} traces are running")]
    TooMany,
    #[error(transparent)]
    Media(#[from] MediaError),
}

async fn trace(
    State(desk): State<Desk>,
    Path(id): Path<Uuid>,
    Query(Wish { seconds }): Query<Wish>,
) -> Result<Response, TraceError> {
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(TraceError::Seconds);
    }
    let reader = Reader::begin(desk, TransportId(id), Duration::from_secs(seconds)).await?;
    let lines = unfold(reader, |mut reader| async move {
        let lines = reader.next().await?;
        Some((Ok::<_, Infallible>(lines), reader))
    });
    let head = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(lines)).into_response())
}

/// A running trace. Dropping it, as when the operator hangs up, ends it.
struct Reader {
    desk: Desk,
    id: TransportId,
    until: Instant,
    next: Instant,
    /// What is to be said before anything else.
    first: Option<String>,
    dropped: u64,
    ended: bool,
}

impl Reader {
    async fn begin(desk: Desk, id: TransportId, duration: Duration) -> Result<Self, TraceError> {
        {
            let mut traced = desk.traced.lock().unwrap_or_else(PoisonError::into_inner);
            if traced.len() >= MAX_TRACES {
                return Err(TraceError::TooMany);
            }
            if !traced.insert(id) {
                return Err(TraceError::Running);
            }
        }
        let now = Instant::now();
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let first = json!({ "event": "begun", "at": at, "seconds": duration.as_secs(), "transport": id.0 });
        let reader = Self {
            desk,
            id,
            until: now + duration,
            next: now + INTERVAL,
            first: Some(format!("{first}\n")),
            dropped: 0,
            ended: false,
        };
        reader.desk.media.read_trace(id).await?;
        Ok(reader)
    }

    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            sleep_until(self.next.min(self.until)).await;
            self.next += INTERVAL;
            let Ok(TracePart { events, dropped }) = self.desk.media.read_trace(self.id).await else {
                return Some(self.end("the transport is gone"));
            };
            self.dropped += dropped;
            let mut lines = String::new();
            for line in events.iter().filter_map(|event| serde_json::to_string(event).ok()) {
                lines.push_str(&line);
                lines.push('\n');
            }
            if Instant::now() >= self.until {
                lines.push_str(&self.end("the time is up"));
            }
            if !lines.is_empty() {
                return Some(lines);
            }
        }
    }

    fn end(&mut self, why: &str) -> String {
        self.ended = true;
        format!("{}\n", json!({ "event": "ended", "why": why, "dropped": self.dropped }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.desk.traced.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl IntoResponse for TraceError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Seconds => StatusCode::BAD_REQUEST,
            Self::Running => StatusCode::CONFLICT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Media(MediaError::Control(ControlError::TransportNotFound)) => StatusCode::NOT_FOUND,
            // Nothing is estimated of this transport.
            Self::Media(MediaError::Control(_)) => StatusCode::CONFLICT,
            Self::Media(MediaError::WorkerGone | MediaError::Overloaded) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}

fn usual_seconds() -> u64 {
    60
}

const MAX_SECONDS: u64 = 600;
const MAX_TRACES: usize = 16;
const INTERVAL: Duration = Duration::from_millis(250);
