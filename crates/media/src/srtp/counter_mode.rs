//! AES in counter mode with an 80-bit HMAC-SHA1 tag, as SRTP uses them (RFC 3711 §4.1.1 and §4.2.1).

use super::keys::KEY_LEN;
use super::packet_id::PacketId;
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;

pub(super) const SALT_LEN: usize = 14;
pub(super) const TAG_LEN: usize = 10;
pub(super) const AUTHENTICATION_KEY_LEN: usize = 20;

/// Session keys and salt for one direction of RTP or of RTCP.
pub(super) struct CounterMode {
    encryption: EncryptingKey,
    salt: [u8; SALT_LEN],
    authentication: hmac::Key,
}

impl CounterMode {
    pub(super) fn new(
        encryption: &[u8; KEY_LEN],
        salt: [u8; SALT_LEN],
        authentication: &[u8; AUTHENTICATION_KEY_LEN],
    ) -> Self {
        Self {
            encryption: UnboundCipherKey::new(&AES_128, encryption)
                .and_then(EncryptingKey::ctr)
                .expect("the key has its algorithm's length"),
            salt,
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication),
        }
    }

    /// Encrypts `body` in place and fills `tag`, which is [`TAG_LEN`] long, over header, body and `suffix`.
    pub(super) fn seal(
        &self,
        id: PacketId,
        header: &[u8],
        body: &mut [u8],
        suffix: [u8; 4],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.apply_keystream(id, body)?;
        tag.copy_from_slice(&self.tag(header, body, suffix));
        Ok(())
    }

    /// Decrypts `body` in place if `tag` is right; otherwise leaves it untouched.
    pub(super) fn open(
        &self,
        id: PacketId,
        header: &[u8],
        body: &mut [u8],
        suffix: [u8; 4],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        verify_slices_are_equal(&self.tag(header, body, suffix), tag)?;
        self.apply_keystream(id, body)
    }

    fn apply_keystream(&self, id: PacketId, body: &mut [u8]) -> Result<(), Unspecified> {
        let mut counter = [0; 16];
        counter[..SALT_LEN].copy_from_slice(&self.salt);
        id.mix_into(&mut counter, 4);
        self.encryption.less_safe_encrypt(body, EncryptionContext::Iv128(counter.into())).map(|_| ())
    }

    fn tag(&self, header: &[u8], body: &[u8], suffix: [u8; 4]) -> [u8; TAG_LEN] {
        let mut mac = hmac::Context::with_key(&self.authentication);
        mac.update(header);
        mac.update(body);
        mac.update(&suffix);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&mac.sign().as_ref()[..TAG_LEN]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keystream_matches_rfc_3711_appendix_b_2() {
        let cipher = CounterMode::new(
            &0x2B7E151628AED2A6ABF7158809CF4F3C_u128.to_be_bytes(),
            0xF0F1F2F3F4F5F6F7F8F9FAFBFCFD0000_u128.to_be_bytes()[..14].try_into().unwrap(),
            &[0; AUTHENTICATION_KEY_LEN],
        );
        let mut keystream = vec![0; 16 * 0xFF02];
        cipher.apply_keystream(PacketId { ssrc: 0, index: 0 }, &mut keystream).unwrap();

        let block = |counter: usize| {
            u128::from_be_bytes(keystream[16 * counter..16 * (counter + 1)].try_into().unwrap())
        };
        assert_eq!(block(0x0000), 0xE03EAD0935C95E80E166B16DD92B4EB4);
        assert_eq!(block(0x0001), 0xD23513162B02D0F72A43A2FE4A5F97AB);
        assert_eq!(block(0x0002), 0x41E95B3BB0A2E8DD477901E4FCA894C0);
        assert_eq!(block(0xFEFF), 0xEC8CDF7398607CB0F2D21675EA9EA1E4);
        assert_eq!(block(0xFF00), 0x362B7C3C6773516318A077D7FC5073AE);
        assert_eq!(block(0xFF01), 0x6A2CC3787889374FBEB4C81B17BA6C44);
    }
}
