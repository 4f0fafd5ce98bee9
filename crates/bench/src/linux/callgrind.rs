//! Instructions per forwarded packet, by component: exact, where measured times are noisy.
//!
//! `callgrind` runs [`workload`] and counts the instructions inside [`measured`]; [`tables`] reads its
//! output.

mod profile;

use crate::linux::cipher::Profile;
use crate::linux::in_process::{Burst, InProcessCall};
use crate::linux::stream::Shape;
use anyhow::{Result, ensure};
pub(crate) use profile::tables;
use std::time::Duration;
use switchyard_media::ortc::MediaKind;

/// Warms up a call with many consumers, then forwards a fixed number of packets.
pub(crate) fn workload() -> Result<()> {
    let mut call = InProcessCall::new(SUBSCRIBERS, Profile::Gcm)?;
    let mut warm_up = call.publish(MediaKind::Video, SHAPE, BURSTS)?;
    call.forward(&mut warm_up, INTERVAL);
    let mut bursts = call.publish(MediaKind::Video, SHAPE, BURSTS)?;
    let before = call.counters().packets_sent;
    measured(&mut call, &mut bursts);
    let forwarded = call.counters().packets_sent - before;
    ensure!(forwarded == FORWARDED as u64, "{forwarded} packets of {FORWARDED}");
    Ok(())
}

/// `callgrind` counts inside the function of this name.
#[inline(never)]
fn measured(call: &mut InProcessCall, bursts: &mut [Burst]) {
    call.forward(bursts, INTERVAL);
}

const SUBSCRIBERS: usize = 100;
const SHAPE: Shape = Shape { payload: 1_200, burst: 5 };
const BURSTS: usize = 60;
/// One frame at 30 frames per second, so that the cost of reports has its realistic share.
const INTERVAL: Duration = Duration::from_micros(33_333);
const FORWARDED: usize = SUBSCRIBERS * SHAPE.burst * BURSTS;
