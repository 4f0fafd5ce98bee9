//! Who reads recordings, and how they are deleted, on both databases.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::*;
use crate::{
    actor::{Actor, Person},
    calls::RecordingAccess,
    clock::now,
    ids::RecordingTrackId,
    store::{Cursor, Role},
    testing::{SECRET, Tape, TestStore, World, by, on_both_engines, slow_rules},
};

/// A group of Olga, the owner, whose member Ida has started a call. Pia was in it, Max was not.
struct Team {
    world: World,
    olga: Person,
    ida: Person,
    pia: Person,
    max: Person,
    group: GroupId,
    call: CallId,
}

impl Team {
    async fn new(store: &TestStore, access: RecordingAccess) -> Self {
        let mut config = World::config(store, slow_rules(), crate::auth::SignIn::Secret(SECRET.into()));
        config.recording.access = access;
        let world = World::with(config).await;
        let [olga, ida, pia, max] = [
            world.person("Olga").await,
            world.person("Ida").await,
            world.person("Pia").await,
            world.person("Max").await,
        ];
        let group = world.group(&olga, &[&ida, &pia, &max]).await;
        let call = world.call(&ida, group).await.unwrap().id;
        world.control.calls.join(&by(&pia), call).await.unwrap();
        Self { world, olga, ida, pia, max, group, call }
    }

    async fn tape(&self) -> Tape {
        self.world.tape(self.call, self.group, self.pia.id).await
    }

    fn recordings(&self) -> &Recordings {
        &self.world.control.recordings
    }

    async fn listed(&self, who: &Person) -> Result<Vec<RecordingId>, ErrorCode> {
        let page = PageRequest { limit: 100, after: None };
        let listed = self.recordings().of_group(&by(who), self.group, None, page).await;
        listed.map(|page| page.items.iter().map(|view| view.id).collect()).map_err(|refusal| refusal.code)
    }

    /// Whether the person may see the recording; every way of reading has to agree.
    async fn sees(&self, who: &Person, tape: &Tape) -> bool {
        let page = PageRequest { limit: 100, after: None };
        let answers = [
            self.recordings().find_one(&by(who), tape.id()).await.is_ok(),
            self.recordings().link(&by(who), tape.id(), Target::File(tape.files[0])).await.is_ok(),
            self.recordings()
                .of_call(&by(who), self.call, page)
                .await
                .is_ok_and(|page| page.items.len() == 1),
            self.listed(who).await.is_ok_and(|listed| listed == [tape.id()]),
        ];
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{}: {answers:?}", who.name);
        answers[0]
    }
}

async fn read(file: OpenFile) -> Vec<u8> {
    let length = file.length;
    let chunks: Vec<Bytes> = file.bytes(0, length).try_collect().await.unwrap();
    chunks.concat()
}

fn code<T>(outcome: Result<T, Refusal>) -> ErrorCode {
    outcome.map(|_| "it was not refused").unwrap_err().code
}

