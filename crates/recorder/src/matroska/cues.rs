//! The index of a file: where clusters are that begin with a key frame.

use super::element::{id, put_master, put_number, put_small_master};

/// More than this are thinned out, so that hours of many key frames need bounded memory.
const MAX_CUES: usize = 16_384;
const FIRST_GAP_MS: u64 = 1_000;

/// Where a decoder can begin. Only clusters that begin with a key frame belong here: a player that begins at any other
/// shows damaged pictures.
#[derive(Debug)]
pub(crate) struct Cues {
    points: Vec<Cue>,
    /// At least this time is between two points.
    gap_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cue {
    time_ms: u64,
    /// Of the cluster, in the file.
    at: u64,
}

impl Default for Cues {
    fn default() -> Self {
        Self { points: Vec::new(), gap_ms: FIRST_GAP_MS }
    }
}

impl Cues {
    /// Notes a cluster. Times and positions must rise.
    pub(crate) fn push(&mut self, time_ms: u64, at: u64) {
        if self.points.last().is_some_and(|last| time_ms < last.time_ms.saturating_add(self.gap_ms)) {
            return;
        }
        if self.points.len() == MAX_CUES {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.gap_ms *= 2;
        }
        self.points.push(Cue { time_ms, at });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// The element, for a segment whose content begins at this position of the file. Empty if there is no point.
    pub(super) fn element(&self, segment_at: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.points.len() * 24 + 12);
        if self.points.is_empty() {
            return out;
        }
        put_master(&mut out, id::CUES, |out| {
            for cue in &self.points {
                put_small_master(out, id::CUE_POINT, |out| {
                    put_number(out, id::CUE_TIME, cue.time_ms);
                    put_small_master(out, id::CUE_TRACK_POSITIONS, |out| {
                        put_number(out, id::CUE_TRACK, 1);
                        put_number(out, id::CUE_CLUSTER_POSITION, cue.at.saturating_sub(segment_at));
                    });
                });
            }
        });
        out
    }
}
