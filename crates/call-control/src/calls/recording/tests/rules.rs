//! Who may record, and what everybody is told.

use super::*;
use crate::{
    actor::{Actor, Who},
    call::{CallError, RecordingEnd, RecordingMode, RecordingStatus},
    calls::RecordingBy,
    error::{ErrorCode, Refusal},
    store::Role,
    testing::on_both_engines,
};

fn code<T>(done: Result<T, Refusal>) -> Option<ErrorCode> {
    done.err().map(|refusal| refusal.code)
}

on_both_engines! {
    async fn who_may_record_is_the_same_for_every_operation(database) {
        let roles = ["initiator", "owner", "admin", "member", "stranger", "service", "server admin"];
        for (setting, may) in [
            (RecordingBy::Moderators, ["initiator", "owner", "admin", "service", "server admin"].as_slice()),
            (RecordingBy::Members, &["initiator", "owner", "admin", "member", "service", "server admin"]),
            (RecordingBy::Service, &["service", "server admin"]),
        ] {
            let world = world(&database, |config| config.by = setting).await;
            let (olga, ann, ida, max, eve) = (
                world.person("Olga").await, world.person("Ann").await, world.person("Ida").await,
                world.person("Max").await, world.person("Eve").await,
            );
            let team = world.group(&olga, &[&ann, &ida, &max]).await;
            world.control.groups.set_role(&by(&olga), team, ann.id, Role::Admin).await.unwrap();
            let calls = &world.control.calls;
            let call = world.call(&ida, team).await.unwrap().id;
            let service = Actor { who: Who::Service, address: None };
            let operator = Actor { who: Who::User { person: eve.clone(), admin: true }, address: None };
            for (role, person) in roles.iter().zip([&ida, &olga, &ann, &max]) {
                let (socket, _hears) = world.socket(person);
                let joined = world.attach(person, socket, call, "phone").await.unwrap();
                assert_eq!(joined.may_record, may.contains(role), "{role} joins, {setting:?}");
            }
            let actors = [by(&ida), by(&olga), by(&ann), by(&max), by(&eve), service.clone(), operator];
            for (role, actor) in roles.iter().zip(actors) {
                let expected = (!may.contains(role)).then_some(ErrorCode::Forbidden);
                let started = calls.start_recording(&actor, call, RecordingWish::default()).await;
                assert_eq!(code(started), expected, "{role} starts, {setting:?}");
                if expected.is_some() {
                    calls.start_recording(&service, call, RecordingWish::default()).await.unwrap();
                }
                for paused in [true, false] {
                    let done = calls.pause_recording(&actor, call, None, paused).await;
                    assert_eq!(code(done), expected, "{role} pauses, {setting:?}");
                }
                let stopped = calls.stop_recording(&actor, call, None).await;
                assert_eq!(code(stopped), expected, "{role} stops, {setting:?}");
                calls.stop_recording(&service, call, None).await.unwrap();
            }
            world.control.shutdown().await;
        }
    }

    async fn of_two_starts_at_once_one_wins(database) {
        let set = Set::new(&database).await;
        let (ada, admin) = (by(&set.ada), Actor { who: Who::Service, address: None });
        let (one, other) = tokio::join!(
            set.calls().start_recording(&ada, set.call, RecordingWish::default()),
            set.calls().start_recording(&admin, set.call, RecordingWish::default()),
        );
        let refused: Vec<_> = [&one, &other].iter().filter_map(|done| done.as_ref().err()).map(|r| r.code).collect();
        assert_eq!(refused, [ErrorCode::AlreadyRecording]);
        let running = set.calls().find_one(&ada, set.call).await.unwrap().recording.unwrap().id;
        assert_eq!(Some(running), one.or(other).ok().map(|(id, _)| id));
        let storage = set.row(running).await.storage_id;
        assert_eq!(set.world.control.store.unfinished_recordings(storage).await.unwrap().len(), 1);
    }

    async fn everybody_is_told_and_a_newcomer_knows_before_sending(database) {
        let mut set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        let told = set.bobs.hears.next("call:recording").await;
        assert_eq!((&told["recording"]["id"], &told["by"]), (&json!(id), &json!(set.ada.id)));
        assert_eq!(told["recording"]["status"], json!("recording"));
        assert!(told["seq"].as_i64() > Some(0) && told["epoch"] == json!(1));
        let (socket, _hears) = set.world.socket(&set.bob);
        let joined = set.world.attach(&set.bob, socket, set.call, "tablet").await.unwrap();
        let view = joined.snapshot.call.recording.unwrap();
        assert_eq!((view.id, view.started_by), (id, Some(set.ada.id)));

        set.calls().pause_recording(&by(&set.ada), set.call, Some(id), true).await.unwrap();
        assert_eq!(set.bobs.hears.next("call:recording").await["recording"]["status"], json!("paused"));
        assert_eq!(set.row(id).await.status, RecordingStatus::Paused);
        set.stop().await;
        let told = set.bobs.hears.next("call:recording").await;
        assert_eq!((&told["recording"], &told["reason"]), (&Value::Null, &json!("stopped")));
        let row = set.row(id).await;
        assert_eq!((row.status, row.end_reason), (RecordingStatus::Finishing, Some(RecordingEnd::Stopped)));
    }

    async fn what_is_reported_is_stored_and_members_hear_when_it_is_ready(database) {
        let mut set = Set::with(&database, |config| config.kept_for = Some(std::time::Duration::from_secs(86_400))).await;
        let id = set.record(RecordingWish::default()).await;
        set.produce(set.adas.leg, "mic").await;
        let track = set.until_tracks(id, 1).await[0].clone();
        assert_eq!((track.leg_id, track.user_id, track.note), (set.adas.leg, set.ada.id, None));
        set.report(id, track.id, 4_000, false).await;
        set.report(id, track.id, 8_000, true).await;
        set.stop().await;
        set.closed(id).await;
        let row = set.until(id, |row| row.status == RecordingStatus::Ready).await;
        assert_eq!(row.delete_after.map(|at| (at - row.updated_at).num_hours()), Some(24));
        let told = set.bobs.hears.next("recording:updated").await;
        assert_eq!(told, json!({"id": id, "callId": set.call, "groupId": set.team, "status": "ready"}));
    }

    async fn what_becomes_of_a_recording_is_told_once_a_second_and_the_last_state_always(database) {
        let mut set = Set::new(&database).await;
        let row = set.row(set.record(RecordingWish::default()).await).await;
        let states = [RecordingStatus::Incomplete, RecordingStatus::Ready, RecordingStatus::Deleted];
        for status in states {
            set.calls().tell_of_recording(&RecordingRow { status, ..row.clone() });
        }
        let mut told = Vec::new();
        while told.last() != Some(&json!("deleted")) {
            told.push(set.bobs.hears.next("recording:updated").await["status"].clone());
        }
        assert_eq!(told, ["incomplete", "deleted"]);
    }

    async fn only_what_the_mode_includes_becomes_a_track(database) {
        let set = Set::new(&database).await;
        let transport = set.calls().create_transport(set.call, set.bobs.leg, Direction::Send).await.unwrap();
        let transport = json!(transport)["id"].clone();
        set.produce_on(&transport, set.bobs.leg, "camera").await;
        set.produce_on(&transport, set.bobs.leg, "mic").await;
        let id = set.record(RecordingWish { mode: Some(RecordingMode::Audio), ..RecordingWish::default() }).await;
        let tracks = set.until_tracks(id, 1).await;
        assert_eq!(tracks[0].source.as_str(), "mic");
        set.stop().await;
        let id = set.record(RecordingWish::default()).await;
        set.until_tracks(id, 2).await;
    }

    async fn a_server_that_records_nothing_or_all_it_may_refuses(database) {
        let off = Set::with(&database, |config| config.on = false).await;
        let refused = off.calls().start_recording(&by(&off.ada), off.call, RecordingWish::default()).await;
        assert_eq!(code(refused), Some(ErrorCode::RecordingOff));
        off.calls().stop_recording(&by(&off.ada), off.call, None).await.expect("there is nothing to stop");
        let (socket, _hears) = off.world.socket(&off.ada);
        assert!(!off.world.attach(&off.ada, socket, off.call, "tablet").await.unwrap().may_record);
        off.world.control.shutdown().await;

        let full = Set::with(&database, |config| config.recorder.max_tracks = 1).await;
        full.produce(full.adas.leg, "mic").await;
        full.produce(full.bobs.leg, "mic").await;
        let refused = full.calls().start_recording(&by(&full.ada), full.call, RecordingWish::default()).await;
        assert_eq!(code(refused), Some(ErrorCode::LimitExceeded));
        assert_eq!(full.calls().find_one(&by(&full.ada), full.call).await.unwrap().recording, None);
        assert_eq!(full.calls().recording_figures().recordings_active, 0);
    }

    async fn the_end_of_the_call_ends_its_recording(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        set.calls().end(&by(&set.ada), set.call, Default::default()).await.unwrap();
        let row = set.until(id, |row| row.end_reason.is_some()).await;
        assert_eq!(row.end_reason, Some(RecordingEnd::CallEnded));
        let refused = set.calls().start_recording(&by(&set.ada), set.call, RecordingWish::default()).await;
        assert_eq!(code(refused), Some(Refusal::from(CallError::Ended).code));
    }
}
