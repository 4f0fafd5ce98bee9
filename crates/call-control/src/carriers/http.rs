//! HTTP parts shared by REST and the sockets' handshakes: the gate in front of all, the client address, the bearer
//! token, and problem documents.

mod client;
mod connection;
mod gate;
mod problem;
pub(crate) mod problems;
pub(crate) mod range;
mod strangers;

use axum::http::{HeaderMap, header};

pub use client::{client_address, note_client_address};
pub use connection::Connection;
pub use gate::{Gate, pass_gate};
pub(crate) use problem::status;
pub use problem::{Problem, ProblemType};
pub use strangers::StrangerCounts;
pub(crate) use strangers::Visitor;

use crate::error::{ErrorCode, Refusal};

/// The bearer token of a request (RFC 6750 §2.1).
///
/// # Errors
/// `unauthorized` without one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Refusal::new(ErrorCode::Unauthorized, "a bearer token is needed"))
}

/// `Cache-Control` of answers that hold secrets (RFC 9111 §5.2.2.5).
pub(crate) const NO_STORE: &str = "no-store";

pub(crate) async fn method_not_allowed() -> Refusal {
    Refusal::new(ErrorCode::MethodNotAllowed, "this path does not know the method")
}
