//! `recordingEnabled` and `recordingId`.

use super::*;
use crate::{
    call::{CallType, Metadata, RecordingEnd},
    calls::{Created, NewCall, RecordingBy},
    error::ErrorCode,
    testing::on_both_engines,
};

fn of(value: Value) -> Metadata {
    serde_json::from_value(value).unwrap()
}

async fn call_with(
    world: &World,
    person: &Person,
    group_id: GroupId,
    metadata: Value,
) -> Result<CallId, ErrorCode> {
    let new = NewCall { group_id, call_type: CallType::Video, metadata: of(metadata), once: None };
    match world.control.calls.create(&by(person), new).await {
        Ok(Created::Now(call)) => Ok(call.id),
        Ok(Created::Before(answer)) => panic!("{answer}"),
        Err(refusal) => Err(refusal.code),
    }
}

on_both_engines! {
    async fn a_patch_of_the_metadata_starts_and_stops_a_recording(database) {
        let set = Set::new(&database).await;
        let (calls, ada) = (set.calls(), by(&set.ada));
        let patched = calls.update_metadata(&ada, set.call, of(json!({"recordingEnabled": true}))).await.unwrap();
        let id = patched.recording.unwrap().id;
        assert_eq!(json!(patched.metadata), json!({"recordingEnabled": true, "recordingId": id}));
        for (patch, code) in [
            (json!({"recordingId": "mine", "a": 1}), ErrorCode::BadRequest),
            (json!({"recordingEnabled": 1, "a": 1}), ErrorCode::BadRequest),
            (json!({"recordingEnabled": null, "a": 1}), ErrorCode::Conflict),
        ] {
            assert_eq!(calls.update_metadata(&ada, set.call, of(patch)).await.unwrap_err().code, code);
        }
        let patched = calls.update_metadata(&ada, set.call, of(json!({"recordingEnabled": false}))).await.unwrap();
        assert_eq!(json!(patched.metadata), json!({"recordingEnabled": false, "recordingId": id}));
        assert_eq!(set.row(id).await.end_reason, Some(RecordingEnd::Stopped));
    }

    async fn a_start_that_is_refused_refuses_the_whole_patch(database) {
        let set = Set::with(&database, |config| config.recorder.max_tracks = 0).await;
        let patch = of(json!({"recordingEnabled": true, "title": "x"}));
        let refused = set.calls().update_metadata(&by(&set.ada), set.call, patch).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::LimitExceeded);
        assert_eq!(json!(set.calls().find_one(&by(&set.ada), set.call).await.unwrap().metadata), json!({}));
    }

    async fn a_wish_is_fulfilled_when_the_call_becomes_active(database) {
        let world = world(&database, |_| {}).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = call_with(&world, &ada, team, json!({"recordingEnabled": true})).await.unwrap();
        let _adas = device(&world, &ada, call).await;
        let waiting = world.control.calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!(waiting.recording, None, "nobody else is there");
        let _bobs = device(&world, &bob, call).await;
        let recording = wait_for(async || world.control.calls.find_one(&by(&ada), call).await.unwrap().recording).await;
        assert_eq!(recording.started_by, Some(ada.id));
    }

    async fn a_wish_that_cannot_be_fulfilled_is_told_and_taken_back(database) {
        let world = world(&database, |config| config.recorder.max_tracks = 0).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = call_with(&world, &ada, team, json!({"recordingEnabled": true})).await.unwrap();
        let mut adas = device(&world, &ada, call).await;
        let _bobs = device(&world, &bob, call).await;
        let told = adas.hears.next("call:recording").await;
        assert_eq!((&told["recording"], &told["code"]), (&Value::Null, &json!("limit_exceeded")));
        let view = world.control.calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!(json!(view.metadata), json!({"recordingEnabled": false}));
    }

    async fn a_new_call_is_refused_with_what_its_creator_cannot_set(database) {
        let world = world(&database, |config| config.by = RecordingBy::Service).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        for (metadata, code) in [
            (json!({"recordingEnabled": true}), ErrorCode::Forbidden),
            (json!({"recordingEnabled": null}), ErrorCode::BadRequest),
            (json!({"recordingEnabled": "yes"}), ErrorCode::BadRequest),
            (json!({"recordingId": "x"}), ErrorCode::BadRequest),
            (json!({"recordingId": null}), ErrorCode::BadRequest),
        ] {
            assert_eq!(call_with(&world, &ada, team, metadata.clone()).await.unwrap_err(), code, "{metadata}");
        }
        call_with(&world, &ada, team, json!({"recordingEnabled": false})).await.unwrap();
    }
}
