//! What is said of files that a crash or a fault left.

use std::{path::PathBuf, time::Duration};

use sqlx::{Connection, SqliteConnection, types::Json};
use switchyard_recorder::Trouble;

use super::*;
use crate::{
    call::{Command, RecordingEnd, RecordingStatus, Span, TrackNote, TrackTimes},
    clock::now,
    testing::{Reel, on_both_engines},
};

impl Set {
    fn folder(&self, recording: RecordingId) -> PathBuf {
        self.calls().shared.studio.config.recorder.folder.join(recording.to_string())
    }

    /// Puts a file of this track into the folder of the recording, as a crash leaves it.
    pub(super) fn put_file(
        &self,
        recording: RecordingId,
        track: RecordingTrackId,
        part: u32,
        reel: &Reel,
    ) -> PathBuf {
        let path = self.folder(recording).join(format!("{track}-{part}.webm"));
        std::fs::write(&path, reel.bytes()).unwrap();
        path
    }

    /// A recording of Ada's camera, of which there is a row but no file.
    async fn filmed(&self) -> (RecordingId, TrackRow) {
        self.produce(self.adas.leg, "camera").await;
        let id = self.record(RecordingWish::default()).await;
        (id, self.until_tracks(id, 1).await.remove(0))
    }

    async fn finish_abandoned(&self, recording: RecordingId) -> RecordingRow {
        self.calls().finish_abandoned(&self.row(recording).await).await.unwrap();
        self.row(recording).await
    }

    /// Waits until the recorder has so many recordings open.
    pub(super) async fn until_open(&self, count: u64) {
        let open = || self.calls().recording_figures().recorder.recordings_active;
        wait_for(async || (open() == count).then_some(())).await;
    }
}

fn reel(start_ms: u64, seconds: u64, size: (u16, u16)) -> Reel {
    Reel { start_ms, seconds, size, tags: Vec::new() }
}

fn span(from_ms: u64, to_ms: u64) -> Span {
    Span { from_ms, to_ms }
}

