//! Restarts and broken disks.

use switchyard_recorder::Trouble;

use super::*;
use crate::{
    call::{RecordingEnd, RecordingStatus},
    testing::{Reel, on_both_engines},
};

on_both_engines! {
    async fn a_disk_that_fails_ends_the_recording_and_not_the_call(database) {
        for (trouble, end, reason) in [
            (Trouble::DiskFull, RecordingEnd::DiskFull, "disk-full"),
            (Trouble::StorageError, RecordingEnd::StorageError, "storage-error"),
        ] {
            let mut set = Set::new(&database).await;
            let id = set.record(RecordingWish::default()).await;
            assert_eq!(set.bobs.hears.next("call:recording").await["recording"]["id"], json!(id));
            set.calls().hear(Notice::Broken(switchyard_recorder::RecordingId(id.0), trouble)).await;
            assert_eq!(set.bobs.hears.next("call:recording").await["reason"], json!(reason));
            set.closed(id).await;
            let row = set.until(id, |row| row.status == RecordingStatus::Failed).await;
            assert_eq!(row.end_reason, Some(end));
            assert!(set.calls().find_one(&by(&set.ada), set.call).await.unwrap().status.is_running());
            set.world.control.shutdown().await;
        }
    }

    async fn a_recording_of_which_the_disk_lost_something_is_incomplete(database) {
        let set = Set::new(&database).await;
        set.produce(set.adas.leg, "camera").await;
        let id = set.record(RecordingWish::default()).await;
        let track = set.until_tracks(id, 1).await[0].id;
        set.report(id, track, 4_000, false).await;
        let reel = Reel { start_ms: 20, seconds: 2, size: (320, 180), tags: Vec::new() };
        let path = set.put_file(id, track, 0, &reel);
        set.calls().hear(Notice::Broken(switchyard_recorder::RecordingId(id.0), Trouble::DiskFull)).await;
        set.until(id, |row| row.end_reason.is_some()).await;
        set.closed(id).await;
        let row = set.until(id, |row| !row.status.is_running() && row.status != RecordingStatus::Finishing).await;
        let left = i64::try_from(std::fs::metadata(path).unwrap().len()).unwrap();
        assert_eq!((row.status, row.bytes), (RecordingStatus::Incomplete, left));
    }

    async fn after_a_restart_the_recording_of_a_running_call_goes_on(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        let (ada, call) = (set.ada.clone(), set.call);
        set.world.control.shutdown().await;
        let world = world(&database, |_| {}).await;
        let view = world.control.calls.find_one(&by(&ada), call).await.unwrap();
        assert_eq!(view.recording.map(|recording| recording.id), Some(id));
        wait_for(async || (world.control.calls.recording_figures().recordings_active == 1).then_some(())).await;
        world.control.calls.stop_recording(&by(&ada), call, Some(id)).await.unwrap();
        let row = world.control.store.recording(id).await.unwrap().unwrap().row;
        assert_eq!(row.end_reason, Some(RecordingEnd::Stopped));
    }

    async fn a_recording_whose_files_are_elsewhere_ends_at_the_restart(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        let (ada, call) = (set.ada.clone(), set.call);
        set.world.control.shutdown().await;
        let elsewhere = tempfile::tempdir().unwrap();
        let world = world(&database, |config| config.recorder.folder = elsewhere.path().to_owned()).await;
        let row = wait_for(async || {
            let row = world.control.store.recording(id).await.unwrap().unwrap().row;
            row.end_reason.is_some().then_some(row)
        }).await;
        assert_eq!((row.end_reason, row.status), (Some(RecordingEnd::ServerRestart), RecordingStatus::Finishing));
        assert_eq!(world.control.calls.find_one(&by(&ada), call).await.unwrap().recording, None);
        world.control.shutdown().await;

        // Whoever has the files settles it.
        let home = super::world(&database, |_| {}).await;
        wait_for(async || {
            let row = home.control.store.recording(id).await.unwrap().unwrap().row;
            (row.status == RecordingStatus::Incomplete).then_some(())
        }).await;
    }

    async fn a_recording_that_a_crash_left_of_an_ended_call_is_incomplete(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        set.calls().end(&by(&set.ada), set.call, Default::default()).await.unwrap();
        let row = set.until(id, |row| row.end_reason.is_some()).await;
        assert_eq!(row.end_reason, Some(RecordingEnd::CallEnded));
        // As a crash leaves it, whether the recorder has told of its end or not.
        set.calls().finish_abandoned(&row).await;
        let row = set.until(id, |row| row.status != RecordingStatus::Finishing).await;
        assert_eq!(row.end_reason, Some(RecordingEnd::CallEnded), "why it ended stays");
    }
}
