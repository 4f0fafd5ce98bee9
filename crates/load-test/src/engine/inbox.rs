//! Receives many datagrams per system call, with the kernel's receive timestamps.

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};
use nix::sys::time::TimeSpec;
use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Buffers that every socket of an engine shares.
pub(super) struct Inbox {
    headers: MultiHeaders<()>,
    buffers: Box<[[u8; BUFFER_LEN]; BATCH]>,
    arrivals: [(usize, u64); BATCH],
}

pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a mut [u8],
    /// Arrival time by the wall clock, in nanoseconds since 1970.
    pub(super) arrival_ns: u64,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec))),
            buffers: Box::new([[0; BUFFER_LEN]; BATCH]),
            arrivals: [(0, 0); BATCH],
        }
    }

    /// Receives up to [`BATCH`] queued datagrams; an error if there are none.
    pub(super) fn receive<'a>(
        &'a mut self,
        socket: &UdpSocket,
    ) -> nix::Result<impl Iterator<Item = Datagram<'a>> + use<'a>> {
        let mut count = 0;
        {
            let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
            for (message, arrival) in received.zip(&mut self.arrivals) {
                let stamps = message.cmsgs().into_iter().flatten();
                let at = stamps.filter_map(|message| kernel_time(&message)).next();
                *arrival = (message.bytes, at.unwrap_or_else(crate::sender::wall_ns));
                count += 1;
            }
        }
        let taken = self.buffers.iter_mut().zip(&self.arrivals).take(count);
        Ok(taken.map(|(buffer, &(length, arrival_ns))| {
            let length = length.min(BUFFER_LEN);
            Datagram { bytes: &mut buffer[..length], arrival_ns }
        }))
    }
}

fn kernel_time(message: &ControlMessageOwned) -> Option<u64> {
    let ControlMessageOwned::ScmTimestampns(at) = message else { return None };
    Some(at.tv_sec().cast_unsigned() * 1_000_000_000 + at.tv_nsec().cast_unsigned())
}

const BATCH: usize = 32;
const BUFFER_LEN: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::wall_ns;
    use nix::sys::socket::{setsockopt, sockopt};

    #[test]
    fn a_batch_keeps_each_datagrams_bounds_and_receive_time_however_often_it_is_used() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&receiver, sockopt::ReceiveTimestampns, &true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut inbox = Inbox::new();
        for _ in 0..3 {
            let before = wall_ns();
            for length in [1, 1_200, 40] {
                sender.send_to(&vec![length as u8; length], receiver.local_addr().unwrap()).unwrap();
            }
            let received: Vec<_> = inbox.receive(&receiver).unwrap().collect();
            // Without a receive timestamp, the time of reading is used.
            let after = wall_ns();
            let lengths: Vec<usize> = received.iter().map(|datagram| datagram.bytes.len()).collect();
            assert_eq!(lengths, [1, 1_200, 40]);
            assert!(received.iter().all(|datagram| (before..=after).contains(&datagram.arrival_ns)));
        }
        assert!(inbox.receive(&receiver).is_err());
    }
}
