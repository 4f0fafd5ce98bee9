//! SRTP as this client needs it: RTP sealed and opened in place, RTCP by the library.
//!
//! A load generator opens more packets than any real client. With AEAD_AES_128_GCM (RFC 7714), which every
//! server that supports it selects, an RTP packet is therefore opened in place, without an allocation. With
//! the other profile the library opens a copy.

use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use rtc_crypto::RTCCryptoProvider;
use rtc_srtp::config::SessionKeys;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::collections::HashMap;

/// Both directions of a finished handshake.
pub(crate) struct Srtp {
    rtp_out: RtpCipher,
    rtp_in: RtpCipher,
    rtcp_out: Context,
    rtcp_in: Context,
}

impl Srtp {
    pub(crate) fn new(
        keys: &SessionKeys,
        profile: ProtectionProfile,
        crypto: &dyn RTCCryptoProvider,
    ) -> Result<Self> {
        let (local, remote) = (
            (&keys.local_master_key[..], &keys.local_master_salt[..]),
            (&keys.remote_master_key[..], &keys.remote_master_salt[..]),
        );
        let context = |(key, salt): (&[u8], &[u8])| {
            Context::new(key, salt, profile, None, None, crypto.crypto())
                .map_err(|error| anyhow!("SRTP: {error}"))
        };
        let rtp = |(key, salt): (&[u8], &[u8])| {
            if matches!(profile, ProtectionProfile::AeadAes128Gcm) {
                Gcm::new(key, salt).map(RtpCipher::Gcm)
            } else {
                Ok(RtpCipher::Library(Box::new(context((key, salt))?)))
            }
        };
        Ok(Self {
            rtp_out: rtp(local)?,
            rtp_in: rtp(remote)?,
            rtcp_out: context(local)?,
            rtcp_in: context(remote)?,
        })
    }

    /// Seals the RTP packet in `packet`.
    pub(crate) fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> Result<()> {
        match &mut self.rtp_out {
            RtpCipher::Gcm(gcm) => gcm.seal(packet),
            RtpCipher::Library(context) => {
                let sealed = context.encrypt_rtp(packet).map_err(|error| anyhow!("SRTP: {error}"))?;
                packet.clear();
                packet.extend_from_slice(&sealed);
                Ok(())
            }
        }
    }

    /// Opens the SRTP packet in place. Returns the length of the plain packet, or `None` if authentication
    /// fails.
    pub(crate) fn open_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        match &mut self.rtp_in {
            RtpCipher::Gcm(gcm) => gcm.open(packet),
            RtpCipher::Library(context) => {
                let plain = context.decrypt_rtp(packet).ok()?;
                packet.get_mut(..plain.len())?.copy_from_slice(&plain);
                Some(plain.len())
            }
        }
    }

    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Result<bytes::BytesMut> {
        self.rtcp_out.encrypt_rtcp(packet).map_err(|error| anyhow!("SRTCP: {error}"))
    }

    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Option<bytes::BytesMut> {
        self.rtcp_in.decrypt_rtcp(packet).ok()
    }

    /// The other end's view of the same keys.
    #[cfg(test)]
    pub(crate) fn swapped(self) -> Self {
        Self { rtp_out: self.rtp_in, rtp_in: self.rtp_out, rtcp_out: self.rtcp_in, rtcp_in: self.rtcp_out }
    }
}

enum RtpCipher {
    Gcm(Gcm),
    Library(Box<Context>),
}

/// One direction of RTP under AEAD_AES_128_GCM. It keeps no replay list: repeated packets show in the packet
/// counts.
struct Gcm {
    key: LessSafeKey,
    salt: [u8; SALT_LEN],
    /// The highest packet index of each SSRC.
    highest: HashMap<u32, u64>,
}

