//! Encrypts and authenticates packets for a peer.

use super::Profile;
use super::index_window::{IndexState, IndexWindow};
use super::keys::MasterKey;
use super::packet_id::PacketId;
use super::rtcp_cipher::{HEADER_LEN as RTCP_HEADER_LEN, RtcpCipher};
use super::rtp_cipher::{RtpCipher, RtpParts};
use aws_lc_rs::error::Unspecified;
use thiserror::Error;

/// One transport's sending side.
///
/// Each stream keeps its own state ([`SendStream`]), so packets of many streams can be sealed through one
/// shared reference. The transport must never make two streams with one SSRC: they would repeat nonces.
#[derive(Debug)]
pub(crate) struct Outbound {
    profile: Profile,
    rtp: RtpCipher,
    rtcp: RtcpCipher,
    next_rtcp_index: u32,
}

/// The packet indices that one outgoing stream has used.
#[derive(Debug)]
pub(crate) struct SendStream {
    ssrc: u32,
    sealed: Option<IndexWindow>,
}

/// Why a packet was not sealed. Nothing was encrypted, and no index was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SealError {
    #[error("the buffer is shorter than the header and the tag, or does not fit the payload")]
    Malformed,
    #[error("a stream must start below sequence number 2^15")]
    StartsTooHigh,
    #[error("the stream has sealed a packet with this sequence number")]
    IndexReused,
    #[error("the sequence number is too far behind the stream's highest")]
    TooOld,
    #[error("the packet to be sent again was never sent")]
    NeverSealed,
    #[error("the transport's keys have protected as many packets as they may")]
    KeysExhausted,
}

impl Outbound {
    pub(crate) fn new(master: &MasterKey) -> Self {
        Self {
            profile: master.profile(),
            rtp: RtpCipher::new(master),
            rtcp: RtcpCipher::new(master),
            next_rtcp_index: 0,
        }
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals an RTP packet in place.
    ///
    /// `packet` holds header and payload, and ends with [`Profile::rtp_overhead`] bytes of room for the
    /// tag. `header_len` counts CSRCs and header extensions; `seq` is the header's. Packets may come up to
    /// 1023 behind the highest, but none twice.
    pub(crate) fn seal_rtp(
        &self,
        stream: &mut SendStream,
        packet: &mut [u8],
        header_len: usize,
        seq: u16,
    ) -> Result<(), SealError> {
        let parts = self.split(packet, header_len)?;
        let id = stream.claim(seq)?;
        self.rtp.seal(id, parts).map_err(malformed)
    }

    /// As [`seal_rtp`](Self::seal_rtp), with the payload taken from elsewhere: one pass encrypts and
    /// copies. `packet` holds the header and room for the payload and the tag.
    pub(crate) fn seal_rtp_from(
        &self,
        stream: &mut SendStream,
        payload: &[u8],
        packet: &mut [u8],
        header_len: usize,
        seq: u16,
    ) -> Result<(), SealError> {
        let parts = self.split(packet, header_len)?;
        if parts.payload.len() != payload.len() {
            return Err(SealError::Malformed);
        }
        let id = stream.claim(seq)?;
        self.rtp.seal_from(id, payload, parts).map_err(malformed)
    }

    /// Seals a retransmission under the index that it was first sent with.
    ///
    /// **The caller guarantees that header and payload are byte for byte those sealed before.** A different
    /// plaintext under the same nonce gives the peer's keys away; a retransmission that differs
    /// (RFC 4588, or a changed header extension) needs a sequence number of its own.
    pub(crate) fn reseal_identical(
        &self,
        stream: &SendStream,
        packet: &mut [u8],
        header_len: usize,
        seq: u16,
    ) -> Result<(), SealError> {
        let parts = self.split(packet, header_len)?;
        let id = stream.find(seq)?;
        self.rtp.seal(id, parts).map_err(malformed)
    }

    /// Seals a compound RTCP packet and appends the index and tag to it, [`Profile::rtcp_overhead`] bytes.
    pub(crate) fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SealError> {
        if packet.len() < RTCP_HEADER_LEN {
            return Err(SealError::Malformed);
        }
        if self.next_rtcp_index > MAX_RTCP_INDEX {
            return Err(SealError::KeysExhausted);
        }
        packet.resize(packet.len() + self.profile.rtcp_overhead(), 0);
        let mut parts = self.rtcp.split(packet).ok_or(SealError::Malformed)?;
        parts.set_index(self.next_rtcp_index);
        self.next_rtcp_index += 1;
        self.rtcp.seal(parts).map_err(malformed)
    }

    fn split<'p>(&self, packet: &'p mut [u8], header_len: usize) -> Result<RtpParts<'p>, SealError> {
        self.rtp.split(packet, header_len).ok_or(SealError::Malformed)
    }
}

