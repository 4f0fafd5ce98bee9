//! Our association against rtc-dtls's own endpoint as the browser, over a lossy wire.

mod garbage;

use super::*;
use crate::dtls::HashAlgorithm;
use crate::dtls::handshake::LOCAL;
use crate::srtp::Profile;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Offered;
use rtc_shared::TransportProtocol;
use std::sync::Arc;

const CM: Offered = Offered::Srtp_Aes128_Cm_Hmac_Sha1_80;
const GCM: Offered = Offered::Srtp_Aead_Aes_128_Gcm;

#[test]
fn gcm_is_chosen_although_the_client_lists_aes_cm_first() {
    let mut story = Story::with_client(&[CM, GCM], HashAlgorithm::Sha256);
    story.run();
    assert_eq!(story.connected_with(), (Profile::AeadAes128Gcm, false));
}

#[test]
fn a_client_of_aes_cm_alone_connects_without_ever_seeing_an_alert() {
    let mut story = Story::with_client(&[CM], HashAlgorithm::Sha256);
    story.run();
    assert_eq!(story.connected_with(), (Profile::Aes128CmHmacSha1_80, false));
    assert!(!story.saw_alert);
}

#[test]
fn a_client_without_a_common_profile_is_told_and_ends_nothing() {
    let mut story = Story::with_client(&[Offered::Srtp_Aes128_Cm_Hmac_Sha1_32], HashAlgorithm::Sha256);
    story.run();
    assert!(story.saw_alert);
    assert!(story.event().is_none());
    assert!(matches!(story.ours.state, State::Handshaking(_)));
}

#[test]
fn as_the_client_we_offer_gcm_then_aes_cm() {
    for (accepts, profile) in [(GCM, Profile::AeadAes128Gcm), (CM, Profile::Aes128CmHmacSha1_80)] {
        let mut story = Story::with_server(&[accepts], HashAlgorithm::Sha512);
        story.run();
        assert_eq!(story.connected_with(), (profile, true));
    }
}

#[test]
fn both_sides_export_the_same_keying_material() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.run();
    let Some(DtlsEvent::Connected { keying_material, .. }) = story.event() else { panic!("not connected") };
    let state = story.theirs.get_connection_state(PEER).unwrap();
    let theirs = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 56).unwrap();
    assert_eq!(keying_material.as_ref(), theirs.as_ref());
}

#[test]
fn every_hash_algorithm_authenticates_the_peer() {
    for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
        let mut story = Story::with_client(&[GCM], algorithm);
        story.run();
        story.connected_with();
    }
}

#[test]
fn a_wrong_fingerprint_fails_the_handshake_in_both_roles() {
    let stranger = Certificate::generate().unwrap().fingerprint(HashAlgorithm::Sha256);
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut story = Story::new(role, &[GCM]);
        story.start(vec![stranger.clone()]);
        story.run();
        assert_eq!(story.failure(), DtlsFailure::FingerprintMismatch);
        assert!(story.saw_alert);
        assert_eq!(story.ours.write(story.now, b"x"), Err(DtlsError::Ended));
    }
}

#[test]
fn one_of_several_fingerprints_is_enough() {
    let mut story = Story::new(DtlsRole::Server, &[GCM]);
    let stranger = Certificate::generate().unwrap().fingerprint(HashAlgorithm::Sha256);
    story.start(vec![stranger, story.peer_fingerprint(HashAlgorithm::Sha512)]);
    story.run();
    story.connected_with();
}

#[test]
fn a_client_hello_that_comes_before_the_parameters_is_answered_once_they_are_known() {
    let mut story = Story::new(DtlsRole::Server, &[GCM]);
    story.deliver();
    assert!(story.ours.poll_transmit().is_none());
    story.start(vec![story.peer_fingerprint(HashAlgorithm::Sha256)]);
    story.run();
    story.connected_with();
}

#[test]
fn early_datagrams_are_kept_up_to_a_bound() {
    let mut ours = RtcDtls::new(Certificate::generate().unwrap(), [7; 20]);
    let hello = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    (0..4).for_each(|_| ours.handle_datagram(Instant::now(), &hello));
    assert!(ours.poll_event().is_none());
    ours.handle_datagram(Instant::now(), &hello);
    assert!(matches!(ours.poll_event(), Some(DtlsEvent::Dropped(1))));
    assert_eq!(ours.write(Instant::now(), b"x"), Err(DtlsError::NotConnected));
}

#[test]
fn a_lost_first_flight_of_ours_is_repeated_after_150_ms() {
    let mut story = Story::with_server(&[GCM], HashAlgorithm::Sha256);
    assert!(story.ours.poll_transmit().is_some(), "the ClientHello, which is lost");
    assert_eq!(story.ours.poll_timeout(), Some(story.now + Duration::from_millis(150)));
    story.ours_time_out();
    story.run();
    story.connected_with();
}

