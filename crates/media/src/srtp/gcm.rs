//! AES in Galois/counter mode, as SRTP uses it (RFC 7714 §8 and §9).

use super::keys::KEY_LEN;
use super::packet_id::PacketId;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

pub(super) const SALT_LEN: usize = 12;
pub(super) const TAG_LEN: usize = 16;

/// A session key and salt for one direction of RTP or of RTCP.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; SALT_LEN],
}

impl Gcm {
    pub(super) fn new(key: &[u8; KEY_LEN], salt: [u8; SALT_LEN]) -> Self {
        let key = UnboundKey::new(&AES_128_GCM, key).expect("the key has its algorithm's length");
        Self { key: LessSafeKey::new(key), salt }
    }

    /// Encrypts `body` in place and fills `tag`, which is [`TAG_LEN`] long.
    pub(super) fn seal(
        &self,
        id: PacketId,
        aad: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.key.seal_in_place_scatter(self.nonce(id), Aad::from(aad), body, &[], tag)
    }

    /// Encrypts `plaintext` into `body`, which must be as long, and fills `tag`.
    pub(super) fn seal_from(
        &self,
        id: PacketId,
        aad: &[u8],
        plaintext: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.key.seal_out_of_place_scatter(self.nonce(id), Aad::from(aad), plaintext, body, &[], tag)
    }

    /// Decrypts `body` in place if `tag` is right; otherwise leaves garbage in it.
    pub(super) fn open(
        &self,
        id: PacketId,
        aad: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        self.key.open_in_place_separate_tag(self.nonce(id), Aad::from(aad), tag, body).map(|_| ())
    }

    fn nonce(&self, id: PacketId) -> Nonce {
        let mut nonce = self.salt;
        id.mix_into(&mut nonce, 2);
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cipher::Cipher;
    use super::super::rtcp_cipher::RtcpCipher;
    use super::super::rtp_cipher::RtpCipher;
    use super::*;

    #[test]
    fn srtp_matches_rfc_7714_section_16_1() {
        let plain = unhex(
            "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573",
        );
        let sealed = unhex(
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf\
             8833899d7f27beb16a9152cf765ee4390cce",
        );
        let id = PacketId { ssrc: 0x5501_a0b2, index: 0xf17b };
        let cipher = RtpCipher(Cipher::Gcm(gcm()));
        let mut packet = plain.clone();
        packet.resize(plain.len() + TAG_LEN, 0);

        cipher.seal(id, cipher.split(&mut packet, 12).unwrap()).unwrap();
        assert_eq!(packet, sealed);

        cipher.open(id, cipher.split(&mut packet, 12).unwrap()).unwrap();
        assert_eq!(packet[..plain.len()], plain);
    }

    #[test]
    fn srtcp_matches_rfc_7714_section_17_1() {
        let plain = unhex(
            "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeef\
             deadbeef",
        );
        let sealed = unhex(
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded\
             0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        );
        let cipher = RtcpCipher(Cipher::Gcm(gcm()));
        let mut packet = plain.clone();
        packet.resize(plain.len() + TAG_LEN + 4, 0);

        let mut parts = cipher.split(&mut packet).unwrap();
        parts.set_index(0x5d4);
        cipher.seal(parts).unwrap();
        assert_eq!(packet, sealed);

        cipher.open(cipher.split(&mut packet).unwrap()).unwrap();
        assert_eq!(packet[..plain.len()], plain);
    }

    fn gcm() -> Gcm {
        Gcm::new(&std::array::from_fn(|i| i as u8), *b"Quid pro quo")
    }

    fn unhex(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}
