//! The DTLS client (RFC 6347) and the SRTP keys it exports (RFC 5764).

use crate::options::{DtlsParameters, Fingerprint};
use crate::srtp::Srtp;
use anyhow::{Context, Result, anyhow, ensure};
use bytes::BytesMut;
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as RtcError;
use rtc_srtp::config::{Config as SrtpConfig, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::protection_profile::ProtectionProfile;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The certificate and crypto of all peers of this process: generating one per peer would cost the load
/// generator time and show nothing about the server.
#[derive(Clone)]
pub struct Identity {
    pub(crate) crypto: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    fingerprint: String,
    offered: &'static [(SrtpProtectionProfile, ProtectionProfile)],
}

impl Identity {
    pub fn generate() -> Result<Self> {
        let crypto = rtc_crypto::default_provider().map_err(|error| anyhow!("{error}"))?;
        let certificate = Certificate::generate_self_signed(vec!["load-test".to_owned()], crypto.crypto())
            .map_err(|error| anyhow!("making a certificate: {error}"))?;
        let der = certificate.certificate.first().context("an empty certificate")?;
        let fingerprint = fingerprint(&*crypto, der)?;
        Ok(Self { crypto, certificate, fingerprint, offered: &OFFERED_PROFILES })
    }

    /// Offers only AES_CM_128_HMAC_SHA1_80, as clients without AES-GCM do.
    pub fn without_gcm(self) -> Self {
        Self { offered: &OFFERED_PROFILES[1..], ..self }
    }

    pub fn dtls_parameters(&self) -> DtlsParameters {
        let fingerprint = Fingerprint { algorithm: "sha-256".to_owned(), value: self.fingerprint.clone() };
        DtlsParameters { role: "client".to_owned(), fingerprints: vec![fingerprint] }
    }
}

/// A handshake with one server.
pub(crate) struct DtlsClient {
    endpoint: Endpoint,
}

impl DtlsClient {
    /// Starts the handshake; the first flight waits in [`Self::poll_transmit`].
    pub(crate) fn connect(identity: &Identity, server: &DtlsParameters, now: Instant) -> Result<Self> {
        let sha256 = server.fingerprints.iter().find(|fingerprint| fingerprint.algorithm == "sha-256");
        let expected = sha256.context("the server has no sha-256 fingerprint")?.value.to_uppercase();
        let crypto = identity.crypto.clone();
        let verify = move |certificates: &[Vec<u8>], _: &_| {
            let actual = certificates.first().and_then(|der| fingerprint(&*crypto, der).ok());
            if actual.as_ref() == Some(&expected) {
                Ok(())
            } else {
                Err(RtcError::ErrNoMatchingCertificateFingerprint)
            }
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(identity.crypto.clone())
            .with_certificates(vec![identity.certificate.clone()])
            .with_srtp_protection_profiles(identity.offered.iter().map(|(dtls, _)| *dtls).collect())
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(verify)))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_flight_interval(FLIGHT_INTERVAL)
            .build(true, None)
            .map_err(|error| anyhow!("DTLS configuration: {error}"))?;
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, None);
        endpoint.connect(now, PEER, Arc::new(config), None).map_err(|error| anyhow!("DTLS: {error}"))?;
        Ok(Self { endpoint })
    }

    /// Handles a datagram; returns the keys when it completes the handshake.
    pub(crate) fn handle(
        &mut self,
        record: &[u8],
        now: Instant,
        crypto: &dyn RTCCryptoProvider,
    ) -> Result<Option<Srtp>> {
        let events = self.endpoint.read(now, PEER, None, BytesMut::from(record));
        for event in events.map_err(|error| anyhow!("DTLS: {error}"))? {
            if matches!(event, EndpointEvent::HandshakeComplete) {
                return self.export_keys(crypto).map(Some);
            }
            ensure!(!matches!(event, EndpointEvent::PeerClosed), "the server closed the transport");
        }
        Ok(None)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&PEER)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        self.endpoint.handle_timeout(PEER, now).map_err(|error| anyhow!("DTLS: {error}"))
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.endpoint.poll_transmit().map(|transmit| transmit.message)
    }

    /// Queues a close_notify.
    pub(crate) fn close(&mut self, now: Instant) {
        self.endpoint.stop(now, PEER);
    }

    fn export_keys(&self, crypto: &dyn RTCCryptoProvider) -> Result<Srtp> {
        let state = self.endpoint.get_connection_state(PEER).context("no DTLS state")?;
        let chosen = state.srtp_protection_profile();
        let offered = OFFERED_PROFILES.iter().find(|(dtls, _)| *dtls == chosen);
        let &(_, profile) =
            offered.with_context(|| format!("the server chose {chosen:?}, which was not offered"))?;
        let mut config = SrtpConfig { profile, ..SrtpConfig::default() };
        let length = config.keying_material_len();
        let material = state
            .export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], length)
            .map_err(|error| anyhow!("exporting SRTP keys: {error}"))?;
        let split = config.set_session_keys_from_keying_material(material.as_ref(), true);
        split.map_err(|error| anyhow!("splitting SRTP keys: {error}"))?;
        Srtp::new(&config.keys, profile, crypto)
    }
}

