//! Origins of web pages (RFC 6454), and hosts of requests.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// The origin of a web page: scheme, host and port, in the form of RFC 6454 §4. Scheme and host are in lower
/// case, and the default port of the scheme is filled in, so that two spellings of one origin are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// The host of a request and, if it is given, its port: the authority of RFC 3986 §3.2 without userinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    /// In lower case. Names outside ASCII are compared as browsers send them, in the form `xn--…` (RFC 5890).
    Name(String),
}

#[derive(Debug, thiserror::Error)]
#[error("no origin such as https://app.example.org or http://localhost:5173")]
pub struct InvalidOrigin;

#[derive(Debug, thiserror::Error)]
#[error("no host such as calls.example.org, 127.0.0.1:3000 or [::1]:3000")]
pub struct InvalidAuthority;

impl Origin {
    /// Whether a page of this origin is one that this server itself has served under `authority`. A proxy may
    /// speak TLS in front of the server, so either scheme will do.
    #[must_use]
    pub fn is_served_by(&self, authority: &Authority) -> bool {
        self.host == authority.host && self.port == authority.port.unwrap_or(self.scheme.default_port())
    }

    /// Whether the page comes from the machine that its browser runs on.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }
}

impl Authority {
    /// Whether it names the machine that the client runs on.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }
}

impl Scheme {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Host {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(address) => address.to_canonical().is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    /// Reads an origin as an `Origin` header has it (RFC 6454 §6.2), in any case and with or without the
    /// default port. A path, even `/`, is refused.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(InvalidOrigin),
        };
        let Authority { host, port } = rest.parse().map_err(|_| InvalidOrigin)?;
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.default_port()) })
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, InvalidAuthority> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(InvalidAuthority)?;
                let address: Ipv6Addr = address.parse().map_err(|_| InvalidAuthority)?;
                (Host::Ip(address.into()), port)
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (named(name)?, port)
            }
        };
        Ok(Self { host, port: port_of(port)? })
    }
}

fn named(name: &str) -> Result<Host, InvalidAuthority> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_plain) {
        return Err(InvalidAuthority);
    }
    Ok(name
        .parse()
        .map_or_else(|_| Host::Name(name.to_ascii_lowercase()), |address| Host::Ip(IpAddr::V4(address))))
}

/// The port behind a host: nothing, or a colon and digits; there may be no digits (RFC 3986 §3.2.3).
fn port_of(text: &str) -> Result<Option<u16>, InvalidAuthority> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(None),
        Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| InvalidAuthority)
        }
        None | Some(_) => Err(InvalidAuthority),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// In bytes (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_same_in_any_spelling() {
        for (spelt, origin) in [
            ("HTTPS://App.Example:443", "https://app.example"),
            ("http://LAN.example:80", "http://lan.example"),
            ("http://lan.example:443", "http://lan.example:443"),
            ("https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
            ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(spelt.parse::<Origin>().unwrap().to_string(), origin);
            assert_eq!(spelt.parse::<Origin>().unwrap(), origin.parse().unwrap());
        }
        assert_ne!("http://a.example".parse::<Origin>().unwrap(), "https://a.example".parse().unwrap());
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "",
            "*",
            "null",
            "https://",
            "app.example",
            "https://*.example",
            "https://app.example/",
            "https://app.example/page",
            "https://app.example?x",
            "https://app.example#x",
            "https://user@app.example",
            "https://app.example:x@evil.example",
            "https://app.example:65536",
            "https://app.example:-1",
            "https://[::1]evil.example",
            "https://[::1",
            "https://::1",
            "https://bücher.example",
            "https://app example",
            " https://app.example",
            "ftp://app.example",
            "https://a.example, https://b.example",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_loopback_hosts() {
        let is_loopback = |host: &str| host.parse::<Authority>().is_ok_and(|host| host.is_loopback());
        for good in [
            "localhost",
            "LOCALHOST:3000",
            "localhost:",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]:3000",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "[::2]:1",
            "::1",
            "localhost:x@evil.example",
            "localhost@evil.example",
            "localhost:80:80",
            "localhost:+80",
            "[::1]evil.example",
            "[::1]:80@evil.example",
            "[::1",
            "[localhost]",
            "127.1",
            "localhost/x",
            "localhost, evil.example",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn a_page_of_the_server_itself_has_the_host_that_the_request_names() {
        let own =
            |origin: &str, host: &str| origin.parse::<Origin>().unwrap().is_served_by(&host.parse().unwrap());
        assert!(own("http://calls.example:3000", "calls.example:3000"));
        assert!(own("https://calls.example", "Calls.Example"));
        assert!(own("https://calls.example", "calls.example:443"));
        assert!(!own("http://calls.example", "calls.example:443"));
        assert!(!own("https://calls.example.evil.example", "calls.example"));
    }
}
