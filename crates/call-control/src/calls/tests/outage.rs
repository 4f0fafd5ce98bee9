//! The database becomes unreachable while calls run.

use std::time::Instant;

use sqlx::{Connection, SqliteConnection};
use switchyard_media_worker::media::{Direction, ProducerId};

use super::*;
use crate::{
    actor::{Actor, Person},
    call::{MediaChange, ProducerRef},
    ids::LegId,
    testing::{
        TestStore, on_both_engines_with_outages,
        proxy::{Fate, Proxy},
    },
};

/// Less than the time limit of a database operation.
const PROMPT: Duration = Duration::from_millis(2_500);

/// Waits until `is_so` holds.
async fn until(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never came to be so");
}

async fn promptly<T>(work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = work.await;
    assert!(started.elapsed() < PROMPT, "the call stood still for {:?}", started.elapsed());
    done
}

/// Makes a call record a change of its media, as its task does when the router reports one.
async fn pause_producer(calls: &Calls, call: CallId, user: UserId, leg: LegId) {
    let producer = ProducerRef { producer_id: ProducerId(uuid::Uuid::new_v4()), user_id: user, leg_id: leg };
    let command = Command::Record(vec![MediaChange::ProducerPaused(producer)]);
    let live = calls.shared.live.get(call).unwrap();
    live.ask(|reply| Request::Command { command, by: Actor::SERVER, reply }).await.unwrap().unwrap();
}

async fn stored_seqs(calls: &Calls, reader: &Person, call: CallId) -> Vec<i64> {
    calls.events(&by(reader), call, all()).await.unwrap().items.iter().map(|event| event.seq).collect()
}

on_both_engines_with_outages! {
    async fn a_running_call_goes_on_and_is_stored_in_order_afterwards(database) {
        let world = World::new(&database).await;
        let (ada, bob, cleo) = (world.person("Ada").await, world.person("Bob").await, world.person("Cleo").await);
        let (team, other) = (world.group(&ada, &[&bob, &cleo]).await, world.group(&ada, &[]).await);
        let calls = &world.control.calls;
        let (socket, mut hears) = world.socket(&ada);
        let call = world.call(&ada, team).await.unwrap().id;
        let ada_leg = world.attach(&ada, socket, call, "laptop").await.unwrap().snapshot.leg_id;
        let (socket, _bob_hears) = world.socket(&bob);
        let bob_leg = world.attach(&bob, socket, call, "phone").await.unwrap().snapshot.leg_id;
        let before = hears.so_far().last().unwrap().1["seq"].as_i64().unwrap();

        let outage = database.take_away().await;
        for _ in 0..20 {
            promptly(async {
                pause_producer(calls, call, bob.id, bob_leg).await;
                hears.next("media:producer-paused").await
            })
            .await;
        }
        promptly(calls.create_transport(call, ada_leg, Direction::Send)).await.unwrap();
        let refusals = [
            calls.join(&by(&cleo), call).await.unwrap_err(),
            world.call(&ada, other).await.unwrap_err(),
        ];
        assert!(refusals.iter().all(|refusal| refusal.code == ErrorCode::Unavailable), "{refusals:?}");
        promptly(calls.leave(&by(&bob), call, None)).await.unwrap();
        assert_eq!(hears.next("participant-left").await["userId"], json!(bob.id));
        promptly(calls.leave(&by(&ada), call, None)).await.unwrap();
        let ended = hears.next("call:ended").await;
        assert_eq!((&ended["reason"], ended["seq"].as_i64()), (&json!("last-left"), Some(before + 23)));
        assert!(calls.events_unstored() >= 22, "{}", calls.events_unstored());
        assert!(calls.shared.live.get(call).is_some(), "nobody takes over a call whose end is not stored");
        outage.end().await;

        until(async || calls.shared.live.get(call).is_none()).await;
        let stored = calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!((stored.status, stored.end_reason), (CallStatus::Ended, Some(Ending::LastLeft)));
        assert_eq!(stored_seqs(calls, &ada, call).await, (1..=before + 23).collect::<Vec<_>>());
        assert_eq!(calls.events_lost(), 0);
        assert!(world.call(&bob, team).await.is_ok(), "the group is free for another call");
    }

    async fn a_database_that_hesitates_refuses_nobody(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (calls, bob) = (&world.control.calls, by(&bob));
        let call = world.call(&ada, team).await.unwrap().id;
        let outage = database.take_away().await;
        pause_producer(calls, call, ada.id, LegId::random()).await;
        assert_eq!(calls.events_unstored(), 1, "the call went on without the database");
        let back = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            outage.end().await;
        };
        let (joined, ()) = tokio::join!(calls.join(&bob, call), back);
        assert!(joined.unwrap().participants.contains(&bob.user_id().unwrap()));
    }

    async fn whoever_started_a_call_and_is_in_it_can_end_it_in_an_outage(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let (socket, mut hears) = world.socket(&ada);
        let call = world.call(&ada, team).await.unwrap().id;
        world.attach(&ada, socket, call, "laptop").await.unwrap();
        calls.join(&by(&bob), call).await.unwrap();
        let outage = database.take_away().await;
        let refused = calls.end(&by(&bob), call, EndReason::Normal).await.unwrap_err();
        assert!([ErrorCode::Unavailable, ErrorCode::Forbidden].contains(&refused.code), "{refused}");
        let ended = calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();
        assert_eq!(ended.status, CallStatus::Ended);
        assert_eq!(hears.next("call:ended").await["reason"], "normal");
        outage.end().await;
        until(async || calls.shared.live.get(call).is_none()).await;
        assert_eq!(calls.find_one(&by(&ada), call).await.unwrap().status, CallStatus::Ended);
    }

    async fn a_server_that_stops_in_an_outage_waits_a_little_for_the_database(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let outage = database.take_away().await;
        world.control.calls.leave(&by(&ada), call, None).await.unwrap();
        let back = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            outage.end().await;
        };
        tokio::join!(world.control.shutdown(), back);
        let stored = database.open().await.call(call).await.unwrap().unwrap().record;
        assert_eq!(stored.status, CallStatus::Cancelled);
    }
}

