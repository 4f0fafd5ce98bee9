//! The rules of a call's life, one story each, and random histories.

pub(crate) mod histories;
pub(crate) mod model;
mod recording;
mod ringing;
pub(crate) mod story;

use uuid::Uuid;

use super::*;
use story::*;

#[test]
fn a_new_call_waits_with_its_creator_listed() {
    let story = Story::begin();
    let view = story.call.view(story.now);
    assert_eq!(
        (view.status, view.participants, view.max_participants),
        (CallStatus::Waiting, vec![user(ADA)], 1)
    );
    assert_eq!((view.started_at, view.duration, view.epoch, view.seq), (None, None, 1, 1));
    assert_eq!(story.kinds(), ["call-created"]);
}

#[test]
fn the_first_join_by_somebody_else_starts_it() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    assert_eq!(story.call.head.state, State::Waiting, "the creator's own device starts nothing");
    story.wait(Duration::from_secs(5)).join_rest(BOB).unwrap();
    assert_eq!(story.call.head.state, State::Active { started_at: story.now });
    assert_eq!(story.kinds(), ["call-created", "leg-joined", "call-started"]);
    let view = story.call.view(story.now + Duration::from_secs(65));
    assert_eq!((view.max_participants, view.duration.as_deref()), (2, Some("00:01:05")));
}

#[test]
fn nobody_coming_while_it_rings_cancels_it() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    assert_eq!(story.call.next_deadline(), Some(story.now + RING));
    story.wait(RING - Duration::from_secs(1)).tick();
    assert!(!story.call.is_over());
    story.wait(Duration::from_secs(1)).tick();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Cancelled, Ending::Timeout));
    assert_eq!(story.call.view(story.now).duration_seconds, None);
    assert_eq!(story.call.next_deadline(), None);
}

#[test]
fn a_call_may_ring_for_ever() {
    let story = Story::with_rules(Rules { ring: None, unattached: None, ..RULES });
    assert_eq!(story.call.next_deadline(), None);
}

#[test]
fn a_rest_join_leaves_a_leg_that_the_next_device_takes() {
    let mut story = Story::begin();
    story.join_rest(BOB).unwrap();
    assert!(story.join_rest(BOB).unwrap().is_empty(), "joining twice changes nothing");
    let taken = story.join(BOB, "phone");
    let bobs: Vec<_> = story.call.open_legs().filter(|leg| leg.person.id == user(BOB)).collect();
    assert_eq!(bobs.iter().map(|leg| (leg.id, leg.state)).collect::<Vec<_>>(), [(taken, LegState::Open)]);
    assert_eq!(story.call.stamp().seq, 3, "taking a leg tells others nothing new");
}

#[test]
fn a_leg_that_no_device_takes_ends() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join_rest(BOB).unwrap();
    let bobs = leg(story.legs);
    story.wait(UNATTACHED).tick();
    assert_eq!(story.reason(bobs), Some(LegReason::NeverConnected));
    assert!(!story.call.is_over());
}

#[test]
fn several_devices_are_one_participant() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    story.join(BOB, "tablet");
    assert_eq!(story.call.participants(), [user(ADA), user(BOB)]);
    assert_eq!(story.call.max_participants(), 2);
    let phone = story.call.open_legs().find(|leg| leg.person.id == user(BOB)).unwrap().id;
    story.handle(Command::Leave { user: user(BOB), leg: Some(phone), reason: LegReason::Left }).unwrap();
    assert_eq!(story.call.participants(), [user(ADA), user(BOB)]);
    let last = |recorded: &RecordedEvent| matches!(recorded.event, Event::LegLeft { last: true, .. });
    assert!(!story.recorded.iter().any(last));
    story.leave(BOB).unwrap();
    assert!(last(story.recorded.last().unwrap()));
}

#[test]
fn a_device_that_comes_back_supersedes_its_old_leg() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    let old = story.join(BOB, "phone");
    let other = story.join(BOB, "tablet");
    story.lose(old);
    let leg = story.next_leg();
    let device = story.call.leg(old).unwrap().device.clone();
    let effects = story.handle(join(BOB, leg, device, None)).unwrap();
    assert_eq!(story.reason(old), Some(LegReason::Replaced));
    assert_eq!((story.reason(other), story.reason(leg)), (None, None));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Replaced(id) if *id == old)));
    assert_eq!(story.call.max_participants(), 2, "handing over adds nobody");
}

#[test]
fn a_device_without_a_name_supersedes_nothing() {
    let mut story = Story::begin();
    let first = story.join(BOB, "");
    story.join(BOB, "");
    assert_eq!(story.reason(first), None);
}

#[test]
fn somebody_elses_device_of_the_same_name_is_another() {
    let mut story = Story::begin();
    let bobs = story.join(BOB, "tab-1");
    story.join(EVE, "tab-1");
    assert_eq!(story.reason(bobs), None);
}

