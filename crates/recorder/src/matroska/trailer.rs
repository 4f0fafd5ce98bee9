//! What a file gets at its end.

use super::Cues;
use super::element::{id, long_size, put_binary, put_id, put_master, put_number, put_small_master, put_void};
use super::places::{Places, SEEK_HEAD_LENGTH};

/// The changes that finish a file. In this order: append the index, write duration and seek head, and when all that is
/// on the disk, the size. A file with a known size is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// To be appended.
    pub(crate) index: Vec<u8>,
    pub(crate) duration: (u64, Vec<u8>),
    pub(crate) seek_head: (u64, Vec<u8>),
    pub(crate) size: (u64, [u8; 8]),
}

impl Trailer {
    /// `length` is the file's before its end.
    pub(crate) fn new(places: &Places, cues: &Cues, length: u64, duration_ms: u64) -> Self {
        let index = cues.element(places.segment_at);
        let size = length + index.len() as u64 - places.segment_at;
        let index_at = (!index.is_empty()).then_some(length);
        Self {
            duration: (places.duration_at, duration(duration_ms)),
            seek_head: (places.segment_at, seek_head(places, index_at)),
            size: (places.segment_size_at, long_size(size)),
            index,
        }
    }
}

fn duration(duration_ms: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(18);
    put_id(&mut out, id::DURATION);
    out.extend_from_slice(&long_size(8));
    out.extend_from_slice(&(duration_ms as f64).to_be_bytes());
    out
}

fn seek_head(places: &Places, index_at: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEEK_HEAD_LENGTH);
    let entries = [
        (id::INFO, Some(places.info_at)),
        (id::TRACKS, Some(places.tracks_at)),
        (id::TAGS, Some(places.tags_at)),
        (id::CUES, index_at),
    ];
    put_master(&mut out, id::SEEK_HEAD, |out| {
        for (id, at) in entries.into_iter().filter_map(|(id, at)| Some((id, at?))) {
            put_small_master(out, id::SEEK, |out| {
                put_binary(out, id::SEEK_ID, &id.to_be_bytes());
                put_number(out, id::SEEK_POSITION, at.saturating_sub(places.segment_at));
            });
        }
    });
    let rest = SEEK_HEAD_LENGTH.saturating_sub(out.len());
    put_void(&mut out, rest);
    out
}
