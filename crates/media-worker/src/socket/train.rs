//! The datagrams that a receive call returns.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime};

/// Datagrams of one sender in one message; each has `stride` bytes, the last may be shorter.
#[derive(Debug)]
pub(crate) struct Train<'a> {
    pub(crate) remote: SocketAddr,
    pub(crate) bytes: &'a mut [u8],
    pub(crate) stride: usize,
    /// When the kernel received the train, by the wall clock.
    pub(crate) at: Option<SystemTime>,
}

/// The same instant on the wall clock, which the kernel uses for timestamps, and on the monotonic clock,
/// which everything else uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) now: Instant,
    wall: SystemTime,
}

impl<'a> Train<'a> {
    /// The number of datagrams; an empty datagram counts as one.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len().div_ceil(self.stride).max(1) as u64
    }

    /// `false` for an empty datagram, and for one from port 0: the kernel refuses to send to port 0, with an
    /// error that looks like missing segmentation offload.
    pub(crate) fn is_usable(&self) -> bool {
        self.remote.port() != 0 && !self.bytes.is_empty()
    }

    pub(crate) fn datagrams(self) -> impl Iterator<Item = &'a mut [u8]> {
        self.bytes.chunks_mut(self.stride)
    }
}

impl Clocks {
    pub(crate) fn read() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    /// When a train arrived. If the wall clock was set meanwhile, the result is still between [`MAX_WAIT`]
    /// ago and the present.
    pub(crate) fn arrival(&self, train: &Train<'_>) -> Instant {
        let waited = train.at.map_or(Duration::ZERO, |at| self.wall.duration_since(at).unwrap_or_default());
        self.now.checked_sub(waited.min(MAX_WAIT)).unwrap_or(self.now)
    }
}

/// A placeholder for a missing sender address.
pub(super) const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
/// Longer than a datagram can wait in a socket buffer.
const MAX_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_is_as_long_ago_as_the_kernel_says() {
        let clocks = Clocks::read();
        let ago = |waited| clocks.now - clocks.arrival(&train(Some(clocks.wall - waited), 0, &mut []));
        assert_eq!(ago(Duration::ZERO), Duration::ZERO);
        assert_eq!(ago(Duration::from_micros(1_234)), Duration::from_micros(1_234));
        assert_eq!(ago(Duration::from_secs(3_600)), MAX_WAIT);
    }

    #[test]
    fn what_the_kernel_did_not_stamp_or_stamped_with_the_future_came_just_now() {
        let clocks = Clocks::read();
        let future = clocks.wall + Duration::from_secs(5);
        for at in [None, Some(future)] {
            assert_eq!(clocks.arrival(&train(at, 0, &mut [])), clocks.now);
        }
    }

    #[test]
    fn a_train_is_cut_at_its_stride() {
        let mut bytes: Vec<u8> = (0..25).collect();
        let train = train(None, 9, &mut bytes);
        assert_eq!((train.len(), train.is_usable()), (3, true));
        let lengths: Vec<usize> = train.datagrams().map(|datagram| datagram.len()).collect();
        assert_eq!(lengths, [10, 10, 5]);
    }

    #[test]
    fn an_empty_datagram_and_one_from_port_0_are_counted_but_unusable() {
        let empty = train(None, 9, &mut []);
        assert_eq!((empty.len(), empty.is_usable()), (1, false));
        let mut bytes = [0; 11];
        let unanswerable = train(None, 0, &mut bytes);
        assert_eq!((unanswerable.len(), unanswerable.is_usable()), (2, false));
    }

    fn train(at: Option<SystemTime>, port: u16, bytes: &mut [u8]) -> Train<'_> {
        Train { remote: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), bytes, stride: 10, at }
    }
}
