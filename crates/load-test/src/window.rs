//! Records which packets of a stream arrived, so that each is counted once, however often it arrives.

/// The last [`WINDOW`] sequence numbers of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    highest: Option<u64>,
    seen: [u64; WINDOW as usize / 64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Newer than all before; `missing` packets were skipped before it.
    Ahead { index: u64, missing: u64 },
    /// A packet that was skipped before.
    Late { index: u64 },
    /// The packet arrived before, or is too old to know.
    Repeat,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { highest: None, seen: [0; WINDOW as usize / 64] }
    }

    pub(crate) fn insert(&mut self, sequence: u16) -> Arrival {
        let Some(highest) = self.highest else {
            // Starts at 2^16, so that packets overtaken by the first one have an index too.
            let index = u64::from(sequence) + (1 << 16);
            self.mark(index);
            self.highest = Some(index);
            return Arrival::Ahead { index, missing: 0 };
        };
        // The nearest index, as in RFC 3711 §3.3.1.
        let distance = i64::from(sequence.wrapping_sub(highest as u16).cast_signed());
        let index = highest.saturating_add_signed(distance);
        if index > highest {
            let first_new = (highest + 1).max(index.saturating_sub(WINDOW - 1));
            (first_new..=index).for_each(|skipped| self.clear(skipped));
            self.mark(index);
            self.highest = Some(index);
            return Arrival::Ahead { index, missing: index - highest - 1 };
        }
        if highest - index >= WINDOW || self.is_marked(index) {
            return Arrival::Repeat;
        }
        self.mark(index);
        Arrival::Late { index }
    }

    /// The highest index so far, modulo 2^32 (RFC 3550 §6.4.1).
    pub(crate) fn extended_highest(&self) -> u32 {
        self.highest.unwrap_or(0) as u32
    }

    fn mark(&mut self, index: u64) {
        self.seen[slot(index)] |= 1 << (index % 64);
    }

    fn clear(&mut self, index: u64) {
        self.seen[slot(index)] &= !(1 << (index % 64));
    }

    fn is_marked(&self, index: u64) -> bool {
        self.seen[slot(index)] & (1 << (index % 64)) != 0
    }
}

fn slot(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

/// Packets: several seconds of any stream here.
const WINDOW: u64 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missing_across_a_wrap() {
        let mut window = Window::new();
        let arrivals = (65_530..=65_535).chain(0..10).map(|sequence| window.insert(sequence));
        assert!(arrivals.into_iter().all(|arrival| matches!(arrival, Arrival::Ahead { missing: 0, .. })));
    }

    #[test]
    fn a_gap_is_told_and_what_fills_it_counts_once() {
        let mut window = Window::new();
        window.insert(10);
        assert!(matches!(window.insert(14), Arrival::Ahead { missing: 3, .. }));
        assert!(matches!(window.insert(12), Arrival::Late { .. }));
        assert_eq!(window.insert(12), Arrival::Repeat);
        assert_eq!(window.insert(14), Arrival::Repeat);
    }

    #[test]
    fn a_packet_that_the_first_one_overtook_is_late_and_an_ancient_one_a_repeat() {
        let mut window = Window::new();
        window.insert(1);
        assert!(matches!(window.insert(65_535), Arrival::Late { .. }));
        assert_eq!(window.insert(30_000_u16.wrapping_neg()), Arrival::Repeat);
    }

    #[test]
    fn after_a_long_gap_old_marks_do_not_hide_new_packets() {
        let mut window = Window::new();
        (0..3_000).for_each(|sequence| {
            window.insert(sequence);
        });
        window.insert(9_000);
        assert!(matches!(window.insert(8_999), Arrival::Late { .. }));
    }
}
