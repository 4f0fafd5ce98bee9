//! Clusters: the unit that is written at once, and that a repair keeps or cuts as a whole.

use super::element::{Head, id, long_size, put_id};
use bytes::Bytes;

/// The length of a cluster before its first block: the cluster's head, its CRC-32 and its time stamp.
const PREFIX: usize = 12 + CRC_LENGTH + TIMESTAMP_LENGTH;
const CRC_LENGTH: usize = 6;
const TIMESTAMP_LENGTH: usize = 10;
/// The length of a block before its payload.
const BLOCK_PREFIX: usize = 9;
const BLOCK_HEADER: usize = 4;
const KEY_FRAME: u8 = 0x80;
/// A block's size has four bytes.
const MAX_PAYLOAD: usize = (1 << 28) - 16;

/// A cluster that is being filled.
#[derive(Debug)]
pub(crate) struct ClusterBuilder {
    start_ms: u64,
    key_frame: bool,
    bytes: Vec<u8>,
}

impl ClusterBuilder {
    /// `key_frame`: its first block will be one.
    pub(crate) fn new(start_ms: u64, key_frame: bool) -> Self {
        let mut bytes = Vec::with_capacity(16 * 1024);
        put_id(&mut bytes, id::CLUSTER);
        bytes.extend_from_slice(&long_size(0));
        put_id(&mut bytes, id::CRC_32);
        bytes.extend_from_slice(&[0x84, 0, 0, 0, 0]);
        put_id(&mut bytes, id::TIMESTAMP);
        bytes.push(0x88);
        bytes.extend_from_slice(&start_ms.to_be_bytes());
        Self { start_ms, key_frame, bytes }
    }

    pub(crate) fn start_ms(&self) -> u64 {
        self.start_ms
    }

    pub(crate) fn begins_with_key_frame(&self) -> bool {
        self.key_frame
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a block. The time must be less than 32 s after the cluster's.
    pub(crate) fn push(&mut self, time_ms: u64, key_frame: bool, payload: &[u8]) {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
        let relative = i16::try_from(time_ms.saturating_sub(self.start_ms)).unwrap_or(i16::MAX);
        let size = (BLOCK_HEADER + payload.len()) as u32 | 0x1000_0000;
        put_id(&mut self.bytes, id::SIMPLE_BLOCK);
        self.bytes.extend_from_slice(&size.to_be_bytes());
        self.bytes.push(0x81);
        self.bytes.extend_from_slice(&relative.to_be_bytes());
        self.bytes.push(if key_frame { KEY_FRAME } else { 0 });
        self.bytes.extend_from_slice(payload);
    }

    pub(crate) fn finish(mut self) -> Bytes {
        let size = (self.bytes.len() - 12) as u64;
        self.bytes[4..12].copy_from_slice(&long_size(size));
        let crc = crc32fast::hash(&self.bytes[12 + CRC_LENGTH..]);
        self.bytes[14..12 + CRC_LENGTH].copy_from_slice(&crc.to_le_bytes());
        // It may wait for the disk, and the queue counts its length.
        self.bytes.shrink_to_fit();
        self.bytes.into()
    }
}

/// No cluster is larger: a picture has at most 2 MiB.
pub(crate) const MAX_CLUSTER: u64 = 16 * 1024 * 1024;
/// As many bytes as [`ClusterHead::read`] needs.
pub(crate) const CLUSTER_HEAD: usize = PREFIX + BLOCK_PREFIX;

/// What the first bytes of a cluster tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClusterHead {
    /// The length of the whole cluster.
    pub(crate) length: u64,
    pub(crate) start_ms: u64,
    pub(crate) key_frame: bool,
}

impl ClusterHead {
    /// Reads the head of a cluster that a [`ClusterBuilder`] wrote. `None` if it is anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head = Head::read(bytes)?;
        let bytes = bytes.get(..CLUSTER_HEAD)?;
        let size = head.size.filter(|_| head.id == id::CLUSTER && head.length == 12)?;
        let regular = bytes[12..14] == [id::CRC_32 as u8, 0x84]
            && bytes[18..20] == [id::TIMESTAMP as u8, 0x88]
            && bytes[PREFIX] == id::SIMPLE_BLOCK as u8
            && size as usize >= CLUSTER_HEAD - 12;
        let start_ms = u64::from_be_bytes(bytes[20..PREFIX].try_into().ok()?);
        let key_frame = bytes[CLUSTER_HEAD - 1] & KEY_FRAME != 0;
        regular.then_some(Self { length: size + 12, start_ms, key_frame })
    }
}

pub(crate) fn begins_like_a_cluster(bytes: &[u8]) -> bool {
    bytes.starts_with(&id::CLUSTER.to_be_bytes())
}

/// Whether the content of a whole cluster is as it was written.
pub(crate) fn crc_is_right(cluster: &[u8]) -> bool {
    let (Some(crc), Some(content)) = (cluster.get(14..18), cluster.get(18..)) else { return false };
    crc == crc32fast::hash(content).to_le_bytes()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) time_ms: u64,
    pub(crate) key_frame: bool,
    pub(crate) payload: &'a [u8],
}

/// The blocks of a whole cluster, up to the first that is not valid.
pub(crate) fn blocks(cluster: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let start_ms = ClusterHead::read(cluster).map_or(0, |head| head.start_ms);
    let content = cluster.get(PREFIX..).unwrap_or_default();
    super::element::children(content).map_while(move |child| {
        let (header, payload) = child.content.split_at_checked(BLOCK_HEADER)?;
        let relative = u64::from(u16::from_be_bytes([header[1], header[2]]));
        (child.id == id::SIMPLE_BLOCK).then_some(Block {
            time_ms: start_ms.saturating_add(relative),
            key_frame: header[3] & KEY_FRAME != 0,
            payload,
        })
    })
}
