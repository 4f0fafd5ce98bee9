//! The service on both databases: complete calls with real owner tasks, media routers and sockets.

mod crowd;
mod moderation;
mod outage;
mod receipts;
mod resume;

use serde_json::json;

use super::{request::Request, *};
use crate::{
    call::{CallStatus, CallType},
    error::ErrorCode,
    store::Role,
    testing::{World, by, fast_rules, on_both_engines, slow_rules},
};

fn all<C>() -> PageRequest<C> {
    PageRequest { limit: 100, after: None }
}

on_both_engines! {
    async fn sixty_four_people_start_a_call_and_one_call_runs(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let tries: Vec<_> = (0..64)
            .map(|_| {
                let (calls, ada) = (world.control.calls.clone(), ada.clone());
                let new = NewCall { group_id: team, call_type: CallType::Video, metadata: Metadata::default(), once: None };
                tokio::spawn(async move { calls.create(&by(&ada), new).await })
            })
            .collect();
        let (mut created, mut named) = (Vec::new(), Vec::new());
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(Created::Now(call)) => created.push(call.id),
                Ok(Created::Before(answer)) => panic!("nothing was repeated: {answer}"),
                Err(refusal) => {
                    assert_eq!(refusal.code, ErrorCode::CallExists, "{refusal}");
                    named.push(refusal.call_id.unwrap());
                }
            }
        }
        assert_eq!(created.len(), 1);
        assert!(named.iter().all(|call| *call == created[0]));
        let history = world.control.calls.find_by_group(&by(&ada), team, CallFilter::default(), all()).await.unwrap();
        assert_eq!(history.items.len(), 1);
    }

    async fn every_member_hears_of_a_call_and_those_in_it_hear_each_other(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let (cleo, eve) = (world.person("Cleo").await, world.person("Eve").await);
        let team = world.group(&ada, &[&bob, &cleo]).await;
        let (ada_socket, mut ada_hears) = world.socket(&ada);
        let (bob_socket, mut bob_hears) = world.socket(&bob);
        let (_, mut cleo_hears) = world.socket(&cleo);
        let (_, mut eve_hears) = world.socket(&eve);

        let call = world.call(&ada, team).await.unwrap();
        for hears in [&mut ada_hears, &mut bob_hears, &mut cleo_hears] {
            assert_eq!(hears.next("call:created").await["id"], json!(call.id));
        }
        world.attach(&ada, ada_socket, call.id, "laptop").await.unwrap();
        let joined = world.attach(&bob, bob_socket, call.id, "phone").await.unwrap();
        assert_eq!(joined.snapshot.participants.len(), 2);
        assert_eq!(joined.snapshot.call.status, CallStatus::Active);
        assert!(joined.resume_token.len() >= 43);

        let heard = ada_hears.next("participant-joined").await;
        assert_eq!(heard["name"], "Bob");
        assert_eq!(heard["participants"], json!([ada.id, bob.id]));
        assert_eq!(ada_hears.next("call:updated").await["status"], "active");

        world.control.calls.leave(&by(&bob), call.id, None).await.unwrap();
        let heard = ada_hears.next("participant-left").await;
        assert_eq!((&heard["reason"], &heard["participants"]), (&json!("left"), &json!([ada.id])));
        world.control.calls.leave(&by(&ada), call.id, None).await.unwrap();
        for hears in [&mut ada_hears, &mut bob_hears, &mut cleo_hears] {
            let ended = hears.next("call:ended").await;
            assert_eq!((&ended["reason"], &ended["groupId"]), (&json!("last-left"), &json!(team)));
        }
        let rung: Vec<_> = cleo_hears.so_far().into_iter().map(|(name, _)| name).collect();
        assert_eq!(rung, ["call:ring-ended"], "only who is in the call hears what happens in it");
        assert!(eve_hears.so_far().is_empty(), "outsiders hear nothing");
    }

    async fn events_heard_in_a_call_have_no_gap(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (socket, mut hears) = world.socket(&ada);
        let call = world.call(&ada, team).await.unwrap();
        let from = world.attach(&ada, socket, call.id, "laptop").await.unwrap().snapshot.stamp.seq;
        for device in ["phone", "tablet", "phone"] {
            let (socket, _) = world.socket(&bob);
            world.attach(&bob, socket, call.id, device).await.unwrap();
        }
        let patch = serde_json::from_value(json!({"title": "Standup"})).unwrap();
        world.control.calls.update_metadata(&by(&ada), call.id, patch).await.unwrap();
        world.control.calls.leave(&by(&bob), call.id, None).await.unwrap();
        world.control.calls.end(&by(&ada), call.id, EndReason::Normal).await.unwrap();
        let heard: Vec<i64> = hears.so_far().iter().filter_map(|(_, data)| data["seq"].as_i64()).filter(|seq| *seq > from).collect();
        let stored = world.control.calls.events(&by(&ada), call.id, all()).await.unwrap().items;
        let last = stored.last().unwrap().seq;
        assert_eq!(heard, (from + 1..=last).collect::<Vec<_>>());
        assert_eq!(stored.len() as i64, last);
    }

    async fn outsiders_cannot_touch_a_call(database) {
        let world = World::new(&database).await;
        let (ada, eve) = (world.person("Ada").await, world.person("Eve").await);
        let team = world.group(&ada, &[]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (socket, _) = world.socket(&eve);
        let calls = &world.control.calls;
        let refusals = [
            world.call(&eve, team).await.unwrap_err(),
            calls.find_one(&by(&eve), call).await.unwrap_err(),
            calls.find_active_by_group(&by(&eve), team).await.unwrap_err(),
            calls.find_by_group(&by(&eve), team, CallFilter::default(), all()).await.unwrap_err(),
            calls.join(&by(&eve), call).await.unwrap_err(),
            calls.end(&by(&eve), call, EndReason::Normal).await.unwrap_err(),
            calls.update_metadata(&by(&eve), call, Metadata::default()).await.unwrap_err(),
            calls.legs(&by(&eve), call, all()).await.unwrap_err(),
            calls.events(&by(&eve), call, all()).await.unwrap_err(),
            calls.leave(&by(&eve), call, None).await.unwrap_err(),
            world.attach(&eve, socket, call, "phone").await.unwrap_err(),
        ];
        assert!(refusals.iter().all(|refusal| refusal.code == ErrorCode::Forbidden), "{refusals:?}");
        assert_eq!(calls.find_one(&by(&ada), CallId::random()).await.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(calls.leave(&by(&eve), CallId::random(), None).await.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(calls.find_one(&by(&ada), call).await.unwrap().participants, [ada.id]);
        assert!(calls.find_active_for_user(eve.id).await.unwrap().is_empty());
    }

    async fn only_its_initiator_and_admins_have_a_say_in_a_call(database) {
        let world = World::new(&database).await;
        let (ada, bob, cleo) = (world.person("Ada").await, world.person("Bob").await, world.person("Cleo").await);
        let team = world.group(&ada, &[&bob, &cleo]).await;
        let calls = &world.control.calls;
        let call = world.call(&bob, team).await.unwrap().id;
        assert_eq!(calls.end(&by(&cleo), call, EndReason::Normal).await.unwrap_err().code, ErrorCode::Forbidden);
        world.control.groups.set_role(&by(&ada), team, cleo.id, Role::Admin).await.unwrap();
        let ended = calls.end(&by(&cleo), call, EndReason::Cancelled).await.unwrap();
        assert_eq!(ended.status, CallStatus::Cancelled);
        let again = calls.end(&by(&bob), call, EndReason::Error).await.unwrap();
        assert_eq!(serde_json::to_value(again).unwrap(), serde_json::to_value(ended).unwrap());
        assert_eq!(calls.join(&by(&bob), call).await.unwrap_err().code, ErrorCode::CallEnded);

        let mine = world.call(&bob, team).await.unwrap().id;
        world.control.groups.remove_member(&by(&ada), team, bob.id).await.unwrap();
        let refused = calls.end(&by(&bob), mine, EndReason::Normal).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden, "initiator rights need membership");
    }

    async fn metadata_can_be_changed_after_the_end(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let calls = &world.control.calls;
        calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();
        let patch = |value| serde_json::from_value(json!({"note": value})).unwrap();
        calls.update_metadata(&by(&ada), call, patch("said")).await.unwrap();
        let changed = calls.update_metadata(&by(&ada), call, patch("done")).await.unwrap();
        let read = calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!(serde_json::to_value(read.metadata).unwrap(), json!({"note": "done"}));
        assert_eq!((changed.seq, read.seq), (4, 4));
        assert_eq!(read.end_reason, Some(Ending::Normal));
    }

    async fn a_device_that_reloads_replaces_its_leg(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let (old_socket, mut old_hears) = world.socket(&bob);
        let (new_socket, _) = world.socket(&bob);
        let old = world.attach(&bob, old_socket, call, "tab").await.unwrap().snapshot.leg_id;
        let again = world.attach(&bob, old_socket, call, "tab").await.unwrap().snapshot.leg_id;
        assert_eq!(old, again, "a repeated join is the same leg");
        let new = world.attach(&bob, new_socket, call, "tab").await.unwrap().snapshot;
        assert_eq!(old_hears.next("call:replaced").await, json!({"callId": call, "legId": old}));
        assert_eq!(new.participants.iter().map(|p| p.legs.len()).sum::<usize>(), 2);
        let gone = world.control.calls.sync(call, old, None).await.unwrap_err();
        assert_eq!(gone.code, ErrorCode::NotInCall);
        let legs = world.control.calls.legs(&by(&ada), call, all()).await.unwrap().items;
        let reasons: Vec<_> = legs.iter().map(|leg| leg.reason).collect();
        assert_eq!(reasons, [None, Some(LegReason::Replaced), None]);
    }

    async fn a_lost_device_is_missed_only_after_the_resume_window(database) {
        let world = World::with_rules(&database, Rules { ring: None, unattached: None, ..fast_rules() }).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (ada_socket, mut hears) = world.socket(&ada);
        let (bob_socket, _) = world.socket(&bob);
        let call = world.call(&ada, team).await.unwrap().id;
        world.attach(&ada, ada_socket, call, "laptop").await.unwrap();
        let leg = world.attach(&bob, bob_socket, call, "phone").await.unwrap().snapshot.leg_id;
        world.control.hub.unregister(bob_socket);
        world.control.calls.connection_lost(call, leg).await;
        let still = world.control.calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!(still.participants, [ada.id, bob.id]);
        assert_eq!(hears.next("participant-left").await["reason"], "connection-lost");
    }

    async fn a_call_that_nobody_answers_is_cancelled(database) {
        let world = World::with_rules(&database, fast_rules()).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (_, mut hears) = world.socket(&bob);
        let call = world.call(&ada, team).await.unwrap();
        let ended = hears.next("call:ended").await;
        assert_eq!(ended["callId"], json!(call.id));
        let read = world.control.calls.find_one(&by(&bob), call.id).await.unwrap();
        assert_eq!(read.status, CallStatus::Cancelled);
        assert!(world.call(&bob, team).await.is_ok(), "the group is free for another call");
    }

    async fn a_restarted_server_waits_for_those_who_were_there(database) {
        let first = World::new(&database).await;
        let (ada, bob) = (first.person("Ada").await, first.person("Bob").await);
        let team = first.group(&ada, &[&bob]).await;
        let call = first.call(&ada, team).await.unwrap();
        for (who, device) in [(&ada, "laptop"), (&bob, "phone")] {
            let (socket, _) = first.socket(who);
            first.attach(who, socket, call.id, device).await.unwrap();
        }
        first.control.shutdown().await;

        let rules = Rules { ring: None, unattached: None, resume_window: Duration::from_millis(500), ..slow_rules() };
        let second = World::with_rules(&database, rules).await;
        let running = second.control.calls.find_one(&by(&ada), call.id).await.unwrap();
        assert_eq!((running.status, running.epoch), (CallStatus::Active, 2));
        assert_ne!(running.webrtc_room_id, call.webrtc_room_id);
        let (socket, mut hears) = second.socket(&ada);
        second.attach(&ada, socket, call.id, "laptop").await.unwrap();
        let left = hears.next("participant-left").await;
        assert_eq!((&left["userId"], &left["reason"], &left["epoch"]), (&json!(bob.id), &json!("server-restart"), &json!(2)));
        let still = second.control.calls.find_one(&by(&ada), call.id).await.unwrap();
        assert_eq!(still.participants, [ada.id]);
    }

    async fn an_overloaded_node_keeps_whom_it_has_and_takes_nobody_new(database) {
        let first = World::new(&database).await;
        let (ada, bob) = (first.person("Ada").await, first.person("Bob").await);
        let (team, others) = (first.group(&ada, &[&bob]).await, first.group(&ada, &[]).await);
        let call = first.call(&ada, team).await.unwrap();
        first.control.shutdown().await;

        let config = World::config(&database, slow_rules(), crate::auth::SignIn::Secret(crate::testing::SECRET.into()));
        let world = World::with_max_load(config, -1.0).await;
        let refused = world.call(&ada, others).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NodeOverloaded);
        let refused = world.control.calls.join(&by(&bob), call.id).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NodeOverloaded);
        let (phone, _) = world.socket(&bob);
        assert_eq!(world.attach(&bob, phone, call.id, "phone").await.unwrap_err().code, ErrorCode::NodeOverloaded);
        let (laptop, _) = world.socket(&ada);
        assert!(world.attach(&ada, laptop, call.id, "laptop").await.is_ok());
        let running = world.control.calls.find_one(&by(&ada), call.id).await.unwrap();
        assert_eq!(running.participants, [ada.id]);
    }

    async fn a_removed_member_is_out_at_once(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (socket, mut hears) = world.socket(&bob);
        let call = world.call(&ada, team).await.unwrap().id;
        let leg = world.attach(&bob, socket, call, "phone").await.unwrap().snapshot.leg_id;
        world.control.groups.remove_member(&by(&ada), team, bob.id).await.unwrap();
        assert_eq!(hears.next("participant-left").await["reason"], "not-a-member");
        assert_eq!(world.control.calls.sync(call, leg, None).await.unwrap_err().code, ErrorCode::NotInCall);
        let (socket, _) = world.socket(&bob);
        assert_eq!(world.attach(&bob, socket, call, "phone").await.unwrap_err().code, ErrorCode::Forbidden);
        assert_eq!(world.control.hub.leg(socket, call), None);
    }

    async fn deleting_a_group_ends_its_call_first(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (_, mut hears) = world.socket(&bob);
        let call = world.call(&ada, team).await.unwrap().id;
        assert_eq!(world.control.groups.delete(&by(&bob), team).await.unwrap_err().code, ErrorCode::Forbidden);
        world.control.groups.delete(&by(&ada), team).await.unwrap();
        assert_eq!(hears.next("call:ended").await["reason"], "group-deleted");
        assert_eq!(world.control.calls.find_one(&by(&ada), call).await.unwrap_err().code, ErrorCode::NotFound);
    }

    async fn a_call_whose_owner_broke_fails_and_stays_failed(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let (_, mut hears) = world.socket(&bob);
        let call = world.call(&ada, team).await.unwrap().id;
        let calls = &world.control.calls;
        let former_owner = calls.shared.live.get(call).unwrap();
        calls.fail_orphan(call).await;
        assert_eq!(hears.next("call:ended").await["reason"], "error");
        let late = former_owner
            .ask(|reply| Request::Command { command: Command::End(Ending::Normal), by: Actor::SERVER, reply })
            .await
            .unwrap();
        assert_eq!(late.unwrap_err().code, ErrorCode::Unavailable, "whoever lost the call cannot change it");
        let read = calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!((read.status, read.end_reason), (CallStatus::Failed, Some(Ending::Error)));
        assert!(read.error_message.is_some());
        assert_eq!(calls.join(&by(&bob), call).await.unwrap_err().code, ErrorCode::CallEnded);
    }

    async fn calls_that_run_too_long_are_swept(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        assert_eq!(world.control.calls.cleanup_stale(&Actor::SERVER).await.unwrap(), 0);
        world.control.shutdown().await;
        let config = CallsConfig {
            rules: slow_rules(),
            limits: Limits::default(),
            max_call_age: Duration::ZERO,
            ice_servers: IceServers::default(),
            recording: database.recording(),
        };
        let store = database.open().await;
        let (hub, media) = (Hub::default(), World::media(1.0).await);
        let ownership = Arc::new(Ownership::claim(&database.url, &database.schema).await.unwrap());
        let calls = Calls::start(config, store, ownership, media, hub).await.unwrap();
        // The sweep at the start may have ended the call already.
        calls.cleanup_stale(&Actor::SERVER).await.unwrap();
        let swept = calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!((swept.status, swept.end_reason), (CallStatus::Cancelled, Some(Ending::Timeout)));
    }
}
