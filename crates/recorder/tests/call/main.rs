//! The whole way: packets of a client on a real socket, through a worker and the recorder, to files on the disk.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;

use client::Client;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use switchyard_media_worker::media::{Event, ProducerId, RecordedLayer};
use switchyard_media_worker::{Media, MediaConfig, Router, Sending};
use switchyard_peer::Identity;
use switchyard_recorder::{
    FileReport, NewTrack, Notice, Recorder, RecorderConfig, RecorderError, RecordingId, RepairedFile,
    TrackId, TrackReport,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_of_a_client_become_files_that_decode() {
    let mut place = Place::open(0, 10).await;
    let recording = place.start().await;
    let tracks = place.record(recording).await;
    place.client.send(Duration::from_secs(3)).await;
    place.recorder.note_speaker(recording, Some(tracks[0]));
    let counters = place.recorder.counters();
    assert_eq!((counters.recordings_active, counters.tracks, counters.faults), (1, 2, 0));
    assert!(counters.bytes > 10_000 && counters.free_bytes > 0, "{counters:?}");
    place.recorder.close(recording).await;
    place.wait_for(&Notice::Closed(recording)).await;

    let [sound, pictures] = tracks.map(|track| place.report(track));
    assert_eq!((sound.codec, pictures.codec), ("opus", "vp8"));
    assert_eq!(pictures.size, Some((320, 180)));
    assert!((2_500..3_500).contains(&sound.duration_ms), "{sound:?}");
    assert!((1_500..3_500).contains(&pictures.duration_ms), "from the first key frame on: {pictures:?}");
    assert_eq!((sound.packets_lost, pictures.packets_lost, pictures.holes.len()), (0, 0, 0));
    for report in [&sound, &pictures] {
        assert!(report.ended && report.files.len() == 1, "{report:?}");
        let path = place.path(&report.files[0].key);
        let frames = decode(&path) as u64;
        let expected = report.duration_ms / if report.codec == "opus" { 20 } else { 40 };
        assert!(frames.abs_diff(expected) <= 5, "{frames} of {expected}");
    }
    assert_eq!(place.recorder.stored().await.unwrap(), [recording]);
    let repaired = place.recorder.repair(recording, SystemTime::now()).await.unwrap();
    assert_eq!(repaired.len(), 2);
    for RepairedFile { file, was_open, .. } in repaired {
        let hashed = FileReport { sha256: place.recorder.hash(file.key.clone()).await.unwrap(), ..file };
        assert!(
            !was_open && (sound.files.contains(&hashed) || pictures.files.contains(&hashed)),
            "{hashed:?}"
        );
    }
    assert_eq!(place.recorder.hash(format!("{}/../link-key", recording.0)).await.unwrap(), None);
    place.recorder.delete_track(recording, tracks[0]).await.unwrap();
    let left = place.recorder.repair(recording, SystemTime::now()).await.unwrap();
    assert_eq!(left.iter().map(|it| &it.file.key).collect::<Vec<_>>(), [&pictures.files[0].key]);
    place.recorder.delete(recording).await.unwrap();
    assert_eq!(place.recorder.stored().await.unwrap(), []);
    place.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_divides_tracks_and_a_closed_producer_ends_one() {
    let mut place = Place::open(0, 10).await;
    let recording = place.start().await;
    let tracks = place.record(recording).await;
    place.client.send(Duration::from_millis(1_500)).await;
    place.recorder.pause(recording, true).await.unwrap();
    place.client.send(Duration::from_millis(500)).await;
    place.recorder.pause(recording, false).await.unwrap();
    place.client.send(Duration::from_millis(1_500)).await;
    place.router.close_producer(place.producers[0]).await.unwrap();
    while !place.notices.iter().any(|notice| matches!(notice, Notice::Track(_, report) if report.ended)) {
        place.read().await;
    }
    place.recorder.remove_track(recording, tracks[1]).await;
    while !place.report(tracks[1]).ended {
        place.read().await;
    }
    for track in tracks {
        let report = place.report(track);
        assert_eq!(report.files.len(), 2, "{report:?}");
        assert_eq!(report.spans.len(), 2, "{report:?}");
        report.files.iter().for_each(|file| assert!(decode(&place.path(&file.key)) > 0));
    }
    place.recorder.close(recording).await;
    place.wait_for(&Notice::Closed(recording)).await;
    place.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_server_finishes_all_files() {
    let mut place = Place::open(0, 10).await;
    let recording = place.start().await;
    place.record(recording).await;
    place.client.send(Duration::from_secs(2)).await;
    let began = Instant::now();
    place.recorder.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    place.wait_for(&Notice::Closed(recording)).await;
    let finished =
        place.notices.iter().filter(|notice| matches!(notice, Notice::Track(_, report) if report.ended));
    assert_eq!(finished.count(), 2);
    let again = place.recorder.open(recording, RecordedLayer::High, Instant::now(), Vec::new()).await;
    assert!(matches!(again, Err(RecorderError::Stopped)), "{again:?}");
    place.media.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_is_repaired_while_it_is_open_is_closed_before() {
    let mut place = Place::open(0, 10).await;
    let recording = place.start().await;
    let tracks = place.record(recording).await;
    place.client.send(Duration::from_secs(2)).await;
    let repaired = place.recorder.repair(recording, SystemTime::now()).await.unwrap();
    assert_eq!(repaired.len(), 2);
    assert!(repaired.iter().all(|it| !it.was_open), "{repaired:?}");
    place.wait_for(&Notice::Closed(recording)).await;
    for report in tracks.map(|track| place.report(track)) {
        let file = repaired.iter().find(|it| it.file.key == report.files[0].key).unwrap();
        assert_eq!(file.file.bytes, report.files[0].bytes, "nothing was changed");
        assert!(decode(&place.path(&file.file.key)) > 0);
    }
    assert!(matches!(place.add(recording, 0).await, Err(RecorderError::NotOpen)));
    place.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_refused() {
    let mut place = Place::open(0, 1).await;
    let recording = RecordingId(Uuid::new_v4());
    assert!(matches!(place.add(recording, 0).await, Err(RecorderError::NotOpen)));
    assert!(matches!(place.recorder.pause(recording, true).await, Err(RecorderError::NotOpen)));
    let recording = place.start().await;
    place.add(recording, 0).await.unwrap();
    assert!(matches!(place.add(recording, 1).await, Err(RecorderError::TooManyTracks)));
    place.recorder.close(recording).await;
    place.wait_for(&Notice::Closed(recording)).await;
    assert!(matches!(place.add(recording, 0).await, Err(RecorderError::NotOpen)));
    place.shut_down().await;

    let full = Place::open(u64::MAX, 1).await;
    let refused = full.recorder.open(recording, RecordedLayer::High, Instant::now(), Vec::new()).await;
    assert!(matches!(refused, Err(RecorderError::StorageFull)), "{refused:?}");
    full.shut_down().await;
}

/// A call with one client, and a recorder.
struct Place {
    media: Media,
    router: Router,
    _events: mpsc::Receiver<Event>,
    client: Client,
    producers: [ProducerId; 2],
    recorder: Recorder,
    notice_receiver: mpsc::Receiver<Notice>,
    notices: Vec<Notice>,
    folder: TempDir,
}

impl Place {
    async fn open(min_free: u64, max_tracks: usize) -> Self {
        let config = MediaConfig {
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port: 0,
            workers: 1,
            max_load: 1.0,
            max_packet_rate: 10_000,
            announced: vec![],
            sending: Sending::default(),
        };
        let media = Media::start(config).await.unwrap();
        let (router, events) = media.create_router().await.unwrap();
        let client = Client::join(&router, &Identity::generate().unwrap()).await;
        let producers = client.produce(&router).await;
        let folder = tempfile::tempdir().unwrap();
        let config = RecorderConfig {
            folder: folder.path().to_owned(),
            key_frame_interval: Duration::from_secs(10),
            sync_interval: Duration::from_secs(1),
            min_free,
            max_tracks,
        };
        let (recorder, notice_receiver) = Recorder::start(config, media.take_tap_end().unwrap()).unwrap();
        let notices = Vec::new();
        Self { media, router, _events: events, client, producers, recorder, notice_receiver, notices, folder }
    }

    async fn start(&self) -> RecordingId {
        let recording = RecordingId(Uuid::new_v4());
        self.recorder.open(recording, RecordedLayer::High, Instant::now(), Vec::new()).await.unwrap();
        recording
    }

    async fn add(&self, recording: RecordingId, producer: usize) -> Result<TrackId, RecorderError> {
        let id = TrackId(Uuid::new_v4());
        let tapped = self.router.tap(self.producers[producer]).await.unwrap();
        let track = NewTrack { id, tapped, tags: vec![("CALL_ID", "a call".to_owned())] };
        self.recorder.add_track(recording, track).await.map(|()| id)
    }

    async fn record(&self, recording: RecordingId) -> [TrackId; 2] {
        [self.add(recording, 0).await.unwrap(), self.add(recording, 1).await.unwrap()]
    }

    async fn read(&mut self) {
        let notice = timeout(Duration::from_secs(20), self.notice_receiver.recv()).await;
        self.notices.push(notice.expect("it is told in time").expect("the recorder lives"));
    }

    async fn wait_for(&mut self, awaited: &Notice) {
        while !self.notices.contains(awaited) {
            self.read().await;
        }
    }

    /// The newest report of a track.
    fn report(&self, track: TrackId) -> TrackReport {
        let mut reports = self.notices.iter().rev().filter_map(|notice| match notice {
            Notice::Track(_, report) if report.track == track => Some((**report).clone()),
            Notice::Track(..) | Notice::Broken(..) | Notice::Closed(_) => None,
        });
        reports.next().expect("it was told of the track")
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }

    async fn shut_down(self) {
        self.recorder.shutdown().await;
        self.media.shutdown().await;
    }
}

/// Decodes a whole file, and returns the number of pictures or of audio frames.
fn decode(path: &Path) -> usize {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-count_frames",
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
    ]);
    let output = command.arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs the program ffprobe: {error}"));
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().trim_end_matches(',').parse().unwrap()
}
