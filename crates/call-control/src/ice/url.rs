//! The addresses of STUN and TURN servers (RFC 7064 §3.1, RFC 7065 §3.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::is_of_one_host;

/// Whether clients can use this address of a STUN or TURN server: `stun:` or `stuns:` with a host and perhaps a
/// port, `turn:` or `turns:` perhaps with a transport besides. Browsers refuse all servers if one has a
/// transport other than `udp` and `tcp`, or port 0.
#[must_use]
pub fn is_ice_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    let (host, query) = rest.split_once('?').map_or((rest, None), |(host, query)| (host, Some(query)));
    let takes_query = match scheme {
        "stun" | "stuns" => query.is_none(),
        "turn" | "turns" => query.is_none_or(|query| matches!(query, "transport=udp" | "transport=tcp")),
        _ => false,
    };
    takes_query && is_host_and_port(host)
}

fn is_host_and_port(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_host = address.parse::<Ipv6Addr>().is_ok_and(|address| is_of_one_host(address.into()));
        return is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match text.split_once(':') {
        None => is_name_or_ipv4(text),
        Some((host, port)) => is_name_or_ipv4(host) && is_port(port),
    }
}

/// RFC 3986 §3.2.2, as far as names of the DNS go. Whatever ends in a number is an IPv4 address, as browsers read
/// it, or nothing.
fn is_name_or_ipv4(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let ends_in_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_number {
        return text.parse::<Ipv4Addr>().is_ok_and(|address| is_of_one_host(IpAddr::V4(address)));
    }
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let has_edges = !label.starts_with('-') && !label.ends_with('-');
    (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_plain) && has_edges
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// In bytes, without the dot at the end (RFC 1035 §2.3.4: 255 in the form in which names are sent).
const MAX_NAME: usize = 253;
/// In bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_transport_that_browsers_know() {
        for good in [
            "stun:a.example",
            "stuns:a.example:5349",
            "turn:a.example:3478?transport=udp",
            "turns:a.example?transport=tcp",
            "turn:[2001:db8::1]:3478",
            "turn:[::1]",
            "turn:192.0.2.1",
            "turn:192.0.2.1:65535?transport=tcp",
            "stun:localhost:1",
            "stun:a.example.",
            "turn:turn_1.example",
            "turn:3.example",
            "turn:xn--bcher-kva.example",
        ] {
            assert!(is_ice_url(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "turn:",
            "turn:.",
            "turn::3478",
            "turn://a.example",
            "https://a.example",
            "TURN:a.example",
            "turn:a.example?transport=sctp",
            "turn:a.example?transport=UDP",
            "turn:a.example?transport=udp&x=y",
            "turn:a.example?",
            "stun:a.example?transport=udp",
            "turn:user@a.example",
            "turn: a.example",
            "turn:a.example ",
            "turn:a.example/path",
            "turn:a.example#x",
            "turn:bücher.example",
        ] {
            assert!(!is_ice_url(bad), "{bad}");
        }
    }

    #[test]
    fn a_port_is_a_number_from_1_to_65535() {
        for bad in ["", "0", "00", "65536", "port", "+80", "-1", "80:80", " 80"] {
            assert!(!is_ice_url(&format!("turn:a.example:{bad}")), "{bad}");
            assert!(!is_ice_url(&format!("turn:[2001:db8::1]:{bad}")), "{bad}");
        }
        assert!(!is_ice_url("turn:[2001:db8::1]3478"));
    }

    #[test]
    fn a_host_is_a_name_of_the_dns_or_the_address_of_one_host() {
        for bad in [
            "a..example",
            ".example",
            "a.example..",
            "-a.example",
            "a-.example",
            "*.example",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1.",
            "3478",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "2001:db8::1",
            "[2001:db8::1",
            "[a.example]",
            "[192.0.2.1]",
            "[fe80::1%eth0]",
            "[::]",
            "[ff02::1]",
            "[::ffff:192.0.2.1]",
            &format!("{}.example", "a".repeat(64)),
            &["a"; 127].join(".").replace('a', "aa"),
        ] {
            assert!(!is_ice_url(&format!("turn:{bad}")), "{bad}");
        }
    }
}
