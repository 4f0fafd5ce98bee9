use std::{net::IpAddr, str::FromStr};

use reqwest::Url;

/// The URL of a key set: `https`, or `http` on a loopback host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUrl(Url);

#[derive(Debug, thiserror::Error)]
#[error("keys are taken from an https: address without a password, or from http: on this machine")]
pub struct InvalidJwksUrl;

impl JwksUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether the host is loopback, so that TLS is not needed.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for JwksUrl {
    type Err = InvalidJwksUrl;

    fn from_str(text: &str) -> Result<Self, InvalidJwksUrl> {
        let url = Self(text.trim().parse().map_err(|_| InvalidJwksUrl)?);
        let is_private = match url.0.scheme() {
            "https" => true,
            "http" => url.is_loopback(),
            _ => false,
        };
        let is_anonymous = url.0.username().is_empty() && url.0.password().is_none();
        if is_private && is_anonymous { Ok(url) } else { Err(InvalidJwksUrl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://id.example/.well-known/jwks.json",
            "HTTPS://id.example:8443/keys?tenant=1",
            "http://localhost:8080/keys",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
        ] {
            assert!(good.parse::<JwksUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "id.example/keys",
            "http://id.example/keys",
            "http://localhost.example/keys",
            "http://127.0.0.1.example/keys",
            "http://10.0.0.1/keys",
            "http://localhost@id.example/keys",
            "https://user:password@id.example/keys",
            "file:///etc/keys.json",
        ] {
            assert!(bad.parse::<JwksUrl>().is_err(), "{bad}");
        }
    }
}
