//! What makes a packet's keystream unique.

/// The SSRC and the packet index: for RTP 32 bits of rollover counter and 16 of sequence number
/// (RFC 3711 §3.3.1), for RTCP the 31-bit SRTCP index.
#[derive(Clone, Copy)]
pub(super) struct PacketId {
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

impl PacketId {
    /// Mixes the SSRC and the lowest 48 bits of the index into a salt, from byte `offset` on.
    ///
    /// GCM's nonce (RFC 7714 §8.1, §9.1) and counter mode's first counter (RFC 3711 §4.1.1) are both
    /// built this way, in RTP and in RTCP; they differ in where the ten bytes begin.
    pub(super) fn mix_into(self, salt: &mut [u8], offset: usize) {
        let index = self.index.to_be_bytes();
        let id = self.ssrc.to_be_bytes().into_iter().chain(index.into_iter().skip(2));
        for (byte, id) in salt.iter_mut().skip(offset).zip(id) {
            *byte ^= id;
        }
    }

    /// The rollover counter of an RTP packet.
    pub(super) fn roc(self) -> [u8; 4] {
        ((self.index >> 16) as u32).to_be_bytes()
    }
}
