//! The network or the wishes change while the call goes on.

use super::call::Row;
use super::report::{LinkReport, print};
use super::{MBIT, millis};
use crate::world::rates::Camera;
use crate::world::track::Track;
use switchyard_link::path::{Path, Queue, Rate};
use switchyard_media::Event;

#[test]
fn a_handover_to_a_better_network() {
    let report = handover("handover 1 → 5 Mb/s", MBIT, 5 * MBIT);
    report.assert_complete();
    print(&report);
}

#[test]
fn a_handover_to_a_worse_network() {
    let report = handover("handover 5 → 1 Mb/s", 5 * MBIT, MBIT);
    report.assert_complete();
    print(&report);
}

/// 0.7 Mb/s for a minute, then wishes of 2.1 Mb/s.
#[test]
fn a_receiver_that_wants_more_after_a_minute() {
    let link = Row::limited("app-limited, 3 Mb/s", Rate::Constant(3 * MBIT), Queue::Time(millis(300)));
    let mut call = Row { cameras: 2, ..link }.begin();
    let pictures = call.receivers[0].pictures.clone();
    call.world.prefer(pictures[0], 1, None);
    call.world.prefer(pictures[1], 0, None);
    call.run(60);
    call.world.prefer(pictures[0], 2, None);
    call.world.prefer(pictures[1], 1, None);
    call.run(10);
    let report = call.report(0);
    report.assert_flawless();
    print(&report);
}

/// A video that does not fit beside another is told of.
#[test]
fn a_second_video_for_which_there_is_no_room() {
    let mut call = Row { name: "REMB of 170 kb/s", ..Row::USUAL }.begin();
    let client = call.receivers[0].client;
    call.world.subscriber_mut(client).remb = Some(170_000.0);
    let second = call.world.produce(call.publisher, Track::camera(Camera::USUAL));
    call.run(5);
    let second = call.world.consume(client, second);
    call.run(3);
    let is_withheld = |event: &Event| match event {
        Event::ConsumerLayers { consumer, layers } => *consumer == second.id && layers.is_none(),
        _ => false,
    };
    assert!(call.world.events.iter().any(|(_, event)| is_withheld(event)), "{:?}", call.world.events);
}

/// After 15 s the receiver has another address, behind another link. What was on its way is lost.
fn handover(name: &'static str, before: u64, after: u64) -> LinkReport {
    let mut call = Row::limited(name, Rate::Constant(before), Queue::Time(millis(300))).begin();
    call.run(15);
    let client = call.receivers[0].client;
    let path = Path { rate: Rate::Constant(after), ..call.row.down };
    call.world.hand_over(client, path);
    call.run(15);
    call.report(0)
}
