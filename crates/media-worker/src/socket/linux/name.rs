//! Socket addresses as Linux lays them out in memory.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A `sockaddr_in` or a `sockaddr_in6`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(8))]
pub(super) struct Name {
    pub(super) bytes: [u8; MAX_LEN],
    pub(super) len: u8,
}

impl Name {
    pub(super) fn of(address: SocketAddr) -> Self {
        let mut name = Self::default();
        let [f0, f1] = family(&address).to_ne_bytes();
        let [p0, p1] = address.port().to_be_bytes();
        name.bytes[..4].copy_from_slice(&[f0, f1, p0, p1]);
        match address {
            SocketAddr::V4(address) => {
                name.bytes[4..8].copy_from_slice(&address.ip().octets());
                name.len = V4_LEN as u8;
            }
            SocketAddr::V6(address) => {
                name.bytes[4..8].copy_from_slice(&address.flowinfo().to_ne_bytes());
                name.bytes[8..24].copy_from_slice(&address.ip().octets());
                name.bytes[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
                name.len = MAX_LEN as u8;
            }
        }
        name
    }

    /// The address that the kernel wrote, of `len` bytes; `None` if it is not an IP address.
    pub(super) fn address(&self, len: usize) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, rest @ ..] = &self.bytes;
        let port = u16::from_be_bytes([*p0, *p1]);
        match i32::from(u16::from_ne_bytes([*f0, *f1])) {
            libc::AF_INET if len >= V4_LEN => {
                Some(SocketAddr::new(Ipv4Addr::from(*rest.first_chunk()?).into(), port))
            }
            libc::AF_INET6 if len >= MAX_LEN => {
                let (flowinfo, rest) = rest.split_first_chunk()?;
                let (ip, scope_id) = rest.split_first_chunk::<16>()?;
                let (flowinfo, scope_id) =
                    (u32::from_ne_bytes(*flowinfo), u32::from_ne_bytes(*scope_id.first_chunk()?));
                Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, flowinfo, scope_id).into())
            }
            _ => None,
        }
    }
}

fn family(address: &SocketAddr) -> u16 {
    match address {
        SocketAddr::V4(_) => libc::AF_INET as u16,
        SocketAddr::V6(_) => libc::AF_INET6 as u16,
    }
}

const V4_LEN: usize = size_of::<libc::sockaddr_in>();
const MAX_LEN: usize = size_of::<libc::sockaddr_in6>();
const _: () = assert!(V4_LEN == 16 && MAX_LEN == 28);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_come_back_as_they_went_in() {
        for address in ["1.2.3.4:5", "255.0.0.1:65535", "[2001:db8::7]:40000", "[fe80::1%3]:9"] {
            let address: SocketAddr = address.parse().unwrap();
            let name = Name::of(address);
            assert_eq!(name.address(name.len.into()), Some(address));
            assert_eq!(name.address(usize::from(name.len) - 1), None, "cut short");
        }
        assert_eq!(Name::default().address(MAX_LEN), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "socket2 makes a system call's structures")]
    fn they_are_laid_out_as_the_system_has_them() {
        for address in ["1.2.3.4:5", "[2001:db8::7]:40000", "[fe80::1%3]:9"] {
            let address: SocketAddr = address.parse().unwrap();
            let (name, system) = (Name::of(address), socket2::SockAddr::from(address));
            assert_eq!(usize::from(name.len), system.len() as usize);
            assert_eq!(i32::from(system.family()), i32::from(family(&address)));
            assert_eq!(system.as_socket(), name.address(name.len.into()));
        }
    }
}
