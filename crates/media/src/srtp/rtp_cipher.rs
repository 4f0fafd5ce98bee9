//! Where header, payload and tag of an SRTP packet lie, and how they are sealed and opened.

use super::cipher::Cipher;
use super::keys::{Labels, MasterKey};
use super::packet_id::PacketId;
use aws_lc_rs::error::Unspecified;

#[derive(Debug)]
pub(super) struct RtpCipher(pub(super) Cipher);

impl RtpCipher {
    pub(super) fn new(master: &MasterKey) -> Self {
        Self(Cipher::new(master, Labels::RTP))
    }

    /// Takes a protected packet apart; `None` if it cannot hold a header of `header_len` and a tag.
    pub(super) fn split<'p>(&self, packet: &'p mut [u8], header_len: usize) -> Option<RtpParts<'p>> {
        if header_len < MIN_HEADER_LEN {
            return None;
        }
        let (header, rest) = packet.split_at_mut_checked(header_len)?;
        let (payload, tag) = rest.split_at_mut_checked(rest.len().checked_sub(self.0.tag_len())?)?;
        Some(RtpParts { header, payload, tag })
    }

    /// Encrypts the payload in place and fills the tag.
    pub(super) fn seal(&self, id: PacketId, parts: RtpParts<'_>) -> Result<(), Unspecified> {
        let RtpParts { header, payload, tag } = parts;
        match &self.0 {
            Cipher::Gcm(gcm) => gcm.seal(id, header, payload, tag),
            Cipher::CounterMode(cipher) => cipher.seal(id, header, payload, id.roc(), tag),
        }
    }

    /// Encrypts `plaintext` into the payload, which must be as long, and fills the tag.
    pub(super) fn seal_from(
        &self,
        id: PacketId,
        plaintext: &[u8],
        parts: RtpParts<'_>,
    ) -> Result<(), Unspecified> {
        let RtpParts { header, payload, tag } = parts;
        match &self.0 {
            Cipher::Gcm(gcm) => gcm.seal_from(id, header, plaintext, payload, tag),
            Cipher::CounterMode(cipher) => {
                payload.copy_from_slice(plaintext);
                cipher.seal(id, header, payload, id.roc(), tag)
            }
        }
    }

    /// Decrypts the payload in place if the tag is right; otherwise may leave garbage in it.
    pub(super) fn open(&self, id: PacketId, parts: RtpParts<'_>) -> Result<(), Unspecified> {
        let RtpParts { header, payload, tag } = parts;
        match &self.0 {
            Cipher::Gcm(gcm) => gcm.open(id, header, payload, tag),
            Cipher::CounterMode(cipher) => cipher.open(id, header, payload, id.roc(), tag),
        }
    }
}

/// An SRTP packet's pieces, in wire order.
pub(super) struct RtpParts<'p> {
    pub(super) header: &'p [u8],
    pub(super) payload: &'p mut [u8],
    tag: &'p mut [u8],
}

/// The fixed RTP header (RFC 3550 §5.1).
const MIN_HEADER_LEN: usize = 12;
