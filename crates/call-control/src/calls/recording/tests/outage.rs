//! The database is away.

use super::*;
use crate::{
    call::{RecordingEnd, RecordingStatus},
    error::ErrorCode,
    testing::on_both_engines_with_outages,
};

on_both_engines_with_outages! {
    async fn without_the_database_nothing_starts_but_everything_stops(database) {
        let set = Set::new(&database).await;
        let (calls, ada) = (set.calls(), by(&set.ada));
        let id = set.record(RecordingWish::default()).await;
        let outage = database.take_away().await;
        set.produce(set.bobs.leg, "mic").await;
        assert_eq!(calls.call_of_recording(id).await.unwrap(), set.call, "without the database");
        let stopped = calls.stop_recording(&ada, set.call, Some(id)).await.unwrap();
        assert_eq!(stopped.recording, None);
        let refused = calls.start_recording(&ada, set.call, RecordingWish::default()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable);
        set.closed(id).await;
        outage.end().await;
        let row = set.until(id, |row| row.status == RecordingStatus::Ready).await;
        assert_eq!(row.end_reason, Some(RecordingEnd::Stopped));
        set.until_tracks(id, 1).await;
    }

    async fn who_comes_back_without_the_database_is_told_whether_they_may_record(database) {
        let set = Set::new(&database).await;
        let mut back = Vec::new();
        for (person, may_record) in [(&set.ada, true), (&set.bob, false)] {
            let (socket, _hears) = set.world.socket(person);
            let joined = set.world.attach(person, socket, set.call, "tablet").await.unwrap();
            back.push((person, may_record, joined.resume_token));
        }
        let outage = database.take_away().await;
        for (person, may_record, token) in back {
            let (socket, _hears) = set.world.socket(person);
            let join = json!({"callId": set.call, "device": "tablet", "resumeToken": token});
            let join = serde_json::from_value(join).unwrap();
            let joined = set.calls().attach(&by(person), socket, join).await.unwrap();
            assert_eq!((joined.resumed, joined.may_record), (true, may_record), "{}", person.name);
        }
        outage.end().await;
    }

    async fn a_recording_that_is_unfinished_while_the_database_is_away_is_finished_later(database) {
        let set = Set::new(&database).await;
        let tape = set.world.tape_with(set.call, set.team, set.ada.id, |row| row.status = RecordingStatus::Finishing);
        let tape = tape.await;
        let outage = database.take_away().await;
        assert!(set.calls().tidy_recordings().await.is_err());
        set.calls().tidy_up();
        outage.end().await;
        set.until(tape.id(), |row| row.status == RecordingStatus::Incomplete).await;
    }

    async fn nothing_more_is_recorded_of_a_call_whose_owner_broke(database) {
        let set = Set::new(&database).await;
        set.record(RecordingWish::default()).await;
        set.until_open(1).await;
        let outage = database.take_away().await;
        set.calls().fail_orphan(set.call).await;
        set.until_open(0).await;
        outage.end().await;
    }
}
