//! The room for media in a queue, in bytes.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of media that wait in the recorder's queue.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: AtomicUsize,
}

/// What asks for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Audio,
    Video,
}

impl Room {
    /// Reserves room for a message; `false` if there is none.
    pub(super) fn reserve(&self, bytes: usize, asks: Asks) -> bool {
        let limit = match asks {
            Asks::Audio => ROOM,
            Asks::Video => ROOM - KEPT_FOR_AUDIO,
        };
        let fits = self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes <= limit;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Releases the room of a message.
    pub(super) fn release(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Bytes of media queued for the recorder: more than a second of 200 videos of 1 Mbit/s.
pub(super) const ROOM: usize = 32 << 20;
/// Bytes that video must leave free.
pub(super) const KEPT_FOR_AUDIO: usize = ROOM / 8;
