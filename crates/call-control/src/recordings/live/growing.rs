//! A Matroska file of the recorder (RFC 9559) that is still written: a header, then clusters of known size, each of them
//! appended at once.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use bytes::Bytes;

/// Where a reader begins.
#[derive(Debug)]
pub(super) struct Start {
    /// All before the first cluster.
    pub(super) header: Bytes,
    /// Where the first cluster to send begins.
    pub(super) position: u64,
}

#[derive(Debug)]
pub(super) enum Next {
    Cluster(Bytes),
    /// It is not written, or not to its end.
    NotYet,
    /// No cluster follows: the file is finished.
    End,
}

/// What the first bytes of a cluster tell.
struct Head {
    length: u64,
    /// In milliseconds since the file began.
    time_ms: u64,
    key_frame: bool,
}

/// The header, and the last cluster that begins with a key frame, at `from_ms` or before.
pub(super) fn start(path: &Path, from_ms: Option<u64>) -> io::Result<Start> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let first = header_length(&read(&file, 0, length.min(MAX_HEADER))?)?;
    let (mut position, mut best) = (first, first);
    while let Some(head) = head(&file, position, length)? {
        if from_ms.is_some_and(|from_ms| head.time_ms > from_ms) {
            break;
        }
        if head.key_frame {
            best = position;
        }
        position += head.length;
    }
    Ok(Start { header: read(&file, 0, first)?, position: best })
}

/// The cluster at this position.
pub(super) fn next(path: &Path, position: u64) -> io::Result<Next> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length < position + HEAD {
        // What follows the clusters may be shorter than a cluster's head.
        let ends = length >= position + 4 && read(&file, position, 4)? != CLUSTER;
        return Ok(if ends { Next::End } else { Next::NotYet });
    }
    if read(&file, position, 4)? != CLUSTER {
        return Ok(Next::End);
    }
    match head(&file, position, length)? {
        Some(head) => Ok(Next::Cluster(read(&file, position, head.length)?)),
        None => Ok(Next::NotYet),
    }
}

/// The head of the cluster at this position, if the file has the whole cluster.
fn head(file: &File, position: u64, length: u64) -> io::Result<Option<Head>> {
    if length < position + HEAD {
        return Ok(None);
    }
    let bytes = read(file, position, HEAD)?;
    if !bytes.starts_with(CLUSTER) {
        return Ok(None);
    }
    let number = |from: usize| bytes[from..from + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    // The recorder writes sizes as 8 bytes, of which the first is a mark, and its clusters begin all alike.
    let size = number(4) & (u64::MAX >> 8);
    let is_ours = bytes[4] == 1 && bytes[18..20] == TIMESTAMP && bytes[28] == SIMPLE_BLOCK;
    if !is_ours || size > MAX_CLUSTER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a cluster that is not of the recorder"));
    }
    let head = Head { length: 12 + size, time_ms: number(20), key_frame: bytes[36] & KEY_FRAME != 0 };
    Ok((length >= position + head.length).then_some(head))
}

/// The length of what comes before the first cluster, or of all if there is none.
fn header_length(bytes: &[u8]) -> io::Result<u64> {
    let mut at = 0;
    while at < bytes.len() && !bytes[at..].starts_with(CLUSTER) {
        let (head, content) = element(&bytes[at..]).ok_or(io::ErrorKind::InvalidData)?;
        // What the segment contains comes next; it lasts to the end of the file.
        at = if bytes[at..].starts_with(SEGMENT) { at + head } else { at + head + content };
    }
    if at > bytes.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the header of a recorded file is too long"));
    }
    Ok(at as u64)
}

/// The lengths of an element's head and of its content (RFC 8794 §4 and §5).
fn element(bytes: &[u8]) -> Option<(usize, usize)> {
    let id = bytes.first()?.leading_zeros() as usize + 1;
    let sized = bytes.get(id..)?;
    let size = sized.first()?.leading_zeros() as usize + 1;
    if id > 4 || size > 8 {
        return None;
    }
    let mark = 0x80_u8 >> (size - 1);
    let first = u64::from(sized[0] & !mark);
    let content = sized.get(1..size)?.iter().fold(first, |sum, byte| sum << 8 | u64::from(*byte));
    // More than a header may have is refused by the caller.
    Some((id + size, usize::try_from(content.min(MAX_HEADER)).ok()?))
}

fn read(file: &File, position: u64, wanted: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes.into())
}

const CLUSTER: &[u8] = &[0x1F, 0x43, 0xB6, 0x75];
const SEGMENT: &[u8] = &[0x18, 0x53, 0x80, 0x67];
const TIMESTAMP: [u8; 2] = [0xE7, 0x88];
const SIMPLE_BLOCK: u8 = 0xA3;
const KEY_FRAME: u8 = 0x80;
/// From a cluster's begin to the flags of its first block: id, size, CRC-32, time stamp, and the block's head.
const HEAD: u64 = 37;
const MAX_HEADER: u64 = 64 * 1024;
const MAX_CLUSTER: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_header_of_some_length_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(length) = header_length(&bytes) {
                prop_assert!(length <= bytes.len() as u64);
            }
        }

        #[test]
        fn a_file_of_any_bytes_is_read_without_harm(tail in proptest::collection::vec(any::<u8>(), 0..100), at in 0..120_u64) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, [CLUSTER, &tail].concat()).unwrap();
            let _ = (next(&path, at), start(&path, None));
        }
    }
}
