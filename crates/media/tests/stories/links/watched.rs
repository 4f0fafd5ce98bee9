//! What an operator sees of a path.

use super::call::Row;
use super::{MBIT, millis};
use crate::world::{Client, World};
use std::collections::BTreeSet;
use switchyard_link::path::{Queue, Rate};
use switchyard_media::congestion::Bound;
use switchyard_media::{Bandwidth, ControlError, Direction, Happening, PathStats, Paths, ProbeResult};

/// Two cameras and a microphone do not fit.
const NARROW: Row =
    Row { cameras: 2, ..Row::limited("", Rate::Constant(MBIT * 15 / 100), Queue::Time(millis(300))) };

#[test]
fn a_path_that_does_not_carry_all_is_seen_in_counters_and_in_its_statistics() {
    let mut call = NARROW.begin();
    call.run(20);
    let world = &call.world;
    let counters = world.sfu.counters();
    assert!(counters.video_withheld > 0 && counters.probes_begun > 0, "{counters:?}");
    assert!(counters.packets_lost > 0 && counters.probe_bytes_sent > 0, "{counters:?}");
    let ended = counters.probes_passed + counters.probes_full + counters.probes_void;
    assert!([ended, ended + 1].contains(&counters.probes_begun), "{counters:?}");
    assert!(world.sfu.population().consumers_withheld > 0);

    let path = path(world, call.receivers[0].client);
    assert!(path.wanted > path.used && path.estimate < MBIT, "{path:?}");
    assert_eq!((path.probes_begun, path.packets_lost), (counters.probes_begun, counters.packets_lost));
    assert!((50..400).contains(&path.rtt_ms) && path.acknowledged.is_some(), "{path:?}");
    assert!(matches!(path.limited_by, Bound::Delay | Bound::Loss), "{path:?}");
    let paths = world.sfu.paths();
    assert_eq!(paths.estimate.counts.iter().sum::<u64>(), 1);
    assert_eq!((paths.estimate.sum, paths.rtt.sum), (path.estimate, path.rtt_ms.into()));
}

#[test]
fn a_trace_tells_what_was_heard_tried_and_granted_while_it_is_read() {
    let mut call = Row { seed: 3, ..NARROW }.begin();
    let transport = call.world.transport(call.receivers[0].client);
    let mut seen = BTreeSet::new();
    let mut results = Vec::new();
    let mut before = 0;
    for _ in 0..20 {
        let now = call.world.now;
        let part = call.world.sfu.read_trace(now, transport).unwrap();
        assert_eq!(part.dropped, 0);
        for traced in part.events {
            assert!(traced.at_ms >= before);
            before = traced.at_ms;
            seen.insert(match traced.what {
                Happening::Feedback { rtt_ms, .. } => {
                    assert!(rtt_ms < 2_000);
                    "feedback"
                }
                Happening::Estimate { estimate, budget, .. } => {
                    assert!(budget <= estimate);
                    "estimate"
                }
                Happening::ProbeBegun { .. } => "probe",
                Happening::ProbeEnded { result } => {
                    results.push(result);
                    "result"
                }
                Happening::Granted { .. } => "granted",
            });
        }
        call.run(1);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["estimate", "feedback", "granted", "probe", "result"]);
    assert!(results.iter().any(|result| *result != ProbeResult::Passed), "{results:?}");

    // Nobody reads: the trace ends, and the next reading begins another one.
    call.run(6);
    let now = call.world.now;
    assert!(call.world.sfu.read_trace(now, transport).unwrap().events.is_empty());
}

#[test]
fn nothing_is_traced_of_a_sender_or_where_bandwidth_is_not_divided() {
    let mut call = NARROW.begin();
    let (now, sender) = (call.world.now, call.world.transport(call.publisher));
    assert_eq!(call.world.sfu.read_trace(now, sender), Err(ControlError::WrongDirection));
    let mut world = World::configured(1, 1, |config| config.bandwidth = Bandwidth::Unlimited);
    let receiver = world.join(Direction::Recv, Default::default());
    let (now, transport) = (world.now, world.transport(receiver));
    assert!(matches!(world.sfu.read_trace(now, transport), Err(ControlError::Unsupported(_))));
    assert_eq!(world.sfu.paths(), Paths::default());
}

fn path(world: &World, client: Client) -> PathStats {
    world.sfu.transport_stats(world.transport(client)).unwrap().path.unwrap()
}
