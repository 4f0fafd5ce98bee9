//! A run that is recorded: what came into the files, and what the recorder took for it.

use crate::api::{Api, User};
use crate::observer::ServerUse;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A recording as the server tells of it.
#[derive(Debug, Deserialize)]
struct Recording {
    status: String,
    tracks: Vec<Track>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Track {
    duration_ms: u64,
    bytes: u64,
    packets_lost: u64,
    held_ms: u64,
    holes: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RecordingReport {
    pub(crate) status: String,
    pub(crate) tracks: usize,
    /// Of all tracks together.
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
    pub(crate) packets_lost: u64,
    /// Times without pictures, and their length together.
    pub(crate) holes: usize,
    pub(crate) held_seconds: f64,
    /// CPU time of the recorder's threads per second of the window.
    pub(crate) recorder_cores: Option<f64>,
}

/// Ends a recording, waits until its files are finished, and reads what is in them.
pub(crate) async fn finish(api: &Api, id: &str, owner: &User) -> Result<RecordingReport> {
    api.stop_recording(id, owner).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let recording: Recording = serde_json::from_value(api.recording(id, owner).await?)?;
        match recording.status.as_str() {
            "recording" | "paused" | "finishing" if Instant::now() < deadline => sleep(PAUSE).await,
            "recording" | "paused" | "finishing" => bail!("the recording is not finished after {PATIENCE:?}"),
            _ => return Ok(RecordingReport::of(recording)),
        }
    }
}

impl RecordingReport {
    fn of(recording: Recording) -> Self {
        let Recording { status, tracks } = recording;
        let sum = |of: fn(&Track) -> u64| tracks.iter().map(of).sum::<u64>();
        Self {
            status,
            tracks: tracks.len(),
            seconds: sum(|track| track.duration_ms) as f64 / 1e3,
            bytes: sum(|track| track.bytes),
            packets_lost: sum(|track| track.packets_lost),
            holes: tracks.iter().map(|track| track.holes.len()).sum(),
            held_seconds: sum(|track| track.held_ms) as f64 / 1e3,
            recorder_cores: None,
        }
    }

    /// Adds what the recorder's threads took.
    pub(crate) fn charge(&mut self, server: Option<&ServerUse>) {
        let of_recorder = |server: &ServerUse| {
            let threads = server.threads.iter().filter(|thread| thread.name.starts_with(RECORDER));
            threads.map(|thread| thread.busy).sum()
        };
        self.recorder_cores = server.map(of_recorder);
    }

    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let mib = self.bytes as f64 / f64::from(1 << 20);
        let cores = self.recorder_cores.map_or("unknown".to_owned(), |cores| format!("{cores:.3} cores"));
        vec![
            ("recording", format!("{}, {} tracks", self.status, self.tracks)),
            ("recorded", format!("{:.0} s of tracks, {mib:.1} MiB", self.seconds)),
            (
                "holes / no pictures / packets lost",
                format!("{} / {:.1} s / {}", self.holes, self.held_seconds, self.packets_lost),
            ),
            ("recorder CPU", cores),
        ]
    }
}

/// What the names of the recorder's threads begin with.
const RECORDER: &str = "recorder";
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);
