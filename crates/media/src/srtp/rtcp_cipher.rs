//! Where header, body, index and tag of an SRTCP packet lie, and how they are sealed and opened.

use super::cipher::Cipher;
use super::keys::{Labels, MasterKey};
use super::packet_id::PacketId;
use super::{counter_mode, gcm};
use aws_lc_rs::error::Unspecified;

#[derive(Debug)]
pub(super) struct RtcpCipher(pub(super) Cipher);

impl RtcpCipher {
    pub(super) fn new(master: &MasterKey) -> Self {
        Self(Cipher::new(master, Labels::RTCP))
    }

    /// Takes a protected packet apart; `None` if it is too short.
    pub(super) fn split<'p>(&self, packet: &'p mut [u8]) -> Option<RtcpParts<'p>> {
        let (header, rest) = packet.split_first_chunk_mut()?;
        let (body, index_word, tag) = match &self.0 {
            // RFC 7714 §9.2: the tag belongs to the ciphertext, so it precedes the index.
            Cipher::Gcm(_) => {
                let (rest, index_word) = rest.split_last_chunk_mut()?;
                let (body, tag) = rest.split_last_chunk_mut::<{ gcm::TAG_LEN }>()?;
                (body, index_word, tag.as_mut_slice())
            }
            // RFC 3711 §3.4: the tag covers the index, so it follows it.
            Cipher::CounterMode(_) => {
                let (rest, tag) = rest.split_last_chunk_mut::<{ counter_mode::TAG_LEN }>()?;
                let (body, index_word) = rest.split_last_chunk_mut()?;
                (body, index_word, tag.as_mut_slice())
            }
        };
        Some(RtcpParts { header, body, index_word, tag })
    }

    /// Encrypts the body in place and fills the tag. The index must be set.
    pub(super) fn seal(&self, parts: RtcpParts<'_>) -> Result<(), Unspecified> {
        let (id, aad) = (parts.id(), parts.aad());
        let RtcpParts { header, body, index_word, tag } = parts;
        match &self.0 {
            Cipher::Gcm(gcm) => gcm.seal(id, &aad, body, tag),
            Cipher::CounterMode(cipher) => cipher.seal(id, header, body, *index_word, tag),
        }
    }

    /// Decrypts the body in place if the tag is right; otherwise may leave garbage in it.
    pub(super) fn open(&self, parts: RtcpParts<'_>) -> Result<(), Unspecified> {
        let (id, aad) = (parts.id(), parts.aad());
        let RtcpParts { header, body, index_word, tag } = parts;
        match &self.0 {
            Cipher::Gcm(gcm) => gcm.open(id, &aad, body, tag),
            Cipher::CounterMode(cipher) => cipher.open(id, header, body, *index_word, tag),
        }
    }
}

/// An SRTCP packet's pieces.
pub(super) struct RtcpParts<'p> {
    header: &'p [u8; HEADER_LEN],
    body: &'p mut [u8],
    /// The E flag and the 31-bit SRTCP index.
    index_word: &'p mut [u8; INDEX_LEN],
    tag: &'p mut [u8],
}

impl RtcpParts<'_> {
    pub(super) fn ssrc(&self) -> u32 {
        let [_, _, _, _, ssrc @ ..] = *self.header;
        u32::from_be_bytes(ssrc)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        u32::from_be_bytes(*self.index_word) & ENCRYPTED_FLAG != 0
    }

    pub(super) fn index(&self) -> u32 {
        u32::from_be_bytes(*self.index_word) & !ENCRYPTED_FLAG
    }

    /// Marks the packet as encrypted under the 31-bit `index`.
    pub(super) fn set_index(&mut self, index: u32) {
        *self.index_word = (ENCRYPTED_FLAG | index).to_be_bytes();
    }

    /// Length of the RTCP packet in bytes.
    pub(super) fn plain_len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    fn id(&self) -> PacketId {
        PacketId { ssrc: self.ssrc(), index: self.index().into() }
    }

    /// What GCM authenticates beside the body (RFC 7714 §9.2).
    fn aad(&self) -> [u8; HEADER_LEN + INDEX_LEN] {
        let mut aad = [0; HEADER_LEN + INDEX_LEN];
        aad[..HEADER_LEN].copy_from_slice(self.header);
        aad[HEADER_LEN..].copy_from_slice(self.index_word);
        aad
    }
}

/// Bytes of the first packet that are not encrypted: its header and sender SSRC.
pub(super) const HEADER_LEN: usize = 8;
const INDEX_LEN: usize = 4;
const ENCRYPTED_FLAG: u32 = 1 << 31;
