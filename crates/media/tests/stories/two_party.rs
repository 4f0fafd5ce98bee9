//! The simplest call: two clients.

use crate::world::World;
use crate::world::track::Track;
use std::time::Duration;

#[test]
fn two_people_hear_and_see_each_other() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp8()));
    let (heard, seen) = (world.consume(bob, mic), world.consume(bob, camera));
    world.run(Duration::from_secs(5));

    world.view(heard).playback().assert_flawless();
    world.view(seen).playback().assert_flawless();
    assert!(world.view(heard).count() > 200, "{} packets of sound", world.view(heard).count());
    assert!(world.view(seen).playback().pictures.len() > 120);
    world.subscriber_ref(bob).assert_transport_sequence_is_whole();
    assert_eq!(world.subscriber_ref(bob).strays, 0);
}
