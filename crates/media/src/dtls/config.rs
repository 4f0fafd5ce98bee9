use super::DtlsRole;
use super::certificate::{Certificate, Fingerprint};
use super::flight::INTERVAL;
use super::handshake::LOCAL;
use super::hello::Cookie;
use super::provider::Provider;
use crate::srtp::Profile;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::endpoint::Endpoint;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use std::sync::Arc;

/// Our certificate and the peer's fingerprints, from which a handshake is configured.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: Certificate,
    /// The peer's certificate must have one of these.
    pub(super) remote: Arc<[Fingerprint]>,
    /// What a client must echo.
    pub(super) cookie: Cookie,
}

impl Identity {
    pub(super) fn config(&self, role: DtlsRole, profiles: &[Profile]) -> Result<Arc<HandshakeConfig>, Error> {
        let remote = Arc::clone(&self.remote);
        ConfigBuilder::default()
            .with_crypto_provider(Arc::new(Provider::new(self.cookie)))
            .with_certificates(vec![self.certificate.library()])
            .with_srtp_protection_profiles(profiles.iter().map(|profile| profile.library()).collect())
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // These certificates are self-signed: the fingerprint is checked below instead.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(move |chain, _| {
                let leaf = chain.first().ok_or(Error::ErrNoCertificates)?;
                let known = remote.iter().any(|fingerprint| fingerprint.matches(leaf));
                known.then_some(()).ok_or(Error::ErrNoMatchingCertificateFingerprint)
            })))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_flight_interval(INTERVAL)
            .with_server_name(SERVER_NAME.to_owned())
            .build(role == DtlsRole::Client, None)
            .map(Arc::new)
    }

    /// An endpoint that waits for a ClientHello.
    pub(super) fn server(&self, profile: Profile) -> Result<Endpoint, Error> {
        let config = self.config(DtlsRole::Server, &[profile])?;
        Ok(Endpoint::new(LOCAL, TransportProtocol::UDP, Some(config)))
    }
}

impl Profile {
    fn library(self) -> SrtpProtectionProfile {
        match self {
            Self::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            Self::Aes128CmHmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        }
    }

    pub(super) fn negotiated(profile: SrtpProtectionProfile) -> Option<Self> {
        [Self::AeadAes128Gcm, Self::Aes128CmHmacSha1_80].into_iter().find(|ours| ours.library() == profile)
    }
}

/// The server name in the library's ClientHello; WebRTC peers ignore it.
const SERVER_NAME: &str = "webrtc";
