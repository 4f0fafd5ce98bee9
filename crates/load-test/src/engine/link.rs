//! One transport with its own UDP socket.

use super::NewLink;
use crate::receiver::{Opener, Receiver};
use crate::sender::{Sender, Wire};
use crate::signaling::Consumer;
use crate::tally::Tally;
use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Instant;
use switchyard_peer::{Identity, Incoming, Transport};
use tokio::sync::oneshot;

pub(super) struct Link {
    wire: SocketWire,
    role: Role,
    /// When the engine must call [`Link::act`] next.
    pub(super) due: Instant,
    connected: Option<oneshot::Sender<()>>,
    first_packet: Option<oneshot::Sender<Instant>>,
    is_up: bool,
}

/// The purpose of a transport.
pub(crate) enum Role {
    Send(Box<Sender>),
    Receive(Box<Receiver>),
}

struct SocketWire {
    socket: UdpSocket,
    transport: Transport,
}

impl Link {
    pub(super) fn open(
        identity: &Identity,
        new: NewLink,
        connected: oneshot::Sender<()>,
        first_packet: oneshot::Sender<Instant>,
    ) -> Result<Self> {
        let any: IpAddr =
            if new.remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        socket.connect(new.remote)?;
        let now = Instant::now();
        let transport = Transport::new(identity, &new.options, now);
        Ok(Self {
            wire: SocketWire { socket, transport },
            role: new.role,
            due: now,
            connected: Some(connected),
            first_packet: Some(first_packet),
            is_up: false,
        })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.wire.socket
    }

    pub(super) fn listen(&mut self, consumers: &[Consumer]) {
        if let Role::Receive(receiver) = &mut self.role {
            consumers.iter().for_each(|consumer| receiver.listen(consumer));
        }
    }

    pub(super) fn unlisten(&mut self, consumer: &str) {
        if let Role::Receive(receiver) = &mut self.role {
            receiver.unlisten(consumer);
        }
    }

    /// Handles a received datagram.
    pub(super) fn take(&mut self, datagram: &mut [u8], arrival_ns: u64, now: Instant, tally: &mut Tally) {
        let is_rtp = matches!(datagram, [128..=191, 0..=191 | 224..=255, ..]);
        if is_rtp && !self.is_up {
            // The server has finished the handshake and this end has not: it cannot decrypt yet.
            return;
        }
        if let Role::Receive(receiver) = &mut self.role
            && is_rtp
        {
            let is_media = receiver.receive(datagram, arrival_ns, now, &mut self.wire, tally);
            if is_media && let Some(first) = self.first_packet.take() {
                // The receiver may be gone.
                let _ = first.send(now);
            }
            return;
        }
        // Errors are ignored: if the handshake fails, the transport never connects, and that is reported.
        match self.wire.transport.handle_datagram(datagram, now).ok().flatten() {
            Some(Incoming::Connected) => {
                self.is_up = true;
                if let Role::Send(sender) = &mut self.role {
                    sender.begin(now);
                }
                self.connected.take().map(|connected| connected.send(()));
            }
            Some(Incoming::Rtcp(packets)) => match &mut self.role {
                Role::Send(sender) => sender.heed(&packets, &mut Tallied { wire: &mut self.wire, tally }),
                Role::Receive(receiver) => receiver.heed(&packets, now),
            },
            Some(Incoming::Rtp(_)) | None => {}
        }
        self.wire.flush(tally);
    }

    /// Handles everything that is due.
    pub(super) fn act(&mut self, now: Instant, tally: &mut Tally) {
        if self.wire.transport.next_timeout() <= now {
            // Errors are ignored, as in `take`.
            let _ = self.wire.transport.handle_timeout(now);
        }
        if self.is_up {
            match &mut self.role {
                Role::Send(sender) => sender.send_due(now, &mut Tallied { wire: &mut self.wire, tally }),
                Role::Receive(receiver) => {
                    let wire = &mut self.wire;
                    receiver.feed_back(now, tally, |packet| wire.rtcp(packet));
                }
            }
        }
        self.wire.flush(tally);
    }

    pub(super) fn next_due(&self) -> Instant {
        let transport = self.wire.transport.next_timeout();
        match &self.role {
            Role::Send(sender) if self.is_up => transport.min(sender.next_due()),
            Role::Receive(receiver) if self.is_up => transport.min(receiver.next_due()),
            Role::Send(_) | Role::Receive(_) => transport,
        }
    }

    pub(super) fn settle(&mut self, second: u64, tally: &mut Tally) {
        if let Role::Receive(receiver) = &mut self.role {
            receiver.settle(second, tally);
        }
    }

    pub(super) fn close(&mut self, tally: &mut Tally) {
        self.wire.transport.close(Instant::now());
        self.wire.flush(tally);
    }
}

impl SocketWire {
    fn rtcp(&mut self, packet: &[u8]) {
        // Sealing can fail only for an invalid packet.
        let _ = self.transport.send_rtcp_bytes(packet);
    }

    fn flush(&mut self, tally: &mut Tally) {
        while let Some(datagram) = self.transport.poll_transmit() {
            tally.counts.unsent += u64::from(self.socket.send(&datagram).is_err());
        }
    }
}

impl Opener for SocketWire {
    fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        self.transport.open_rtp(datagram)
    }
}

/// A sender's wire: sends packets and counts them.
struct Tallied<'a> {
    wire: &'a mut SocketWire,
    tally: &'a mut Tally,
}

impl Wire for Tallied<'_> {
    fn rtp(&mut self, packet: &mut Vec<u8>) {
        let sent = self.wire.transport.seal_rtp(packet).is_ok() && self.wire.socket.send(packet).is_ok();
        self.tally.counts.unsent += u64::from(!sent);
    }

    fn rtcp(&mut self, packet: &[u8]) {
        self.wire.rtcp(packet);
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally
    }
}

/// Bytes for some seconds of video: packets that a busy generator reads late must not count as lost by the
/// server.
const RECEIVE_BUFFER: usize = 1 << 20;