#[test]
fn a_lost_server_flight_is_repeated_although_a_duplicate_client_hello_came_between() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.deliver();
    story.deliver_back();
    story.deliver();
    while story.ours.poll_transmit().is_some() {}
    let answered = story.now;
    story.theirs_time_out();
    story.deliver();
    assert!(story.ours.poll_transmit().is_none());
    assert_eq!(story.ours.poll_timeout(), Some(answered + Duration::from_millis(150)));
    story.ours_time_out();
    story.run();
    story.connected_with();
}

#[test]
fn a_lost_final_flight_is_repeated_when_the_client_repeats_its_own() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    while !matches!(story.ours.state, State::Connected(_)) {
        while story.ours.poll_transmit().is_some_and(|datagram| story.theirs_read(&datagram)) {}
        story.deliver();
    }
    while story.ours.poll_transmit().is_some() {}
    story.theirs_time_out();
    story.run();
    assert!(story.theirs_connected);
}

#[test]
fn a_handshake_that_gets_nowhere_fails_after_30_s() {
    let mut story = Story::with_server(&[GCM], HashAlgorithm::Sha256);
    let begun = story.now;
    while story.ours.poll_timeout().is_some() {
        story.ours_time_out();
        while story.ours.poll_transmit().is_some() {}
    }
    assert_eq!(story.now - begun, Duration::from_secs(30));
    assert_eq!(story.failure(), DtlsFailure::TimedOut);
}

#[test]
fn application_data_goes_both_ways_and_close_notify_ends_it() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.run();
    story.connected_with();
    story.ours.write(story.now, b"to the client").unwrap();
    story.theirs.write(story.now, PEER, b"to the server").unwrap();
    story.run();
    assert_eq!(story.received, b"to the client");
    assert!(matches!(story.event(), Some(DtlsEvent::ApplicationData(data)) if data == "to the server"));
    story.theirs.close(story.now).unwrap();
    story.run();
    assert!(matches!(story.event(), Some(DtlsEvent::Closed)));
    assert!(story.event().is_none());
}

#[test]
fn closing_sends_close_notify_and_nothing_after() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.run();
    story.connected_with();
    story.ours.close(story.now);
    story.run();
    assert!(story.peer_saw_close);
    assert_eq!(story.ours.write(story.now, b"x"), Err(DtlsError::Ended));
    assert_eq!(story.ours.poll_timeout(), None);
}

#[test]
fn forged_plaintext_neither_closes_nor_feeds_an_established_association() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.run();
    story.connected_with();
    for number in 0..200 {
        let alert = [21, 254, 253, 0, 0, 0, 0, 0, 9, 9, number, 0, 2, 2, 40];
        story.ours.handle_datagram(story.now, &alert);
    }
    assert!(story.event().is_none());
    assert_eq!(story.dropped, 200);
    story.theirs.write(story.now, PEER, b"still here").unwrap();
    story.run();
    assert!(matches!(story.event(), Some(DtlsEvent::ApplicationData(_))));
}

#[test]
fn a_flood_during_the_handshake_is_dropped_at_a_bound() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.deliver();
    story.deliver_back();
    story.deliver();
    let mut record = vec![23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 4, 0];
    record.resize(13 + 1024, 0);
    (0..200).for_each(|_| story.ours.handle_datagram(story.now, &record));
    assert!(story.event().is_none());
    assert!((70..90).contains(&story.dropped), "{}", story.dropped);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(3), failure_persistence: None, ..Default::default() })]

    #[test]
    fn garbage_is_dropped_or_fails_the_handshake_but_never_panics(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..80), 1..8),
        framed: bool,
    ) {
        let mut ours = RtcDtls::new(Certificate::generate().unwrap(), [7; 20]);
        ours.start(Instant::now(), DtlsRole::Server, vec![]).unwrap();
        for (number, mut body) in datagrams.into_iter().enumerate() {
            if framed {
                let kind = 20 + body[0] % 4;
                let header = [kind, 254, 253, 0, body[0] & 1, 0, 0, 0, 0, 0, number as u8, 0, body.len() as u8];
                body.splice(0..0, header);
            }
            ours.handle_datagram(Instant::now(), &body);
        }
    }
}

/// Both ends, the datagrams on the wire between them, and their common clock.
struct Story {
    ours: RtcDtls,
    theirs: Endpoint,
    our_role: DtlsRole,
    peer_certificate: crypto::Certificate,
    now: Instant,
    received: Vec<u8>,
    theirs_connected: bool,
    saw_alert: bool,
    peer_saw_close: bool,
    dropped: u32,
    restarts: u32,
}

impl Story {
    fn with_client(profiles: &[Offered], algorithm: HashAlgorithm) -> Self {
        Self::started(DtlsRole::Server, profiles, algorithm)
    }

