//! A client's end of one transport: ICE, DTLS, SRTP and SCTP over one address.

use super::data::DataChannels;
use super::ice::Ice;
use super::secure::{Dtls, Srtp};
use super::tap::Tap;
use rtc_shared::error::Error;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

pub struct Connection {
    /// The client's address.
    pub address: SocketAddr,
    /// The server's address.
    pub server: SocketAddr,
    pub ice: Ice,
    pub dtls: Dtls,
    pub srtp: Option<Srtp>,
    pub data: DataChannels,
    pub tap: Option<Tap>,
    outbox: VecDeque<Vec<u8>>,
}

/// Received media, decrypted.
pub enum Received {
    Rtp(rtc_rtp::Packet),
    Rtcp(Vec<Box<dyn rtcp::Packet>>),
}

impl Connection {
    pub fn new(address: SocketAddr, server: SocketAddr, ice: Ice, dtls: Dtls) -> Self {
        Self {
            address,
            server,
            ice,
            dtls,
            srtp: None,
            data: DataChannels::default(),
            tap: None,
            outbox: VecDeque::new(),
        }
    }

    pub fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    /// Panics at any datagram that a client could not handle: the server must not send such datagrams.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Option<Received> {
        match (datagram[0], datagram.get(1)) {
            (0..=3, _) => {
                self.ice.handle_answer(datagram);
                if self.ice.is_connected() {
                    self.dtls.start(now);
                }
                None
            }
            (20..=63, _) => {
                let secured = self.dtls.handle_datagram(now, datagram);
                self.srtp = secured.keys.or(self.srtp.take());
                self.tap.iter_mut().zip(secured.tap_keys).for_each(|(tap, keys)| tap.set_keys(keys));
                for packet in secured.data {
                    self.data.handle_packet(now, packet.freeze());
                }
                None
            }
            (128..=191, Some(192..=223)) => {
                let mut plain = self.srtp.as_mut()?.open_rtcp(datagram).expect("SRTCP that does not open");
                Some(Received::Rtcp(rtcp::packet::unmarshal(&mut plain).expect("malformed RTCP")))
            }
            (128..=191, _) => {
                let mut plain = match self.srtp.as_mut()?.open_rtp(datagram) {
                    Ok(plain) => plain,
                    // A retransmission of a packet that had arrived.
                    Err(Error::SrtpSsrcDuplicated(..)) => return None,
                    Err(error) => panic!("SRTP that does not open: {error}"),
                };
                let packet = rtc_shared::marshal::Unmarshal::unmarshal(&mut plain).expect("malformed RTP");
                Some(Received::Rtp(packet))
            }
            (first, _) => panic!("a datagram of no protocol: {first}"),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.outbox.extend(self.ice.handle_timeout(now));
        self.dtls.handle_timeout(now);
        self.data.handle_timeout(now);
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        [self.ice.next_timeout(), self.dtls.next_timeout(), self.data.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.is_connected() {
            while let Some(packet) = self.data.poll_packet(now) {
                self.dtls.write(now, &packet);
            }
        }
        self.outbox.pop_front().or_else(|| self.dtls.poll_transmit())
    }

    pub fn seal_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.srtp.as_mut().expect("media before the handshake").seal_rtp(packet).unwrap()
    }

    pub fn send_rtcp(&mut self, packets: &[Box<dyn rtcp::Packet>]) {
        if !packets.is_empty() {
            self.send_raw_rtcp(&rtcp::packet::marshal(packets).unwrap());
        }
    }

    /// Seals and sends bytes that need not be valid RTCP.
    pub fn send_raw_rtcp(&mut self, compound: &[u8]) {
        if let Some(srtp) = &mut self.srtp {
            self.outbox.push_back(srtp.seal_rtcp(compound));
        }
    }

    /// Sends a datagram unchanged.
    pub fn send_raw(&mut self, datagram: Vec<u8>) {
        self.outbox.push_back(datagram);
    }
}
