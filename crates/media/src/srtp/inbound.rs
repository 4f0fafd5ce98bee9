//! Authenticates and decrypts packets from a peer.

use super::index_window::{IndexState, IndexWindow};
use super::keys::MasterKey;
use super::packet_id::PacketId;
use super::rtcp_cipher::RtcpCipher;
use super::rtp_cipher::RtpCipher;
use rustc_hash::FxHashMap;
use thiserror::Error;

/// One transport's receiving side: authenticates, decrypts, and refuses replays of the last 1024 packets
/// of each stream.
#[derive(Debug)]
pub(crate) struct Inbound {
    rtp: RtpCipher,
    rtcp: RtcpCipher,
    /// Only authenticated packets add entries, so only the peer itself can.
    rtp_windows: FxHashMap<u32, IndexWindow>,
    rtcp_windows: FxHashMap<u32, IndexWindow>,
}

/// An RTP packet that was opened in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Length of the RTP packet in bytes: header and payload.
    pub(crate) len: usize,
    /// The packet index (RFC 3711 §3.3.1): the sequence number, extended by the rollover counter.
    pub(crate) index: u64,
}

/// Why a packet was refused. Its bytes are then unspecified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum OpenError {
    #[error("the packet is shorter than its header and the tag")]
    Malformed,
    #[error("the packet was received before")]
    Replayed,
    #[error("the packet is too late to tell from a replay")]
    TooOld,
    #[error("the SRTCP packet is not marked as encrypted")]
    NotEncrypted,
    #[error("the authentication tag is wrong")]
    Unauthenticated,
    #[error("the peer has used more SSRCs than a transport may")]
    TooManyStreams,
}

impl Inbound {
    pub(crate) fn new(master: &MasterKey) -> Self {
        Self {
            rtp: RtpCipher::new(master),
            rtcp: RtcpCipher::new(master),
            rtp_windows: FxHashMap::default(),
            rtcp_windows: FxHashMap::default(),
        }
    }

    /// Opens an SRTP packet in place. `header_len` counts CSRCs and header extensions; `ssrc` and `seq`
    /// are the header's.
    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        seq: u16,
    ) -> Result<Opened, OpenError> {
        let parts = self.rtp.split(packet, header_len).ok_or(OpenError::Malformed)?;
        let len = parts.header.len() + parts.payload.len();
        let window = self.rtp_windows.get(&ssrc);
        let index = window.map_or(u64::from(seq), |window| window.index_of(seq));
        refuse_replay(window, index, self.rtp_windows.len())?;
        self.rtp.open(PacketId { ssrc, index }, parts).map_err(|_| OpenError::Unauthenticated)?;
        remember(&mut self.rtp_windows, ssrc, index);
        Ok(Opened { len, index })
    }

    /// Opens an SRTCP packet in place and returns the RTCP packet's length in bytes.
    ///
    /// Unencrypted SRTCP is refused: DTLS-SRTP has no way to ask for it (RFC 5764 §4.1.2).
    pub(crate) fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let parts = self.rtcp.split(packet).ok_or(OpenError::Malformed)?;
        if !parts.is_encrypted() {
            return Err(OpenError::NotEncrypted);
        }
        let (len, ssrc, index) = (parts.plain_len(), parts.ssrc(), parts.index().into());
        refuse_replay(self.rtcp_windows.get(&ssrc), index, self.rtcp_windows.len())?;
        self.rtcp.open(parts).map_err(|_| OpenError::Unauthenticated)?;
        remember(&mut self.rtcp_windows, ssrc, index);
        Ok(len)
    }
}

fn refuse_replay(window: Option<&IndexWindow>, index: u64, streams: usize) -> Result<(), OpenError> {
    match window.map(|window| window.state(index)) {
        None if streams >= MAX_STREAMS => Err(OpenError::TooManyStreams),
        None | Some(IndexState::Unused) => Ok(()),
        Some(IndexState::Used) => Err(OpenError::Replayed),
        Some(IndexState::TooOld) => Err(OpenError::TooOld),
    }
}

