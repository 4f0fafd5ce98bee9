//! Recordings of live calls: who may, what is told, what is stored.

mod consent;
mod faults;
mod metadata;
mod outage;
mod repair;
mod rules;

use serde_json::{Value, json};
use switchyard_media_worker::media::{Direction, ProducerId};
use switchyard_recorder::{FileReport, Notice, TrackId, TrackReport};

use super::{RecordingConfig, RecordingWish};
use crate::{
    actor::Person,
    auth::SignIn,
    call::{FileRow, RecordingRow, TrackRow},
    calls::Calls,
    hub::SocketId,
    ids::{CallId, GroupId, LegId, RecordingId, RecordingTrackId},
    testing::{Heard, SECRET, TestStore, World, by, slow_rules},
    wire::{command::MediaCommand, reply::MediaReply},
};

/// A call of Ada with Bob, who both have a device in it.
struct Set {
    world: World,
    ada: Person,
    bob: Person,
    team: GroupId,
    call: CallId,
    adas: Device,
    bobs: Device,
}

struct Device {
    leg: LegId,
    _socket: SocketId,
    hears: Heard,
}

impl Set {
    async fn new(store: &TestStore) -> Self {
        Self::with(store, |_| {}).await
    }

    async fn with(store: &TestStore, change: impl FnOnce(&mut RecordingConfig)) -> Self {
        let world = world(store, change).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let call = world.call(&ada, team).await.unwrap().id;
        let adas = device(&world, &ada, call).await;
        let bobs = device(&world, &bob, call).await;
        Self { world, ada, bob, team, call, adas, bobs }
    }

    fn calls(&self) -> &Calls {
        &self.world.control.calls
    }

    /// Starts a recording by Ada.
    async fn record(&self, wish: RecordingWish) -> RecordingId {
        self.calls().start_recording(&by(&self.ada), self.call, wish).await.unwrap().0
    }

    async fn stop(&self) {
        self.calls().stop_recording(&by(&self.ada), self.call, None).await.unwrap();
    }

    async fn row(&self, recording: RecordingId) -> RecordingRow {
        self.world.control.store.recording(recording).await.unwrap().unwrap().row
    }

    /// Waits until the row is like this. Right after an outage the database may be away once more.
    async fn until(&self, recording: RecordingId, is_so: impl Fn(&RecordingRow) -> bool) -> RecordingRow {
        let stored = async || self.world.control.store.recording(recording).await.ok().flatten();
        wait_for(async || stored().await.map(|stored| stored.row).filter(|row| is_so(row))).await
    }

    async fn tracks(&self, recording: RecordingId) -> (Vec<TrackRow>, Vec<FileRow>) {
        self.world.control.store.reported(recording).await.unwrap()
    }

    /// Waits until the recording has this number of tracks.
    async fn until_tracks(&self, recording: RecordingId, count: usize) -> Vec<TrackRow> {
        let stored = async || self.world.control.store.reported(recording).await.ok();
        wait_for(async || stored().await.map(|(tracks, _)| tracks).filter(|tracks| tracks.len() == count))
            .await
    }

    /// Lets a leg send from this source.
    async fn produce(&self, leg: LegId, source: &str) -> ProducerId {
        let transport = self.calls().create_transport(self.call, leg, Direction::Send).await;
        let transport = match transport {
            Ok(transport) => json!(transport)["id"].clone(),
            Err(refusal) => panic!("{refusal}"),
        };
        self.produce_on(&transport, leg, source).await
    }

    async fn produce_on(&self, transport: &Value, leg: LegId, source: &str) -> ProducerId {
        let produce = serde_json::from_value(sending(transport, source)).unwrap();
        let reply = self.calls().media(self.call, leg, MediaCommand::Produce(produce)).await.unwrap();
        let MediaReply::Created(created) = reply else { panic!("{reply:?}") };
        ProducerId(created.id)
    }

    /// The recorder reports a file of this track.
    async fn report(&self, recording: RecordingId, track: RecordingTrackId, bytes: u64, ended: bool) {
        let report = TrackReport {
            track: TrackId(track.0),
            codec: "opus",
            start_ms: 20,
            duration_ms: bytes / 4,
            bytes,
            packets_lost: 0,
            concealed_ms: 0,
            held_ms: 0,
            size: None,
            spans: Vec::new(),
            holes: Vec::new(),
            note: None,
            files: vec![file(recording, track, bytes)],
            ended,
        };
        let recording = switchyard_recorder::RecordingId(recording.0);
        self.calls().hear(Notice::Track(recording, Box::new(report))).await;
    }

    /// The recorder has finished all files.
    async fn closed(&self, recording: RecordingId) {
        self.calls().hear(Notice::Closed(switchyard_recorder::RecordingId(recording.0))).await;
    }
}

async fn world(store: &TestStore, change: impl FnOnce(&mut RecordingConfig)) -> World {
    let mut config = World::config(store, slow_rules(), SignIn::Secret(SECRET.into()));
    change(&mut config.recording);
    World::with(config).await
}

async fn device(world: &World, person: &Person, call: CallId) -> Device {
    let (socket, hears) = world.socket(person);
    let joined = world.attach(person, socket, call, "phone").await.unwrap();
    Device { leg: joined.snapshot.leg_id, _socket: socket, hears }
}

fn file(recording: RecordingId, track: RecordingTrackId, bytes: u64) -> FileReport {
    FileReport {
        track: TrackId(track.0),
        part: 0,
        key: format!("{recording}/{track}-0.webm"),
        content_type: "audio/webm",
        bytes,
        start_ms: 20,
        duration_ms: bytes / 4,
        sha256: None,
    }
}

/// Waits until it returns something.
async fn wait_for<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("it never came to be so")
}

fn sending(transport: &Value, source: &str) -> Value {
    let (kind, codec, ssrc) = match source {
        "mic" => (
            "audio",
            json!({"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}),
            1000,
        ),
        _ => ("video", json!({"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}), 2000),
    };
    json!({
        "transportId": transport, "kind": kind, "appData": {"source": source},
        "rtpParameters": {
            "mid": source, "codecs": [codec], "encodings": [{"ssrc": ssrc}], "rtcp": {"cname": "somebody"},
        },
    })
}
