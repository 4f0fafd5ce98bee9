//! How often a call hears how loud its people are.

use switchyard_media_worker::media::ProducerId;

/// Thins out the router's five reports of levels a second by how many listen: each is a message to every one of them,
/// which in a crowd would cost more than forwarding the voices themselves.
#[derive(Debug, Default)]
pub(super) struct LevelReports {
    /// Reports since the last one told.
    kept_back: usize,
    /// The last one told named somebody.
    audible: bool,
}

impl LevelReports {
    /// Whether a report is for so many ears. What is kept back is old news by the next report; only silence, which
    /// is reported once, has no next: whoever heard somebody is told at once.
    pub(super) fn is_due(&mut self, levels: &[(ProducerId, i8)], listeners: usize) -> bool {
        let due = if levels.is_empty() {
            self.audible
        } else {
            self.kept_back += 1;
            self.kept_back >= listeners.div_ceil(LISTENERS_TO_ALL).min(AT_LEAST_EVERY)
        };
        if due {
            *self = Self { kept_back: 0, audible: !levels.is_empty() };
        }
        due
    }
}

/// So many hear every report, which makes 200 messages a second; twice as many hear every other one.
const LISTENERS_TO_ALL: usize = 40;
/// However many listen, they hear one report a second.
const AT_LEAST_EVERY: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_call_hears_at_most_200_levels_a_second_but_everybody_at_least_one() {
        for (listeners, told) in
            [(1, 20), (40, 20), (41, 10), (80, 10), (120, 6), (160, 5), (200, 4), (900, 4)]
        {
            let mut reports = LevelReports::default();
            let due = (0..20).filter(|_| reports.is_due(&somebody(), listeners)).count();
            assert_eq!(due, told, "of four seconds' reports to {listeners}");
        }
    }

    #[test]
    fn silence_is_told_at_once_to_those_who_heard_somebody_and_to_nobody_else() {
        let mut reports = LevelReports::default();
        assert!(!reports.is_due(&somebody(), 200));
        assert!(!reports.is_due(&[], 200), "nobody was told of a voice");
        let told = (0..4).filter(|_| reports.is_due(&somebody(), 200)).count();
        assert_eq!(told, 1, "a report kept back counts, whatever came between");
        assert!(reports.is_due(&[], 200));
        assert!(!reports.is_due(&[], 200));
    }

    fn somebody() -> Vec<(ProducerId, i8)> {
        vec![(ProducerId(Uuid::from_u128(1)), -20)]
    }
}
