//! Reads a file that is still written: a header, then whole clusters, each of them appended at once.

use crate::matroska::{
    CLUSTER_HEAD, ClusterHead, MAX_CLUSTER, MAX_HEADER, begins_like_a_cluster, header_length,
};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where a reader begins.
#[derive(Debug)]
pub struct Start {
    /// All before the first cluster.
    pub header: Bytes,
    /// Where the first cluster to send begins.
    pub position: u64,
}

/// What follows at a position.
#[derive(Debug)]
pub enum Next {
    Cluster(Bytes),
    /// It is not written, or not to its end.
    NotYet,
    /// No cluster follows: the file is finished.
    End,
}

/// The header, and the last cluster that begins with a key frame, at `from_ms` of the file or before.
///
/// # Errors
/// Those of reading; `InvalidData` for a file that the recorder did not write.
pub fn start(path: &Path, from_ms: Option<u64>) -> io::Result<Start> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let begin = read(&file, 0, length.min(MAX_HEADER as u64))?;
    let first = header_length(&begin).ok_or_else(foreign)?;
    let (mut position, mut best) = (first as u64, first as u64);
    while let Some(head) = cluster(&file, position, length)? {
        if from_ms.is_some_and(|from_ms| head.start_ms > from_ms) {
            break;
        }
        if head.key_frame {
            best = position;
        }
        position += head.length;
    }
    Ok(Start { header: begin.slice(..first), position: best })
}

/// What follows at a position at which a cluster begins, or will begin.
///
/// # Errors
/// As [`start`].
pub fn next(path: &Path, position: u64) -> io::Result<Next> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if let Some(head) = cluster(&file, position, length)? {
        return Ok(Next::Cluster(read(&file, position, head.length)?));
    }
    let begin = read(&file, position, ID.min(length.saturating_sub(position)))?;
    let something_else = begin.len() as u64 == ID && !begins_like_a_cluster(&begin);
    Ok(if something_else { Next::End } else { Next::NotYet })
}

/// The head of the cluster at this position, if the file has the whole cluster.
fn cluster(file: &File, position: u64, length: u64) -> io::Result<Option<ClusterHead>> {
    if length.saturating_sub(position) < CLUSTER_HEAD as u64 {
        return Ok(None);
    }
    let bytes = read(file, position, CLUSTER_HEAD as u64)?;
    if !begins_like_a_cluster(&bytes) {
        return Ok(None);
    }
    let head = ClusterHead::read(&bytes).filter(|head| head.length <= MAX_CLUSTER).ok_or_else(foreign)?;
    Ok(Some(head).filter(|head| head.length <= length - position))
}

fn read(file: &File, position: u64, wanted: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes.into())
}

fn foreign() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a file that is not of the recorder")
}

/// The length of a cluster's id.
const ID: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_of_any_bytes_is_read_without_harm(
            begin in prop_oneof![Just([0x1F, 0x43, 0xB6, 0x75]), Just([0x18, 0x53, 0x80, 0x67]), any::<[u8; 4]>()],
            tail in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0..220_u64,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, [begin.as_slice(), &tail].concat()).unwrap();
            let _ = next(&path, at);
            if let Ok(Start { header, position }) = start(&path, None) {
                prop_assert!(header.len() as u64 <= position && position <= tail.len() as u64 + 4);
            }
        }
    }
}
