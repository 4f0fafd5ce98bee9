//! Error codes for media errors.

use switchyard_media_worker::MediaError;
use switchyard_media_worker::media::ControlError;

use crate::error::{ErrorCode, Refusal};

impl From<MediaError> for Refusal {
    fn from(error: MediaError) -> Self {
        let code = match &error {
            MediaError::Control(refused) => control_code(refused),
            MediaError::WorkerGone => ErrorCode::Unavailable,
            MediaError::Overloaded => ErrorCode::NodeOverloaded,
        };
        Self::new(code, error.to_string())
    }
}

fn control_code(error: &ControlError) -> ErrorCode {
    match error {
        ControlError::RouterNotFound => ErrorCode::Unavailable,
        ControlError::TransportNotFound
        | ControlError::ProducerNotFound
        | ControlError::ConsumerNotFound
        | ControlError::DataProducerNotFound
        | ControlError::DataConsumerNotFound => ErrorCode::NotFound,
        ControlError::AlreadyExists | ControlError::AlreadyConnected => ErrorCode::Conflict,
        ControlError::WrongDirection | ControlError::InvalidParameters(_) => ErrorCode::BadRequest,
        ControlError::Unsupported(_) | ControlError::CannotConsume => ErrorCode::Unsupported,
        ControlError::LimitExceeded(_) => ErrorCode::LimitExceeded,
    }
}
