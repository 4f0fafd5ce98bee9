//! The messages that wait to be written to a socket: bounded by their bytes, of one socket and of all together, and by
//! their age.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::SlowSocket;

/// What waits for all sockets of this process.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    slow_sockets: AtomicU64,
}

/// What waits for one socket. All clones are one outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    of_all: Arc<Backlog>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// Since when each message waits, the oldest first: messages are written in their order.
    since: VecDeque<Instant>,
}

/// A message that waits. Its writer drops it once it is written.
#[derive(Debug)]
pub struct Held {
    text: Utf8Bytes,
    outbox: Outbox,
}

impl Backlog {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn slow_sockets(&self) -> u64 {
        self.slow_sockets.load(Ordering::Relaxed)
    }
}

impl Outbox {
    pub(super) fn new(of_all: Arc<Backlog>) -> Self {
        Self { shared: Arc::new(Shared { waiting: Mutex::default(), of_all }) }
    }

    /// Counts a message that will wait. An empty outbox takes a message of any length.
    ///
    /// A socket may have no more waiting than what is free of the bytes for all sockets (the dynamic thresholds of
    /// Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998). So when memory
    /// runs short, the sockets with the longest queues are closed first, and there is always room for the others.
    ///
    /// # Errors
    /// [`SlowSocket`] if too much waits already: the socket has to be closed.
    pub fn hold(&self, text: Utf8Bytes) -> Result<Held, SlowSocket> {
        let (bytes, of_all) = (weight(&text), &self.shared.of_all);
        let free = OF_ALL.saturating_sub(of_all.bytes());
        let mut waiting = self.waiting();
        if !waiting.since.is_empty() && waiting.bytes + bytes > PER_SOCKET.min(free) {
            of_all.slow_sockets.fetch_add(1, Ordering::Relaxed);
            return Err(SlowSocket);
        }
        waiting.bytes += bytes;
        waiting.since.push_back(Instant::now());
        of_all.bytes.fetch_add(bytes, Ordering::Relaxed);
        drop(waiting);
        Ok(Held { text, outbox: self.clone() })
    }

    /// Waits until the oldest message has waited for too long: the socket has to be closed. Cancel safe.
    pub async fn stalled(&self) {
        loop {
            let oldest = self.waiting().since.front().copied();
            let now = Instant::now();
            if oldest.is_some_and(|since| since + OLDEST <= now) {
                self.shared.of_all.slow_sockets.fetch_add(1, Ordering::Relaxed);
                return;
            }
            sleep_until(oldest.unwrap_or(now) + OLDEST).await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No change of it panics half-way, so a poisoned one is still consistent.
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    #[must_use]
    pub fn text(&self) -> &Utf8Bytes {
        &self.text
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = weight(&self.text);
        let mut waiting = self.outbox.waiting();
        waiting.bytes -= bytes;
        waiting.since.pop_front();
        self.outbox.shared.of_all.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn weight(text: &Utf8Bytes) -> usize {
    text.len() + OVERHEAD
}

/// Bytes that may wait for one socket.
pub(crate) const PER_SOCKET: usize = 1024 * 1024;
/// Bytes that may wait for all sockets together. A text that waits for several sockets is in memory once, but counts
/// for each.
pub(crate) const OF_ALL: usize = 64 * 1024 * 1024;
/// Counted for each message besides its text: its places in the queues.
const OVERHEAD: usize = 128;
/// The messages that fit at most, however short they are.
pub(crate) const MOST_MESSAGES: usize = PER_SOCKET / OVERHEAD;
/// How long a message may wait.
pub(crate) const OLDEST: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Utf8Bytes {
        "x".repeat(bytes).into()
    }

    #[test]
    fn a_socket_may_have_so_many_bytes_waiting_and_room_again_when_they_are_written() {
        let outbox = Outbox::new(Arc::default());
        let mut held: Vec<_> = (0..7).map(|_| outbox.hold(text(PER_SOCKET / 8)).unwrap()).collect();
        assert_eq!(outbox.hold(text(PER_SOCKET / 8)).unwrap_err(), SlowSocket);
        held.remove(0);
        held.push(outbox.hold(text(PER_SOCKET / 8)).unwrap());
        held.clear();
        assert_eq!((outbox.shared.of_all.bytes(), outbox.shared.of_all.slow_sockets()), (0, 1));
    }

    #[test]
    fn many_short_messages_weigh_something_too() {
        let outbox = Outbox::new(Arc::default());
        let held: Vec<_> = (0..MOST_MESSAGES + 1).map_while(|_| outbox.hold(text(0)).ok()).collect();
        assert_eq!(held.len(), MOST_MESSAGES);
    }

    #[test]
    fn an_empty_outbox_takes_one_message_of_any_length() {
        let outbox = Outbox::new(Arc::default());
        let held = outbox.hold(text(2 * PER_SOCKET)).unwrap();
        assert_eq!(outbox.hold(text(1)).unwrap_err(), SlowSocket);
        drop(held);
        assert!(outbox.hold(text(1)).is_ok());
    }

    #[test]
    fn when_memory_runs_short_the_longest_queues_go_first_and_a_short_one_goes_on() {
        let of_all = Arc::new(Backlog::default());
        let greedy: Vec<_> = (0..1_000).map(|_| Outbox::new(Arc::clone(&of_all))).collect();
        let mut held = Vec::new();
        for _ in 0..PER_SOCKET / 4096 {
            held.extend(greedy.iter().filter_map(|outbox| outbox.hold(text(4096 - OVERHEAD)).ok()));
        }
        assert!(of_all.bytes() <= OF_ALL, "{} bytes", of_all.bytes());
        assert!(of_all.bytes() > OF_ALL / 10 * 9, "{} bytes", of_all.bytes());
        let modest = Outbox::new(Arc::clone(&of_all));
        let _some = [modest.hold(text(10_000)).unwrap(), modest.hold(text(10_000)).unwrap()];
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_stalls_when_its_oldest_message_has_waited_too_long() {
        let outbox = Outbox::new(Arc::default());
        let slow_writer = async {
            for _ in 0..60 {
                let _held = outbox.hold(text(10)).unwrap();
                tokio::time::sleep(OLDEST / 2).await;
            }
        };
        tokio::select! {
            () = outbox.stalled() => panic!("every message was written in time"),
            () = slow_writer => {}
        }
        let _held = outbox.hold(text(10)).unwrap();
        let begin = Instant::now();
        outbox.stalled().await;
        assert!(begin.elapsed() >= OLDEST && begin.elapsed() < OLDEST + Duration::from_millis(10));
    }
}