on_both_engines! {
    async fn a_track_of_which_nothing_was_reported_says_what_its_files_are(database) {
        let set = Set::new(&database).await;
        let (id, track) = set.filmed().await;
        assert_eq!((track.codec, track.spans.0.spans), (None, vec![]));
        set.put_file(id, track.id, 0, &reel(400, 3, (320, 180)));
        set.put_file(id, track.id, 1, &reel(9_000, 2, (640, 360)));
        let row = set.finish_abandoned(id).await;
        let (tracks, files) = set.tracks(id).await;
        let [told] = tracks.as_slice() else { panic!("{tracks:?}") };
        assert_eq!(told.codec.as_deref(), Some("vp8"));
        assert_eq!((told.start_ms, told.duration_ms), (400, 10_600));
        assert_eq!(told.spans.0.spans, [span(400, 3_400), span(9_000, 11_000)]);
        assert_eq!((told.width, told.height), (Some(640), Some(360)));
        assert_eq!(told.note, Some(TrackNote::Interrupted));
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|file| file.sha256.is_some()), "{files:?}");
        assert_eq!((row.status, row.bytes), (RecordingStatus::Incomplete, told.bytes));
    }

    async fn what_was_reported_before_the_end_of_a_file_reaches_its_end(database) {
        let set = Set::new(&database).await;
        let (id, track) = set.filmed().await;
        let reported = TrackRow {
            duration_ms: 60_000,
            width: Some(1_280),
            height: Some(720),
            spans: Json(TrackTimes { spans: vec![span(300, 900), span(1_200, 2_000)], holes: vec![span(500, 600)] }),
            note: Some(TrackNote::Dropped),
            ..track.clone()
        };
        set.world.control.store.write_reports(id, &[reported], &[], now()).await.unwrap();
        set.put_file(id, track.id, 0, &reel(400, 3, (320, 180)));
        set.finish_abandoned(id).await;
        let told = set.tracks(id).await.0.remove(0);
        let times = TrackTimes { spans: vec![span(300, 900), span(1_200, 3_400)], holes: vec![span(500, 600)] };
        assert_eq!(told.spans.0, times);
        assert_eq!((told.start_ms, told.duration_ms), (400, 3_000), "not what never reached the disk");
        assert_eq!((told.width, told.height), (Some(1_280), Some(720)), "of the largest picture");
        assert_eq!(told.note, Some(TrackNote::Dropped), "the more serious one");
    }

    async fn a_recording_goes_on_before_its_files_are_hashed_and_no_file_is_hashed_twice(database) {
        let set = Set::new(&database).await;
        let (id, track) = set.filmed().await;
        let path = set.put_file(id, track.id, 0, &reel(0, 2, (320, 180)));
        let hashes = async || set.tracks(id).await.1.into_iter().map(|file| file.sha256).collect::<Vec<_>>();
        let go_on = async |repaired: Result<crate::calls::recording::Repaired, crate::error::Refusal>| {
            assert!(!repaired.unwrap().is_whole, "a crash cut it");
            assert_eq!(hashes().await, [None]);
        };
        set.calls().repair_and_go_on(id, go_on).await;
        let [Some(hash)] = &hashes().await[..] else { panic!("it has no hash") };
        assert_eq!(hash.len(), 64);

        let known = FileRow { sha256: Some("known".to_owned()), ..set.tracks(id).await.1.remove(0) };
        set.world.control.store.write_reports(id, &[], &[known], now()).await.unwrap();
        set.calls().repair_and_go_on(id, async |_| {}).await;
        assert_eq!(hashes().await, [Some("known".to_owned())]);

        std::fs::write(&path, reel(0, 1, (320, 180)).bytes()).unwrap();
        set.calls().repair_and_go_on(id, async |_| {}).await;
        assert_ne!(hashes().await, [Some("known".to_owned())], "it is another file");
    }

    async fn a_recording_that_a_stop_of_the_server_divided_is_whole_and_one_that_a_crash_cut_is_not(database) {
        for (crashes, status) in [(false, RecordingStatus::Ready), (true, RecordingStatus::Incomplete)] {
            let set = Set::new(&database).await;
            let id = set.record(RecordingWish::default()).await;
            let (ada, call) = (set.ada.clone(), set.call);
            set.world.control.shutdown().await;
            if crashes {
                database.open().await.note_whole(id, false).await.unwrap();
            }
            let world = world(&database, |_| {}).await;
            let figures = async || world.control.calls.recording_figures();
            wait_for(async || (figures().await.recordings_active == 1).then_some(())).await;
            assert!(!world.control.store.beginning(id).await.unwrap().1, "a crash may cut it again");
            world.control.calls.stop_recording(&by(&ada), call, Some(id)).await.unwrap();
            let settled = wait_for(async || {
                let row = world.control.store.recording(id).await.unwrap().unwrap().row;
                row.status.is_finished().then_some(row.status)
            }).await;
            assert_eq!(settled, status);
            world.control.shutdown().await;
        }
    }

    async fn a_stop_that_leaves_no_time_for_hashes_leaves_the_end_to_the_next_start(database) {
        let set = Set::new(&database).await;
        let (id, track) = set.filmed().await;
        let reel = reel(20, 2, (320, 180));
        set.put_file(id, track.id, 0, &reel);
        set.report(id, track.id, reel.bytes().len() as u64, true).await;
        // Keeps it from being settled before.
        let alone = set.calls().shared.studio.alone(id).await;
        set.stop().await;
        let stop = async {
            set.calls().shared.stop.cancelled().await;
            drop(alone);
        };
        tokio::join!(set.world.control.shutdown(), stop);
        let row = database.open().await.recording(id).await.unwrap().unwrap().row;
        assert_eq!((row.status, row.end_reason), (RecordingStatus::Finishing, Some(RecordingEnd::Stopped)));

        let world = world(&database, |_| {}).await;
        let settled = async || {
            let row = world.control.store.recording(id).await.unwrap().unwrap().row;
            row.status.is_finished().then_some(())
        };
        wait_for(settled).await;
        let (_, files) = world.control.store.reported(id).await.unwrap();
        assert!(files[0].sha256.is_some(), "{files:?}");
    }

    async fn a_write_that_fails_after_the_stop_leaves_the_recording_incomplete(database) {
        let set = Set::new(&database).await;
        let (id, track) = set.filmed().await;
        set.report(id, track.id, 4_000, true).await;
        // Keeps it from being settled meanwhile.
        let alone = set.calls().shared.studio.alone(id).await;
        set.stop().await;
        set.calls().hear(Notice::Broken(switchyard_recorder::RecordingId(id.0), Trouble::StorageError)).await;
        drop(alone);
        let row = set.until(id, |row| row.status.is_finished()).await;
        assert_eq!((row.status, row.end_reason, row.bytes), (RecordingStatus::Incomplete, Some(RecordingEnd::Stopped), 0));
        assert_eq!(set.tracks(id).await.1, [], "there is no such file");
    }

    async fn a_recording_whose_folder_was_removed_has_failed_and_has_no_files(database) {
        let set = Set::new(&database).await;
        let (id, track) = set.filmed().await;
        set.report(id, track.id, 4_000, false).await;
        wait_for(async || (!set.tracks(id).await.1.is_empty()).then_some(())).await;
        std::fs::remove_dir_all(set.folder(id)).unwrap();
        set.calls().hear(Notice::Broken(switchyard_recorder::RecordingId(id.0), Trouble::StorageError)).await;
        let row = set.until(id, |row| row.status.is_finished()).await;
        assert_eq!((row.status, row.end_reason, row.bytes), (RecordingStatus::Failed, Some(RecordingEnd::StorageError), 0));
        let (tracks, files) = set.tracks(id).await;
        assert_eq!((files, tracks[0].bytes, tracks[0].duration_ms), (vec![], 0, 0));
    }

    async fn without_its_recorder_a_call_goes_on_and_its_recording_ends(database) {
        let mut set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        set.calls().shared.studio.recorder.shutdown().await;
        set.bobs.hears.next("call:recording").await;
        assert_eq!(set.bobs.hears.next("call:recording").await["reason"], "storage-error");
        assert_eq!(set.until(id, |row| row.end_reason.is_some()).await.end_reason, Some(RecordingEnd::StorageError));
        assert!(set.calls().find_one(&by(&set.ada), set.call).await.unwrap().status.is_running());
    }

    async fn a_repair_holds_up_neither_other_recordings_nor_the_stop_of_the_server(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        let _slow = set.calls().shared.studio.alone(id).await;
        let other = set.world.tape_with(set.call, set.team, set.ada.id, |row| {
            (row.status, row.end_reason) = (RecordingStatus::Finishing, Some(RecordingEnd::Stopped));
        }).await;
        set.calls().finish_abandoned(&other.row).await.unwrap();
        assert!(set.row(other.id()).await.status.is_finished());

        // A new owner takes the call over, and waits for the files.
        set.calls().shared.live.remove(set.call);
        set.calls().adopt(Duration::ZERO).await.unwrap();
        let stopped = tokio::time::timeout(Duration::from_secs(20), set.world.control.shutdown()).await;
        assert!(stopped.is_ok(), "the server waited for a repair");
    }
}

#[tokio::test]
async fn a_task_that_lost_its_call_ends_the_recording_which_a_new_owner_continues() {
    let database = TestStore::sqlite().await;
    let set = Set::new(&database).await;
    let id = set.record(RecordingWish::default()).await;
    set.until_open(1).await;
    let mut stranger = SqliteConnection::connect(&database.url).await.unwrap();
    let take = sqlx::query("UPDATE calls SET version = version + 1 WHERE id = $1").bind(set.call);
    take.execute(&mut stranger).await.unwrap();
    let refused = set.calls().command(set.call, Command::Lock(true), &by(&set.ada)).await;
    assert!(refused.is_err(), "it lost the call");
    set.until_open(0).await;

    wait_for(async || set.calls().shared.live.get(set.call).is_none().then_some(())).await;
    set.calls().adopt(Duration::ZERO).await.unwrap();
    set.until_open(1).await;
    wait_for(async || set.calls().stop_recording(&by(&set.ada), set.call, Some(id)).await.ok()).await;
    let row = set.until(id, |row| row.status.is_finished()).await;
    assert_eq!((row.status, row.end_reason), (RecordingStatus::Incomplete, Some(RecordingEnd::Stopped)));
}
