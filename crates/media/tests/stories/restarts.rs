//! Senders restart with other SSRCs, or jumps in sequence numbers or clocks. Receivers see one stream.

use crate::world::track::Track;
use crate::world::{Produced, Viewed, World};
use std::time::Duration;

#[test]
fn another_ssrc_goes_on_as_the_same_stream() {
    for track in [Track::vp8(), Track::opus(), Track::h264(), Track::vp8_simulcast()] {
        let top = usize::from(track.encodings) - 1;
        let (mut world, produced, seen) = call(track);
        for ssrc in [0x1234_5678, 0x0bad_cafe] {
            world.encoding_mut(produced, top).restart_as(ssrc);
            world.run(Duration::from_secs(2));
        }
        assert_goes_on(&world, seen);
        assert_eq!(world.sfu.counters().stream_restarts, 2);
    }
}

#[test]
fn a_jump_in_sequence_numbers_leaves_no_gap() {
    for track in [Track::vp8(), Track::opus(), Track::vp8_simulcast()] {
        let (mut world, produced, seen) = call(track);
        for jump in [10_000, 40_000, 20_000] {
            let encoding = world.track(produced).encodings.len() - 1;
            let live = world.encoding_mut(produced, encoding);
            live.sequence_number = live.sequence_number.wrapping_add(jump);
            world.run(Duration::from_secs(2));
        }
        assert_goes_on(&world, seen);
    }
}

#[test]
fn a_jump_in_media_time_is_not_passed_on() {
    for track in [Track::vp8(), Track::opus(), Track::vp8_simulcast()] {
        let (mut world, produced, seen) = call(track);
        for jump in [90_000 * 3_600, 1 << 31, 0x7000_0000] {
            for live in &mut world.track_mut(produced).encodings {
                live.timestamp = live.timestamp.wrapping_add(jump);
            }
            world.run(Duration::from_secs(2));
        }
        assert_goes_on(&world, seen);
    }
}

#[test]
fn sequence_numbers_and_media_time_wrap_unnoticed() {
    for track in [Track::vp8(), Track::opus(), Track::vp9_svc()] {
        let (mut world, produced, seen) = call(track);
        let live = world.encoding_mut(produced, 0);
        // This is a jump too, which the story above tests; the wrap follows soon after it.
        live.sequence_number = 65_400;
        world.run(Duration::from_secs(6));
        assert_goes_on(&world, seen);
    }
}

fn call(track: Track) -> (World, Produced, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let produced = world.produce(alice, track);
    let seen = world.consume(bob, produced);
    world.run(Duration::from_secs(3));
    (world, produced, seen)
}

fn assert_goes_on(world: &World, seen: Viewed) {
    let playback = world.view(seen).playback();
    playback.assert_flawless();
    let last = playback.pictures.last().unwrap().captured();
    assert!(last + Duration::from_millis(300) > world.age(), "nothing came since {last:?}");
    let longest =
        playback.pictures.windows(2).map(|pair| pair[1].captured() - pair[0].captured()).max().unwrap();
    assert!(longest < Duration::from_millis(250), "nothing came for {longest:?}");
}
