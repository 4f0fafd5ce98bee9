//! How complete a received stream is, from its sequence numbers alone.

/// The counts of one SSRC.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct StreamStats {
    pub(crate) received: u64,
    span: Option<Span>,
}

/// The first and the highest sequence number seen, unwrapped.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: i64,
    highest: i64,
}

impl StreamStats {
    pub(crate) fn record(&mut self, sequence: u16) {
        self.received += 1;
        let Some(span) = &mut self.span else {
            self.span = Some(Span { first: sequence.into(), highest: sequence.into() });
            return;
        };
        // The nearest unwrapped number (RFC 3711 §3.3.1 does the same for SRTP indices).
        let distance = sequence.wrapping_sub(span.highest as u16).cast_signed();
        let unwrapped = span.highest + i64::from(distance);
        span.highest = span.highest.max(unwrapped);
        span.first = span.first.min(unwrapped);
    }

    pub(crate) fn expected(&self) -> u64 {
        self.span.map_or(0, |span| span.highest.abs_diff(span.first) + 1)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_across_a_wrap() {
        let stats = record((65_530..=65_535).chain(0..10));
        assert_eq!((stats.expected(), stats.lost()), (16, 0));
    }

    #[test]
    fn gaps_are_losses_and_late_packets_are_not() {
        let stats = record([10, 11, 14, 12, 20]);
        assert_eq!((stats.expected(), stats.lost()), (11, 6));
    }

    #[test]
    fn a_packet_older_than_the_first_widens_the_span() {
        let stats = record([1, 65_535, 0]);
        assert_eq!((stats.expected(), stats.lost()), (3, 0));
    }

    #[test]
    fn a_silent_stream_lost_nothing() {
        assert_eq!(StreamStats::default().lost(), 0);
    }

    fn record(sequences: impl IntoIterator<Item = u16>) -> StreamStats {
        let mut stats = StreamStats::default();
        sequences.into_iter().for_each(|sequence| stats.record(sequence));
        stats
    }
}