on_both_engines! {
    async fn the_setting_decides_which_members_see_a_recording(store) {
        for (access, ida, pia, max) in [
            (RecordingAccess::Participants, true, true, false),
            (RecordingAccess::Members, true, true, true),
            (RecordingAccess::Moderators, true, false, false),
        ] {
            let team = Team::new(&store, access).await;
            let tape = team.tape().await;
            let eve = team.world.person("Eve").await;
            for (who, sees) in
                [(&team.olga, true), (&team.ida, ida), (&team.pia, pia), (&team.max, max), (&eve, false)]
            {
                assert_eq!(team.sees(who, &tape).await, sees, "{access:?} {}", who.name);
            }
            team.world.control.shutdown().await;
        }
    }

    async fn an_initiator_who_was_removed_from_the_call_is_no_moderator(store) {
        let team = Team::new(&store, RecordingAccess::Moderators).await;
        let tape = team.tape().await;
        assert!(team.sees(&team.ida, &tape).await);
        team.world.control.calls.remove(&by(&team.olga), team.call, team.ida.id).await.unwrap();
        assert!(!team.sees(&team.ida, &tape).await);
        assert_eq!(code(team.recordings().delete(&by(&team.ida), tape.id()).await), ErrorCode::Forbidden);
    }

    async fn whoever_loses_membership_loses_the_links_too(store) {
        let team = Team::new(&store, RecordingAccess::Participants).await;
        let tape = team.tape().await;
        let (recordings, file) = (team.recordings(), tape.files[0]);
        let link = recordings.link(&by(&team.pia), tape.id(), Target::File(file)).await.unwrap();
        let service = recordings.link(&Actor::SERVER, tape.id(), Target::File(file)).await.unwrap();
        assert_eq!(read(recordings.open(file, &link).await.unwrap()).await, tape.bytes);
        let mut reader = recordings.open(file, &link).await.unwrap().warden.unwrap();
        reader.admit_again().await.unwrap();
        team.world.control.groups.remove_member(&Actor::SERVER, team.group, team.pia.id).await.unwrap();
        assert_eq!(code(recordings.open(file, &link).await), ErrorCode::Forbidden);
        assert!(reader.admit_again().await.is_err(), "a download that has begun ends, too");
        assert!(!team.sees(&team.pia, &tape).await);
        assert_eq!(read(recordings.open(file, &service).await.unwrap()).await, tape.bytes);
        // Back in the group, what was not revoked is good again.
        let groups = &team.world.control.groups;
        groups.add_member(&Actor::SERVER, team.group, team.pia.id, Role::Member).await.unwrap();
        assert!(recordings.open(file, &link).await.is_ok());
        team.world.control.revoke_sessions(&Actor::SERVER, team.pia.id, now()).await.unwrap();
        assert_eq!(code(recordings.open(file, &link).await), ErrorCode::Forbidden);
    }

    async fn revoked_sessions_end_links_however_long_links_are_good_now(store) {
        let team = Team::new(&store, RecordingAccess::Participants).await;
        let tape = team.tape().await;
        let (file, pia) = (tape.files[0], team.pia.id);
        let link = team.recordings().link(&by(&team.pia), tape.id(), Target::File(file)).await.unwrap();
        assert!(team.recordings().open(file, &link).await.is_ok());
        team.world.control.revoke_sessions(&Actor::SERVER, pia, now()).await.unwrap();
        team.world.control.shutdown().await;
        let mut config = World::config(&store, slow_rules(), crate::auth::SignIn::Secret(SECRET.into()));
        config.recording.link_validity = Duration::from_secs(1);
        let world = World::with(config).await;
        assert_eq!(code(world.control.recordings.open(file, &link).await), ErrorCode::Forbidden);
    }

    async fn a_link_is_for_one_file_of_a_finished_recording(store) {
        let team = Team::new(&store, RecordingAccess::Participants).await;
        let (tape, other) = (team.tape().await, team.tape().await);
        let recordings = team.recordings();
        let ida = by(&team.ida);
        let link = recordings.link(&ida, tape.id(), Target::File(tape.files[0])).await.unwrap();
        assert_eq!(code(recordings.open(tape.files[1], &link).await), ErrorCode::Forbidden);
        assert_eq!(code(recordings.open(other.files[0], &link).await), ErrorCode::Forbidden);
        assert_eq!(code(recordings.link(&ida, tape.id(), Target::File(other.files[0])).await), ErrorCode::NotFound);
        assert_eq!(code(recordings.open(crate::ids::FileId::random(), &link).await), ErrorCode::NotFound);
        let running = [RecordingStatus::Recording, RecordingStatus::Paused, RecordingStatus::Finishing];
        for status in running {
            let world = &team.world;
            let call = CallId::random();
            let tape = world.tape_with(call, team.group, team.pia.id, |row| row.status = status).await;
            let refused = recordings.link(&by(&team.olga), tape.id(), Target::File(tape.files[0])).await;
            assert_eq!(code(refused), ErrorCode::Conflict, "{status:?}");
            let refused = recordings.delete(&by(&team.olga), tape.id()).await;
            assert_eq!(code(refused), ErrorCode::Conflict, "{status:?}");
            let refused = recordings.delete_track(&by(&team.olga), tape.id(), tape.tracks[0]).await;
            assert_eq!(code(refused), ErrorCode::Conflict, "{status:?}");
        }
    }

    async fn lists_are_newest_first_and_read_page_by_page(store) {
        let team = Team::new(&store, RecordingAccess::Participants).await;
        let mut made = Vec::new();
        for age in 0..5 {
            let created = now() - Duration::from_secs(60 * age);
            let status = if age == 2 { RecordingStatus::Incomplete } else { RecordingStatus::Ready };
            let tape = team.world.tape_with(team.call, team.group, team.pia.id, |row| {
                (row.created_at, row.status) = (created, status);
            });
            made.push(tape.await.id());
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let request = PageRequest { limit: 2, after };
            let page = team.recordings().of_group(&by(&team.pia), team.group, None, request).await.unwrap();
            seen.extend(page.items.iter().map(|view| view.id));
            let Some(next) = page.next_cursor else { break };
            after = TimeCursor::decode(&next);
        }
        assert_eq!(seen, made);
        let page = PageRequest { limit: 9, after: None };
        let status = Some(RecordingStatus::Incomplete);
        let incomplete = team.recordings().of_group(&by(&team.pia), team.group, status, page).await.unwrap();
        assert_eq!(incomplete.items.iter().map(|view| view.id).collect::<Vec<_>>(), [made[2]]);
        assert_eq!(team.listed(&team.max).await, Ok(Vec::new()));
    }

    async fn a_deleted_recording_leaves_its_row_and_nothing_else(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (tape, recordings) = (team.tape().await, team.recordings());
        let (_, mut heard) = team.world.socket(&team.pia);
        let link = recordings.link(&by(&team.pia), tape.id(), Target::File(tape.files[0])).await.unwrap();
        for who in [&team.pia, &team.max] {
            assert_eq!(code(recordings.delete(&by(who), tape.id()).await), ErrorCode::Forbidden);
        }
        for _ in 0..2 {
            recordings.delete(&by(&team.ida), tape.id()).await.unwrap();
        }
        assert!(tape.is_erased());
        let told = heard.next("recording:updated").await;
        assert_eq!((&told["id"], &told["status"]), (&serde_json::json!(tape.id()), &"deleted".into()));
        let gone = recordings.find_one(&by(&team.pia), tape.id()).await.unwrap();
        assert_eq!(gone.recording.status, RecordingStatus::Deleted);
        assert!(gone.recording.deleted_at.is_some() && gone.tracks.is_empty() && gone.recording.bytes == 0);
        assert_eq!(team.listed(&team.pia).await, Ok(Vec::new()));
        assert_eq!(code(recordings.link(&by(&team.ida), tape.id(), Target::File(tape.files[0])).await), ErrorCode::NotFound);
        assert_eq!(code(recordings.open(tape.files[0], &link).await), ErrorCode::NotFound);
        let page = PageRequest { limit: 9, after: None };
        let status = Some(RecordingStatus::Deleted);
        let listed = recordings.of_group(&by(&team.pia), team.group, status, page).await.unwrap();
        assert_eq!(listed.items.len(), 1);
    }

    async fn a_track_is_deleted_alone_and_links_to_the_others_are_made_anew(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (tape, recordings) = (team.tape().await, team.recordings());
        let [mic, camera] = tape.tracks;
        let link = recordings.link(&by(&team.pia), tape.id(), Target::File(tape.files[1])).await.unwrap();
        assert_eq!(code(recordings.delete_track(&by(&team.pia), tape.id(), mic).await), ErrorCode::Forbidden);
        for _ in 0..2 {
            recordings.delete_track(&by(&team.olga), tape.id(), mic).await.unwrap();
        }
        assert!(!tape.paths[0].exists() && tape.paths[1].exists());
        let left = recordings.find_one(&by(&team.pia), tape.id()).await.unwrap();
        let files = |track: RecordingTrackId| {
            left.tracks.iter().find(|view| view.id == track).map(|view| (view.files.len(), view.deleted_at.is_some()))
        };
        assert_eq!((files(mic), files(camera)), (Some((0, true)), Some((1, false))));
        assert_eq!((left.recording.status, left.recording.bytes), (RecordingStatus::Ready, 1000));
        assert_eq!(code(recordings.open(tape.files[1], &link).await), ErrorCode::Forbidden);
        let link = recordings.link(&by(&team.pia), tape.id(), Target::File(tape.files[1])).await.unwrap();
        assert_eq!(read(recordings.open(tape.files[1], &link).await.unwrap()).await, tape.bytes);
        let unknown = recordings.delete_track(&by(&team.olga), tape.id(), RecordingTrackId::random()).await;
        assert_eq!(code(unknown), ErrorCode::NotFound);
    }

    async fn the_sweep_finishes_deletions_that_a_crash_interrupted(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (whole, cut, kept) = (team.tape().await, team.tape().await, team.tape().await);
        let (recordings, control) = (team.recordings(), &team.world.control);
        assert!(control.store.decide_deletion(&whole.row, &Actor::SERVER, now()).await.unwrap());
        let decided = control.store.decide_track_deletion(&cut.row, cut.tracks[0], true, &Actor::SERVER, now()).await;
        assert!(decided.unwrap());
        // Nobody sees what is about to go.
        let row = recordings.find_one(&by(&team.olga), whole.id()).await.unwrap();
        assert!(row.recording.status == RecordingStatus::Deleted && row.tracks.is_empty());
        let row = recordings.find_one(&by(&team.olga), cut.id()).await.unwrap();
        assert_eq!(row.tracks.iter().map(|track| track.files.len()).sum::<usize>(), 1);
        recordings.sweep().await.unwrap();
        assert!(whole.is_erased() && !cut.paths[0].exists() && cut.paths[1].exists() && !kept.is_erased());
        let storage = recordings.place().0;
        assert!(control.store.recordings_to_remove(storage).await.unwrap().is_empty());
        assert!(control.store.tracks_to_remove(storage).await.unwrap().is_empty());
    }

    async fn a_download_breaks_off_when_its_file_is_deleted(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (tape, recordings) = (team.tape().await, team.recordings());
        let long = vec![7; 300 * 1024];
        std::fs::write(&tape.paths[0], &long).unwrap();
        let link = recordings.link(&by(&team.pia), tape.id(), Target::File(tape.files[0])).await.unwrap();
        let file = recordings.open(tape.files[0], &link).await.unwrap();
        let mut bytes = Box::pin(file.bytes(0, 300 * 1024));
        let first = bytes.try_next().await.unwrap().unwrap();
        assert!(!first.is_empty() && first.len() < long.len());
        recordings.delete(&by(&team.olga), tape.id()).await.unwrap();
        assert!(bytes.try_next().await.is_err());
    }

    async fn a_recording_is_deleted_when_its_time_is_over(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let tape = |delete_after, status| team.world.tape_with(team.call, team.group, team.pia.id, move |row| {
            (row.delete_after, row.status) = (delete_after, status);
        });
        let second = Duration::from_secs(1);
        let past = tape(Some(now() - second), RecordingStatus::Ready).await;
        let future = tape(Some(now() + 60 * second), RecordingStatus::Ready).await;
        let running = tape(Some(now() - second), RecordingStatus::Finishing).await;
        team.recordings().sweep().await.unwrap();
        assert!(past.is_erased() && !future.is_erased() && !running.is_erased());
        let page = PageRequest { limit: 9, after: None };
        let log = team.world.control.store.audit(crate::store::AuditFilter::default(), page).await.unwrap();
        let deletions: Vec<_> =
            log.items.iter().filter(|entry| entry.action == crate::audit::Action::RecordingDeleted).collect();
        assert_eq!(deletions.len(), 1);
        assert_eq!(deletions[0].details["recordingId"], past.id().to_string());
    }

    async fn the_recordings_of_a_deleted_group_are_deleted(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let tape = team.tape().await;
        let running = team.world.tape_with(team.call, team.group, team.pia.id, |row| {
            row.status = RecordingStatus::Finishing;
        });
        let running = running.await;
        team.world.control.groups.delete(&by(&team.olga), team.group).await.unwrap();
        team.recordings().sweep().await.unwrap();
        assert!(tape.is_erased() && !running.is_erased());
        assert_eq!(code(team.recordings().find_one(&by(&team.olga), tape.id()).await), ErrorCode::Forbidden);
        let seen = team.recordings().find_one(&Actor::SERVER, tape.id()).await.unwrap();
        assert_eq!(seen.recording.status, RecordingStatus::Deleted);
    }

    async fn captions_are_kept_for_each_language_until_the_recording_goes(store) {
        let team = Team::new(&store, RecordingAccess::Participants).await;
        let (tape, recordings) = (team.tape().await, team.recordings());
        let [de, pt] = ["de", "pt-BR"].map(|tag| Language::parse(tag).unwrap());
        let put = async |by: &Actor, language: &Language, text: &'static str| {
            let text = async { Ok(Bytes::from_static(text.as_bytes())) };
            recordings.put_captions(by, tape.id(), language, text).await
        };
        assert_eq!(code(put(&by(&team.olga), &de, "WEBVTT").await), ErrorCode::Forbidden);
        assert_eq!(code(put(&Actor::SERVER, &de, "SRT").await), ErrorCode::BadRequest);
        assert!(put(&Actor::SERVER, &de, "WEBVTT\n\nHallo").await.unwrap());
        assert!(put(&Actor::SERVER, &pt, "WEBVTT\n\nOi").await.unwrap());
        assert!(!put(&Actor::SERVER, &de, "WEBVTT\n\nGuten Tag").await.unwrap());
        let text = read(recordings.captions(&by(&team.pia), tape.id(), &de).await.unwrap()).await;
        assert_eq!(text, b"WEBVTT\n\nGuten Tag");
        assert_eq!(code(recordings.captions(&by(&team.max), tape.id(), &de).await), ErrorCode::Forbidden);
        let fr = Language::parse("fr").unwrap();
        assert_eq!(code(recordings.captions(&by(&team.pia), tape.id(), &fr).await), ErrorCode::NotFound);
        let details = recordings.find_one(&by(&team.pia), tape.id()).await.unwrap();
        let languages: Vec<_> = details.captions.iter().map(|file| file.language.as_deref().unwrap()).collect();
        assert_eq!(languages, ["de", "pt-br"]);
        recordings.delete(&by(&team.olga), tape.id()).await.unwrap();
        assert_eq!(code(put(&Actor::SERVER, &de, "WEBVTT").await), ErrorCode::NotFound);
    }

    async fn a_deleted_track_leaves_nothing_of_what_its_person_said_and_when(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (tape, recordings) = (team.tape().await, team.recordings());
        let [mic, camera] = tape.tracks;
        let folder = tape.paths[0].parent().unwrap();
        let speaks = |track| format!("{{\"atMs\":1,\"speaker\":\"{track}\"}}\n");
        std::fs::write(folder.join("timeline.jsonl"), speaks(mic) + &speaks(camera)).unwrap();
        let de = Language::parse("de").unwrap();
        let put = recordings.put_captions(&Actor::SERVER, tape.id(), &de, async { Ok(Bytes::from_static(b"WEBVTT")) });
        put.await.unwrap();
        recordings.delete_track(&by(&team.olga), tape.id(), camera).await.unwrap();
        recordings.captions(&by(&team.pia), tape.id(), &de).await.unwrap();
        recordings.delete_track(&by(&team.olga), tape.id(), mic).await.unwrap();
        assert_eq!(code(recordings.captions(&by(&team.pia), tape.id(), &de).await), ErrorCode::NotFound);
        let left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["timeline.jsonl"]);
        assert_eq!(std::fs::read_to_string(folder.join("timeline.jsonl")).unwrap(), "");
        let details = recordings.find_one(&by(&team.pia), tape.id()).await.unwrap();
        for track in details.tracks {
            assert_eq!((track.producer_id, track.codec, track.duration_ms, track.bytes), (None, None, 0, 0));
            assert!(track.spans.is_empty() && track.holes.is_empty() && track.deleted_at.is_some());
        }
    }

    async fn the_sweep_removes_what_is_told_of_a_deleted_track_without_files(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (tape, control) = (team.tape().await, &team.world.control);
        control.store.forget_files(&[tape.files[0]]).await.unwrap();
        let manifest = tape.paths[0].with_file_name("manifest.json");
        std::fs::write(&manifest, serde_json::json!({"tracks": [{"id": tape.tracks[0]}]}).to_string()).unwrap();
        let decided = control.store.decide_track_deletion(&tape.row, tape.tracks[0], true, &Actor::SERVER, now()).await;
        assert!(decided.unwrap());
        team.recordings().sweep().await.unwrap();
        assert!(!std::fs::read_to_string(&manifest).unwrap().contains(&tape.tracks[0].to_string()));
    }

    async fn what_another_storage_has_is_seen_and_the_app_can_delete_it(store) {
        let team = Team::new(&store, RecordingAccess::Members).await;
        let (recordings, elsewhere) = (team.recordings(), StorageId::random());
        let tape = async |status, delete_after| {
            let change = move |row: &mut RecordingRow| {
                (row.storage_id, row.status, row.delete_after) = (elsewhere, status, delete_after);
            };
            team.world.tape_with(team.call, team.group, team.pia.id, change).await
        };
        let unfinished = tape(RecordingStatus::Finishing, None).await;
        let finished = tape(RecordingStatus::Ready, None).await;
        let past = tape(RecordingStatus::Ready, Some(now() - Duration::from_secs(1))).await;
        let page = || PageRequest { limit: 9, after: None };
        let listed = recordings.of_group(&by(&team.pia), team.group, None, page()).await.unwrap();
        assert!(listed.items.iter().all(|view| view.storage_id == elsewhere) && listed.items.len() == 3);
        let link = recordings.link(&by(&team.pia), finished.id(), Target::File(finished.files[0])).await;
        assert_eq!(code(link), ErrorCode::Unavailable);

        assert_eq!(code(recordings.delete(&by(&team.olga), unfinished.id()).await), ErrorCode::Conflict);
        for deleted in [&unfinished, &finished] {
            recordings.delete(&Actor::SERVER, deleted.id()).await.unwrap();
        }
        recordings.sweep().await.unwrap();
        let status = Some(RecordingStatus::Deleted);
        let listed = recordings.of_group(&by(&team.pia), team.group, status, page()).await.unwrap();
        let deleted: Vec<_> = listed.items.iter().map(|view| (view.id, view.status)).collect();
        for tape in [&unfinished, &finished, &past] {
            assert!(deleted.contains(&(tape.id(), RecordingStatus::Deleted)), "{deleted:?}");
            assert!(!tape.is_erased(), "whoever has the storage removes its files");
        }
    }
}
