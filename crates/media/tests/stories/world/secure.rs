//! A client's DTLS and SRTP, both webrtc-rs's own, so that another implementation opens the packets that the
//! SFU seals.

use super::raw_srtp::RawSealer;
use aws_lc_rs::digest;
use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use switchyard_media::ortc::{DtlsFingerprint, DtlsParameters, DtlsRole, FingerprintAlgorithm};

/// Which SRTP protection profiles a client offers, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profiles {
    /// As Chromium does, which lists AES-CM first.
    Both,
    AesCmOnly,
}

pub struct Dtls {
    endpoint: Endpoint,
    config: Arc<HandshakeConfig>,
    is_client: bool,
    /// The last flight. The library repeats flights with new record numbers, but stops too soon; from then on
    /// these datagrams are repeated.
    flight: Vec<Vec<u8>>,
    repeat_at: Option<Instant>,
    done: bool,
    outbox: VecDeque<Vec<u8>>,
    /// The server sent close_notify.
    pub closed: bool,
}

/// The result of reading a datagram.
#[derive(Default)]
pub struct Secured {
    pub keys: Option<Srtp>,
    /// The same keys, for a tap.
    pub tap_keys: Option<Srtp>,
    pub data: Vec<BytesMut>,
}

impl Dtls {
    pub fn new(is_client: bool, profiles: Profiles, server: &DtlsParameters) -> Self {
        let config = config(is_client, profiles, server.fingerprints.clone());
        let accepting = (!is_client).then(|| config.clone());
        let endpoint = Endpoint::new(LOCAL, TransportProtocol::UDP, accepting);
        Self {
            endpoint,
            config,
            is_client,
            flight: Vec::new(),
            repeat_at: None,
            done: false,
            outbox: VecDeque::new(),
            closed: false,
        }
    }

    /// The client's DTLS parameters, as it signals them to the server.
    pub fn parameters(&self, algorithm: FingerprintAlgorithm) -> DtlsParameters {
        let role = if self.is_client { DtlsRole::Client } else { DtlsRole::Server };
        DtlsParameters { role, fingerprints: vec![fingerprint(algorithm, &CERTIFICATE.certificate[0])] }
    }

    pub fn start(&mut self, now: Instant) {
        if self.is_client && self.flight.is_empty() {
            self.endpoint.connect(now, PEER, self.config.clone(), None).unwrap();
            self.note_flight(now);
        }
    }

    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Secured {
        let mut secured = Secured::default();
        for event in self.endpoint.read(now, PEER, None, BytesMut::from(datagram)).unwrap_or_default() {
            match event {
                EndpointEvent::HandshakeComplete => {
                    (secured.keys, secured.tap_keys) = (Some(self.keys()), Some(self.keys()));
                    self.done = true;
                }
                EndpointEvent::ApplicationData(data) => secured.data.push(data),
                EndpointEvent::PeerClosed => self.closed = true,
                _ => {}
            }
        }
        let answered = self.note_flight(now);
        if self.done {
            self.repeat_at = None;
            // A repeated flight of the server means that our last flight was lost.
            if !answered && datagram[0] == HANDSHAKE {
                self.outbox.extend(self.flight.iter().cloned());
            }
        }
        secured
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.repeat_at.into_iter().chain(self.endpoint.poll_timeout(&PEER)).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.endpoint.poll_timeout(&PEER).is_some_and(|at| at <= now) {
            // After too many repeats this returns an error and the timer stops.
            let _ = self.endpoint.handle_timeout(PEER, now);
            let again = self.drain();
            self.outbox.extend(again);
        }
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.repeat_at = Some(now + REPEAT_INTERVAL);
            self.outbox.extend(self.flight.iter().cloned());
        }
    }

    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    pub fn write(&mut self, now: Instant, data: &[u8]) {
        self.endpoint.write(now, PEER, data).unwrap();
        let records = self.drain();
        self.outbox.extend(records);
    }

    pub fn close(&mut self, now: Instant) {
        self.endpoint.close(now).unwrap();
        let records = self.drain();
        self.outbox.extend(records);
    }

    /// Keeps the handshake's outgoing flight, to be repeated until the server answers.
    fn note_flight(&mut self, now: Instant) -> bool {
        let flight = self.drain();
        if flight.is_empty() {
            return false;
        }
        self.outbox.extend(flight.iter().cloned());
        self.flight = flight;
        self.repeat_at = Some(now + REPEAT_INTERVAL);
        true
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|transmit| transmit.message.to_vec())
            .collect()
    }

    fn keys(&self) -> Srtp {
        let state = self.endpoint.get_connection_state(PEER).unwrap();
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            other => panic!("negotiated {other:?}"),
        };
        let mut config = Config { profile, ..Config::default() };
        let length = config.keying_material_len();
        let material = state.export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], length).unwrap();
        config.set_session_keys_from_keying_material(material.as_ref(), state.is_client()).unwrap();
        let provider = AwsLcRsProvider::new();
        let keys = &config.keys;
        let (key, salt) = (&keys.local_master_key, &keys.local_master_salt);
        let sealing = Context::new(key, salt, profile, None, None, provider.crypto()).unwrap();
        let (key, salt) = (&keys.remote_master_key, &keys.remote_master_salt);
        let replay = (Some(srtp_replay_protection(1024)), Some(srtcp_replay_protection(1024)));
        let opening = Context::new(key, salt, profile, replay.0, replay.1, provider.crypto()).unwrap();
        let raw = RawSealer::new(&keys.local_master_key, &keys.local_master_salt);
        Srtp { profile, raw, sealing, opening }
    }
}

