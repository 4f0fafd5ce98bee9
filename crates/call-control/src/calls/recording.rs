//! Recording calls: who may, and what the recorder is told and tells.

mod config;

pub use config::{RecordingAccess, RecordingBy, RecordingConfig};
pub use switchyard_recorder::RecorderConfig;
