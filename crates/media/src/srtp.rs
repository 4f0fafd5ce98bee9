//! SRTP and SRTCP (RFC 3711, with AES-GCM by RFC 7714): one [`Inbound`] and one [`Outbound`] per transport.
//!
//! Packets are opened and sealed in the caller's buffer; nothing is allocated per packet. The caller has
//! parsed the RTP header and passes its length, so this module does not parse header extensions.
//! Keys come from the DTLS handshake through [`KeyingMaterial`] and live as long as the transport: there is
//! no key derivation rate, no MKI and no rekeying, as in every WebRTC implementation.

mod cipher;
mod counter_mode;
mod gcm;
mod inbound;
mod index_window;
mod keys;
mod outbound;
mod packet_id;
mod rtcp_cipher;
mod rtp_cipher;

#[cfg(test)]
mod oracle_tests;

pub(crate) use inbound::{Inbound, OpenError};
pub(crate) use keys::KeyingMaterial;
pub(crate) use outbound::{Outbound, SendStream};

/// A DTLS-SRTP protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2), best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Profile {
    AeadAes128Gcm,
    Aes128CmHmacSha1_80,
}

impl Profile {
    #[cfg(test)]
    const ALL: [Self; 2] = [Self::AeadAes128Gcm, Self::Aes128CmHmacSha1_80];

    /// Length of a master salt in bytes.
    pub(crate) const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => gcm::SALT_LEN,
            Self::Aes128CmHmacSha1_80 => counter_mode::SALT_LEN,
        }
    }

    /// How many bytes to export from DTLS: both sides' keys and salts (RFC 5764 §4.2).
    pub(crate) const fn keying_material_len(self) -> usize {
        2 * (keys::KEY_LEN + self.salt_len())
    }

    /// How many bytes an SRTP packet is longer than its RTP packet.
    pub(crate) const fn rtp_overhead(self) -> usize {
        match self {
            Self::AeadAes128Gcm => gcm::TAG_LEN,
            Self::Aes128CmHmacSha1_80 => counter_mode::TAG_LEN,
        }
    }

    /// How many bytes an SRTCP packet is longer than its RTCP packet: the tag and the SRTCP index.
    pub(crate) const fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + size_of::<u32>()
    }
}
