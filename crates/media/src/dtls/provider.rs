use super::hello::Cookie;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{CryptoError, RTCCrypto, RTCCryptoProvider, RTCRandom};

/// The library's cryptography, except that the library's cookie is ours.
pub(super) struct Provider {
    inner: AwsLcRsProvider,
    cookie: Cookie,
}

impl Provider {
    pub(super) fn new(cookie: Cookie) -> Self {
        Self { inner: AwsLcRsProvider::new(), cookie }
    }
}

impl RTCCryptoProvider for Provider {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.inner.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        self
    }
}

/// The library draws 20 bytes for a cookie only; a hello takes 28, a nonce 8, an initialization vector 16.
impl RTCRandom for Provider {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        if output.len() == self.cookie.len() {
            output.copy_from_slice(&self.cookie);
            return Ok(());
        }
        self.inner.random().fill(output)
    }
}