fn remember(windows: &mut FxHashMap<u32, IndexWindow>, ssrc: u32, index: u64) {
    windows
        .entry(ssrc)
        .and_modify(|window| window.insert(index))
        .or_insert_with(|| IndexWindow::starting_at(index));
}

/// How many SSRCs one transport may use over its life, in RTP and in RTCP each. No stream is ever forgotten,
/// because its old packets could then be replayed; 2048 windows take 300 kB.
const MAX_STREAMS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::super::{Outbound, SendStream};
    use super::*;
    use crate::srtp::Profile;

    #[test]
    fn a_packet_is_opened_once_and_its_replay_refused() {
        for profile in Profile::ALL {
            let mut peer = Peer::new(profile, 7);
            let sealed = peer.seal(100);
            let opened = peer.open(sealed.clone()).unwrap();
            assert_eq!(opened, Opened { len: sealed.len() - profile.rtp_overhead(), index: 100 });
            assert_eq!(peer.open(sealed), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn a_packet_1024_behind_is_too_old_even_if_it_was_never_received() {
        let mut peer = Peer::new(Profile::AeadAes128Gcm, 7);
        let packets: Vec<_> = (1..=1025).map(|seq| peer.seal(seq)).collect();
        peer.open(packets[1024].clone()).unwrap();
        assert_eq!(peer.open(packets[0].clone()), Err(OpenError::TooOld));
        assert_eq!(peer.open(packets[1].clone()).unwrap().index, 2);
    }

    #[test]
    fn flipping_any_bit_of_a_packet_is_noticed_and_does_not_spoil_the_original() {
        for profile in Profile::ALL {
            let mut peer = Peer::new(profile, 7);
            let sealed = peer.seal(1);
            for bit in 0..8 * sealed.len() {
                let mut tampered = sealed.clone();
                tampered[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(peer.open(tampered), Err(OpenError::Unauthenticated), "bit {bit}");
            }
            assert!(peer.open(sealed).is_ok());
        }
    }

    #[test]
    fn flipping_any_bit_of_an_rtcp_packet_is_noticed() {
        for profile in Profile::ALL {
            let mut peer = Peer::new(profile, 7);
            let mut sealed = receiver_report();
            peer.outbound.seal_rtcp(&mut sealed).unwrap();
            for bit in 0..8 * sealed.len() {
                let mut tampered = sealed.clone();
                tampered[bit / 8] ^= 1 << (bit % 8);
                let refused = peer.inbound.open_rtcp(&mut tampered).unwrap_err();
                assert!(matches!(refused, OpenError::Unauthenticated | OpenError::NotEncrypted), "bit {bit}");
            }
            assert_eq!(peer.inbound.open_rtcp(&mut sealed.clone()), Ok(8));
            assert_eq!(peer.inbound.open_rtcp(&mut sealed), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn the_index_follows_the_sequence_number_through_several_wraps_with_reordering_and_loss() {
        let mut peer = Peer::new(Profile::AeadAes128Gcm, 7);
        let mut index = 0x7FF0_u64;
        while index < 0x4_0000 {
            // Two packets swapped, then a gap of up to 20 000.
            let [first, second] = [peer.seal(index as u16), peer.seal((index + 1) as u16)];
            assert_eq!(peer.open(second).unwrap().index, index + 1);
            assert_eq!(peer.open(first).unwrap().index, index);
            index += 2 + index * 7919 % 20_000;
        }
    }

    #[test]
    fn a_late_packet_from_before_the_wrap_is_opened_under_the_old_rollover() {
        let mut peer = Peer::new(Profile::AeadAes128Gcm, 7);
        for seq in [0x7000, 0xF000] {
            let sealed = peer.seal(seq);
            peer.open(sealed).unwrap();
        }
        let late = peer.seal(0xFFFF);
        for seq in 0..3 {
            let sealed = peer.seal(seq);
            assert_eq!(peer.open(sealed).unwrap().index, 0x1_0000 + u64::from(seq));
        }
        assert_eq!(peer.open(late).unwrap().index, 0xFFFF);
    }

    #[test]
    fn garbage_is_refused_without_leaving_a_trace() {
        for profile in Profile::ALL {
            let mut peer = Peer::new(profile, 7);
            for len in 0..200_usize {
                let garbage: Vec<u8> = (0..len).map(|i| (i * 31 + len) as u8).collect();
                for header_len in [0, 11, 12, 40, len, usize::MAX] {
                    assert!(peer.inbound.open_rtp(&mut garbage.clone(), header_len, 1, 1).is_err());
                }
                assert!(peer.inbound.open_rtcp(&mut garbage.clone()).is_err());
            }
            assert!(peer.inbound.rtp_windows.is_empty() && peer.inbound.rtcp_windows.is_empty());
        }
    }

    #[test]
    fn a_peer_with_too_many_ssrcs_keeps_the_streams_it_has() {
        let mut peer = Peer::new(Profile::AeadAes128Gcm, 0);
        for ssrc in 0..2048 {
            peer.start_stream(ssrc);
            let sealed = peer.seal(1);
            peer.open(sealed).unwrap();
        }
        let next_of_the_last = peer.seal(2);
        peer.start_stream(2048);
        let one_too_many = peer.seal(1);
        assert_eq!(peer.open(one_too_many), Err(OpenError::TooManyStreams));
        assert!(peer.open(next_of_the_last).is_ok());
    }

    #[test]
    fn unencrypted_rtcp_is_refused() {
        let mut peer = Peer::new(Profile::AeadAes128Gcm, 7);
        let mut sealed = receiver_report();
        peer.outbound.seal_rtcp(&mut sealed).unwrap();
        let flag = sealed.len() - 4;
        sealed[flag] &= 0x7F;
        assert_eq!(peer.inbound.open_rtcp(&mut sealed), Err(OpenError::NotEncrypted));
    }

    /// A peer that opens the packets it sealed.
    struct Peer {
        outbound: Outbound,
        inbound: Inbound,
        ssrc: u32,
        stream: SendStream,
    }

    impl Peer {
        fn new(profile: Profile, ssrc: u32) -> Self {
            let master = MasterKey::new(profile, &[0xA5; 16], &vec![0x5A; profile.salt_len()]);
            let master = master.unwrap();
            Self {
                outbound: Outbound::new(&master),
                inbound: Inbound::new(&master),
                ssrc,
                stream: SendStream::new(ssrc),
            }
        }

        fn start_stream(&mut self, ssrc: u32) {
            self.ssrc = ssrc;
            self.stream = SendStream::new(ssrc);
        }

        fn seal(&mut self, seq: u16) -> Vec<u8> {
            let mut packet = vec![0x80, 96];
            packet.extend(seq.to_be_bytes());
            packet.extend([0; 4]);
            packet.extend(self.ssrc.to_be_bytes());
            packet.extend([0xEE; 30]);
            packet.resize(packet.len() + self.outbound.profile().rtp_overhead(), 0);
            self.outbound.seal_rtp(&mut self.stream, &mut packet, 12, seq).unwrap();
            packet
        }

        fn open(&mut self, mut sealed: Vec<u8>) -> Result<Opened, OpenError> {
            let seq = u16::from_be_bytes(sealed[2..4].try_into().unwrap());
            let ssrc = u32::from_be_bytes(sealed[8..12].try_into().unwrap());
            self.inbound.open_rtp(&mut sealed, 12, ssrc, seq)
        }
    }

    fn receiver_report() -> Vec<u8> {
        vec![0x80, 201, 0, 1, 0, 0, 0, 7]
    }
}
