use rtc_sctp::ReliabilityType;
use std::collections::VecDeque;

/// How a stream's messages are delivered (RFC 8831 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reliability {
    pub ordered: bool,
    pub delivery: Delivery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Reliable,
    /// A message is abandoned this many milliseconds after it was queued.
    MaxPacketLifeTime(u16),
    /// A message is abandoned after this many retransmissions.
    MaxRetransmits(u16),
}

impl Delivery {
    pub(super) fn library(self) -> (ReliabilityType, u32) {
        match self {
            Self::Reliable => (ReliabilityType::Reliable, 0),
            Self::MaxPacketLifeTime(milliseconds) => (ReliabilityType::Timed, milliseconds.into()),
            Self::MaxRetransmits(times) => (ReliabilityType::Rexmit, times.into()),
        }
    }
}

/// A stream's messages that are neither acknowledged nor abandoned.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    bytes: usize,
    /// Message lengths, oldest first. Messages are counted too, because a million one-byte messages take far
    /// more than one megabyte.
    messages: VecDeque<usize>,
    /// Bytes of the oldest message that were acknowledged or abandoned.
    released: usize,
}

impl SendBuffer {
    pub(super) fn has_room_for(&self, length: usize) -> bool {
        self.bytes + length <= MAX_BUFFERED_BYTES && self.messages.len() < MAX_BUFFERED_MESSAGES
    }

    pub(super) fn push(&mut self, length: usize) {
        self.bytes += length;
        self.messages.push_back(length);
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.released += bytes;
        while let Some(oldest) = self.messages.front()
            && *oldest <= self.released
        {
            self.released -= oldest;
            self.messages.pop_front();
        }
    }
}

const MAX_BUFFERED_BYTES: usize = 1024 * 1024;
const MAX_BUFFERED_MESSAGES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_buffer_is_bounded_in_bytes_and_in_messages() {
        let mut large = SendBuffer::default();
        large.push(MAX_BUFFERED_BYTES - 10);
        assert!(large.has_room_for(10) && !large.has_room_for(11));
        large.release(5);
        assert!(large.has_room_for(15));

        let mut many = SendBuffer::default();
        for _ in 0..MAX_BUFFERED_MESSAGES {
            assert!(many.has_room_for(2));
            many.push(2);
        }
        assert!(!many.has_room_for(2));
        many.release(1);
        assert!(!many.has_room_for(2));
        many.release(1);
        assert!(many.has_room_for(2));
    }
}
