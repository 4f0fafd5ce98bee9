//! A TUN device: what the system routes to it is read here, what is written here arrives at the system.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

pub(crate) struct Device {
    pub(crate) file: File,
}

impl Device {
    /// Makes a device in the thread's namespace, with this address and the other end's.
    pub(crate) fn open(name: &str, address: Ipv4Addr, peer: Ipv4Addr) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .context("/dev/net/tun")?;
        make_tun(file.as_fd(), name).with_context(|| format!("making the device {name}: root may"))?;
        ip(&format!("address add {address} peer {peer} dev {name}"))?;
        // Without an address of IPv6 the system itself sends nothing.
        ip(&format!("link set {name} addrgenmode none"))?;
        ip(&format!("link set {name} up"))?;
        Ok(Self { file })
    }

    /// The length of the next packet, if there is one.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("reading from a device"),
        }
    }

    pub(crate) fn write(&self, packet: &[u8]) -> Result<()> {
        (&self.file).write_all(packet).context("writing to a device")
    }
}

/// Ties the open file to a new device, which ends with it. Packets have no header before their IP header.
#[expect(unsafe_code, reason = "no safe interface has this ioctl")]
fn make_tun(file: BorrowedFd<'_>, name: &str) -> Result<()> {
    ensure!(name.len() < libc::IFNAMSIZ, "{name} is longer than the system allows");
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    let mut request = libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: the call reads and writes one `ifreq`, which lives until it returns, and keeps no pointer to it.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

pub(crate) fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("ip, of iproute2")?;
    ensure!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