    fn with_server(profiles: &[Offered], algorithm: HashAlgorithm) -> Self {
        Self::started(DtlsRole::Client, profiles, algorithm)
    }

    fn started(our_role: DtlsRole, profiles: &[Offered], algorithm: HashAlgorithm) -> Self {
        let mut story = Self::new(our_role, profiles);
        story.start(vec![story.peer_fingerprint(algorithm)]);
        story
    }

    fn new(our_role: DtlsRole, profiles: &[Offered]) -> Self {
        let now = Instant::now();
        let provider = AwsLcRsProvider::new();
        let peer_certificate =
            crypto::Certificate::generate_self_signed(["peer".to_owned()], provider.crypto()).unwrap();
        let config = peer_config(&peer_certificate, our_role == DtlsRole::Server, profiles);
        let theirs = match our_role {
            DtlsRole::Client => Endpoint::new(LOCAL, TransportProtocol::UDP, Some(config)),
            DtlsRole::Server => {
                let mut client = Endpoint::new(LOCAL, TransportProtocol::UDP, None);
                client.connect(now, PEER, config, None).unwrap();
                client
            }
        };
        Self {
            ours: RtcDtls::new(Certificate::generate().unwrap(), [7; 20]),
            theirs,
            our_role,
            peer_certificate,
            now,
            received: Vec::new(),
            theirs_connected: false,
            saw_alert: false,
            peer_saw_close: false,
            dropped: 0,
            restarts: 0,
        }
    }

    fn start(&mut self, remote: Vec<Fingerprint>) {
        self.ours.start(self.now, self.our_role, remote).unwrap();
        assert_eq!(self.ours.start(self.now, self.our_role, vec![]), Err(DtlsError::AlreadyStarted));
    }

    fn peer_fingerprint(&self, algorithm: HashAlgorithm) -> Fingerprint {
        Fingerprint::of(algorithm, &self.peer_certificate.certificate[0])
    }

    /// Delivers datagrams until neither end has any left.
    fn run(&mut self) {
        while self.deliver() | self.deliver_back() {}
    }

    fn deliver(&mut self) -> bool {
        let mut any = false;
        while let Some(transmit) = self.theirs.poll_transmit() {
            any = true;
            self.ours.handle_datagram(self.now, &transmit.message);
        }
        any
    }

    fn deliver_back(&mut self) -> bool {
        let mut any = false;
        while let Some(datagram) = self.ours.poll_transmit() {
            any |= self.theirs_read(&datagram);
        }
        any
    }

    fn theirs_read(&mut self, datagram: &[u8]) -> bool {
        self.saw_alert |= datagram[0] == 21;
        for event in self.theirs.read(self.now, PEER, None, BytesMut::from(datagram)).unwrap_or_default() {
            match event {
                EndpointEvent::ApplicationData(data) => self.received.extend_from_slice(&data),
                EndpointEvent::HandshakeComplete => self.theirs_connected = true,
                EndpointEvent::PeerClosed => self.peer_saw_close = true,
                _ => {}
            }
        }
        true
    }

    fn ours_time_out(&mut self) {
        self.now = self.ours.poll_timeout().unwrap();
        self.ours.handle_timeout(self.now);
    }

    fn theirs_time_out(&mut self) {
        self.now = self.theirs.poll_timeout(&PEER).unwrap();
        self.theirs.handle_timeout(PEER, self.now).unwrap();
    }

    /// The next event that is not a count, which is noted.
    fn event(&mut self) -> Option<DtlsEvent> {
        while let Some(event) = self.ours.poll_event() {
            match event {
                DtlsEvent::Dropped(count) => self.dropped += count,
                DtlsEvent::Restarted(count) => self.restarts += count,
                DtlsEvent::Connected { .. }
                | DtlsEvent::ApplicationData(_)
                | DtlsEvent::Closed
                | DtlsEvent::Failed(_) => return Some(event),
            }
        }
        None
    }

    fn connected_with(&mut self) -> (Profile, bool) {
        match self.event() {
            Some(DtlsEvent::Connected { profile, is_client, .. }) => (profile, is_client),
            other => panic!("not connected: {other:?}"),
        }
    }

    fn failure(&mut self) -> DtlsFailure {
        match self.event() {
            Some(DtlsEvent::Failed(failure)) => failure,
            other => panic!("did not fail: {other:?}"),
        }
    }
}

fn peer_config(
    certificate: &crypto::Certificate,
    is_client: bool,
    profiles: &[Offered],
) -> Arc<HandshakeConfig> {
    let builder = ConfigBuilder::default()
        .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
        .with_certificates(vec![certificate.clone()])
        .with_srtp_protection_profiles(profiles.to_vec())
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true)
        .with_flight_interval(Duration::from_millis(50))
        .with_extended_master_secret(ExtendedMasterSecretType::Require);
    Arc::new(builder.build(is_client, None).unwrap())
}
