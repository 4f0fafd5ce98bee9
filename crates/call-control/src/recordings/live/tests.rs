use std::{fs::OpenOptions, io::Write};

use futures_util::{StreamExt, TryStreamExt};

use super::*;
use crate::{
    actor::{Actor, Person},
    call::RecordingStatus,
    ids::{CallId, UserId},
    recordings::Target,
    testing::{Tape, World, by, on_both_engines},
};

/// As the recorder writes it.
fn cluster(time_ms: u64, key_frame: bool) -> Vec<u8> {
    let mut bytes = vec![0x1F, 0x43, 0xB6, 0x75, 1, 0, 0, 0, 0, 0, 0, 0, 0xBF, 0x84, 1, 2, 3, 4, 0xE7, 0x88];
    bytes.extend_from_slice(&time_ms.to_be_bytes());
    bytes.extend_from_slice(&[0xA3, 0x10, 0, 0, 9, 0x81, 0, 0, if key_frame { 0x80 } else { 0 }]);
    bytes.extend_from_slice(b"video");
    bytes[11] = u8::try_from(bytes.len() - 12).unwrap();
    bytes
}

fn header() -> Vec<u8> {
    let mut bytes = vec![0x1A, 0x45, 0xDF, 0xA3, 0x84, 0x42, 0x86, 0x81, 1];
    bytes.extend_from_slice(&[0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255]);
    bytes.extend_from_slice(&[0xEC, 0x83, 0, 0, 0]);
    bytes
}

fn append(tape: &Tape, bytes: &[u8]) {
    OpenOptions::new().append(true).open(&tape.paths[1]).unwrap().write_all(bytes).unwrap();
}

/// A running recording with a camera of which four seconds are written: key frames at 0 s and 2 s.
async fn running(world: &World) -> Tape {
    let ada = world.person("Ada").await;
    let group = world.group(&ada, &[]).await;
    let tape =
        world.tape_with(CallId::random(), group, ada.id, |row| row.status = RecordingStatus::Recording);
    let tape = tape.await;
    let clusters = [(0, true), (1000, false), (2000, true), (3000, false)].map(|(at, key)| cluster(at, key));
    std::fs::write(&tape.paths[1], [header(), clusters.concat()].concat()).unwrap();
    tape
}

async fn open(world: &World, tape: &Tape, from: Option<u64>) -> Result<LiveFile, Refusal> {
    open_as(&Actor::SERVER, world, tape, from).await
}

async fn open_as(by: &Actor, world: &World, tape: &Tape, from: Option<u64>) -> Result<LiveFile, Refusal> {
    let (recordings, track) = (&world.control.recordings, tape.tracks[1]);
    let ticket = recordings.link(by, tape.id(), Target::Live(track)).await?;
    recordings.open_live(tape.id(), track, ticket, from).await
}

on_both_engines! {
    async fn a_live_reader_gets_the_last_key_frame_and_what_follows_until_the_file_ends(store) {
        let world = World::new(&store).await;
        let tape = running(&world).await;
        let mut bytes = Box::pin(open(&world, &tape, None).await.unwrap().bytes());
        for expected in [header(), cluster(2000, true), cluster(3000, false)] {
            assert_eq!(bytes.try_next().await.unwrap().unwrap(), expected);
        }
        let last = cluster(4000, false);
        append(&tape, &last[..20]);
        let mut next = bytes.next();
        assert!(futures_util::poll!(&mut next).is_pending(), "half a cluster is not sent");
        append(&tape, &last[20..]);
        assert_eq!(next.await.unwrap().unwrap(), last);
        append(&tape, &[0x1C, 0x53, 0xBB, 0x6B, 0x80]);
        assert!(bytes.try_next().await.unwrap().is_none());
    }

    async fn a_live_reader_may_begin_earlier(store) {
        let world = World::new(&store).await;
        let tape = running(&world).await;
        for (from, first) in [(0, 0), (1, 0), (2, 2000), (3, 2000), (99, 2000)] {
            let bytes = open(&world, &tape, Some(from)).await.unwrap().bytes();
            let begun: Vec<_> = bytes.take(2).try_collect().await.unwrap();
            assert_eq!(begun, [header(), cluster(first, true)], "{from} s");
        }
    }

    async fn sixteen_people_watch_a_recording_and_no_more(store) {
        let world = World::new(&store).await;
        let tape = running(&world).await;
        let take = |reader| world.control.recordings.take_place(tape.id(), reader);
        let people: Vec<_> = (0..READERS).map(|_| link::Reader::User(UserId::random())).collect();
        let mut places: Vec<Place> = people.iter().map(|who| take(*who).unwrap()).collect();
        let refused = open(&world, &tape, None).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::LimitExceeded);
        places.push(take(people[0]).unwrap());
        let other = running(&world).await;
        assert!(open(&world, &other, None).await.is_ok());
        places.remove(1);
        assert!(open(&world, &tape, None).await.is_ok(), "who has gone is not counted");
        drop(places);
        assert!(world.control.recordings.shared.readers.lock().is_empty());
    }

    async fn one_person_watches_so_many_tracks_at_a_time(store) {
        let world = World::new(&store).await;
        let tape = running(&world).await;
        let ada = by(&Person { id: tape.row.started_by_id.unwrap(), name: "Ada".to_owned() });
        let mut readers = Vec::new();
        for _ in 0..TRACKS_PER_READER {
            readers.push(open_as(&ada, &world, &tape, None).await.unwrap());
        }
        let refused = open_as(&ada, &world, &tape, None).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::LimitExceeded);
        let others = open(&world, &tape, None).await.unwrap();
        readers.pop();
        assert!(open_as(&ada, &world, &tape, None).await.is_ok());
        drop((readers, others));
        assert!(world.control.recordings.shared.readers.lock().is_empty());
    }

    async fn a_live_reader_is_admitted_again_and_again(store) {
        let world = World::new(&store).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let group = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, group).await.unwrap().id;
        world.control.calls.join(&by(&bob), call).await.unwrap();
        let tape = world.tape_with(call, group, bob.id, |row| row.status = RecordingStatus::Recording).await;
        std::fs::write(&tape.paths[1], [header(), cluster(0, true)].concat()).unwrap();
        let (recordings, track) = (&world.control.recordings, tape.tracks[1]);
        let ticket = recordings.link(&by(&bob), tape.id(), Target::Live(track)).await.unwrap();
        let mut file = recordings.open_live(tape.id(), track, ticket, None).await.unwrap();
        assert!(file.reader.warden.admit_again().await.unwrap());
        world.control.groups.remove_member(&Actor::SERVER, group, bob.id).await.unwrap();
        let refused = file.reader.warden.admit_again().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }

    async fn only_what_is_recorded_is_live(store) {
        let world = World::new(&store).await;
        let tape = running(&world).await;
        let recordings = &world.control.recordings;
        let link = recordings.link(&Actor::SERVER, tape.id(), Target::Live(RecordingTrackId::random())).await;
        assert_eq!(link.unwrap_err().code, ErrorCode::NotFound);
        let ticket = recordings.link(&Actor::SERVER, tape.id(), Target::Live(tape.tracks[0])).await.unwrap();
        let other = recordings.open_live(tape.id(), tape.tracks[1], ticket, None).await;
        assert_eq!(other.err().unwrap().code, ErrorCode::Forbidden);
        let finished = world.tape(CallId::random(), tape.row.group_id, tape.row.started_by_id.unwrap()).await;
        assert_eq!(open(&world, &finished, None).await.err().unwrap().code, ErrorCode::Conflict);
    }
}
