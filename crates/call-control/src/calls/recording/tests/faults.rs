//! Restarts and broken disks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use switchyard_recorder::Trouble;

use super::*;
use crate::{
    actor::Actor,
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
        let left = i64::try_from(fs::metadata(path).unwrap().len()).unwrap();
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
        set.calls().finish_abandoned(&row).await.unwrap();
        let row = set.until(id, |row| row.status != RecordingStatus::Finishing).await;
        assert_eq!(row.end_reason, Some(RecordingEnd::CallEnded), "why it ended stays");
    }

    async fn a_recording_whose_disk_fails_at_the_start_is_finished_once_it_works(database) {
        let set = Set::new(&database).await;
        let tape = set.world.tape_with(set.call, set.team, set.ada.id, |row| row.status = RecordingStatus::Finishing);
        let tape = tape.await;
        set.world.control.shutdown().await;
        let disk = FailedDisk::new(&tape.paths[0]);
        let world = world(&database, |_| {}).await;
        assert!(world.control.calls.tidy_recordings().await.is_err());
        let status = async || world.control.store.recording(tape.id()).await.unwrap().unwrap().row.status;
        assert_eq!(status().await, RecordingStatus::Finishing);
        disk.works_again();
        wait_for(async || (status().await == RecordingStatus::Incomplete).then_some(())).await;
    }

    async fn a_running_recording_is_continued_once_its_disk_works(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        let call = set.call;
        set.world.control.shutdown().await;
        let disk = FailedDisk::new(&database.recording().recorder.folder.join(id.to_string()).join("a file"));
        let world = world(&database, |_| {}).await;
        assert!(world.control.calls.repair(id).await.is_err());
        disk.works_again();
        let figures = async || world.control.calls.recording_figures().recordings_active;
        wait_for(async || (figures().await == 1).then_some(())).await;
        let view = world.control.calls.find_one(&Actor::SERVER, call).await.unwrap();
        assert_eq!(view.recording.map(|recording| recording.id), Some(id));
    }

    async fn a_recording_that_is_stopped_while_its_disk_fails_is_finished_once_it_works(database) {
        let set = Set::new(&database).await;
        let id = set.record(RecordingWish::default()).await;
        let call = set.call;
        set.world.control.shutdown().await;
        let disk = FailedDisk::new(&database.recording().recorder.folder.join(id.to_string()).join("a file"));
        let world = world(&database, |_| {}).await;
        world.control.calls.stop_recording(&Actor::SERVER, call, Some(id)).await.unwrap();
        assert!(world.control.calls.finish_unopened(id).await.is_err());
        disk.works_again();
        let status = async || world.control.store.recording(id).await.unwrap().unwrap().row.status;
        // The server was stopped in order: nothing is missing.
        wait_for(async || (status().await == RecordingStatus::Ready).then_some(())).await;
    }

    async fn the_recording_of_a_call_that_cannot_be_taken_over_yet_is_left_to_it(database) {
        let set = Set::new(&database).await;
        let tape = set.world.tape_with(set.call, set.team, set.ada.id, |row| row.status = RecordingStatus::Recording);
        let tape = tape.await;
        set.world.control.shutdown().await;
        let store = database.open().await;
        // As if its owner task could not start.
        let world = world(&database, |_| {}).await;
        world.control.calls.shared.live.remove(set.call);
        world.control.calls.tidy_recordings().await.unwrap();
        assert_eq!(store.recording(tape.id()).await.unwrap().unwrap().row.status, RecordingStatus::Recording);
    }

    async fn the_app_deletes_what_was_stopped_and_it_goes_once_it_is_finished(database) {
        let mut set = Set::new(&database).await;
        let tape = set.world.tape_with(set.call, set.team, set.ada.id, |row| row.status = RecordingStatus::Finishing);
        let (tape, recordings) = (tape.await, &set.world.control.recordings);
        recordings.delete(&Actor::SERVER, tape.id()).await.unwrap();
        let seen = recordings.find_one(&by(&set.ada), tape.id()).await.unwrap().recording;
        assert!(seen.status == RecordingStatus::Deleted && !tape.is_erased());
        assert_eq!(set.row(tape.id()).await.status, RecordingStatus::Finishing, "its files may be written");
        set.calls().finish_abandoned(&tape.row).await.unwrap();
        recordings.remove_soon();
        set.until(tape.id(), |row| row.status == RecordingStatus::Deleted).await;
        assert!(tape.is_erased());
        assert_eq!(set.adas.hears.next("recording:updated").await["status"], "deleted", "and was never ready");
    }
}

/// The folder of a recording cannot be read.
struct FailedDisk {
    folder: PathBuf,
    aside: PathBuf,
}

impl FailedDisk {
    /// Fails for the folder of this file.
    fn new(file: &Path) -> Self {
        let folder = file.parent().unwrap().to_owned();
        let aside = folder.with_extension("aside");
        fs::rename(&folder, &aside).unwrap();
        fs::write(&folder, "not a folder").unwrap();
        Self { folder, aside }
    }

    fn works_again(self) {
        fs::remove_file(&self.folder).unwrap();
        fs::rename(&self.aside, &self.folder).unwrap();
    }
}
