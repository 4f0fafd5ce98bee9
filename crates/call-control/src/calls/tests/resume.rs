//! Resuming a leg, and `call:sync`.

use serde_json::json;

use super::all;
use crate::{
    actor::Person,
    call::{EndReason, LegReason, Rules},
    error::{ErrorCode, Refusal},
    hub::SocketId,
    ids::CallId,
    testing::{World, by, fast_rules, on_both_engines},
    wire::{
        command::{Join, Since},
        reply::{Joined, Synced},
    },
};

async fn resume(
    world: &World,
    who: &Person,
    socket: SocketId,
    call_id: CallId,
    token: &str,
) -> Result<Joined, Refusal> {
    let resume_token = Some(token.to_owned().try_into().unwrap());
    let join =
        Join { call_id, device: None, rtp_capabilities: None, media: Default::default(), resume_token };
    world.control.calls.attach(&by(who), socket, join).await
}

on_both_engines! {
    async fn a_token_brings_a_lost_socket_back_to_its_leg_without_the_others_noticing(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (ada_socket, mut hears) = world.socket(&ada);
        world.attach(&ada, ada_socket, call, "laptop").await.unwrap();
        let (old, _) = world.socket(&bob);
        let first = world.attach(&bob, old, call, "phone").await.unwrap();
        assert!(!first.resumed);
        world.control.hub.unregister(old);
        world.control.calls.connection_lost(call, first.snapshot.leg_id).await;
        hears.so_far();

        let (new, _) = world.socket(&bob);
        let back = resume(&world, &bob, new, call, &first.resume_token).await.unwrap();
        assert!(back.resumed && !back.media_restart);
        assert_eq!(back.snapshot.leg_id, first.snapshot.leg_id);
        assert_eq!(back.snapshot.stamp, first.snapshot.stamp, "nothing happened that others need to know");
        assert!(hears.so_far().is_empty());
        assert_ne!(back.resume_token, first.resume_token);

        let (late, _) = world.socket(&bob);
        let reused = resume(&world, &bob, late, call, &first.resume_token).await.unwrap();
        assert!(!reused.resumed, "a token works once");
        assert_ne!(reused.snapshot.leg_id, first.snapshot.leg_id);
    }

    async fn a_token_is_worth_nothing_to_somebody_else(database) {
        let world = World::new(&database).await;
        let (ada, bob, eve) = (world.person("Ada").await, world.person("Bob").await, world.person("Eve").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (socket, _) = world.socket(&bob);
        let bobs = world.attach(&bob, socket, call, "phone").await.unwrap();
        let (socket, _) = world.socket(&ada);
        let adas = resume(&world, &ada, socket, call, &bobs.resume_token).await.unwrap();
        assert!(!adas.resumed);
        let (socket, _) = world.socket(&eve);
        let refused = resume(&world, &eve, socket, call, &bobs.resume_token).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden);
    }

    async fn taking_over_a_socket_that_is_still_alive_tells_it_so(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (old, mut old_hears) = world.socket(&ada);
        let first = world.attach(&ada, old, call, "laptop").await.unwrap();
        let (new, mut new_hears) = world.socket(&ada);
        let leg = resume(&world, &ada, new, call, &first.resume_token).await.unwrap().snapshot.leg_id;
        assert_eq!(old_hears.next("call:replaced").await, json!({"callId": call, "legId": leg}));
        assert_eq!((world.control.hub.leg(old, call), world.control.hub.leg(new, call)), (None, Some(leg)));
        world.control.calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();
        new_hears.next("call:ended").await;
    }

    async fn leaving_and_the_end_of_the_window_revoke_a_token(database) {
        let world = World::with_rules(&database, Rules { ring: None, unattached: None, ..fast_rules() }).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (ada_socket, mut hears) = world.socket(&ada);
        world.attach(&ada, ada_socket, call, "laptop").await.unwrap();
        for lost in [false, true] {
            let (socket, _) = world.socket(&bob);
            let first = world.attach(&bob, socket, call, "phone").await.unwrap();
            if lost {
                world.control.hub.unregister(socket);
                world.control.calls.connection_lost(call, first.snapshot.leg_id).await;
            } else {
                world.control.calls.leave(&by(&bob), call, None).await.unwrap();
            }
            hears.next("participant-left").await;
            let (socket, _) = world.socket(&bob);
            let again = resume(&world, &bob, socket, call, &first.resume_token).await.unwrap();
            assert!(!again.resumed);
            world.control.calls.leave(&by(&bob), call, None).await.unwrap();
            hears.next("participant-left").await;
        }
    }

    async fn a_token_outlives_a_restart_and_its_leg_needs_new_transports(database) {
        let first = World::new(&database).await;
        let (ada, bob) = (first.person("Ada").await, first.person("Bob").await);
        let team = first.group(&ada, &[&bob]).await;
        let call = first.call(&ada, team).await.unwrap().id;
        let (socket, _) = first.socket(&bob);
        let before = first.attach(&bob, socket, call, "phone").await.unwrap();
        first.control.shutdown().await;

        let second = World::new(&database).await;
        let (socket, _) = second.socket(&bob);
        let back = resume(&second, &bob, socket, call, &before.resume_token).await.unwrap();
        assert!(back.resumed && back.media_restart);
        assert_eq!(back.snapshot.leg_id, before.snapshot.leg_id);
        assert_eq!(back.snapshot.stamp.epoch, 2);
        let legs = second.control.calls.legs(&by(&ada), call, all()).await.unwrap().items;
        assert!(legs.iter().all(|leg| leg.reason != Some(LegReason::ServerRestart)));
    }

    async fn a_client_that_missed_events_gets_those_or_the_whole_picture(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (socket, mut hears) = world.socket(&ada);
        let joined = world.attach(&ada, socket, call, "laptop").await.unwrap().snapshot;
        let (bob_socket, _) = world.socket(&bob);
        world.attach(&bob, bob_socket, call, "phone").await.unwrap();
        world.control.calls.leave(&by(&bob), call, None).await.unwrap();
        let live: Vec<_> = hears.so_far().into_iter().filter(|(name, _)| *name != "call:created").collect();
        assert_eq!(live.len(), 3);

        let sync = async |epoch, seq| {
            let since = Some(Since { seq, epoch });
            world.control.calls.sync(call, joined.leg_id, since).await.unwrap()
        };
        let Synced::Events(missed) = sync(Some(1), joined.stamp.seq).await else { panic!("all of it is held") };
        let replayed: Vec<_> = missed
            .events
            .iter()
            .map(|frame| (frame.name(), serde_json::from_str(frame.data()).unwrap()))
            .collect();
        assert_eq!(replayed, live, "the same events in the same order");
        assert_eq!(missed.stamp.seq, joined.stamp.seq + 3);
        let other_epoch = sync(Some(7), joined.stamp.seq).await;
        assert!(matches!(other_epoch, Synced::Snapshot(whole) if whole.stamp == missed.stamp));
    }
}
