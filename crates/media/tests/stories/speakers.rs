//! The active speaker, detected from the audio levels in senders' packets.

use crate::world::track::Track;
use crate::world::{Produced, World};
use std::time::Duration;
use switchyard_media::{Event, ProducerId};

#[test]
fn the_one_who_speaks_becomes_the_dominant_speaker() {
    let (mut world, mics) = call();
    world.run(Duration::from_secs(2));
    assert_eq!(speakers(&world), []);
    for speaker in [0, 2, 1, 0] {
        for (index, mic) in mics.iter().enumerate() {
            world.track_mut(*mic).level = if index == speaker { 25 } else { 90 };
        }
        world.run(Duration::from_secs(3));
        assert_eq!(speakers(&world).last(), Some(&Some(mics[speaker].id)));
    }
    assert_eq!(speakers(&world).len(), 4, "the floor changed more often than speakers did");
}

#[test]
fn a_cough_does_not_take_the_floor() {
    let (mut world, mics) = call();
    world.track_mut(mics[0]).level = 25;
    world.run(Duration::from_secs(3));
    world.track_mut(mics[1]).level = 5;
    world.run(Duration::from_millis(100));
    world.track_mut(mics[1]).level = 90;
    world.run(Duration::from_secs(2));
    assert_eq!(speakers(&world), [Some(mics[0].id)]);
}

#[test]
fn the_floor_is_free_when_the_speaker_leaves() {
    let (mut world, mics) = call();
    world.track_mut(mics[0]).level = 25;
    world.run(Duration::from_secs(3));
    world.track_mut(mics[0]).muted = true;
    world.sfu.close_producer(world.now, mics[0].id).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(speakers(&world), [Some(mics[0].id), None]);
}

#[test]
fn levels_are_told_while_somebody_is_heard_and_once_more_when_all_fall_silent() {
    let (mut world, mics) = call();
    world.track_mut(mics[1]).level = 30;
    world.run(Duration::from_secs(3));
    let told = levels(&world);
    assert!((10..=16).contains(&told.len()), "{} reports", told.len());
    assert!(
        told.iter().skip(2).all(|levels| levels[0].0 == mics[1].id && (-35..=-29).contains(&levels[0].1))
    );
    world.track_mut(mics[1]).level = 127;
    world.run(Duration::from_secs(5));
    let told = levels(&world);
    assert_eq!(told.last().map(Vec::len), Some(0));
    let count = told.len();
    world.run(Duration::from_secs(2));
    assert_eq!(levels(&world).len(), count);
}

#[test]
fn receivers_get_the_levels_as_they_were_sent() {
    let (mut world, mics) = call();
    let bob = world.subscriber();
    let heard = world.consume(bob, mics[0]);
    world.run(Duration::from_secs(1));
    world.track_mut(mics[0]).level = 33;
    world.run(Duration::from_secs(1));
    assert_eq!(world.view(heard).levels.last(), Some(&33));
    assert_eq!(world.view(heard).levels.len(), world.view(heard).count());
}

fn call() -> (World, [Produced; 3]) {
    let mut world = World::new(1);
    let mics = [0, 1, 2].map(|_| {
        let client = world.publisher();
        world.produce(client, Track::opus())
    });
    (world, mics)
}

fn speakers(world: &World) -> Vec<Option<ProducerId>> {
    let speaker = |event: &Event| match event {
        Event::ActiveSpeaker { producer } => Some(*producer),
        _ => None,
    };
    world.events.iter().filter_map(|(_, event)| speaker(event)).collect()
}

fn levels(world: &World) -> Vec<Vec<(ProducerId, i8)>> {
    let levels = |event: &Event| match event {
        Event::AudioLevels { levels } => Some(levels.clone()),
        _ => None,
    };
    world.events.iter().filter_map(|(_, event)| levels(event)).collect()
}
