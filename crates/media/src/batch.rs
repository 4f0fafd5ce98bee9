//! The buffer the shell lends for sealed media packets, laid out as the kernel wants them.

use crate::ice::Tuple;
use std::ops::Range;

/// Sealed packets, back to back, grouped into runs for UDP_SEGMENT.
#[derive(Debug)]
pub struct Batch {
    bytes: Box<[u8]>,
    used: usize,
    runs: Vec<RunSpan>,
    /// Destination of the next packets, set by [`Self::address`].
    tuple: Option<Tuple>,
}

/// Consecutive packets of equal size to one tuple; only the last may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    pub tuple: Tuple,
    /// Bytes per packet.
    pub segment_size: usize,
    pub bytes: &'a [u8],
}

impl Run<'_> {
    /// The number of packets in the run.
    pub fn packets(&self) -> usize {
        self.bytes.len().div_ceil(self.segment_size.max(1))
    }
}

#[derive(Debug)]
struct RunSpan {
    tuple: Tuple,
    segment_size: usize,
    segments: usize,
    range: Range<usize>,
    /// No packet can be added: the last packet is shorter, or the next packet has another destination.
    closed: bool,
}

impl Batch {
    /// `capacity` in bytes; room for at least one packet is always made.
    pub fn with_capacity(capacity: usize) -> Self {
        let bytes = vec![0; capacity.max(MAX_PACKET)].into_boxed_slice();
        Self { bytes, used: 0, runs: Vec::with_capacity(MAX_RUNS), tuple: None }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub fn clear(&mut self) {
        self.used = 0;
        self.runs.clear();
        self.tuple = None;
    }

    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> + Clone {
        self.runs.iter().map(|run| Run {
            tuple: run.tuple,
            segment_size: run.segment_size,
            bytes: &self.bytes[run.range.clone()],
        })
    }

    /// Room for one packet of any size, or `None` when the batch is full.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        if self.runs.len() >= MAX_RUNS {
            return None;
        }
        self.bytes.get_mut(self.used..self.used + MAX_PACKET)
    }

    /// Whether a run of this many packets fits whole. Also true if an empty batch could not hold the run
    /// whole either. The last possible run takes only one packet, see [`Self::room`].
    pub(crate) fn has_room_for(&self, packets: usize) -> bool {
        let wanted = (packets * MAX_PACKET).min(self.bytes.len());
        self.runs.len() + packets.min(2) <= MAX_RUNS && self.used + wanted <= self.bytes.len()
    }

    /// Packets committed from here on go to `tuple`.
    pub(crate) fn address(&mut self, tuple: &Tuple) {
        if self.tuple.as_ref() != Some(tuple) {
            self.tuple = Some(*tuple);
            self.runs.last_mut().into_iter().for_each(|run| run.closed = true);
        }
    }

    /// Appends the `len` bytes written at the start of [`Self::room`] as one packet to the current
    /// destination.
    pub(crate) fn commit(&mut self, len: usize) {
        let Some(tuple) = self.tuple else { return };
        let start = self.used;
        self.used += len;
        if let Some(run) = self.runs.last_mut()
            && run.accepts(len)
        {
            run.closed = len < run.segment_size;
            run.segments += 1;
            run.range.end = self.used;
            return;
        }
        self.runs.push(RunSpan {
            tuple,
            segment_size: len,
            segments: 1,
            range: start..self.used,
            closed: false,
        });
    }
}

impl RunSpan {
    fn accepts(&self, len: usize) -> bool {
        !self.closed
            && len <= self.segment_size
            && self.segments < MAX_SEGMENTS
            && self.range.len() + len <= MAX_RUN_BYTES
    }
}

/// Bytes of the largest sealed datagram: an Ethernet frame's worth, plus rewritten extensions and the tag.
pub(crate) const MAX_PACKET: usize = 1600;
/// The kernel's UDP_MAX_SEGMENTS before Linux 6.9.
pub(crate) const MAX_SEGMENTS: usize = 64;
/// Bytes: to the kernel, a UDP_SEGMENT send is one IP datagram (at most 65,535 bytes) until it is segmented.
pub(crate) const MAX_RUN_BYTES: usize = 65_000;
/// The number of runs that one system call sends. More runs would gain nothing and delay the first ones.
const MAX_RUNS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ice::Protocol;

    #[test]
    fn equal_packets_to_one_peer_form_one_run_that_a_shorter_packet_ends() {
        let mut batch = Batch::with_capacity(16_000);
        for len in [1000, 1000, 900, 1000] {
            batch.room().unwrap()[0] = 1;
            batch.address(&tuple(1));
            batch.commit(len);
        }
        let runs: Vec<_> = batch.runs().map(|run| (run.segment_size, run.bytes.len())).collect();
        assert_eq!(runs, [(1000, 2900), (1000, 1000)]);
    }

    #[test]
    fn another_peer_or_a_longer_packet_starts_a_run() {
        let mut batch = Batch::with_capacity(16_000);
        for (peer, len) in [(1, 500), (2, 500), (2, 600)] {
            batch.address(&tuple(peer));
            batch.commit(len);
        }
        assert_eq!(batch.runs().count(), 3);
    }

    #[test]
    fn a_full_batch_has_no_room_until_cleared() {
        let mut batch = Batch::with_capacity(MAX_PACKET);
        assert!(batch.room().is_some());
        batch.address(&tuple(1));
        batch.commit(100);
        assert!(batch.room().is_none());
        batch.clear();
        assert!(batch.room().is_some() && batch.is_empty());
    }

    #[test]
    fn a_batch_is_full_when_it_has_as_many_runs_as_one_call_sends() {
        let mut batch = Batch::with_capacity(1 << 20);
        for peer in 0..63 {
            batch.address(&tuple(peer));
            batch.commit(100);
        }
        assert!(
            batch.has_room_for(1) && !batch.has_room_for(2),
            "the last run would be cut after one packet"
        );
        batch.address(&tuple(63));
        batch.commit(100);
        assert!(batch.room().is_none() && !batch.has_room_for(1));
    }

    #[test]
    fn packets_that_an_empty_batch_would_hold_are_not_cut_in_two() {
        let mut batch = Batch::with_capacity(10 * MAX_PACKET);
        assert!(batch.has_room_for(10) && batch.has_room_for(11), "no batch holds more");
        batch.address(&tuple(1));
        batch.commit(100);
        assert!(!batch.has_room_for(10) && batch.has_room_for(9));
    }

    fn tuple(peer: u16) -> Tuple {
        let local = "127.0.0.1:40000".parse().unwrap();
        Tuple { protocol: Protocol::Udp, local, remote: ([127, 0, 0, 1], peer).into() }
    }
}
