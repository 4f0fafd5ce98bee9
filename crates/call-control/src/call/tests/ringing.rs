//! Ringing: one story for each rule.

use super::{super::*, story::*};

/// Whose devices a step lets ring, and whose it silences.
fn sounds(effects: &[Effect]) -> (Vec<UserId>, Vec<(UserId, RingEnd)>) {
    let mut rung = Vec::new();
    let mut silenced = Vec::new();
    for effect in effects {
        if let Effect::Ring(users) = effect {
            rung.extend(users);
        } else if let Effect::StopRinging(user, end) = effect {
            silenced.push((*user, *end));
        }
    }
    (rung, silenced)
}

fn decline(story: &mut Story, who: u8) -> Result<Vec<Effect>, CallError> {
    story.handle(Command::Decline { user: user(who) })
}

fn ring(story: &mut Story, who: u8) -> Result<Vec<Effect>, CallError> {
    story.handle(Command::Ring(vec![invitee(&(who, false))]))
}

fn status(story: &Story, who: u8) -> InvitationStatus {
    story.call.invitations().find(|(invited, _)| *invited == user(who)).unwrap().1
}

#[test]
fn a_new_call_rings_and_says_who_calls() {
    let story = Story::ringing(&[(BOB, false), (EVE, true)]);
    let ringing: Vec<Ringing> = story.call.ringing().collect();
    let by = Some(person(ADA));
    assert_eq!(ringing, [Ringing { user: user(BOB), by, since: story.now, until: story.now + RING }]);
    assert_eq!(story.kinds(), ["call-created"], "everybody learns it at once");
    assert_eq!(status(&story, EVE), InvitationStatus::Ringing, "who is not disturbed looks like the others");
}

#[test]
fn joining_with_one_device_silences_all() {
    let mut story = Story::ringing(&RUNG);
    let leg = story.next_leg();
    let effects = story.handle(join(BOB, leg, None, None)).unwrap();
    assert_eq!(sounds(&effects), (vec![], vec![(user(BOB), RingEnd::AnsweredElsewhere)]));
    assert_eq!(status(&story, BOB), InvitationStatus::Answered);
    let leg = story.next_leg();
    let effects = story.handle(join(EVE, leg, None, None)).unwrap();
    assert_eq!(sounds(&effects), (vec![], vec![]), "nothing rang there");
    assert_eq!(status(&story, EVE), InvitationStatus::Answered);
}

#[test]
fn when_everybody_declined_a_waiting_call_is_cancelled() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    let effects = decline(&mut story, BOB).unwrap();
    assert_eq!(sounds(&effects), (vec![], vec![(user(BOB), RingEnd::Declined)]));
    assert!(!story.call.is_over());
    assert!(decline(&mut story, BOB).unwrap().is_empty(), "declining twice changes nothing");
    decline(&mut story, EVE).unwrap();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Cancelled, Ending::Declined));
    assert_eq!(story.kinds(), ["call-created", "invitations-ended", "invitations-ended", "call-ended"]);
    assert!(decline(&mut story, EVE).unwrap().is_empty(), "nor does it when the call is over");
}

#[test]
fn who_may_not_join_any_more_keeps_no_call_waiting() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    decline(&mut story, BOB).unwrap();
    story.handle(Command::Leave { user: user(EVE), leg: None, reason: LegReason::NotAMember }).unwrap();
    assert_eq!(story.over().ending, Ending::Declined);
}

#[test]
fn a_later_ring_ends_with_the_waiting_call() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    let end = story.now + RING;
    decline(&mut story, EVE).unwrap();
    story.wait(Duration::from_secs(50));
    ring(&mut story, EVE).unwrap();
    assert!(story.call.ringing().all(|ringing| ringing.until == end));
    assert_eq!(sounds(&story.wait(Duration::from_secs(10)).tick()).1.len(), 2);
}

#[test]
fn who_is_not_disturbed_never_declines_and_so_keeps_the_call_waiting() {
    let mut story = Story::ringing(&RUNG);
    decline(&mut story, BOB).unwrap();
    assert!(!story.call.is_over());
}