pub struct Srtp {
    profile: ProtectionProfile,
    /// Seals invalid RTP, with AEAD_AES_128_GCM.
    pub raw: RawSealer,
    sealing: Context,
    opening: Context,
}

impl Srtp {
    pub fn is_gcm(&self) -> bool {
        matches!(self.profile, ProtectionProfile::AeadAes128Gcm)
    }

    /// Fails for packets that webrtc-rs cannot parse as RTP.
    pub fn seal_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Error> {
        self.sealing.encrypt_rtp(packet).map(|sealed| sealed.to_vec())
    }

    pub fn seal_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.sealing.encrypt_rtcp(packet).unwrap().to_vec()
    }

    pub fn open_rtp(&mut self, packet: &[u8]) -> Result<BytesMut, Error> {
        self.opening.decrypt_rtp(packet)
    }

    pub fn open_rtcp(&mut self, packet: &[u8]) -> Result<BytesMut, Error> {
        self.opening.decrypt_rtcp(packet)
    }
}

fn config(is_client: bool, profiles: Profiles, server: Vec<DtlsFingerprint>) -> Arc<HandshakeConfig> {
    let offered = match profiles {
        Profiles::Both => vec![
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        ],
        Profiles::AesCmOnly => vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80],
    };
    let builder = ConfigBuilder::default()
        .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
        .with_certificates(vec![CERTIFICATE.clone()])
        .with_srtp_protection_profiles(offered)
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true)
        .with_verify_peer_certificate(Some(Arc::new(move |chain: &[Vec<u8>], _| {
            let leaf = fingerprint(FingerprintAlgorithm::Sha256, &chain[0]);
            if server.contains(&leaf) { Ok(()) } else { Err(Error::ErrNoMatchingCertificateFingerprint) }
        })))
        .with_server_name("sfu".to_owned())
        .with_flight_interval(Duration::from_millis(100))
        .with_extended_master_secret(ExtendedMasterSecretType::Require);
    Arc::new(builder.build(is_client, None).unwrap())
}

fn fingerprint(algorithm: FingerprintAlgorithm, der: &[u8]) -> DtlsFingerprint {
    let implementation = match algorithm {
        FingerprintAlgorithm::Sha256 => &digest::SHA256,
        FingerprintAlgorithm::Sha384 => &digest::SHA384,
        FingerprintAlgorithm::Sha512 => &digest::SHA512,
    };
    let digest = digest::digest(implementation, der);
    let octets: Vec<String> = digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    DtlsFingerprint { algorithm: algorithm.name().to_owned(), value: octets.join(":") }
}

/// All clients share one certificate, because generating one takes a while.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let provider = AwsLcRsProvider::new();
    Certificate::generate_self_signed(["client".to_owned()], provider.crypto()).unwrap()
});
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);
/// The first byte of a handshake record.
const HANDSHAKE: u8 = 22;
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));
const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
