//! Keeps a forwarder busy: each burst is sent when the previous one has reached the witness.
//!
//! So bursts never merge in the forwarder's socket, and the forwarder neither drops nor sleeps much.

use anyhow::{Context, Result, ensure};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) struct Driver<'a> {
    pub(crate) from: &'a UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) witness: &'a UdpSocket,
    /// Packets per burst.
    pub(crate) burst: usize,
}

impl Driver<'_> {
    /// Sends one burst per `interval`, without waiting for the witness.
    pub(crate) fn pace(&self, bursts: &[Vec<u8>], interval: Duration) -> Result<()> {
        let state = UdpSocketState::new(UdpSockRef::from(self.from))?;
        let mut next = Instant::now();
        for burst in bursts {
            self.send(&state, burst)?;
            next += interval;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    /// Sends all bursts; returns how many did not reach the witness in time.
    pub(crate) fn run(&self, bursts: &[Vec<u8>]) -> Result<u64> {
        let state = UdpSocketState::new(UdpSockRef::from(self.from))?;
        let (mut late, mut in_a_row) = (0, 0);
        while self.witness.recv(&mut [0; 2_048]).is_ok() {}
        for burst in bursts {
            self.send(&state, burst)?;
            if self.witnessed() {
                in_a_row = 0;
            } else {
                late += 1;
                in_a_row += 1;
                ensure!(in_a_row < MAX_LATE, "{in_a_row} bursts in a row did not come through");
            }
        }
        Ok(late)
    }

    /// Sends a burst with one call, so that its packets arrive together.
    pub(crate) fn send(&self, state: &UdpSocketState, burst: &[u8]) -> Result<()> {
        let segment_size = Some(burst.len() / self.burst);
        let run = Transmit { destination: self.to, ecn: None, contents: burst, segment_size, src_ip: None };
        state.try_send(UdpSockRef::from(self.from), &run).context("sending a burst")
    }

    /// Waits for the burst at the witness, without sleeping: waking this thread would cost the forwarder
    /// time. `false` on timeout.
    fn witnessed(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let (mut missing, mut buffer) = (self.burst, [0; 2_048]);
        while missing > 0 && Instant::now() < deadline {
            match self.witness.recv(&mut buffer) {
                // Counts RTP, not RTCP (RFC 5761 §4).
                Ok(_) if !(192..224).contains(&buffer[1]) => missing -= 1,
                Ok(_) | Err(_) => {}
            }
        }
        missing == 0
    }
}

const PATIENCE: Duration = Duration::from_millis(100);
const MAX_LATE: u64 = 20;