impl SendStream {
    pub(crate) fn new(ssrc: u32) -> Self {
        Self { ssrc, sealed: None }
    }

    /// Marks the packet with this sequence number as sealed.
    fn claim(&mut self, seq: u16) -> Result<PacketId, SealError> {
        let index = match &mut self.sealed {
            // A receiver that misses the first packets guesses rollover 0 (RFC 3711 §3.3.1), which is
            // wrong if they included a wrap.
            None if seq >= 1 << 15 => return Err(SealError::StartsTooHigh),
            None => {
                self.sealed = Some(IndexWindow::starting_at(seq.into()));
                seq.into()
            }
            Some(window) => {
                let index = window.index_of(seq);
                if index > MAX_RTP_INDEX {
                    return Err(SealError::KeysExhausted);
                }
                match window.state(index) {
                    IndexState::Unused => window.insert(index),
                    IndexState::Used => return Err(SealError::IndexReused),
                    IndexState::TooOld => return Err(SealError::TooOld),
                }
                index
            }
        };
        Ok(PacketId { ssrc: self.ssrc, index })
    }

    /// Finds the packet with this sequence number, which must have been sealed.
    fn find(&self, seq: u16) -> Result<PacketId, SealError> {
        let window = self.sealed.as_ref().ok_or(SealError::NeverSealed)?;
        let index = window.index_of(seq);
        match window.state(index) {
            IndexState::Unused => Err(SealError::NeverSealed),
            IndexState::Used => Ok(PacketId { ssrc: self.ssrc, index }),
            IndexState::TooOld => Err(SealError::TooOld),
        }
    }
}

/// The lengths are checked before the cipher runs, which has no other reason to fail.
fn malformed(_: Unspecified) -> SealError {
    SealError::Malformed
}

