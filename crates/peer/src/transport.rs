//! A peer's transport as a state machine: ICE checks, DTLS handshake, SRTP. The caller owns the socket and
//! the clock and passes datagrams in and out, so that one loop can drive many transports.

use crate::dtls::{DtlsClient, Identity};
use crate::ice::IceClient;
use crate::options::{DtlsParameters, TransportOptions};
use crate::srtp::Srtp;
use anyhow::{Context, Result, anyhow};
use bytes::{Bytes, BytesMut};
use rtc_rtp::Packet;
use rtc_shared::marshal::{Marshal, Unmarshal};
use std::collections::VecDeque;
use std::time::Instant;

pub struct Transport {
    identity: Identity,
    server: DtlsParameters,
    ice: IceClient,
    dtls: Option<DtlsClient>,
    srtp: Option<Srtp>,
    outgoing: VecDeque<Bytes>,
    /// Received packets that did not authenticate or parse.
    pub rejected: u64,
}

/// The result of a datagram.
pub enum Incoming {
    /// The handshake is done: media can flow.
    Connected,
    Rtp(Packet),
    Rtcp(Vec<Box<dyn rtcp::Packet>>),
}

impl Transport {
    pub fn new(identity: &Identity, options: &TransportOptions, now: Instant) -> Self {
        Self {
            identity: identity.clone(),
            server: options.dtls_parameters.clone(),
            ice: IceClient::new(identity.crypto.clone(), &options.ice_parameters, now),
            dtls: None,
            srtp: None,
            outgoing: VecDeque::new(),
            rejected: 0,
        }
    }

    /// Handles a datagram; its first byte selects the protocol (RFC 7983).
    pub fn handle_datagram(&mut self, bytes: &[u8], now: Instant) -> Result<Option<Incoming>> {
        match bytes {
            [0..=3, ..] => {
                if self.ice.handle(bytes, now) {
                    self.dtls = Some(DtlsClient::connect(&self.identity, &self.server, now)?);
                    self.queue_dtls();
                }
                Ok(None)
            }
            [20..=63, ..] => self.handle_dtls(bytes, now),
            [128..=191, 192..=223, ..] => Ok(self.open_rtcp(bytes).map(Incoming::Rtcp)),
            [128..=191, ..] => Ok(self.open_rtp_copy(bytes).map(Incoming::Rtp)),
            _ => {
                self.rejected += 1;
                Ok(None)
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        if let Some(check) = self.ice.poll_check(now)? {
            self.outgoing.push_back(check.into());
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now)?;
        }
        self.queue_dtls();
        Ok(())
    }

    pub fn next_timeout(&self) -> Instant {
        let check = self.ice.next_check();
        self.dtls.as_ref().and_then(DtlsClient::poll_timeout).map_or(check, |dtls| check.min(dtls))
    }

    pub fn send_rtp(&mut self, packet: &Packet) -> Result<()> {
        if self.srtp.is_none() {
            return Ok(());
        }
        let plain = packet.marshal().map_err(|error| anyhow!("RTP: {error}"))?;
        let mut sealed = Vec::from(plain);
        self.seal_rtp(&mut sealed)?;
        self.outgoing.push_back(sealed.into());
        Ok(())
    }

    /// Seals the RTP packet in `packet`, for callers that send it themselves, without
    /// [`Self::poll_transmit`].
    ///
    /// # Errors
    /// Before [`Incoming::Connected`], and if `packet` is not an RTP packet.
    pub fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> Result<()> {
        self.srtp.as_mut().context("the handshake is not done")?.seal_rtp(packet)
    }

    /// Opens an SRTP packet in place and returns the plain packet's length. If authentication fails, returns
    /// `None` and counts the packet as rejected.
    pub fn open_rtp(&mut self, datagram: &mut [u8]) -> Option<usize> {
        let opened = self.srtp.as_mut().and_then(|srtp| srtp.open_rtp(datagram));
        self.rejected += u64::from(opened.is_none());
        opened
    }

    pub fn send_rtcp(&mut self, packets: &[Box<dyn rtcp::Packet>]) -> Result<()> {
        let plain = rtcp::packet::marshal(packets).map_err(|error| anyhow!("RTCP: {error}"))?;
        self.send_rtcp_bytes(&plain)
    }

    /// Sends an RTCP compound packet that is already serialized.
    pub fn send_rtcp_bytes(&mut self, plain: &[u8]) -> Result<()> {
        let Some(srtp) = &mut self.srtp else { return Ok(()) };
        self.outgoing.push_back(srtp.seal_rtcp(plain)?.freeze());
        Ok(())
    }

    /// Sends close_notify, so that the server need not wait until consent expires.
    pub fn close(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.queue_dtls();
    }

    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outgoing.pop_front()
    }

    fn handle_dtls(&mut self, record: &[u8], now: Instant) -> Result<Option<Incoming>> {
        let Some(dtls) = &mut self.dtls else { return Ok(None) };
        let keys = dtls.handle(record, now, &*self.identity.crypto);
        self.queue_dtls();
        let Some(keys) = keys? else { return Ok(None) };
        self.srtp = Some(keys);
        Ok(Some(Incoming::Connected))
    }

    fn open_rtp_copy(&mut self, bytes: &[u8]) -> Option<Packet> {
        let mut plain = BytesMut::from(bytes);
        let length = self.open_rtp(&mut plain)?;
        plain.truncate(length);
        let packet = Packet::unmarshal(&mut plain).ok();
        self.rejected += u64::from(packet.is_none());
        packet
    }

    fn open_rtcp(&mut self, bytes: &[u8]) -> Option<Vec<Box<dyn rtcp::Packet>>> {
        let opened = self.srtp.as_mut().and_then(|srtp| srtp.open_rtcp(bytes));
        let packets = opened.and_then(|mut plain| rtcp::packet::unmarshal(&mut plain).ok());
        self.rejected += u64::from(packets.is_none());
        packets
    }

    fn queue_dtls(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            self.outgoing.extend(std::iter::from_fn(|| dtls.poll_transmit()).map(BytesMut::freeze));
        }
    }
}
