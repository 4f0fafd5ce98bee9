//! What is not heard: feedback that stays away while packets are sent.

use super::Micros;
use serde::Serialize;

/// How long ago the receiver was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hearing {
    #[default]
    Heard,
    /// A report is late: no upgrades, no probes.
    Late,
    /// For a second: the estimate falls by a fifth each second, video goes to its lowest layers.
    Silent,
    /// For three seconds: video pauses, sound goes on.
    Deaf,
}

#[derive(Debug)]
pub(super) struct Silence {
    /// When the first packet was sent after the last report.
    unanswered: Option<Micros>,
    heard: Option<Micros>,
    /// Smoothed time between reports, µs.
    interval: Micros,
    hearing: Hearing,
    lowered: Micros,
}

impl Silence {
    /// `interval` is how often the receiver is expected to report, at first.
    pub(super) fn new(interval: Micros) -> Self {
        Self { unanswered: None, heard: None, interval, hearing: Hearing::Heard, lowered: 0 }
    }

    pub(super) fn sent(&mut self, now: Micros) {
        self.unanswered.get_or_insert(now);
    }

    pub(super) fn heard(&mut self, now: Micros) {
        let since = self.heard.replace(now).map(|before| now - before);
        self.interval = match since {
            // A pause of the sender is not the receiver's interval.
            Some(_) if self.unanswered.is_none() => self.interval,
            Some(since) => self.interval + (since.min(REPORT_INTERVAL) - self.interval) / 8,
            None => self.interval,
        };
        self.unanswered = None;
        self.hearing = Hearing::Heard;
    }

    /// Returns the state, and whether a second of silence has passed for which the estimate must fall.
    pub(super) fn update(&mut self, rtt: Micros, now: Micros) -> (Hearing, bool) {
        let Some(since) = self.unanswered else { return (Hearing::Heard, false) };
        let [late, silent, deaf] = self.limits(rtt);
        let silence = now - since;
        self.hearing = match () {
            () if silence >= deaf => Hearing::Deaf,
            () if silence >= silent => Hearing::Silent,
            () if silence >= late => Hearing::Late,
            () => Hearing::Heard,
        };
        let falls = self.hearing >= Hearing::Silent && now - self.lowered >= SECOND;
        if falls {
            self.lowered = now;
        }
        (self.hearing, falls)
    }

    /// When [`Self::update`] has something to say next.
    pub(super) fn next(&self, rtt: Micros) -> Option<Micros> {
        let since = self.unanswered?;
        let [late, silent, deaf] = self.limits(rtt);
        Some(match self.hearing {
            Hearing::Heard => since + late,
            Hearing::Late => since + silent,
            Hearing::Silent => (since + deaf).min(self.lowered + SECOND),
            Hearing::Deaf => self.lowered + SECOND,
        })
    }

    /// µs between reports.
    pub(super) fn interval(&self) -> Micros {
        self.interval
    }

    fn limits(&self, rtt: Micros) -> [Micros; 3] {
        let late = (3 * self.interval).max(rtt + 300_000);
        [late, late.max(SECOND), (2 * late).max(3 * SECOND)]
    }
}

/// µs. How often libwebrtc's receivers send transport-wide feedback at least.
pub(super) const FEEDBACK_INTERVAL: Micros = 250_000;
/// µs. The least interval of receiver reports (RFC 3550 §6.2).
pub(super) const REPORT_INTERVAL: Micros = 5_000_000;
/// µs.
const SECOND: Micros = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_the_first_packet_without_an_answer() {
        let mut silence = Silence::new(FEEDBACK_INTERVAL);
        for step in 0..100 {
            silence.sent(100_000 * step);
            silence.heard(100_000 * step + 50_000);
        }
        assert_eq!(silence.update(50_000, 60_000_000), (Hearing::Heard, false));
        silence.sent(60_000_000);
        let mut told = Vec::new();
        let mut falls = 0;
        while let Some(next) = silence.next(50_000).filter(|next| *next < 66_000_000) {
            let (hearing, fall) = silence.update(50_000, next);
            falls += u8::from(fall);
            if told.last().is_none_or(|(last, _)| *last != hearing) {
                told.push((hearing, (next - 60_000_000) / 1_000));
            }
        }
        assert_eq!(told, [(Hearing::Late, 350), (Hearing::Silent, 1_000), (Hearing::Deaf, 3_000)]);
        assert_eq!(falls, 5);
        silence.heard(66_000_000);
        assert_eq!(silence.update(50_000, 66_000_001), (Hearing::Heard, false));
    }
}