#[test]
fn declining_an_active_call_ends_nothing_but_the_ring() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    story.join(BOB, "phone");
    decline(&mut story, EVE).unwrap();
    assert!(!story.call.is_over());
    assert_eq!(decline(&mut story, BOB).unwrap_err(), CallError::NotRung, "answering was first");
}

#[test]
fn nobody_answering_in_time_is_missed_while_the_call_goes_on() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    story.join(BOB, "phone");
    let effects = story.wait(RING).tick();
    assert_eq!(sounds(&effects), (vec![], vec![(user(EVE), RingEnd::Missed)]));
    assert_eq!(story.kinds().last(), Some(&"invitations-ended"));
    story.join(EVE, "phone");
    assert_eq!(status(&story, EVE), InvitationStatus::Answered, "who comes late has not missed it");
}

#[test]
fn the_end_of_the_call_silences_everybody() {
    for (ending, end) in [
        (None, RingEnd::Missed),
        (Some(Ending::Cancelled), RingEnd::Cancelled),
        (Some(Ending::GroupDeleted), RingEnd::Cancelled),
    ] {
        let mut story = Story::ringing(&[(BOB, false)]);
        let effects = match ending {
            Some(ending) => story.handle(Command::End(ending)).unwrap(),
            None => story.wait(RING).tick(),
        };
        assert_eq!(sounds(&effects), (vec![], vec![(user(BOB), end)]), "{ending:?}");
        assert!(story.call.is_over());
    }
}

#[test]
fn somebody_is_called_in_again_after_a_pause() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    story.join(BOB, "phone");
    decline(&mut story, EVE).unwrap();
    let refused = ring(&mut story, EVE).unwrap_err();
    assert_eq!(refused, CallError::RungJustNow { retry_after: Duration::from_secs(10) });
    story.wait(Duration::from_secs(10));
    let effects = ring(&mut story, EVE).unwrap();
    assert_eq!(sounds(&effects), (vec![user(EVE)], vec![]));
    assert_eq!(story.kinds().last(), Some(&"invited"));
    assert!(ring(&mut story, EVE).unwrap().is_empty(), "it rings already");
    assert!(ring(&mut story, BOB).unwrap().is_empty(), "Bob is there");
}

#[test]
fn one_person_is_not_rung_for_ever() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    story.join(BOB, "phone");
    for _ in 1..10 {
        decline(&mut story, EVE).unwrap();
        story.wait(Duration::from_secs(10));
        ring(&mut story, EVE).unwrap();
    }
    decline(&mut story, EVE).unwrap();
    story.wait(Duration::from_secs(3600));
    assert_eq!(ring(&mut story, EVE).unwrap_err(), CallError::RungTooOften);
}

#[test]
fn who_may_not_join_is_not_rung() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    story.join(BOB, "phone");
    story.join(EVE, "phone");
    story.handle(Command::Remove { user: user(EVE) }).unwrap();
    story.wait(Duration::from_secs(10));
    assert_eq!(ring(&mut story, EVE).unwrap_err(), CallError::Removed);
    story.handle(Command::Lock(true)).unwrap();
    assert_eq!(ring(&mut story, 4).unwrap_err(), CallError::Locked);
}

#[test]
fn losing_the_membership_ends_the_ring() {
    let mut story = Story::ringing(&[(BOB, false), (EVE, false)]);
    story.join(BOB, "phone");
    let lost = Command::Leave { user: user(EVE), leg: None, reason: LegReason::NotAMember };
    assert_eq!(sounds(&story.handle(lost).unwrap()).1, [(user(EVE), RingEnd::Cancelled)]);
}

#[test]
fn a_call_that_may_wait_for_ever_rings_for_a_minute() {
    let rules = Rules { ring: None, unattached: None, ..RULES };
    let mut story = Story::with_rules(rules);
    ring(&mut story, BOB).unwrap();
    story.wait(RING).tick();
    assert_eq!(status(&story, BOB), InvitationStatus::Missed);
    assert!(!story.call.is_over());
}

#[test]
fn after_a_restart_what_rang_rings_again() {
    let story = Story::ringing(&RUNG);
    let (call, effects) = restart(&story, story.now + Duration::from_secs(5));
    assert_eq!(sounds(&effects).0, [user(BOB)]);
    assert_eq!(call.ringing().collect::<Vec<_>>(), story.call.ringing().collect::<Vec<_>>());
}