/// SHA-256 in the notation of SDP (RFC 8122 §5), upper case.
fn fingerprint(crypto: &dyn RTCCryptoProvider, der: &[u8]) -> Result<String> {
    let digest =
        crypto.crypto().hash(HashAlgorithm::Sha256, der).map_err(|error| anyhow!("hashing: {error}"))?;
    Ok(digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

/// The endpoint distinguishes associations by address. There is only one here, whose address ICE may change.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
/// The profiles that browsers offer, as types of the DTLS and of the SRTP library.
static OFFERED_PROFILES: [(SrtpProtectionProfile, ProtectionProfile); 2] = [
    (SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, ProtectionProfile::AeadAes128Gcm),
    (SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80, ProtectionProfile::Aes128CmHmacSha1_80),
];
const FLIGHT_INTERVAL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_dtls::config::ClientAuthType;

    #[test]
    fn both_ends_of_a_handshake_can_read_each_others_media() {
        let (server, client) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let (client, server) = handshake(&client, &server, &server.dtls_parameters()).unwrap();
        // Both ends export keys from the client's view, so the server's must be swapped.
        let (mut client, mut server) = (client, server.swapped());
        let packet = [0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 42];
        let mut sealed = packet.to_vec();
        client.seal_rtp(&mut sealed).unwrap();
        let opened = server.open_rtp(&mut sealed).unwrap();
        assert_eq!(sealed[..opened], packet);
    }

    #[test]
    fn a_server_with_another_certificate_than_it_signalled_is_refused() {
        let identity = || Identity::generate().unwrap();
        let (server, client, another) = (identity(), identity(), identity());
        assert!(handshake(&client, &server, &another.dtls_parameters()).is_err());
    }

    /// Passes flights until both ends have keys or the client gives up.
    fn handshake(client: &Identity, server: &Identity, signalled: &DtlsParameters) -> Result<(Srtp, Srtp)> {
        let now = Instant::now();
        let config = ConfigBuilder::default()
            .with_crypto_provider(server.crypto.clone())
            .with_certificates(vec![server.certificate.clone()])
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .build(false, None)
            .unwrap();
        let endpoint = Endpoint::new(PEER, TransportProtocol::UDP, Some(Arc::new(config)));
        let mut server_end = DtlsClient { endpoint };
        let mut client_end = DtlsClient::connect(client, signalled, now)?;
        let (mut client_keys, mut server_keys) = (None, None);
        for _ in 0..10 {
            while let Some(flight) = client_end.poll_transmit() {
                let keys = server_end.handle(&flight, now, &*server.crypto)?;
                server_keys = server_keys.or(keys);
            }
            while let Some(flight) = server_end.poll_transmit() {
                let keys = client_end.handle(&flight, now, &*client.crypto)?;
                client_keys = client_keys.or(keys);
            }
        }
        client_keys.zip(server_keys).context("no keys")
    }
}