#[tokio::test]
async fn a_call_goes_on_over_a_full_disk_and_is_stored_once_there_is_room() {
    let database = TestStore::sqlite().await;
    let world = World::new(&database).await;
    let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
    let team = world.group(&ada, &[&bob]).await;
    let (calls, store) = (&world.control.calls, &world.control.store);
    let (socket, mut hears) = world.socket(&ada);
    let call = world.call(&ada, team).await.unwrap().id;
    world.attach(&ada, socket, call, "laptop").await.unwrap();
    let (socket, _bob_hears) = world.socket(&bob);
    let leg = world.attach(&bob, socket, call, "phone").await.unwrap().snapshot.leg_id;
    let before = hears.so_far().last().unwrap().1["seq"].as_i64().unwrap();

    store.fill_disk().await;
    let told = 80;
    for _ in 0..told {
        promptly(pause_producer(calls, call, bob.id, leg)).await;
        promptly(hears.next("media:producer-paused")).await;
    }
    assert!(calls.events_unstored() > 0, "the disk is full");
    store.free_disk().await;

    until(async || stored_seqs(calls, &ada, call).await.len() as i64 >= before + told).await;
    assert_eq!(stored_seqs(calls, &ada, call).await, (1..=before + told).collect::<Vec<_>>());
    assert_eq!(calls.events_lost(), 0);
    assert!(world.call(&ada, world.group(&ada, &[]).await).await.is_ok(), "changes are taken again");
}

