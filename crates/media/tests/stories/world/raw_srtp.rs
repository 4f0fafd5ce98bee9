//! SRTP for invalid RTP: webrtc-rs seals only packets that it can parse. AEAD_AES_128_GCM only (RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};

pub struct RawSealer {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl RawSealer {
    pub fn new(master_key: &[u8], master_salt: &[u8]) -> Self {
        let key: [u8; 16] = derive(master_key, master_salt, 0);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        Self { key, salt: derive(master_key, master_salt, 2) }
    }

    /// Seals a packet within its stream's first 2^16. The first `clear` bytes are authenticated but not
    /// encrypted.
    pub fn seal(&self, packet: &mut Vec<u8>, clear: usize) {
        let mut nonce = self.salt;
        let parts = packet[8..12].iter().chain(&[0; 4]).chain(&packet[2..4]);
        nonce[2..].iter_mut().zip(parts).for_each(|(byte, part)| *byte ^= part);
        let (header, body) = packet.split_at_mut(clear);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body).unwrap();
        packet.extend_from_slice(tag.as_ref());
    }
}

/// RFC 3711 §4.3.1, with a salt of 96 bits (RFC 7714 §11).
fn derive<const N: usize>(master_key: &[u8], master_salt: &[u8], label: u8) -> [u8; N] {
    let mut counter = [0; 16];
    counter[..12].copy_from_slice(&master_salt[..12]);
    counter[7] ^= label;
    let mut derived = [0; N];
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, master_key).unwrap()).unwrap();
    key.less_safe_encrypt(&mut derived, EncryptionContext::Iv128(counter.into())).unwrap();
    derived
}
