//! Finds out how far a file is whole.

use crate::matroska::{
    CLUSTER_HEAD, ClusterHead, Cues, MAX_CLUSTER, MAX_HEADER, MAX_LAST_BLOCK_MS, Places, blocks,
    crc_is_right, read_mark,
};
use std::io;

/// A file, or a stand-in for one.
pub(crate) trait ReadAt {
    /// Reads at a position; fewer bytes than asked for are no error.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

#[derive(Debug)]
pub(crate) enum Scanned {
    /// The file has its end.
    Finished(Places),
    /// The file is whole up to this length, at which a cluster ends.
    Unfinished { places: Places, length: u64, cues: Cues, duration_ms: u64 },
    /// The file is ours and has no whole cluster, or was cut while its header was written.
    Empty,
    /// The file does not begin like one of ours.
    Foreign,
}

/// Reads a file of this length. Of clusters that were on the disk at the last sync only the heads are read, of later ones
/// everything.
pub(crate) fn scan(file: &impl ReadAt, length: u64) -> io::Result<Scanned> {
    let head = read(file, 0, MAX_HEADER.min(usize::try_from(length).unwrap_or(MAX_HEADER)))?;
    let Some(places) = Places::read(&head) else {
        return Ok(if is_torn(&head, length) { Scanned::Empty } else { Scanned::Foreign });
    };
    if places.is_finished(length) {
        return Ok(Scanned::Finished(places));
    }
    let synced = head.get(places.mark_at() as usize..).map_or(0, read_mark);
    let mut walk = Walk::new(places.clusters_at);
    while let Some(cluster) = next(file, &walk, synced, length)? {
        walk.add(cluster);
    }
    let Some(last) = walk.last else { return Ok(Scanned::Empty) };
    let duration_ms = end_of(&read(file, last.0, last.1.length as usize)?, walk.before_last_ms);
    Ok(Scanned::Unfinished { places, length: walk.at, cues: walk.cues, duration_ms })
}

/// A header that a crash cut, or of which a power cut left nothing but zeros.
fn is_torn(head: &[u8], length: u64) -> bool {
    length <= 4096 || head.iter().all(|byte| *byte == 0)
}

struct Walk {
    cues: Cues,
    /// Where the next cluster has to begin.
    at: u64,
    last: Option<(u64, ClusterHead)>,
    before_last_ms: Option<u64>,
}

impl Walk {
    fn new(at: u64) -> Self {
        Self { cues: Cues::default(), at, last: None, before_last_ms: None }
    }

    fn add(&mut self, cluster: ClusterHead) {
        if cluster.key_frame {
            self.cues.push(cluster.start_ms, self.at);
        }
        self.before_last_ms = self.last.map(|(_, last)| last.start_ms);
        self.last = Some((self.at, cluster));
        self.at += cluster.length;
    }
}

fn next(file: &impl ReadAt, walk: &Walk, synced: u64, length: u64) -> io::Result<Option<ClusterHead>> {
    let Some(head) = ClusterHead::read(&read(file, walk.at, CLUSTER_HEAD)?) else { return Ok(None) };
    let rises = walk.last.is_none_or(|(_, last)| last.start_ms < head.start_ms);
    if !rises || head.length > MAX_CLUSTER || head.length > length.saturating_sub(walk.at) {
        return Ok(None);
    }
    let is_right =
        walk.at + head.length <= synced || crc_is_right(&read(file, walk.at, head.length as usize)?);
    Ok(is_right.then_some(head))
}

/// When the last block of a cluster ends. Its length is not known: it counts as the one before.
fn end_of(cluster: &[u8], before_ms: Option<u64>) -> u64 {
    let (mut last, mut before) = (before_ms.unwrap_or(0), 0);
    for block in blocks(cluster) {
        (before, last) = (last, block.time_ms);
    }
    last.saturating_add(last.saturating_sub(before).min(MAX_LAST_BLOCK_MS))
}

fn read(file: &impl ReadAt, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let read = file.read_at(&mut buffer[filled..], at + filled as u64)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    buffer.truncate(filled);
    Ok(buffer)
}
