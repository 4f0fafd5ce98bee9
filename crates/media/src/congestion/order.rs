//! Puts acknowledged packets in order of arrival.

use super::Micros;
use super::log::Logged;

/// An arrival, with the bytes sent before it of which no report will tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) packet: Logged,
    pub(super) at: Micros,
    pub(super) untold: u32,
}

/// Reports tell of packets in order of sending. Of the last [`PLACES`] the earliest arrival leaves first: no order
/// of a whole report is needed to see a queue.
#[derive(Debug)]
pub(super) struct InOrder {
    /// A ring of `len` from `first` on, earliest first.
    waiting: [Option<Arrival>; PLACES],
    first: usize,
    len: usize,
}

impl InOrder {
    pub(super) fn new() -> Self {
        Self { waiting: [None; PLACES], first: 0, len: 0 }
    }

    /// Returns the earliest arrival if there was no place left.
    pub(super) fn add(&mut self, arrival: Arrival) -> Option<Arrival> {
        let leaving = if self.len == PLACES { self.take() } else { None };
        let mut place = self.len;
        while place > 0 && self.waiting[self.index(place - 1)].is_some_and(|before| before.at > arrival.at) {
            self.waiting[self.index(place)] = self.waiting[self.index(place - 1)];
            place -= 1;
        }
        self.waiting[self.index(place)] = Some(arrival);
        self.len += 1;
        leaving
    }

    /// The earliest arrival.
    pub(super) fn take(&mut self) -> Option<Arrival> {
        self.len = self.len.checked_sub(1)?;
        let earliest = self.waiting[self.first].take();
        self.first = self.index(1);
        earliest
    }

    fn index(&self, place: usize) -> usize {
        (self.first + place) % PLACES
    }
}

const PLACES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::log::Fate;

    #[test]
    fn arrivals_leave_earliest_first_even_if_there_are_more_than_places() {
        let mut order = InOrder::new();
        let packet = Logged { number: 0, sent: 0, size: 0, cluster: None, fate: Fate::InFlight };
        let mut left = Vec::new();
        for step in 0..100 {
            let at = if step % 7 == 0 { step + 20 } else { step };
            left.extend(order.add(Arrival { packet, at, untold: 0 }));
        }
        left.extend(std::iter::from_fn(|| order.take()));
        assert_eq!(left.len(), 100);
        assert!(left.is_sorted_by_key(|arrival| arrival.at));
    }
}
