//! Reads from procfs how many datagrams the kernel dropped before we read them: the same count as
//! SO_RXQ_OVFL, without parsing a control message per datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Datagrams dropped so far on the UDP sockets bound to these addresses; 0 where there is no procfs.
pub(crate) fn kernel_drops(sockets: &[SocketAddr]) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    tables.into_iter().map(read).map(|table| drops_in(&table, sockets)).sum()
}

fn drops_in(table: &str, sockets: &[SocketAddr]) -> u64 {
    let drops = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = parse_address(fields.nth(1)?)?;
        // The drops are the last column, both in the kernel's udp4_format_sock and in udp6_format_sock.
        sockets.contains(&local).then(|| fields.next_back()?.parse::<u64>().ok())?
    };
    table.lines().skip(1).filter_map(drops).sum()
}

/// `0100007F:9C40`: 32-bit words as the host stores them, then the port.
fn parse_address(field: &str) -> Option<SocketAddr> {
    let (address, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = address.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut octets = [0; 16];
            for (index, bytes) in octets.chunks_exact_mut(4).enumerate() {
                bytes.copy_from_slice(&word(index)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn only_the_named_sockets_are_counted() {
        let loopback = hex(u32::from_ne_bytes([127, 0, 0, 1]));
        let row = |port: u16, drops| {
            format!(
                "  1: {loopback}:{port:04X} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 9 2 0 {drops}\n"
            )
        };
        let table = format!("  sl  local_address drops\n{}{}garbage\n", row(40_000, 17), row(40_001, 5));
        assert_eq!(drops_in(&table, &["127.0.0.1:40000".parse().unwrap()]), 17);
    }

    #[test]
    fn ipv6_addresses_are_four_words() {
        let last = hex(u32::from_ne_bytes([0, 0, 0, 1]));
        let field = format!("{:024}{last}:0050", 0);
        assert_eq!(parse_address(&field), Some("[::1]:80".parse().unwrap()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn datagrams_beyond_a_full_buffer_are_counted() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&receiver).set_recv_buffer_size(4_096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1_000], receiver.local_addr().unwrap()).unwrap();
        }
        assert!(kernel_drops(&[receiver.local_addr().unwrap()]) > 0);
    }

    fn hex(word: u32) -> String {
        format!("{word:08X}")
    }
}
