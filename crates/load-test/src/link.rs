//! A transport on a UDP socket of its own.

use anyhow::{Context, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use switchyard_peer::{IceCandidate, Identity, Incoming, Transport, TransportOptions};
use tokio::net::UdpSocket;
use tokio::time::{timeout, timeout_at};

pub(crate) struct Link {
    socket: UdpSocket,
    pub(crate) transport: Transport,
    buffer: Box<[u8]>,
    /// Datagrams that the kernel did not take.
    pub(crate) unsent: u64,
}

impl Link {
    /// `local` prefers the server's loopback candidate, so that no traffic leaves this machine.
    pub(crate) async fn open(identity: &Identity, options: &TransportOptions, local: bool) -> Result<Self> {
        let remote = choose(&options.ice_candidates, local).context("the server offers no UDP candidate")?;
        let any: IpAddr =
            if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(remote).await?;
        // From here on sends need not wait.
        socket.writable().await?;
        let transport = Transport::new(identity, options, Instant::now());
        Ok(Self { socket, transport, buffer: vec![0; 2_048].into(), unsent: 0 })
    }

    /// Drives ICE and DTLS until media can flow.
    pub(crate) async fn connect(&mut self) -> Result<()> {
        let connected = async {
            loop {
                let next = self.next(Instant::now() + CONNECT_TIMEOUT).await?;
                if let Some(Incoming::Connected) = next {
                    return Ok(());
                }
            }
        };
        timeout(CONNECT_TIMEOUT, connected).await.context("ICE or DTLS did not connect")?
    }

    /// Sends what waits, then the next thing that arrives; `None` at `until`, or when only time passed. Cancel safe.
    pub(crate) async fn next(&mut self, until: Instant) -> Result<Option<Incoming>> {
        self.flush();
        let wake_at = until.min(self.transport.next_timeout());
        let received = timeout_at(wake_at.into(), self.socket.recv(&mut self.buffer)).await;
        let now = Instant::now();
        // A refused port or a full queue is a lost datagram: ICE and DTLS say when to give up.
        let length = received.ok().and_then(Result::ok).unwrap_or(0);
        let incoming = match self.buffer.get(..length) {
            Some(bytes) if length > 0 => self.transport.handle_datagram(bytes, now)?,
            _ => None,
        };
        if now >= self.transport.next_timeout() {
            self.transport.handle_timeout(now)?;
        }
        Ok(incoming)
    }

    pub(crate) fn flush(&mut self) {
        while let Some(datagram) = self.transport.poll_transmit() {
            if self.socket.try_send(&datagram).is_err() {
                self.unsent += 1;
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.transport.close(Instant::now());
        self.flush();
    }
}

fn choose(candidates: &[IceCandidate], local: bool) -> Option<SocketAddr> {
    let udp = || candidates.iter().filter(|candidate| candidate.protocol == "udp");
    let preferred = udp().find(|candidate| local && candidate.ip.is_loopback()).or_else(|| udp().next());
    preferred.map(|candidate| SocketAddr::new(candidate.ip, candidate.port))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_test_prefers_loopback_and_any_other_the_servers_first_choice() {
        let candidates =
            [candidate("192.0.2.1", "tcp"), candidate("192.0.2.2", "udp"), candidate("127.0.0.1", "udp")];
        assert_eq!(choose(&candidates, true), Some("127.0.0.1:9".parse().unwrap()));
        assert_eq!(choose(&candidates, false), Some("192.0.2.2:9".parse().unwrap()));
        assert_eq!(choose(&candidates[..1], false), None);
    }

    fn candidate(ip: &str, protocol: &str) -> IceCandidate {
        IceCandidate { ip: ip.parse().unwrap(), port: 9, protocol: protocol.to_owned() }
    }
}
