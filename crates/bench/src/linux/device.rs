//! The destination of sent packets: sockets of receivers that never read, or an interface that drops all
//! packets.
//!
//! The sink shows the cost of sending without the cost of receiving on the same machine. It is in this
//! process's own network namespace, which only root may create, and ends with the process.

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, unshare};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Device {
    /// Packets pass the whole receive path and are dropped at full sockets.
    Loopback,
    /// Packets pass the whole send path and are freed by the driver.
    Sink,
}

impl Device {
    /// The devices that this process can use. Call this before any thread is started, so that all threads are
    /// in the namespace.
    pub(crate) fn set_up() -> Result<Vec<Self>> {
        let alone = || unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace");
        if !nix::unistd::geteuid().is_root() || ip("-Version").and_then(|()| alone()).is_err() {
            return Ok(vec![Self::Loopback]);
        }
        ip("link set lo up")?;
        let sink = ip("link add sink0 type ifb").and_then(|()| ip("link set sink0 up"));
        if sink.is_err() {
            return Ok(vec![Self::Loopback]);
        }
        ip(&format!("address add {SINK_SERVER}/24 dev sink0"))?;
        ip(&format!("route add {SINK_SUBSCRIBERS}/16 dev sink0"))?;
        Ok(vec![Self::Loopback, Self::Sink])
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Sink => "sink",
        }
    }

    pub(crate) fn server(self) -> IpAddr {
        match self {
            Self::Loopback => Ipv4Addr::LOCALHOST.into(),
            Self::Sink => SINK_SERVER.into(),
        }
    }

    /// The address of subscriber number `index` behind the device.
    pub(crate) fn subscriber(self, index: usize) -> IpAddr {
        match self {
            Self::Loopback => Ipv4Addr::LOCALHOST.into(),
            Self::Sink => Ipv4Addr::from_bits(SINK_SUBSCRIBERS.to_bits() + 1 + index as u32).into(),
        }
    }

    /// Lets packets to subscribers arrive, as handshakes need, until the delivery is ended.
    pub(crate) fn deliver(self) -> Result<Delivery> {
        if self == Self::Sink {
            ip(&format!("route add local {SINK_SUBSCRIBERS}/16 dev lo"))?;
        }
        Ok(Delivery(self))
    }
}

/// While a delivery exists, packets to the subscribers behind a sink arrive on this machine.
#[must_use]
pub(crate) struct Delivery(Device);

impl Delivery {
    pub(crate) fn end(self) -> Result<()> {
        match self.0 {
            Device::Loopback => Ok(()),
            Device::Sink => ip(&format!("route del local {SINK_SUBSCRIBERS}/16 dev lo")),
        }
    }
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("ip, of iproute2")?;
    ensure!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// From a private range; no packet leaves the namespace.
const SINK_SERVER: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 1);
const SINK_SUBSCRIBERS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 0);
