//! A client's end of a transport, with its own socket.

use anyhow::{Context, Result, bail};
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use switchyard_peer::{Identity, Incoming, Transport, TransportOptions};

pub(crate) struct Link {
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
    pub(crate) transport: Transport,
}

impl Link {
    /// Drives ICE and DTLS until media can flow.
    pub(crate) fn connect(identity: &Identity, options: &TransportOptions, ip: IpAddr) -> Result<Self> {
        let candidate = options.ice_candidates.first().context("no candidate")?;
        let socket = UdpSocket::bind((ip, 0))?;
        socket.set_read_timeout(Some(HANDSHAKE_TICK))?;
        let server = (candidate.ip, candidate.port).into();
        let mut link = Self { socket, server, transport: Transport::new(identity, options, Instant::now()) };
        let deadline = Instant::now() + HANDSHAKE;
        let mut buffer = [0; 2_048];
        while Instant::now() < deadline {
            link.transport.handle_timeout(Instant::now())?;
            link.flush()?;
            let Ok(len) = link.socket.recv(&mut buffer) else { continue };
            let incoming = link.transport.handle_datagram(&buffer[..len], Instant::now())?;
            link.flush()?;
            if let Some(Incoming::Connected) = incoming {
                link.socket.set_nonblocking(true)?;
                return Ok(link);
            }
        }
        bail!("ICE or DTLS did not connect")
    }

    /// Shrinks the receive buffer to the kernel's minimum, about one packet, so that the kernel drops what
    /// follows.
    pub(crate) fn stop_reading(&self) -> Result<()> {
        Ok(SockRef::from(&self.socket).set_recv_buffer_size(1)?)
    }

    /// Sends a consent check; without checks, consent expires (RFC 7675).
    pub(crate) fn keep_alive(&mut self, now: Instant) -> Result<()> {
        self.transport.handle_timeout(now.max(self.transport.next_timeout()))?;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        while let Some(datagram) = self.transport.poll_transmit() {
            self.socket.send_to(&datagram, self.server)?;
        }
        Ok(())
    }
}

const HANDSHAKE: Duration = Duration::from_secs(10);
const HANDSHAKE_TICK: Duration = Duration::from_millis(50);
