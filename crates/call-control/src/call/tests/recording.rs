//! The rules of a call's recording.

use serde_json::json;

use super::{super::*, story::*};
use crate::error::ErrorCode;

fn metadata(story: &Story) -> serde_json::Value {
    serde_json::to_value(&story.call.view(story.now).metadata).unwrap()
}

fn active() -> Story {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    story
}

/// The one row of the recording as it was last stored.
fn row(story: &Story) -> RecordingRow {
    let rows: Vec<_> = story.recordings().into_values().collect();
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

#[test]
fn everybody_is_told_of_a_recording_and_its_row_is_stored_with_its_event() {
    let mut story = active();
    let effects = story.record(Consent::Notice).unwrap();
    let told = |effect: &Effect| matches!(effect, Effect::Announce(recorded) if recorded.event.kind() == "recording-started");
    let followed = |effect: &Effect| matches!(effect, Effect::FollowRecording { ended: None });
    assert!(matches!(effects[0], Effect::Store(_)), "stored first");
    assert!(effects.iter().position(told) < effects.iter().position(followed), "told before it begins");
    let stored = story.stored.last().unwrap();
    let kinds: Vec<_> = stored.events.iter().map(|recorded| recorded.event.kind()).collect();
    assert_eq!(kinds, ["recording-started", "metadata-changed"]);
    let view = story.call.view(story.now).recording.unwrap();
    assert_eq!(
        (view.status, view.started_by, view.started_at),
        (RecordingStatus::Recording, Some(user(ADA)), story.now)
    );
    assert_eq!((row(&story).id, row(&story).status), (view.id, RecordingStatus::Recording));
    assert_eq!(metadata(&story), json!({"recordingEnabled": true, "recordingId": view.id}));
    assert_eq!(story.record(Consent::Notice).unwrap_err(), CallError::AlreadyRecording);
}

#[test]
fn what_has_to_stop_stops_before_it_is_announced() {
    let mut story = active();
    story.record(Consent::Notice).unwrap();
    let followed = |effect: &Effect| matches!(effect, Effect::FollowRecording { .. });
    let told = |effect: &Effect| matches!(effect, Effect::Announce(_));
    let pause = Command::PauseRecording { only: None, paused: true };
    for effects in [story.handle(pause).unwrap(), story.stop_recording()] {
        assert!(effects.iter().position(followed) < effects.iter().position(told));
    }
    assert_eq!(row(&story).end_reason, Some(RecordingEnd::Stopped));
    assert_eq!(story.call.view(story.now).recording, None);
    assert_eq!(metadata(&story)["recordingEnabled"], json!(false));
    assert!(metadata(&story)["recordingId"].is_string(), "the latest recording stays known");
    assert!(story.stop_recording().is_empty(), "a second stop changes nothing");
    let again = Command::PauseRecording { only: None, paused: true };
    assert_eq!(story.handle(again).unwrap_err(), CallError::NotRecording);
}

#[test]
fn a_recording_ends_with_its_call_or_at_its_maximum() {
    let mut story = active();
    story.record(Consent::Notice).unwrap();
    story.wait(Duration::from_secs(5)).handle(Command::End(Ending::Normal)).unwrap();
    let ended = row(&story);
    assert_eq!((ended.end_reason, ended.ended_at), (Some(RecordingEnd::CallEnded), Some(story.now)));
    assert_eq!(story.kinds().last(), Some(&"call-ended"));

    let mut story = active();
    story.record(Consent::Notice).unwrap();
    assert_eq!(story.call.next_deadline(), Some(story.now + MAX_RECORDING));
    story.wait(MAX_RECORDING).tick();
    assert_eq!(row(&story).end_reason, Some(RecordingEnd::Limit));
    assert!(!story.call.is_over());
}

#[test]
fn under_ask_only_who_accepts_is_recorded_until_they_take_it_back() {
    let mut story = active();
    story.record(Consent::Ask).unwrap();
    let phone = story.call.open_legs().find(|leg| leg.person.id == user(BOB)).unwrap().id;
    let may = |story: &Story| story.call.recording().unwrap().may_record(phone);
    assert!(!may(&story), "no answer is no consent");
    for accept in [true, false, true] {
        let effects = story.handle(Command::Consent { leg: phone, accept }).unwrap();
        assert!(effects.iter().any(|effect| matches!(effect, Effect::FollowRecording { .. })));
        assert_eq!(may(&story), accept);
        assert!(story.handle(Command::Consent { leg: phone, accept }).unwrap().is_empty(), "said twice");
    }
    story.leave(BOB).unwrap();
    assert!(!may(&story), "the answer ends with the leg");
    let stranger = Command::Consent { leg: phone, accept: true };
    assert_eq!(story.handle(stranger).unwrap_err(), CallError::NotInCall);
}

#[test]
fn who_is_not_asked_cannot_answer() {
    let mut story = active();
    let leg = story.call.open_legs().next().unwrap().id;
    assert_eq!(story.handle(Command::Consent { leg, accept: true }).unwrap_err(), CallError::NotRecording);
    story.record(Consent::Notice).unwrap();
    assert_eq!(story.handle(Command::Consent { leg, accept: false }).unwrap_err(), CallError::NotAsked);
    assert!(story.call.recording().unwrap().may_record(leg));
}

#[test]
fn metadata_starts_and_stops_a_recording_and_is_refused_as_a_whole() {
    let mut story = active();
    let start = story.patch(json!({"recordingEnabled": true, "title": "Standup"}));
    story.handle(start).unwrap();
    let id = story.call.recording().unwrap().what.id;
    assert_eq!(metadata(&story), json!({"recordingEnabled": true, "recordingId": id, "title": "Standup"}));
    for (patch, refused) in [
        (json!({"title": "x", "recordingId": "y"}), CallError::RecordingKeys),
        (json!({"title": "x", "recordingEnabled": "yes"}), CallError::RecordingKeys),
        (json!({"title": "x", "recordingEnabled": null}), CallError::KeysInUse),
        (json!({"title": "x", "recordingId": null}), CallError::KeysInUse),
    ] {
        let command = story.patch(patch.clone());
        assert_eq!(story.handle(command).unwrap_err(), refused, "{patch}");
        assert_eq!(metadata(&story)["title"], json!("Standup"));
    }
    let stop = story.patch(json!({"recordingEnabled": false}));
    story.handle(stop).unwrap();
    assert_eq!((row(&story).id, row(&story).end_reason), (id, Some(RecordingEnd::Stopped)));
    let forget = story.patch(json!({"recordingEnabled": null, "recordingId": null}));
    story.handle(forget).unwrap();
    assert_eq!(metadata(&story), json!({"title": "Standup"}));
}

#[test]
fn what_the_server_keeps_in_the_metadata_takes_no_room_of_the_app() {
    let mut story = active();
    let room = RULES.max_metadata_bytes - r#"{"x":""}"#.len();
    let full = story.patch(json!({"x": "y".repeat(room)}));
    story.handle(full).unwrap();
    story.record(Consent::Notice).unwrap();
    let other = story.patch(json!({"x": "z".repeat(room)}));
    story.handle(other).unwrap();
    let more = story.patch(json!({"x": "z".repeat(room + 1)}));
    assert_eq!(story.handle(more).unwrap_err(), CallError::MetadataTooLarge { limit: 1024 });
}

#[test]
fn while_a_call_waits_the_flag_is_a_wish_that_may_fail() {
    let mut story = Story::begin();
    let wish = story.patch(json!({"recordingEnabled": true}));
    story.handle(wish).unwrap();
    assert_eq!((story.call.recording(), story.call.due_wish()), (None, None));
    story.join(BOB, "phone");
    assert_eq!(story.call.due_wish(), Some(None), "it is due once the call is active");
    story.handle(Command::FailRecording(ErrorCode::StorageFull)).unwrap();
    assert_eq!((story.call.due_wish(), metadata(&story)), (None, json!({"recordingEnabled": false})));
    assert_eq!(story.kinds()[story.kinds().len() - 2..], ["recording-failed", "metadata-changed"]);
    assert!(story.handle(Command::FailRecording(ErrorCode::StorageFull)).unwrap().is_empty());
}

#[test]
fn a_no_and_a_pause_stop_the_recorder_before_the_database_is_asked() {
    let mut story = active();
    story.record(Consent::Ask).unwrap();
    let phone = story.call.open_legs().find(|leg| leg.person.id == user(BOB)).unwrap().id;
    let yes = story.handle(Command::Consent { leg: phone, accept: true }).unwrap();
    assert!(matches!(yes.first(), Some(Effect::Store(_))), "a yes must be on record first");
    for stop in
        [Command::Consent { leg: phone, accept: false }, Command::PauseRecording { only: None, paused: true }]
    {
        let effects = story.handle(stop).unwrap();
        assert!(matches!(effects[..2], [Effect::FollowRecording { ended: None }, Effect::Store(_)]));
    }
}

#[test]
fn a_restart_keeps_the_recording_and_asks_everybody_again() {
    let mut story = active();
    story.record(Consent::Ask).unwrap();
    let phone = story.call.open_legs().find(|leg| leg.person.id == user(BOB)).unwrap().id;
    story.handle(Command::Consent { leg: phone, accept: true }).unwrap();
    let before = story.call.recording().cloned().unwrap();
    let (restored, effects) = restart(&story, story.now + Duration::from_secs(3));
    let running = restored.recording().unwrap();
    assert_eq!((running.what, running.started_at), (before.what, before.started_at));
    assert!(before.may_record(phone));
    assert!(!running.may_record(phone), "a later no may have been lost with the server");
    story.call = restored;
    story.note(&effects);
    story.wait(RESUME + Duration::from_secs(3)).tick();
    assert_eq!(row(&story).end_reason, Some(RecordingEnd::ServerRestart), "nobody came back");
}
