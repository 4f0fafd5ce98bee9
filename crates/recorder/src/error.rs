//! Why an operation of the recorder failed.

#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("no such recording is open")]
    NotOpen,
    #[error("too many tracks are recorded")]
    TooManyTracks,
    #[error("not enough free space on the disk")]
    StorageFull,
    #[error("storage failed: {0}")]
    Storage(#[from] std::io::Error),
    #[error("the recorder has stopped")]
    Stopped,
}