/// 2^48 packets may be protected with one master key, and 2^31 of SRTCP (RFC 3711 §9.2).
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_is_never_sealed_twice() {
        let (outbound, mut stream) = (outbound(Profile::AeadAes128Gcm), SendStream::new(9));
        let mut seal = |seq: u16| outbound.seal_rtp(&mut stream, &mut packet(&outbound), 12, seq);
        assert_eq!(seal(10), Ok(()));
        assert_eq!(seal(10), Err(SealError::IndexReused));
        assert_eq!(seal(12), Ok(()));
        assert_eq!(seal(11), Ok(()));
        assert_eq!(seal(11), Err(SealError::IndexReused));
        assert_eq!(seal(12 + 1024), Ok(()));
        assert_eq!(seal(12), Err(SealError::TooOld));
        assert_eq!(seal(13), Ok(()));
    }

    #[test]
    fn a_sequence_number_is_free_again_after_a_wrap() {
        let (outbound, mut stream) = (outbound(Profile::AeadAes128Gcm), SendStream::new(9));
        for step in 0..3 * 0x1_0000_u32 {
            let sealed = outbound.seal_rtp(&mut stream, &mut packet(&outbound), 12, step as u16);
            assert_eq!(sealed, Ok(()), "step {step:#x}");
        }
    }

    #[test]
    fn a_stream_that_starts_in_the_upper_half_is_refused() {
        let (outbound, mut stream) = (outbound(Profile::AeadAes128Gcm), SendStream::new(9));
        let mut seal = |seq: u16| outbound.seal_rtp(&mut stream, &mut packet(&outbound), 12, seq);
        assert_eq!(seal(0x8000), Err(SealError::StartsTooHigh));
        assert_eq!(seal(0x7FFF), Ok(()));
        assert_eq!(seal(0x8000), Ok(()));
    }

    #[test]
    fn an_identical_retransmission_gives_the_same_bytes_and_nothing_else_is_resealed() {
        for profile in Profile::ALL {
            let (outbound, mut stream) = (outbound(profile), SendStream::new(9));
            let mut original = packet(&outbound);
            outbound.seal_rtp(&mut stream, &mut original, 12, 10).unwrap();

            let mut again = packet(&outbound);
            assert_eq!(outbound.reseal_identical(&stream, &mut again, 12, 10), Ok(()));
            assert_eq!(again, original);
            for never_sent in [9, 11] {
                let refused = outbound.reseal_identical(&stream, &mut packet(&outbound), 12, never_sent);
                assert_eq!(refused, Err(SealError::NeverSealed));
            }
        }
    }

    #[test]
    fn sealing_from_a_shared_payload_gives_the_same_bytes_as_sealing_in_place() {
        for profile in Profile::ALL {
            let outbound = outbound(profile);
            let mut in_place = packet(&outbound);
            let payload = in_place[12..in_place.len() - profile.rtp_overhead()].to_vec();
            let mut copied = in_place.clone();
            copied[12..].fill(0);

            outbound.seal_rtp(&mut SendStream::new(9), &mut in_place, 12, 10).unwrap();
            outbound.seal_rtp_from(&mut SendStream::new(9), &payload, &mut copied, 12, 10).unwrap();
            assert_eq!(copied, in_place);
        }
    }

    #[test]
    fn a_buffer_of_the_wrong_size_is_refused_and_uses_no_index() {
        for profile in Profile::ALL {
            let (outbound, mut stream) = (outbound(profile), SendStream::new(9));
            let whole = 12 + profile.rtp_overhead();
            for (len, header_len) in [(0, 12), (whole - 1, 12), (whole, 11), (whole, 13), (whole, usize::MAX)]
            {
                let refused = outbound.seal_rtp(&mut stream, &mut vec![0; len], header_len, 1);
                assert_eq!(refused, Err(SealError::Malformed), "{len} bytes, header {header_len}");
            }
            let refused = outbound.seal_rtp_from(&mut stream, &[0; 5], &mut vec![0; whole + 4], 12, 1);
            assert_eq!(refused, Err(SealError::Malformed));
            assert_eq!(outbound.seal_rtp(&mut stream, &mut vec![0; whole], 12, 1), Ok(()));
        }
    }

    #[test]
    fn rtcp_stops_before_an_index_repeats() {
        let mut outbound = outbound(Profile::AeadAes128Gcm);
        outbound.next_rtcp_index = MAX_RTCP_INDEX;
        assert_eq!(outbound.seal_rtcp(&mut vec![0; 8]), Ok(()));
        assert_eq!(outbound.seal_rtcp(&mut vec![0; 8]), Err(SealError::KeysExhausted));
    }

    #[test]
    fn rtcp_without_a_sender_ssrc_is_refused() {
        assert_eq!(outbound(Profile::AeadAes128Gcm).seal_rtcp(&mut vec![0; 7]), Err(SealError::Malformed));
    }

    fn outbound(profile: Profile) -> Outbound {
        let master = MasterKey::new(profile, &[1; 16], &vec![2; profile.salt_len()]);
        Outbound::new(&master.unwrap())
    }

    fn packet(outbound: &Outbound) -> Vec<u8> {
        let mut packet: Vec<u8> = (0..200).collect();
        packet.resize(packet.len() + outbound.profile().rtp_overhead(), 0);
        packet
    }
}
