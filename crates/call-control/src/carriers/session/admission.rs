//! Checks before a socket is opened: rate limit, token, and number of sockets.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::Control;
use crate::auth::{AuthError, Identity};
use crate::error::{ErrorCode, Refusal};
use crate::hub::seats::Seat;

/// The permission to open a socket.
pub struct Admission {
    pub(super) identity: Identity,
    pub(super) address: Option<IpAddr>,
    /// Counts this socket until it is closed.
    pub(super) _seat: Seat,
}

/// Why a socket is refused. Its `Display` text is a stable code, for Socket.IO's `connect_error` and for the
/// reason of a WebSocket close frame, which carry only a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionError {
    MissingToken,
    Token(AuthError),
    TooManySockets,
    /// Too many attempts from this address: the limit prevents guessing of tokens.
    RateLimited,
}

impl Admission {
    /// # Errors
    /// [`AdmissionError`].
    pub async fn by_token(
        control: &Control,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<Self, AdmissionError> {
        if address.is_some_and(|from| control.limiter.count_address(from).is_err()) {
            return Err(AdmissionError::RateLimited);
        }
        let identity = control.authenticate(token).await.map_err(AdmissionError::Token)?;
        let seat = control.hub.seats().take(identity.user_id, control.limits.sockets_per_user);
        Ok(Self { identity, address, _seat: seat.ok_or(AdmissionError::TooManySockets)? })
    }

    /// When the token expires.
    pub const fn expires_at(&self) -> DateTime<Utc> {
        self.identity.expires_at
    }
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingToken => "unauthorized: missing_token",
            Self::Token(AuthError::Expired) => "unauthorized: token_expired",
            Self::Token(AuthError::Invalid) => "unauthorized: invalid_token",
            Self::Token(AuthError::Revoked) => "unauthorized: token_revoked",
            Self::Token(AuthError::Unavailable) => "unavailable",
            Self::TooManySockets => "too_many_sockets",
            Self::RateLimited => "rate_limited",
        })
    }
}

impl From<AdmissionError> for Refusal {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::MissingToken => Self::new(ErrorCode::Unauthorized, "no token was sent"),
            AdmissionError::Token(error) => error.into(),
            AdmissionError::RateLimited => {
                Self::new(ErrorCode::RateLimited, "too many requests from this address")
            }
            AdmissionError::TooManySockets => {
                Self::new(ErrorCode::TooManySockets, "this user has as many connections open as they may")
            }
        }
    }
}

/// How long a socket may be open before it shows a token.
pub(in crate::carriers) const TOKEN_WITHIN: Duration = Duration::from_secs(3);
