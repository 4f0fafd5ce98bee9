//! Master keys as DTLS exports them, and the session keys derived from them (RFC 3711 §4.3).

use super::Profile;
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use std::fmt;
use thiserror::Error;

/// Both directions' master keys, cut from one DTLS export (RFC 5764 §4.2).
#[derive(Debug)]
pub(crate) struct KeyingMaterial {
    /// Protects what the DTLS client sends.
    pub(crate) client: MasterKey,
    /// Protects what the DTLS server sends.
    pub(crate) server: MasterKey,
}

impl KeyingMaterial {
    /// Cuts `exported`, which must be exactly [`Profile::keying_material_len`] bytes.
    pub(crate) fn split(profile: Profile, exported: &[u8]) -> Result<Self, WrongKeyLength> {
        if exported.len() != profile.keying_material_len() {
            return Err(WrongKeyLength);
        }
        let (keys, salts) = exported.split_at(2 * KEY_LEN);
        let (client_key, server_key) = keys.split_at(KEY_LEN);
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        Ok(Self {
            client: MasterKey::new(profile, client_key, client_salt)?,
            server: MasterKey::new(profile, server_key, server_salt)?,
        })
    }
}

/// A key or salt does not have the length that its profile asks for.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the keying material's length does not fit the SRTP profile")]
pub(crate) struct WrongKeyLength;

/// One direction's master key and salt, and the profile they are meant for.
pub(crate) struct MasterKey {
    profile: Profile,
    key: [u8; KEY_LEN],
    /// Shorter salts are padded with zeros at the end (RFC 7714 §11).
    salt: [u8; PRF_SALT_LEN],
}

impl MasterKey {
    /// Takes a key of [`KEY_LEN`] bytes and a salt of the profile's length.
    pub(crate) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, WrongKeyLength> {
        if salt.len() != profile.salt_len() {
            return Err(WrongKeyLength);
        }
        let key = key.try_into().map_err(|_| WrongKeyLength)?;
        let mut master = Self { profile, key, salt: [0; PRF_SALT_LEN] };
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// The first `N` bytes of the pseudo-random stream named `label` (RFC 3711 §4.3.1, key derivation
    /// rate 0): zeros, encrypted in counter mode from the salt with the label mixed in.
    pub(super) fn derive<const N: usize>(&self, label: Label) -> [u8; N] {
        let mut counter = [0; 16];
        counter[..PRF_SALT_LEN].copy_from_slice(&self.salt);
        counter[LABEL_OFFSET] ^= label.0;
        let mut derived = [0; N];
        self.prf()
            .less_safe_encrypt(&mut derived, EncryptionContext::Iv128(counter.into()))
            .expect("counter mode takes any length");
        derived
    }

    fn prf(&self) -> EncryptingKey {
        UnboundCipherKey::new(&AES_128, &self.key)
            .and_then(EncryptingKey::ctr)
            .expect("the key has its algorithm's length")
    }
}

impl fmt::Debug for MasterKey {
    /// Names the profile; key and salt stay secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKey").field(&self.profile).finish()
    }
}

/// Names of the session keys of RTP or RTCP (RFC 3711 §4.3.1 and §4.3.2).
#[derive(Clone, Copy)]
pub(super) struct Labels {
    pub(super) encryption: Label,
    pub(super) authentication: Label,
    pub(super) salt: Label,
}

impl Labels {
    pub(super) const RTP: Self = Self { encryption: Label(0), authentication: Label(1), salt: Label(2) };
    pub(super) const RTCP: Self = Self { encryption: Label(3), authentication: Label(4), salt: Label(5) };
}

#[derive(Clone, Copy)]
pub(super) struct Label(u8);

/// Every profile uses AES-128.
pub(super) const KEY_LEN: usize = 16;
/// The derivation works on 112-bit salts.
const PRF_SALT_LEN: usize = 14;
/// The label is the first byte of the 56-bit key id, which lines up with the salt's end.
const LABEL_OFFSET: usize = PRF_SALT_LEN - 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_keys_match_rfc_3711_appendix_b_3() {
        let master = MasterKey::new(
            Profile::Aes128CmHmacSha1_80,
            &0xE1F97A0D3E018BE0D64FA32C06DE4139_u128.to_be_bytes(),
            &0x0EC675AD498AFEEBB6960B3AABE6_u128.to_be_bytes()[2..],
        )
        .unwrap();
        assert_eq!(
            master.derive::<16>(Labels::RTP.encryption),
            0xC61E7A93744F39EE10734AFE3FF7A087_u128.to_be_bytes()
        );
        assert_eq!(
            master.derive::<14>(Labels::RTP.salt),
            0x30CBBC08863D8C85D49DB34A9AE1_u128.to_be_bytes()[2..]
        );
        let authentication = master.derive::<20>(Labels::RTP.authentication);
        assert_eq!(authentication[..16], 0xCEBE321F6FF7716B6FD4AB49AF256A15_u128.to_be_bytes());
        assert_eq!(authentication[16..], 0x6D38BAA4_u32.to_be_bytes());
    }

    #[test]
    fn exported_material_is_cut_into_keys_then_salts_client_first() {
        let exported: Vec<u8> = (0..56).collect();
        let material = KeyingMaterial::split(Profile::AeadAes128Gcm, &exported).unwrap();
        assert_eq!(material.client.key[..16], exported[..16]);
        assert_eq!(material.server.key[..16], exported[16..32]);
        assert_eq!(material.client.salt[..12], exported[32..44]);
        assert_eq!(material.server.salt[..12], exported[44..]);
    }

    #[test]
    fn keying_material_of_another_length_is_refused() {
        for profile in Profile::ALL {
            let len = profile.keying_material_len();
            assert!(KeyingMaterial::split(profile, &vec![0; len]).is_ok());
            for wrong in [0, len - 1, len + 1] {
                assert!(KeyingMaterial::split(profile, &vec![0; wrong]).is_err());
            }
        }
        assert!(MasterKey::new(Profile::AeadAes128Gcm, &[0; 16], &[0; 14]).is_err());
    }
}
