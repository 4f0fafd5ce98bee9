//! What the record of a track tells beside its samples: when it was on, and what is missing. Times are in milliseconds
//! since the recording began.

use crate::report::{Span, TrackNote};

/// More spans are joined with the one before, more holes leave out the shortest.
const MAX_SPANS: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Record {
    spans: Vec<Span>,
    holes: Vec<Span>,
    /// Whether the producer sends, as far as it was told.
    sending: Option<bool>,
    paused: bool,
    /// Since when it is on.
    on_since: Option<u64>,
    /// When the last pause ended.
    resumed_ms: u64,
    note: Option<TrackNote>,
}

impl Record {
    pub(crate) fn sending(&mut self, sending: bool, at_ms: u64) {
        self.sending = Some(sending);
        if sending {
            self.turn_on(at_ms);
        } else {
            self.turn_off(at_ms);
        }
    }

    /// A sample is there. Before anything else is told, it means that the producer sends.
    pub(crate) fn sampled(&mut self, at_ms: u64) {
        if self.sending.is_none() {
            self.sending(true, at_ms);
        }
    }

    pub(crate) fn pause(&mut self, paused: bool, at_ms: u64) {
        self.paused = paused;
        if paused {
            self.turn_off(at_ms);
        } else {
            self.resumed_ms = at_ms;
            if self.sending == Some(true) {
                self.turn_on(at_ms);
            }
        }
    }

    pub(crate) fn end(&mut self, at_ms: u64) {
        self.turn_off(at_ms);
        self.sending = Some(false);
    }

    fn turn_on(&mut self, at_ms: u64) {
        if !self.paused && self.on_since.is_none() {
            let last_end = self.spans.last().map_or(0, |last| last.to_ms);
            self.on_since = Some(at_ms.max(self.resumed_ms).max(last_end));
        }
    }

    fn turn_off(&mut self, at_ms: u64) {
        let Some(from_ms) = self.on_since.take().filter(|from| *from < at_ms) else { return };
        let full = self.spans.len() >= MAX_SPANS;
        match self.spans.last_mut().filter(|last| full || last.to_ms == from_ms) {
            Some(last) => last.to_ms = at_ms,
            None => self.spans.push(Span { from_ms, to_ms: at_ms }),
        }
    }

    pub(crate) fn hole(&mut self, from_ms: u64, to_ms: u64) {
        if from_ms >= to_ms {
            return;
        }
        let mut hole = Span { from_ms, to_ms };
        while let Some(last) = self.holes.pop_if(|last| last.to_ms >= hole.from_ms) {
            hole = Span { from_ms: hole.from_ms.min(last.from_ms), to_ms: hole.to_ms.max(last.to_ms) };
        }
        self.holes.push(hole);
        if self.holes.len() > MAX_SPANS {
            let length = |span: &Span| span.to_ms - span.from_ms;
            let shortest = self.holes.iter().enumerate().min_by_key(|(_, span)| length(span));
            if let Some((index, _)) = shortest {
                self.holes.remove(index);
            }
        }
    }

    /// Of several notes, the most serious stays.
    pub(crate) fn note(&mut self, note: TrackNote) {
        let seriousness = |note| match note {
            TrackNote::ClockSet => 0,
            TrackNote::NoKeyFrame => 1,
            TrackNote::ManyFiles => 2,
            TrackNote::Dropped => 3,
        };
        if self.note.is_none_or(|present| seriousness(present) < seriousness(note)) {
            self.note = Some(note);
        }
    }

    /// The spans, the last one up to `now_ms` if it lasts.
    pub(crate) fn spans(&self, now_ms: u64) -> Vec<Span> {
        let lasting = self.on_since.filter(|from| *from < now_ms);
        let lasting = lasting.map(|from_ms| Span { from_ms, to_ms: now_ms });
        self.spans.iter().copied().chain(lasting).collect()
    }

    pub(crate) fn holes(&self) -> &[Span] {
        &self.holes
    }

    pub(crate) fn told(&self) -> Option<TrackNote> {
        self.note
    }
}
