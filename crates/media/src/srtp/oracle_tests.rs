//! Packets sealed here are opened by another SRTP implementation, and its packets are opened here.

use super::keys::{KEY_LEN, MasterKey};
use super::{Inbound, KeyingMaterial, Outbound, Profile, SendStream};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn the_oracle_opens_what_is_sealed_here(
        profile in profile(),
        packets in prop::collection::vec(packet(), 1..20),
        exported in prop::collection::vec(any::<u8>(), 60),
        start in 0_u16..1 << 15,
    ) {
        let keys = Keys::cut(profile, &exported);
        let outbound = Outbound::new(&keys.master);
        let mut oracle = keys.oracle();
        let mut stream = SendStream::new(SSRC);
        for (step, packet) in (0..).zip(&packets) {
            let seq = start + step;
            let plain = packet.bytes(seq);
            let mut sealed = plain.clone();
            sealed.resize(plain.len() + profile.rtp_overhead(), 0);
            outbound.seal_rtp(&mut stream, &mut sealed, packet.header_len(), seq).unwrap();
            prop_assert_eq!(&oracle.decrypt_rtp(&sealed).unwrap()[..], &plain[..]);
        }
    }

    #[test]
    fn what_the_oracle_seals_is_opened_here(
        profile in profile(),
        packets in prop::collection::vec(packet(), 1..20),
        exported in prop::collection::vec(any::<u8>(), 60),
        start in 0_u16..1 << 15,
    ) {
        let keys = Keys::cut(profile, &exported);
        let mut inbound = Inbound::new(&keys.master);
        let mut oracle = keys.oracle();
        for (step, packet) in (0..).zip(&packets) {
            let seq = start + step;
            let plain = packet.bytes(seq);
            let mut sealed = oracle.encrypt_rtp(&plain).unwrap().to_vec();
            let opened = inbound.open_rtp(&mut sealed, packet.header_len(), SSRC, seq).unwrap();
            prop_assert_eq!(opened.index, u64::from(seq));
            prop_assert_eq!(&sealed[..opened.len], &plain[..]);
        }
    }

    #[test]
    fn rtcp_passes_in_both_directions(
        profile in profile(),
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..10),
        exported in prop::collection::vec(any::<u8>(), 60),
    ) {
        let keys = Keys::cut(profile, &exported);
        let (mut outbound, mut inbound) = (Outbound::new(&keys.master), Inbound::new(&keys.master));
        let (mut opening_oracle, mut sealing_oracle) = (keys.oracle(), keys.oracle());
        for body in &bodies {
            let mut plain = vec![0x80, 206, 0, 2];
            plain.extend(SSRC.to_be_bytes());
            plain.extend(body);

            let mut sealed = plain.clone();
            outbound.seal_rtcp(&mut sealed).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + profile.rtcp_overhead());
            prop_assert_eq!(&opening_oracle.decrypt_rtcp(&sealed).unwrap()[..], &plain[..]);

            let mut sealed = sealing_oracle.encrypt_rtcp(&plain).unwrap().to_vec();
            let len = inbound.open_rtcp(&mut sealed).unwrap();
            prop_assert_eq!(&sealed[..len], &plain[..]);
        }
    }

    #[test]
    fn garbage_never_opens_and_never_panics(
        profile in profile(),
        mut packet in prop::collection::vec(any::<u8>(), 0..100),
        header_len in any::<prop::sample::Index>(),
        seq in any::<u16>(),
    ) {
        let mut inbound = Inbound::new(&Keys::cut(profile, &[7; 60]).master);
        let header_len = header_len.index(packet.len() + 20);
        prop_assert!(inbound.open_rtp(&mut packet, header_len, SSRC, seq).is_err());
        prop_assert!(inbound.open_rtcp(&mut packet).is_err());
    }
}

#[test]
fn the_oracle_follows_this_stream_through_wraps() {
    for profile in Profile::ALL {
        let keys = Keys::cut(profile, &[7; 60]);
        let (outbound, mut oracle) = (Outbound::new(&keys.master), keys.oracle());
        let mut stream = SendStream::new(SSRC);
        let packet = Packet { csrcs: vec![], extension: None, payload: vec![1, 2, 3] };
        for step in (0x7000..0x3_1000_u32).step_by(0x0FF1) {
            let seq = step as u16;
            let mut sealed = packet.bytes(seq);
            sealed.resize(sealed.len() + profile.rtp_overhead(), 0);
            outbound.seal_rtp(&mut stream, &mut sealed, packet.header_len(), seq).unwrap();
            assert_eq!(oracle.decrypt_rtp(&sealed).unwrap()[..], packet.bytes(seq), "step {step:#x}");
        }
    }
}

struct Keys {
    profile: Profile,
    master: MasterKey,
    key: Vec<u8>,
    salt: Vec<u8>,
}

impl Keys {
    /// The client's half of the exported bytes.
    fn cut(profile: Profile, exported: &[u8]) -> Self {
        let exported = &exported[..profile.keying_material_len()];
        let KeyingMaterial { client, .. } = KeyingMaterial::split(profile, exported).unwrap();
        let key = exported[..KEY_LEN].to_vec();
        let salt = exported[2 * KEY_LEN..][..profile.salt_len()].to_vec();
        Self { profile, master: client, key, salt }
    }

    fn oracle(&self) -> Context {
        let profile = match self.profile {
            Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Profile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        };
        let provider = rtc_crypto::default_provider().unwrap();
        Context::new(&self.key, &self.salt, profile, None, None, provider.crypto()).unwrap()
    }
}

/// An RTP packet whose header is as long as headers get.
#[derive(Debug)]
struct Packet {
    csrcs: Vec<u32>,
    extension: Option<Vec<u32>>,
    payload: Vec<u8>,
}

impl Packet {
    fn header_len(&self) -> usize {
        12 + 4 * self.csrcs.len() + self.extension.as_ref().map_or(0, |words| 4 + 4 * words.len())
    }

    fn bytes(&self, seq: u16) -> Vec<u8> {
        let has_extension = u8::from(self.extension.is_some());
        let mut bytes = vec![0x80 | has_extension << 4 | self.csrcs.len() as u8, 96];
        bytes.extend(seq.to_be_bytes());
        bytes.extend(0x1234_5678_u32.to_be_bytes());
        bytes.extend(SSRC.to_be_bytes());
        bytes.extend(self.csrcs.iter().flat_map(|csrc| csrc.to_be_bytes()));
        if let Some(words) = &self.extension {
            bytes.extend([0xAB, 0xCD]);
            bytes.extend((words.len() as u16).to_be_bytes());
            bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
        bytes.extend(&self.payload);
        bytes
    }
}

fn packet() -> impl Strategy<Value = Packet> {
    (
        prop::collection::vec(any::<u32>(), 0..16),
        prop::option::of(prop::collection::vec(any::<u32>(), 0..20)),
        prop::collection::vec(any::<u8>(), 0..1300),
    )
        .prop_map(|(csrcs, extension, payload)| Packet { csrcs, extension, payload })
}

fn profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(Profile::ALL.as_slice())
}

const SSRC: u32 = 0xDEAD_BEEF;
