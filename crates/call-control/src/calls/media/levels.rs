//! Rate limit of the audio level reports of a call.

use switchyard_media_worker::media::ProducerId;

/// The router reports audio levels 5 times a second, and each report is one message to every leg. In a large
/// call this would cost more than forwarding the audio, so the rate falls with the number of listeners.
#[derive(Debug, Default)]
pub(super) struct LevelReports {
    /// Reports held back since the last report that was sent.
    kept_back: usize,
    /// The last report that was sent named a speaker.
    audible: bool,
}

impl LevelReports {
    /// Whether to send this report to so many listeners. A report that is held back needs no repetition, as
    /// the next one replaces it. Silence (empty `levels`) is reported once only, so it is sent at once if the
    /// last report sent named a speaker.
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

/// Up to this many listeners get every report: 200 messages a second. Up to twice as many get every second
/// one.
const LISTENERS_TO_ALL: usize = 40;
/// At least every fifth report is sent, which is one a second, whatever the number of listeners.
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