#[tokio::test]
async fn a_join_in_doubt_is_neither_lost_nor_doubled() {
    for fate in [Fate::Done, Fate::Lost] {
        let proxy = Proxy::start().await;
        let world = World::new(&proxy.database()).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let call = world.call(&ada, team).await.unwrap().id;
        let (socket, _hears) = world.socket(&bob);

        proxy.doom_next_commit(fate);
        let refused = world.attach(&bob, socket, call, "phone").await.unwrap_err();
        assert!(proxy.has_struck());
        assert_eq!(refused.code, ErrorCode::Unavailable, "{fate:?}");
        assert_eq!(world.control.hub.leg(socket, call), None);

        until(async || calls.join(&by(&bob), call).await.is_ok()).await;
        until(async || calls.find_one(&by(&ada), call).await.is_ok_and(|call| call.participants.len() == 2))
            .await;
        calls.leave(&by(&bob), call, None).await.unwrap();
        until(async || stored_seqs(calls, &ada, call).await.len() >= 4).await;
        assert_eq!(stored_seqs(calls, &ada, call).await, [1, 2, 3, 4], "{fate:?}");
        assert_eq!(calls.legs(&by(&ada), call, all()).await.unwrap().items.len(), 2, "{fate:?}");
        assert!(calls.events_unstored() >= 2, "leg-joined and call-started were told first");
    }
}

#[tokio::test]
async fn a_call_whose_creation_was_in_doubt_gets_an_owner_if_it_exists() {
    for fate in [Fate::Done, Fate::Lost] {
        let proxy = Proxy::start().await;
        let world = World::new(&proxy.database()).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        proxy.doom_next_commit(fate);
        assert_eq!(world.call(&ada, team).await.unwrap_err().code, ErrorCode::Unavailable, "{fate:?}");
        until(async || calls.adopt(Duration::ZERO).await.is_ok()).await;

        let running = calls.find_active_by_group(&by(&ada), team).await.unwrap();
        assert_eq!(running.is_some(), fate == Fate::Done);
        if let Some(call) = running {
            assert_eq!((call.status, call.epoch), (CallStatus::Waiting, 2));
            calls.join(&by(&bob), call.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_taken_over_holds_up_no_other_and_is_tried_again() {
    let database = TestStore::sqlite().await;
    let first = World::new(&database).await;
    let ada = first.person("Ada").await;
    let (sick, well) = (first.group(&ada, &[]).await, first.group(&ada, &[]).await);
    let (sick, well) = (first.call(&ada, sick).await.unwrap().id, first.call(&ada, well).await.unwrap().id);
    first.control.shutdown().await;
    let mut stranger = SqliteConnection::connect(&database.url).await.unwrap();
    let mut set_status = async |status: &str| {
        sqlx::query("UPDATE calls SET status = $1 WHERE id = $2")
            .bind(status)
            .bind(sick)
            .execute(&mut stranger)
            .await
            .unwrap();
    };
    set_status("active").await;

    let second = World::new(&database).await;
    let calls = &second.control.calls;
    assert_eq!(calls.find_one(&by(&ada), well).await.unwrap().epoch, 2);
    assert_eq!(calls.find_one(&by(&ada), sick).await.unwrap().epoch, 1, "active, but never started");
    set_status("waiting").await;
    calls.adopt(Duration::ZERO).await.unwrap();
    assert_eq!(calls.find_one(&by(&ada), sick).await.unwrap().epoch, 2);
    assert_eq!(calls.find_one(&by(&ada), well).await.unwrap().epoch, 2, "it has its owner");
}

#[tokio::test]
async fn a_server_that_does_not_own_the_database_any_more_takes_over_no_calls() {
    let database = TestStore::sqlite().await;
    let (first, second) = (World::new(&database).await, database.open().await);
    let ada = first.person("Ada").await;
    let team = first.group(&ada, &[]).await;
    let call = first.call(&ada, team).await.unwrap();
    let calls = &first.control.calls;
    calls.shared.live.remove(call.id);
    calls.shared.ownership.release().await;
    calls.adopt(Duration::ZERO).await.unwrap();
    assert_eq!(
        second.call(call.id).await.unwrap().unwrap().record.epoch,
        1,
        "it may be another server's call"
    );
}
