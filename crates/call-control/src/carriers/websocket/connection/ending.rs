use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::auth::AuthError;
use crate::carriers::session::{AdmissionError, Farewell};
use crate::hub::Closing;

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client closed it with code 1000.
    Left,
    /// It broke, the heartbeat timed out, or the client closed it with another code.
    Lost,
    TooLong,
    NotAdmitted(AdmissionError),
    Overstayed,
    LetGo(Closing),
    /// The server is stopping.
    Restart,
}

impl Ending {
    /// Only code 1000 ends the legs: 1001 means that the page is left, perhaps only to reload it.
    pub(super) fn of_client(frame: Option<&CloseFrame>) -> Self {
        if frame.is_some_and(|frame| frame.code == CloseCode::Normal) { Self::Left } else { Self::Lost }
    }

    pub(super) fn farewell(&self) -> Farewell {
        match self {
            Self::Left => Farewell::Left,
            Self::Overstayed => Farewell::Overstayed,
            Self::Lost | Self::TooLong | Self::NotAdmitted(_) | Self::LetGo(_) | Self::Restart => {
                Farewell::Lost
            }
        }
    }

    /// The close frame for the client; `None` if the client has closed or lost the connection.
    pub(super) fn close_frame(&self) -> Option<CloseFrame> {
        let unauthorized = |error| (CloseCode::Policy, AdmissionError::Token(error).to_string());
        let (code, reason) = match self {
            Self::Left | Self::Lost => return None,
            Self::TooLong => (CloseCode::Size, "too_large".to_owned()),
            Self::NotAdmitted(
                error @ (AdmissionError::Token(AuthError::Unavailable) | AdmissionError::RateLimited),
            ) => (CloseCode::Again, error.to_string()),
            Self::NotAdmitted(error) => (CloseCode::Policy, error.to_string()),
            Self::Overstayed => unauthorized(AuthError::Expired),
            Self::LetGo(Closing::Revoked) => unauthorized(AuthError::Revoked),
            Self::LetGo(Closing::TooSlow) => (CloseCode::Again, "too_slow".to_owned()),
            Self::Restart => (CloseCode::Restart, "restart".to_owned()),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

impl From<&tungstenite::Error> for Ending {
    fn from(error: &tungstenite::Error) -> Self {
        if matches!(error, tungstenite::Error::Capacity(_)) { Self::TooLong } else { Self::Lost }
    }
}