impl Gcm {
    fn new(master_key: &[u8], master_salt: &[u8]) -> Result<Self> {
        let key: [u8; KEY_LEN] = derive(master_key, master_salt, LABEL_KEY)?;
        let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| anyhow!("SRTP: not an AES-128 key"))?;
        let salt = derive(master_key, master_salt, LABEL_SALT)?;
        Ok(Self { key: LessSafeKey::new(key), salt, highest: HashMap::new() })
    }

    fn seal(&mut self, packet: &mut Vec<u8>) -> Result<()> {
        let id = self.identify(packet).ok_or_else(|| anyhow!("SRTP: not an RTP packet"))?;
        let (header, body) = packet.split_at_mut(id.header_len);
        let nonce = self.nonce(&id);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body);
        packet.extend_from_slice(tag.map_err(|_| anyhow!("SRTP: sealing failed"))?.as_ref());
        self.advance(&id);
        Ok(())
    }

    fn open(&mut self, packet: &mut [u8]) -> Option<usize> {
        let id = self.identify(packet)?;
        let (header, body) = packet.split_at_mut_checked(id.header_len)?;
        let plain = self.key.open_in_place(self.nonce(&id), Aad::from(&*header), body).ok()?.len();
        self.advance(&id);
        Some(id.header_len + plain)
    }

    /// Reads the SSRC and the packet index. The rollover counter is the one that makes the index nearest to
    /// the highest so far (RFC 3711 §3.3.1).
    fn identify(&self, packet: &[u8]) -> Option<PacketId> {
        let sequence = u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?);
        let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
        let index = match self.highest.get(&ssrc) {
            Some(&highest) => {
                let distance = sequence.wrapping_sub(highest as u16).cast_signed();
                highest.checked_add_signed(distance.into())?
            }
            None => sequence.into(),
        };
        Some(PacketId { ssrc, index, header_len: header_len(packet)? })
    }

    fn advance(&mut self, id: &PacketId) {
        let highest = self.highest.entry(id.ssrc).or_insert(id.index);
        *highest = id.index.max(*highest);
    }

    /// RFC 7714 §8.1: two zero octets, SSRC, rollover counter and sequence number, mixed into the salt.
    fn nonce(&self, id: &PacketId) -> Nonce {
        let mut nonce = self.salt;
        let [_, _, index @ ..] = id.index.to_be_bytes();
        let parts = id.ssrc.to_be_bytes().into_iter().chain(index);
        nonce[2..].iter_mut().zip(parts).for_each(|(byte, part)| *byte ^= part);
        Nonce::assume_unique_for_key(nonce)
    }
}

struct PacketId {
    ssrc: u32,
    index: u64,
    header_len: usize,
}

/// The fixed header, CSRCs and the extension block (RFC 3550 §5.1), all of which stay readable.
fn header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let fixed = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 == 0 {
        return Some(fixed);
    }
    let words = u16::from_be_bytes(packet.get(fixed + 2..fixed + 4)?.try_into().ok()?);
    Some(fixed + 4 + 4 * usize::from(words))
}

/// Derives a session key from the master key (RFC 3711 §4.3.1, key derivation rate 0): zeros are encrypted by
/// AES in counter mode, starting from the salt with the label mixed in. A salt of 96 bits is padded at its
/// end (RFC 7714 §11).
fn derive<const N: usize>(master_key: &[u8], master_salt: &[u8], label: u8) -> Result<[u8; N]> {
    let failed = |_| anyhow!("SRTP: deriving session keys failed");
    let mut counter = [0; 16];
    counter.iter_mut().zip(master_salt).for_each(|(to, from)| *to = *from);
    counter[LABEL_OFFSET] ^= label;
    let mut derived = [0; N];
    let key = UnboundCipherKey::new(&AES_128, master_key).and_then(EncryptingKey::ctr).map_err(failed)?;
    key.less_safe_encrypt(&mut derived, EncryptionContext::Iv128(counter.into())).map_err(failed)?;
    Ok(derived)
}

const KEY_LEN: usize = 16;
const SALT_LEN: usize = 12;
const LABEL_OFFSET: usize = 7;
const LABEL_KEY: u8 = 0;
const LABEL_SALT: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_here_the_library_opens_and_the_other_way_round_also_after_a_wrap() {
        let crypto = rtc_crypto::default_provider().unwrap();
        let keys = SessionKeys {
            local_master_key: vec![1; 16],
            local_master_salt: vec![2; 12],
            remote_master_key: vec![3; 16],
            remote_master_salt: vec![4; 12],
        };
        let profile = ProtectionProfile::AeadAes128Gcm;
        let mut ours = Srtp::new(&keys, profile, &*crypto).unwrap();
        let theirs =
            |key: u8| Context::new(&[key; 16], &[key + 1; 12], profile, None, None, crypto.crypto()).unwrap();
        let (mut opener, mut sealer) = (theirs(1), theirs(3));
        for sequence in [65_534, 65_535, 0, 1_u16] {
            let plain = packet(sequence);
            let mut sealed = plain.clone();
            ours.seal_rtp(&mut sealed).unwrap();
            assert_eq!(opener.decrypt_rtp(&sealed).unwrap()[..], plain);
            let mut sealed = sealer.encrypt_rtp(&plain).unwrap();
            let opened = ours.open_rtp(&mut sealed).unwrap();
            assert_eq!(sealed[..opened], plain);
        }
    }

    #[test]
    fn a_changed_or_shortened_packet_is_refused() {
        let mut gcm = Gcm::new(&[1; 16], &[2; 12]).unwrap();
        let mut sealed = packet(9);
        gcm.seal(&mut sealed).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(gcm.open(&mut changed), None, "byte {at}");
            assert_eq!(gcm.open(&mut sealed.clone()[..at]), None, "cut to {at}");
        }
        assert!(gcm.open(&mut sealed).is_some());
    }

    /// A packet with an extension block in the one-byte form.
    fn packet(sequence: u16) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        let header = [0x90, 96, high, low, 0, 0, 0, 1, 0, 0, 0, 7];
        [&header[..], &[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0], b"payload"].concat()
    }
}
