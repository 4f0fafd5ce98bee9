//! SRTP's two ciphers without anything around them: the least cost per packet in any SFU.

use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use std::ops::Range;
use switchyard_peer::Identity;

/// The SRTP protection profiles in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// AEAD_AES_128_GCM (RFC 7714).
    Gcm,
    /// AES_CM_128_HMAC_SHA1_80 (RFC 3711).
    Cm,
}

/// One session's key. Its nonces count up, so that none is used twice.
pub(crate) struct Cipher {
    key: Key,
    next: u64,
}

enum Key {
    Gcm(LessSafeKey),
    Cm(Box<CounterMode>),
}

struct CounterMode {
    encryption: EncryptingKey,
    authentication: hmac::Key,
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gcm => "GCM",
            Self::Cm => "CM",
        }
    }

    /// The identity of a client for which the SFU selects this profile.
    pub(crate) fn identity(self) -> Result<Identity> {
        let identity = Identity::generate()?;
        Ok(match self {
            Self::Gcm => identity,
            Self::Cm => identity.without_gcm(),
        })
    }

    pub(crate) fn tag_len(self) -> usize {
        match self {
            Self::Gcm => 16,
            Self::Cm => CM_TAG_LEN,
        }
    }
}

impl Cipher {
    /// Key number `index`; all indices give different keys.
    pub(crate) fn new(profile: Profile, index: usize) -> Result<Self> {
        let bytes = (index as u128).wrapping_mul(KEY_FACTOR).to_be_bytes();
        let key = match profile {
            Profile::Gcm => UnboundKey::new(&AES_128_GCM, &bytes).map(|key| Key::Gcm(LessSafeKey::new(key))),
            Profile::Cm => {
                UnboundCipherKey::new(&AES_128, &bytes).and_then(EncryptingKey::ctr).map(|encryption| {
                    let secret = [bytes; 2].concat();
                    let authentication =
                        hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret[..SHA1_LEN]);
                    Key::Cm(Box::new(CounterMode { encryption, authentication }))
                })
            }
        };
        Ok(Self { key: key.map_err(|_| anyhow!("a key was refused"))?, next: 0 })
    }

    /// Encrypts `payload` into `packet`, which begins with the header and has room for the tag. The packet's
    /// index is written into the header.
    pub(crate) fn seal(&mut self, payload: &[u8], packet: &mut [u8]) {
        let index = self.next;
        self.next += 1;
        packet[INDEX].copy_from_slice(&index.to_be_bytes());
        let sealed = self.try_seal(index, payload, packet);
        debug_assert!(sealed.is_ok(), "the lengths are the bench's own");
    }

    /// Decrypts in place.
    pub(crate) fn open(&self, packet: &mut [u8]) -> Result<()> {
        let index = packet.get(INDEX).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let opened = index.ok_or(Unspecified).and_then(|index| self.try_open(index, packet));
        opened.map_err(|_| anyhow!("a packet is not authentic"))
    }

    fn try_seal(&self, index: u64, payload: &[u8], packet: &mut [u8]) -> Result<(), Unspecified> {
        let (header, rest) = packet.split_at_mut_checked(HEADER_LEN).ok_or(Unspecified)?;
        let (body, tag) = rest.split_at_mut_checked(payload.len()).ok_or(Unspecified)?;
        match &self.key {
            Key::Gcm(key) => {
                key.seal_out_of_place_scatter(nonce(index), Aad::from(&*header), payload, body, &[], tag)
            }
            Key::Cm(key) => {
                body.copy_from_slice(payload);
                key.encryption.less_safe_encrypt(body, counter(index))?;
                tag.copy_from_slice(&authenticate(&key.authentication, header, body));
                Ok(())
            }
        }
    }

    fn try_open(&self, index: u64, packet: &mut [u8]) -> Result<(), Unspecified> {
        let (header, rest) = packet.split_at_mut_checked(HEADER_LEN).ok_or(Unspecified)?;
        match &self.key {
            Key::Gcm(key) => key.open_in_place(nonce(index), Aad::from(&*header), rest).map(drop),
            Key::Cm(key) => {
                let end = rest.len().checked_sub(CM_TAG_LEN).ok_or(Unspecified)?;
                let (body, tag) = rest.split_at_mut(end);
                verify_slices_are_equal(&authenticate(&key.authentication, header, body), tag)?;
                key.encryption.less_safe_encrypt(body, counter(index)).map(drop)
            }
        }
    }
}

fn nonce(index: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn counter(index: u64) -> EncryptionContext {
    let mut counter = [0; 16];
    counter[6..14].copy_from_slice(&index.to_be_bytes());
    EncryptionContext::Iv128(counter.into())
}

fn authenticate(key: &hmac::Key, header: &[u8], body: &[u8]) -> [u8; CM_TAG_LEN] {
    let mut mac = hmac::Context::with_key(key);
    mac.update(header);
    mac.update(body);
    // The rollover counter.
    mac.update(&[0; 4]);
    let mut tag = [0; CM_TAG_LEN];
    tag.copy_from_slice(&mac.sign().as_ref()[..CM_TAG_LEN]);
    tag
}

/// Fixed header, and the extensions that the SFU writes for a video consumer: mid, transport-wide sequence number and
/// absolute send time.
pub(crate) const HEADER_LEN: usize = 12 + 4 + 12;
/// The bytes of the index in the header, in place of timestamp and SSRC.
const INDEX: Range<usize> = 4..12;
const CM_TAG_LEN: usize = 10;
const SHA1_LEN: usize = 20;
/// Odd, so that no two indices give one key.
const KEY_FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_seals_the_other_opens_and_nothing_else() {
        for profile in [Profile::Gcm, Profile::Cm] {
            let mut sender = Cipher::new(profile, 3).unwrap();
            let receiver = Cipher::new(profile, 3).unwrap();
            let payload = [7; 100];
            let mut packet = vec![0; HEADER_LEN + payload.len() + profile.tag_len()];
            for _ in 0..3 {
                sender.seal(&payload, &mut packet);
                assert_ne!(packet[HEADER_LEN..HEADER_LEN + 100], payload);
                let mut forged = packet.clone();
                forged[HEADER_LEN] ^= 1;
                assert!(receiver.open(&mut forged).is_err());
                receiver.open(&mut packet).unwrap();
                assert_eq!(packet[HEADER_LEN..HEADER_LEN + 100], payload);
            }
        }
    }
}
