//! Sends to many destinations with the fewest system calls: sendmmsg, each message a UDP_SEGMENT run.

use anyhow::{Context, Result, bail};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

pub(crate) struct Sender {
    destinations: Vec<Option<SockaddrIn>>,
    headers: MultiHeaders<SockaddrIn>,
    /// Bytes of one packet.
    segment: u16,
    /// Bytes of one run.
    run: usize,
    batch: usize,
}

impl Sender {
    /// Runs of `burst` packets of `len` bytes.
    pub(crate) fn new(to: &[SocketAddr], len: usize, burst: usize) -> Result<Self> {
        let run = len * burst;
        let batch = (BATCH_BYTES / run).clamp(1, MAX_MESSAGES);
        let control = (burst > 1).then(|| nix::cmsg_space!(u16));
        let destinations = to.iter().map(|address| match address {
            SocketAddr::V4(address) => Ok(Some(SockaddrIn::from(*address))),
            SocketAddr::V6(_) => bail!("the bench is at home in IPv4"),
        });
        Ok(Self {
            destinations: destinations.collect::<Result<_>>()?,
            headers: MultiHeaders::preallocate(batch, control),
            segment: u16::try_from(len)?,
            run,
            batch,
        })
    }

    /// How many destinations one call serves.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Sends a run to every destination.
    pub(crate) fn send_all(&mut self, socket: &UdpSocket, sealed: &[u8]) -> Result<()> {
        let all = self.destinations.len();
        for (first, sealed) in (0..all).step_by(self.batch).zip(sealed.chunks(self.run * self.batch)) {
            self.send(socket, first..all.min(first + self.batch), sealed)?;
        }
        Ok(())
    }

    /// Sends the first runs of `sealed` to these destinations, one each, [`Self::batch`] at most.
    pub(crate) fn send(&mut self, socket: &UdpSocket, to: Range<usize>, sealed: &[u8]) -> Result<()> {
        let mut runs = sealed.chunks_exact(self.run);
        let messages: [[IoSlice<'_>; 1]; MAX_MESSAGES] =
            std::array::from_fn(|_| [IoSlice::new(runs.next().unwrap_or_default())]);
        let segmented = [ControlMessage::UdpGsoSegments(&self.segment)];
        let control = if self.run > usize::from(self.segment) { &segmented[..] } else { &[] };
        let (messages, to) = (&messages[..to.len()], &self.destinations[to]);
        sendmmsg(socket.as_raw_fd(), &mut self.headers, messages, to, control, MsgFlags::empty())
            .context("sendmmsg")?;
        Ok(())
    }
}

/// More messages per call gain nothing.
const MAX_MESSAGES: usize = 64;
/// Bytes sealed before each send; fits a core's L2 cache.
const BATCH_BYTES: usize = 256 * 1024;
