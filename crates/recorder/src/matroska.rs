//! The bytes of a Matroska or WebM file with one track: nothing here reads or writes a file.
//!
//! A file grows by whole clusters, and every prefix of it that ends with a cluster is playable. Its end adds an index
//! and fills in what was left open at the beginning, at places of fixed size:
//!
//! `EBML` · `Segment` of unknown size · `Void` (later `SeekHead`) · `Info` with a `Void` (later `Duration`) · `Tracks` ·
//! `Tags` · `Cluster`s · `Cues`
//!
//! Numbers of elements are those of RFC 8794 (EBML) and RFC 9559 (Matroska).

mod cluster;
mod cues;
mod element;
mod header;
mod places;
mod trailer;

pub(crate) use cluster::{
    CLUSTER_HEAD, ClusterBuilder, ClusterHead, MAX_CLUSTER, begins_like_a_cluster, blocks, crc_is_right,
};
pub(crate) use cues::Cues;
pub(crate) use header::{Header, Kind};
pub(crate) use places::{MAX_HEADER, Places, header_length, read_mark, write_mark};
pub(crate) use trailer::Trailer;

/// How long the last block of a file lasts is not known: as long as the one before, but no longer than this.
pub(crate) const MAX_LAST_BLOCK_MS: u64 = 100;

#[cfg(test)]
mod tests;