#[test]
fn a_lost_connection_counts_until_the_resume_window_is_over() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    let phone = story.join(BOB, "phone");
    story.lose(phone);
    let lost_at = story.now;
    assert_eq!(story.call.next_deadline(), Some(lost_at + RESUME));
    story.wait(RESUME - Duration::from_secs(1)).tick();
    assert_eq!(story.call.participants().len(), 2);
    story.wait(Duration::from_secs(1)).tick();
    assert_eq!(story.reason(phone), Some(LegReason::ConnectionLost));
    assert_eq!(story.rows()[&phone].last_seen_at, lost_at);
}

#[test]
fn the_last_to_leave_ends_an_active_call() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    story.wait(Duration::from_secs(90)).leave(BOB).unwrap();
    let effects = story.wait(Duration::from_secs(10)).leave(ADA).unwrap();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Ended, Ending::LastLeft));
    assert_eq!(story.call.view(story.now).duration.as_deref(), Some("00:01:40"));
    assert_eq!(story.kinds()[4..], ["leg-left", "call-ended"]);
    assert!(matches!(effects[0], Effect::Store(_)), "stored before anything else");
}

#[test]
fn the_creator_leaving_cancels_a_waiting_call() {
    let mut story = Story::begin();
    story.leave(ADA).unwrap();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Cancelled, Ending::LastLeft));
}

#[test]
fn ending_keeps_the_reason_and_lets_the_state_decide_the_outcome() {
    let mut waiting = Story::begin();
    waiting.handle(Command::End(Ending::Error)).unwrap();
    assert_eq!((&waiting.over().outcome, waiting.over().ending), (&Outcome::Cancelled, Ending::Error));

    let mut active = Story::begin();
    let phone = active.join(BOB, "phone");
    let effects = active.handle(Command::End(Ending::Normal)).unwrap();
    assert_eq!((&active.over().outcome, active.reason(phone)), (&Outcome::Ended, Some(LegReason::CallEnded)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::CloseLeg(id) if *id == phone)));
    assert!(active.call.participants().is_empty());
}

#[test]
fn what_is_over_stays_as_it_is() {
    let mut story = Story::begin();
    story.join(BOB, "phone");
    story.handle(Command::End(Ending::Normal)).unwrap();
    let before = story.call.view(story.now);
    story.wait(Duration::from_secs(5));
    assert!(story.handle(Command::End(Ending::Error)).unwrap().is_empty());
    assert!(story.leave(BOB).unwrap().is_empty());
    assert!(story.tick().is_empty());
    assert_eq!(story.join_rest(EVE).unwrap_err(), CallError::Ended);
    assert_eq!(story.handle(Command::Record(Vec::new())).unwrap_err(), CallError::Ended);
    let (before, after) =
        (serde_json::to_value(before).unwrap(), serde_json::to_value(story.call.view(story.now)).unwrap());
    assert_eq!(before, after);
}

#[test]
fn only_who_was_there_can_leave_and_only_their_own_leg() {
    let mut story = Story::begin();
    let phone = story.join(BOB, "phone");
    assert_eq!(story.leave(EVE).unwrap_err(), CallError::NotInCall);
    let foreign = Command::Leave { user: user(ADA), leg: Some(phone), reason: LegReason::Left };
    assert_eq!(story.handle(foreign).unwrap_err(), CallError::UnknownLeg);
    story.leave(BOB).unwrap();
    assert!(story.leave(BOB).unwrap().is_empty(), "leaving twice changes nothing");
}

#[test]
fn a_leg_that_ended_is_forgotten_after_the_resume_window() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    let phone = story.join(BOB, "phone");
    let leave = Command::Leave { user: user(BOB), leg: Some(phone), reason: LegReason::Left };
    story.handle(leave.clone()).unwrap();
    story.wait(RESUME - Duration::from_secs(1));
    assert!(story.handle(leave.clone()).unwrap().is_empty(), "it may be a repetition");
    story.wait(Duration::from_secs(1));
    assert_eq!(story.handle(leave).unwrap_err(), CallError::UnknownLeg);
    assert!(story.leave(BOB).unwrap().is_empty(), "whoever was there may always leave");
}

#[test]
fn what_a_call_holds_does_not_grow_with_the_legs_it_had() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    for _ in 0..1_000 {
        story.join(BOB, "phone");
        story.leave(BOB).unwrap();
        story.wait(JOINS.refill);
    }
    let held = format!("{:?}", story.call);
    assert_eq!(story.rows().len(), 1_001);
    assert!(held.len() < 4_000, "{} bytes: {held}", held.len());
}

