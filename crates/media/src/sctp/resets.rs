use super::guard;
use std::collections::BTreeSet;

/// Stream resets under way (RFC 6525). The library keeps each request that it cannot carry out yet, and each of its own
/// until it is answered.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// The peer's requests that wait for data, or for our next acknowledgement.
    deferred: u32,
    /// The last TSN that one of them waits for.
    deferred_until: u32,
    /// Our requests.
    unanswered: BTreeSet<u32>,
}

impl Resets {
    /// Takes note of the peer's requests, by the last TSN before each, and of its answers. False: that is more than
    /// closing data channels explains, and must not be handled.
    pub(super) fn admit(&mut self, requests: &[u32], answers: &[u32], acknowledged: u32) -> bool {
        for answer in answers {
            self.unanswered.remove(answer);
        }
        if !guard::is_ahead(self.deferred_until, acknowledged) {
            self.deferred = 0;
        }
        for &last in requests.iter().filter(|last| guard::is_ahead(**last, acknowledged)) {
            if self.deferred == 0 || guard::is_ahead(last, self.deferred_until) {
                self.deferred_until = last;
            }
            self.deferred += 1;
        }
        requests.is_empty() || self.deferred <= MAX_DEFERRED && self.unanswered.len() < MAX_UNANSWERED
    }

    /// Takes note of a request of ours that is being sent, perhaps again.
    pub(super) fn sent(&mut self, request: u32) {
        self.unanswered.insert(request);
    }
}

pub(super) const MAX_DEFERRED: u32 = 4096;
/// A stream is closed by one request of ours, and by another in answer to the peer's.
pub(super) const MAX_UNANSWERED: usize = 2 * super::STREAMS as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_are_carried_out_do_not_count_for_ever() {
        let mut resets = Resets::default();
        assert!((0..10 * MAX_DEFERRED).all(|number| resets.admit(&[number], &[], number)));
    }

    #[test]
    fn requests_that_wait_for_data_are_refused_at_a_bound_and_welcome_once_it_came() {
        let mut resets = Resets::default();
        assert!((0..MAX_DEFERRED).all(|_| resets.admit(&[105], &[], 100)));
        assert!(!resets.admit(&[103], &[], 100));
        assert!(resets.admit(&[110], &[], 105));
    }

    #[test]
    fn requests_of_a_peer_that_answers_none_of_ours_are_refused_at_a_bound() {
        let mut resets = Resets::default();
        for number in 0..MAX_UNANSWERED as u32 {
            assert!(resets.admit(&[1], &[], 9));
            resets.sent(number);
            resets.sent(number);
        }
        assert!(!resets.admit(&[1], &[], 9));
        assert!(resets.admit(&[1], &[7], 9));
    }
}
