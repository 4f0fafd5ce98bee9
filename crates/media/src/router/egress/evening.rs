//! Pads packets to equal size, so that they are sent as one run.
//!
//! A send call costs as much as sealing ten packets, and can send many packets to one peer if all but the
//! last have the same size (udp(7), UDP_SEGMENT). Encoders cut a picture into packets that differ by a few
//! bytes: padding (RFC 3550 §5.1) costs those few bytes and saves all calls but one. No packet becomes longer
//! than the longest one due with it, so padding never exceeds the path MTU.

use crate::batch::{MAX_RUN_BYTES, MAX_SEGMENTS};

/// The size to which the next packets of a transport are padded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Evening {
    size: usize,
    /// Packets still to be padded.
    padded: usize,
    /// Packets left in the run, the last of which may be shorter.
    packets: usize,
}

impl Evening {
    /// Finds how many of the due packets, in order, can form one run within the limit on padding.
    fn plan(sizes: impl Iterator<Item = usize>) -> Self {
        let mut run = Members::default();
        for size in sizes.take(MAX_SEGMENTS) {
            let longer = run.with(size);
            if !longer.is_worthwhile() {
                let ends_run = size <= run.largest && run.bytes() + size <= MAX_RUN_BYTES;
                return run.evening(usize::from(ends_run));
            }
            run = longer;
        }
        run.evening(0)
    }

    /// The size to which to pad the next packet, which is the first of `packets` due packets with these
    /// `sizes`. A packet of size 0 must not be padded.
    pub(super) fn next(&mut self, packets: usize, sizes: impl Iterator<Item = u16>) -> usize {
        if self.packets == 0 && packets > 1 {
            *self = Self::plan(sizes.map(usize::from).take_while(|&size| size > 0));
        }
        self.advance().unwrap_or(0)
    }

    /// The size of the next packet, 0 for no padding; `None` when the run is over.
    fn advance(&mut self) -> Option<usize> {
        self.packets = self.packets.checked_sub(1)?;
        match self.padded.checked_sub(1) {
            Some(padded) => {
                self.padded = padded;
                Some(self.size)
            }
            None => Some(0),
        }
    }
}

/// Packets that are to be padded to the size of the largest.
#[derive(Debug, Clone, Copy)]
struct Members {
    packets: usize,
    largest: usize,
    smallest: usize,
    /// Bytes before padding.
    natural: usize,
}

impl Default for Members {
    fn default() -> Self {
        Self { packets: 0, largest: 0, smallest: usize::MAX, natural: 0 }
    }
}

impl Members {
    fn with(self, size: usize) -> Self {
        Self {
            packets: self.packets + 1,
            largest: self.largest.max(size),
            smallest: self.smallest.min(size),
            natural: self.natural + size,
        }
    }

    fn bytes(self) -> usize {
        self.packets * self.largest
    }

    fn is_worthwhile(self) -> bool {
        self.bytes() <= MAX_RUN_BYTES
            && self.largest - self.smallest <= MAX_PADDING
            && self.bytes() - self.natural <= self.bytes() / MAX_WASTE_DIVISOR
    }

    /// The run of these packets and `shorter` more behind them. All but the last packet of the run are
    /// padded.
    fn evening(self, shorter: usize) -> Evening {
        let packets = self.packets + shorter;
        Evening { size: self.largest, padded: packets.saturating_sub(1), packets }
    }
}

/// Bytes: the last byte of padding holds its length (RFC 3550 §5.1).
pub(super) const MAX_PADDING: usize = 255;
/// At most one byte in twenty is padding: it uses bandwidth and counts in receivers' bandwidth estimates.
const MAX_WASTE_DIVISOR: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_that_differ_by_a_few_bytes_become_one_run() {
        assert_eq!(padded(&[1_151, 1_150, 1_150, 1_151, 1_150]), [[1_151, 1_151, 1_151, 1_151, 0]]);
    }

    #[test]
    fn the_last_one_may_be_shorter_at_no_cost() {
        assert_eq!(padded(&[1_150, 1_151, 300]), [[1_151, 1_151, 0]]);
        assert_eq!(padded(&[1_150, 1_151, 300, 1_150, 1_150]), [vec![1_151, 1_151, 0], vec![1_150, 0]]);
    }

    #[test]
    fn a_much_longer_packet_begins_a_run_of_its_own() {
        assert_eq!(padded(&[150, 1_150, 1_149]), [vec![0], vec![1_150, 0]]);
        assert_eq!(padded(&[900, 1_200]), [[0], [0]], "a third of the first would be waste");
    }

    #[test]
    fn a_run_has_no_more_packets_and_bytes_than_a_send_takes() {
        assert_eq!(padded(&[100; 100]).iter().map(Vec::len).collect::<Vec<_>>(), [64, 36]);
        assert_eq!(padded(&[1_500; 64]).iter().map(Vec::len).collect::<Vec<_>>(), [43, 21]);
    }

    proptest! {
        #[test]
        fn every_packet_is_in_one_run_that_the_kernel_takes_and_little_is_wasted(
            sizes in prop::collection::vec(40usize..1_600, 0..200),
        ) {
            let mut rest = &sizes[..];
            for run in padded(&sizes) {
                let (members, after) = rest.split_at(run.len());
                rest = after;
                let sealed: Vec<usize> = members.iter().zip(&run).map(|(&size, &to)| size.max(to)).collect();
                let (last, equal) = sealed.split_last().unwrap();
                prop_assert!(equal.iter().all(|size| size == &sealed[0]) && *last <= sealed[0]);
                let (natural, total): (usize, usize) = (members.iter().sum(), sealed.iter().sum());
                prop_assert!(total <= MAX_RUN_BYTES && run.len() <= MAX_SEGMENTS);
                prop_assert!((total - natural) * 20 <= total);
                for (size, sealed) in members.iter().zip(sealed) {
                    prop_assert!(sealed - size <= MAX_PADDING);
                }
            }
            prop_assert!(rest.is_empty());
        }
    }

    /// The size to which each packet of each run is padded.
    fn padded(mut sizes: &[usize]) -> Vec<Vec<usize>> {
        let mut runs = Vec::new();
        while !sizes.is_empty() {
            let mut evening = Evening::plan(sizes.iter().copied());
            let run: Vec<usize> = std::iter::from_fn(|| evening.advance()).collect();
            sizes = &sizes[run.len()..];
            runs.push(run);
        }
        runs
    }
}
