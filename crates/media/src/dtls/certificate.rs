use aws_lc_rs::digest;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use std::fmt;
use std::str::FromStr;

/// A self-signed identity. Cheap to clone; the private key never leaves it.
#[derive(Debug, Clone)]
pub struct Certificate(rtc_dtls::crypto::Certificate);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot generate a certificate: {0}")]
pub struct CertificateError(String);

impl Certificate {
    /// Generates an ECDSA P-256 key and a certificate for it.
    pub fn generate() -> Result<Self, CertificateError> {
        let provider = AwsLcRsProvider::new();
        rtc_dtls::crypto::Certificate::generate_self_signed([SUBJECT.to_owned()], provider.crypto())
            .map(Self)
            .map_err(|error| CertificateError(error.to_string()))
    }

    pub(crate) fn fingerprint(&self, algorithm: HashAlgorithm) -> Fingerprint {
        let der = self.0.certificate.first().map_or(&[][..], |der| der.as_ref());
        Fingerprint::of(algorithm, der)
    }

    pub(super) fn library(&self) -> rtc_dtls::crypto::Certificate {
        self.0.clone()
    }
}

/// A certificate's digest as signaled in SDP or ORTC (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    algorithm: HashAlgorithm,
    digest: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FingerprintError {
    #[error("unsupported fingerprint algorithm {0:?}")]
    UnsupportedAlgorithm(String),
    #[error("a fingerprint is the digest's bytes in hexadecimal, separated by colons")]
    InvalidValue,
}

impl Fingerprint {
    pub(crate) fn of(algorithm: HashAlgorithm, der: &[u8]) -> Self {
        Self { algorithm, digest: digest::digest(algorithm.implementation(), der).as_ref().to_vec() }
    }

    /// Parses e.g. `sha-256` and `A9:F4:…`, in either case.
    pub(crate) fn parse(algorithm: &str, value: &str) -> Result<Self, FingerprintError> {
        let algorithm: HashAlgorithm = algorithm.parse()?;
        let digest = value.split(':').map(parse_octet).collect::<Option<Vec<u8>>>();
        match digest {
            Some(digest) if digest.len() == algorithm.implementation().output_len() => {
                Ok(Self { algorithm, digest })
            }
            Some(_) | None => Err(FingerprintError::InvalidValue),
        }
    }

    pub(super) fn matches(&self, der: &[u8]) -> bool {
        *self == Self::of(self.algorithm, der)
    }
}

/// The value alone: upper-case hexadecimal octets separated by colons.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.digest.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02X}")?;
        }
        Ok(())
    }
}

/// The hash functions we accept; RFC 8122 §5 also names weaker ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl HashAlgorithm {
    /// The name in the IANA registry of hash function textual names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl FromStr for HashAlgorithm {
    type Err = FingerprintError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| FingerprintError::UnsupportedAlgorithm(name.to_owned()))
    }
}

fn parse_octet(text: &str) -> Option<u8> {
    let two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    two_digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// WebRTC does not check certificate names, but a certificate must have one.
const SUBJECT: &str = "WebRTC";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_compared_whatever_their_case() {
        let certificate = Certificate::generate().unwrap();
        for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
            let ours = certificate.fingerprint(algorithm);
            let lower =
                Fingerprint::parse(&algorithm.name().to_uppercase(), &ours.to_string().to_lowercase());
            assert_eq!(lower.as_ref(), Ok(&ours));
        }
    }

    #[test]
    fn a_fingerprint_is_spelled_as_in_sdp() {
        let fingerprint = Fingerprint::of(HashAlgorithm::Sha256, b"abc").to_string();
        assert!(fingerprint.starts_with("BA:78:16:BF:8F:01:CF:EA"));
        assert_eq!(fingerprint.len(), 95);
    }

    #[test]
    fn weak_algorithms_and_misspelled_values_are_refused() {
        for weak in ["sha-1", "sha-224", "md5"] {
            let refused = Fingerprint::parse(weak, "00:11");
            assert_eq!(refused, Err(FingerprintError::UnsupportedAlgorithm(weak.to_owned())));
        }
        for value in ["", "AB", "+1", &"0:".repeat(32), &["AB"; 31].join(":"), &["AG"; 32].join(":")] {
            assert_eq!(Fingerprint::parse("sha-256", value), Err(FingerprintError::InvalidValue), "{value}");
        }
    }
}
