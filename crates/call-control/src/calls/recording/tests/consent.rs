//! Under `ask`, nothing of a device is recorded unless it accepts.

use super::*;
use crate::{
    call::{Consent, RecordingStatus, TrackNote},
    error::ErrorCode,
    testing::on_both_engines,
};

const ASK: RecordingWish = RecordingWish { mode: None, layer: None, consent: Some(Consent::Ask) };

on_both_engines! {
    async fn who_has_not_accepted_is_declined_and_who_accepts_is_recorded(database) {
        let mut set = Set::new(&database).await;
        set.produce(set.adas.leg, "mic").await;
        set.produce(set.bobs.leg, "mic").await;
        let id = set.record(ASK).await;
        let tracks = set.until_tracks(id, 2).await;
        assert!(tracks.iter().all(|track| track.note == Some(TrackNote::Declined)), "{tracks:?}");
        assert_eq!(set.calls().recording_figures().tracks, 0, "nothing is recorded");

        let (bob, leg) = (by(&set.bob), set.bobs.leg);
        set.calls().consent(&bob, set.call, leg, true).await.unwrap();
        let told = set.adas.hears.next("call:recording").await;
        assert_eq!(told["recording"]["answers"], json!({}));
        let told = set.adas.hears.next("call:recording").await;
        assert_eq!(told["answer"], json!({"legId": leg, "userId": set.bob.id, "accept": true}));
        assert_eq!(set.calls().recording_figures().tracks, 1);
        let declined = |tracks: &[TrackRow]| {
            tracks.iter().filter(|track| track.note == Some(TrackNote::Declined)).map(|track| track.leg_id).collect::<Vec<_>>()
        };
        let adas = vec![set.adas.leg];
        wait_for(async || (declined(&set.tracks(id).await.0) == adas).then_some(())).await;

        set.calls().consent(&bob, set.call, leg, false).await.unwrap();
        let told = set.adas.hears.next("call:recording").await;
        assert_eq!(told["answer"]["accept"], json!(false));
        set.until_tracks(id, 3).await;
    }

    async fn a_server_that_asks_cannot_be_told_not_to(database) {
        let set = Set::with(&database, |config| config.consent = Consent::Ask).await;
        let wish = RecordingWish { consent: Some(Consent::Notice), ..RecordingWish::default() };
        let refused = set.calls().start_recording(&by(&set.ada), set.call, wish).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden);
        set.record(RecordingWish::default()).await;
        let view = set.calls().find_one(&by(&set.ada), set.call).await.unwrap();
        assert_eq!(view.recording.unwrap().consent, Consent::Ask);
    }

    async fn only_a_leg_of_the_call_answers_and_only_where_it_is_asked(database) {
        let set = Set::new(&database).await;
        let answer = async |leg| set.calls().consent(&by(&set.bob), set.call, leg, true).await.map_err(|r| r.code);
        assert_eq!(answer(set.bobs.leg).await.unwrap_err(), ErrorCode::NotRecording);
        set.record(RecordingWish::default()).await;
        assert_eq!(answer(set.bobs.leg).await.unwrap_err(), ErrorCode::Conflict);
        set.stop().await;
        set.record(ASK).await;
        assert_eq!(answer(LegId::random()).await.unwrap_err(), ErrorCode::NotInCall);
        answer(set.bobs.leg).await.unwrap();
    }
}

#[tokio::test]
async fn a_recording_is_not_whole_once_a_device_that_agrees_may_begin_no_more_tracks() {
    let database = TestStore::sqlite().await;
    let set = Set::new(&database).await;
    set.produce(set.bobs.leg, "mic").await;
    let id = set.record(ASK).await;
    let answer =
        async |accept| set.calls().consent(&by(&set.bob), set.call, set.bobs.leg, accept).await.unwrap();
    for _ in 0..128 {
        answer(true).await;
        answer(false).await;
    }
    answer(true).await;
    set.stop().await;
    let row = set.until(id, |row| row.status.is_finished()).await;
    assert_eq!(row.status, RecordingStatus::Incomplete);
}
