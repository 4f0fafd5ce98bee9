//! Instructions per forwarded packet, by component: exact, where measured times are noisy.
//!
//! `callgrind` runs [`workload`] and counts the instructions inside [`measured`]; [`tables`] reads its
//! output.

mod profile;

use crate::linux::cipher::Profile;
use crate::linux::cpu::thread_time;
use crate::linux::in_process::{Burst, InProcessCall, Report};
use crate::linux::stream::Shape;
use anyhow::{Result, ensure};
pub(crate) use profile::tables;
use std::io::Write;
use std::time::Duration;
use switchyard_media::Bandwidth;
use switchyard_media::ortc::MediaKind;

/// Warms up a call with many consumers, then forwards a fixed number of packets. With [`Bandwidth::Divided`],
/// subscribers report every tenth of a second.
pub(crate) fn workload(bandwidth: Bandwidth, recorded: bool) -> Result<()> {
    let mut call = InProcessCall::with_bandwidth(SUBSCRIBERS, Profile::Gcm, bandwidth)?;
    if recorded {
        call.record()?;
    }
    for _ in 0..WARM_UPS {
        let mut bursts = call.publish(MediaKind::Video, SHAPE, BURSTS)?;
        call.keep_alive()?;
        for (index, burst) in bursts.chunks_mut(1).enumerate() {
            call.forward(burst, INTERVAL);
            if index % BURSTS_PER_REPORT == 0 {
                let mut reports = call.report()?;
                call.hear(&mut reports);
            }
        }
    }
    let mut bursts = call.publish(MediaKind::Video, SHAPE, BURSTS)?;
    let before = call.counters().packets_sent;
    let mut used = Duration::ZERO;
    let mut measure = |call: &mut InProcessCall, bursts: &mut [Burst], reports: &mut [Report]| {
        let start = thread_time();
        measured(call, bursts, reports);
        used += thread_time() - start;
    };
    for (index, burst) in bursts.chunks_mut(1).enumerate() {
        measure(&mut call, burst, &mut []);
        if index % BURSTS_PER_REPORT == 0 {
            let mut reports = call.report()?;
            measure(&mut call, &mut [], &mut reports);
        }
    }
    let forwarded = call.counters().packets_sent - before;
    ensure!(forwarded == FORWARDED as u64, "{forwarded} packets of {FORWARDED}");
    let each = used.as_nanos() / u128::from(forwarded);
    writeln!(std::io::stdout(), "{each} ns per forwarded packet, of CPU time")?;
    Ok(())
}

/// `callgrind` counts inside the function of this name.
#[inline(never)]
fn measured(call: &mut InProcessCall, bursts: &mut [Burst], reports: &mut [Report]) {
    call.forward(bursts, INTERVAL);
    call.hear(reports);
}

const SUBSCRIBERS: usize = 100;
const SHAPE: Shape = Shape { payload: 1_200, burst: 5 };
const BURSTS: usize = 60;
const BURSTS_PER_REPORT: usize = 3;
/// Times two seconds: time for the first probes.
const WARM_UPS: usize = 5;
/// One frame at 30 frames per second, so that the cost of reports has its realistic share.
const INTERVAL: Duration = Duration::from_micros(33_333);
const FORWARDED: usize = SUBSCRIBERS * SHAPE.burst * BURSTS;