#[test]
fn whoever_joins_too_often_is_told_when_to_try_again() {
    let mut story = Story::begin();
    for _ in 0..JOINS.burst {
        story.join(BOB, "phone");
    }
    let retry_after = JOINS.refill;
    assert_eq!(story.try_join(BOB).unwrap_err(), CallError::TooManyJoins { retry_after });
    let refusal = crate::error::Refusal::from(CallError::TooManyJoins { retry_after });
    assert_eq!(
        (refusal.code, refusal.retry_after),
        (crate::error::ErrorCode::RateLimited, Some(retry_after))
    );
    story.join(EVE, "tablet");
    story.wait(JOINS.refill).join(BOB, "phone");
    assert!(story.try_join(BOB).is_err());
}

#[test]
fn coming_back_to_a_leg_costs_no_join() {
    let mut story = Story::begin();
    let mut held = story.join(BOB, "");
    let phone = held;
    for _ in 0..100 {
        let new = story.next_leg();
        story.handle(join(BOB, new, None, Some(token(held)))).unwrap();
        held = new;
    }
    assert_eq!(story.reason(phone), None);
}

#[test]
fn a_join_that_could_not_be_stored_is_taken_back_with_its_price() {
    let mut story = Story::begin();
    for _ in 0..100 {
        let leg = story.next_leg();
        story.call.handle(join(BOB, leg, None, None), &Actor::SERVER, story.now).unwrap();
        assert_eq!(story.call.participants(), [user(ADA), user(BOB)]);
        story.call.take_back();
        assert_eq!(story.call.participants(), [user(ADA)]);
    }
    assert_eq!(story.leave(BOB).unwrap_err(), CallError::NotInCall, "he was never there");
}

#[test]
fn only_the_server_makes_a_call_fail() {
    let mut story = Story::begin();
    story.handle(Command::Fail { message: "the worker is gone".to_owned() }).unwrap();
    let view = story.call.view(story.now);
    assert_eq!((view.status, view.end_reason), (CallStatus::Failed, Some(Ending::Error)));
    assert_eq!(view.error_message.as_deref(), Some("the worker is gone"));
}

#[test]
fn metadata_merges_and_stays_small() {
    let mut story = Story::begin();
    let recording = story.new_recording();
    let patch = |text: &str| {
        let patch = serde_json::from_str(text).unwrap();
        Command::MergeMetadata { patch, recording }
    };
    story.handle(patch(r#"{"title":"Standup","old":1}"#)).unwrap();
    story.handle(patch(r#"{"old":null}"#)).unwrap();
    assert!(story.handle(patch("{}")).unwrap().is_empty(), "nothing changed, nothing recorded");
    let huge = format!(r#"{{"x":"{}"}}"#, "y".repeat(16 * 1024));
    assert_eq!(story.handle(patch(&huge)).unwrap_err(), CallError::MetadataTooLarge { limit: 1024 });
    let metadata = serde_json::to_value(story.call.view(story.now).metadata).unwrap();
    assert_eq!(metadata, serde_json::json!({"title": "Standup"}));
    assert_eq!(story.call.stamp().seq, 3);
}

#[test]
fn after_a_restart_legs_have_the_resume_window_to_come_back() {
    let mut story = Story::begin();
    let laptop = story.join(ADA, "laptop");
    let phone = story.join(BOB, "phone");
    let (seen, restarted) = (story.now, story.now + Duration::from_secs(20));
    let (mut call, effects) = restart(&story, restarted);
    assert_eq!((call.stamp().epoch, call.stamp().seq), (2, 4));
    assert_eq!(call.view(restarted).webrtc_room_id, Some(Uuid::from_u128(99)));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Announce(r) if r.event.kind() == "room-changed"))
    );
    assert_eq!(call.participants().len(), 2);

    let device = call.leg(laptop).unwrap().device.clone();
    call.handle(join(ADA, leg(50), device, None), &Actor::SERVER, restarted).unwrap();
    story.note(&call.handle(Command::Tick, &Actor::SERVER, restarted + RESUME).unwrap());
    assert_eq!(call.participants(), [user(ADA)]);
    let row = &story.rows()[&phone];
    assert_eq!((row.left_at, row.reason), (Some(seen), Some(LegReason::ServerRestart)));
    assert!(!call.is_over());
}

#[test]
fn a_call_that_nobody_returns_to_ended_when_it_was_last_seen() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    let seen = story.now;
    let restarted = seen + Duration::from_secs(600);
    let (mut call, _) = restart(&story, restarted);
    call.handle(Command::Tick, &Actor::SERVER, restarted + RESUME).unwrap();
    let view = call.view(restarted + RESUME);
    assert_eq!((view.status, view.end_reason), (CallStatus::Ended, Some(Ending::ServerRestart)));
    assert_eq!((view.ended_at, view.duration_seconds), (Some(seen), Some(0)));
}

#[test]
fn a_row_that_contradicts_itself_is_refused() {
    let record = Story::begin().call.to_record();
    for (status, what) in
        [(CallStatus::Active, "active but never started"), (CallStatus::Ended, "over but never ended")]
    {
        let corrupt = CallRecord { status, ..record.clone() };
        assert_eq!(Call::from_record(corrupt, RULES).unwrap_err().what, what);
    }
}
