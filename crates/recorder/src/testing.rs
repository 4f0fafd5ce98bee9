//! A recorder without taps: what they would give out is given by the test. Writer and finisher are the real ones.

use crate::counters::{Counting, RecorderCounters};
use crate::event::Event;
use crate::finisher::Finisher;
use crate::folder::Folder;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::notices::Notices;
use crate::queue::queue;
use crate::recordings::Recordings;
use crate::report::{Notice, TrackReport};
use crate::writer::{Ends, Writer};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use switchyard_media_worker::media::{
    RecordedCodec, RecordedLayer, Sample, TapCounts, TapNotice, TapOutput, TrackFormat,
};
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) struct Rig {
    pub(crate) folder: Folder,
    pub(crate) recordings: Recordings,
    pub(crate) recording: RecordingId,
    /// The recording's time zero. Tests have their own time, which begins here.
    pub(crate) began: Instant,
    pub(crate) counting: Counting,
    pub(crate) notices: Vec<Notice>,
    notice_receiver: mpsc::Receiver<Notice>,
    events: mpsc::Receiver<Event>,
    /// Until it is started.
    writer: Option<Ends>,
    threads: Vec<JoinHandle<()>>,
}

/// How the rig's writer is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) queue_bytes: usize,
    pub(crate) sync_interval: Duration,
    pub(crate) min_free: u64,
    /// The disk does not answer until [`Rig::start_writer`].
    pub(crate) stands_still: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            queue_bytes: 64 * 1024 * 1024,
            sync_interval: Duration::from_millis(20),
            min_free: 0,
            stands_still: false,
        }
    }
}

/// What a test waits for comes within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

impl Rig {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self::with(path, Setting::default())
    }

    pub(crate) fn with(path: PathBuf, setting: Setting) -> Self {
        let Setting { queue_bytes, sync_interval, min_free, stands_still } = setting;
        let folder = Folder::open(path).unwrap();
        let counting = Counting::default();
        let (queue, inbox) = queue(queue_bytes);
        let (notices, notice_receiver) = Notices::new();
        let (event_sender, events) = mpsc::channel(1_024);
        let (chores, chore_receiver) = sync_channel(1_024);
        let finisher = Finisher {
            folder: folder.clone(),
            chores: chore_receiver,
            events: event_sender.clone(),
            hurry: Arc::default(),
        };
        let ends = Ends {
            folder: folder.clone(),
            inbox,
            chores,
            events: event_sender,
            counting: counting.clone(),
            sync_interval,
            min_free,
        };
        let threads = vec![thread::spawn(|| finisher.run())];
        let mut recordings = Recordings::new(100, queue, notices, counting.clone());
        let (recording, began) = (RecordingId(Uuid::new_v4()), Instant::now());
        folder.make_recording(recording).unwrap();
        recordings.open(recording, RecordedLayer::High, began, Vec::new());
        let mut rig = Self {
            folder,
            recordings,
            recording,
            began,
            counting,
            notices: Vec::new(),
            notice_receiver,
            events,
            writer: Some(ends),
            threads,
        };
        if !stands_still {
            rig.start_writer();
        }
        rig
    }

    /// The disk answers.
    pub(crate) fn start_writer(&mut self) {
        if let Some(ends) = self.writer.take() {
            self.threads.push(thread::spawn(|| Writer::new(ends).run()));
        }
    }

    pub(crate) fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    pub(crate) fn add_track(&mut self) -> TrackKey {
        let key = TrackKey { recording: self.recording, track: TrackId(Uuid::new_v4()) };
        self.recordings.add_track(key, vec![("CALL_ID", "a call".to_owned())]).unwrap();
        key
    }

    pub(crate) fn format(&mut self, key: TrackKey, ms: u64, format: TrackFormat) {
        self.give(key, ms, TapOutput::Format(format));
    }

    pub(crate) fn notice(&mut self, key: TrackKey, ms: u64, notice: TapNotice) {
        self.give(key, ms, TapOutput::Notice(notice));
    }

    /// A picture.
    pub(crate) fn picture(&mut self, key: TrackKey, ms: u64, key_frame: bool, payload: &Bytes) {
        let (at, payload) = (self.at(ms), payload.clone());
        self.give(key, ms, TapOutput::Sample(Sample { at, duration: Duration::ZERO, key_frame, payload }));
    }

    /// 20 ms of audio.
    pub(crate) fn audio(&mut self, key: TrackKey, ms: u64, payload: &Bytes) {
        let (at, duration, payload) = (self.at(ms), Duration::from_millis(20), payload.clone());
        self.give(key, ms, TapOutput::Sample(Sample { at, duration, key_frame: true, payload }));
    }

    fn give(&mut self, key: TrackKey, ms: u64, output: TapOutput) {
        self.recordings.output(self.at(ms), key, output, TapCounts::default());
    }

    /// Time passes. Returns the tracks that need a key frame.
    pub(crate) fn tick(&mut self, ms: u64) -> Vec<TrackKey> {
        while let Ok(event) = self.events.try_recv() {
            self.handle(ms, event);
        }
        let waiting = self.recordings.tick(self.at(ms));
        self.read_notices();
        waiting
    }

    fn handle(&mut self, ms: u64, event: Event) {
        for broken in self.recordings.event(self.at(ms), event) {
            self.close_at(ms, broken);
        }
    }

    fn close_at(&mut self, ms: u64, id: RecordingId) {
        for key in self.recordings.tracks(id) {
            self.recordings.end_track(self.at(ms), key);
        }
        self.recordings.close(self.at(ms), id);
    }

    /// Closes the recording.
    pub(crate) fn start_closing(&mut self, ms: u64) {
        self.close_at(ms, self.recording);
    }

    /// Closes the recording and waits until its files are finished.
    pub(crate) fn close(&mut self, ms: u64) {
        self.start_closing(ms);
        let closed = Notice::Closed(self.recording);
        self.wait(ms, |rig| rig.notices.contains(&closed));
    }

    /// Lets time stand still until the threads have brought something about.
    pub(crate) fn wait(&mut self, ms: u64, mut until: impl FnMut(&Self) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            self.tick(ms);
            if until(self) {
                return;
            }
            assert!(Instant::now() < give_up, "it did not come about; notices: {:#?}", self.notices);
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn read_notices(&mut self) {
        while let Ok(notice) = self.notice_receiver.try_recv() {
            self.notices.push(notice);
        }
    }

    /// The newest report of a track.
    pub(crate) fn report(&self, key: TrackKey) -> Option<&TrackReport> {
        self.notices.iter().rev().find_map(|notice| match notice {
            Notice::Track(_, report) if report.track == key.track => Some(&**report),
            Notice::Track(..) | Notice::Broken(..) | Notice::Closed(_) => None,
        })
    }

    pub(crate) fn pause(&mut self, ms: u64, paused: bool) -> Vec<TrackKey> {
        self.recordings.pause(self.at(ms), self.recording, paused).unwrap()
    }

    pub(crate) fn counters(&self) -> RecorderCounters {
        *self.counting.lock()
    }

    /// The files of a track as they are on the disk.
    pub(crate) fn files(&self, key: TrackKey) -> Vec<PathBuf> {
        let files = self.folder.files(self.recording).unwrap();
        files.into_iter().filter(|(file, _)| file.of == key).map(|(_, path)| path).collect()
    }

    /// Stops the threads as the end of the process would: no file is finished.
    pub(crate) fn kill(self) -> Folder {
        let Self { folder, recordings, threads, events, .. } = self;
        recordings.stop_writing();
        drop((recordings, events));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        folder
    }
}

pub(crate) fn opus() -> TrackFormat {
    let mut private = b"OpusHead\x01\x02\0\0".to_vec();
    private.extend_from_slice(&48_000u32.to_le_bytes());
    private.extend_from_slice(&[0, 0, 0]);
    TrackFormat { codec: RecordedCodec::Opus, private: private.into(), size: None, rotation: 0 }
}

pub(crate) fn vp8() -> TrackFormat {
    TrackFormat { codec: RecordedCodec::Vp8, private: Bytes::new(), size: Some((320, 180)), rotation: 0 }
}

/// 20 ms of silence.
pub(crate) fn silence() -> Bytes {
    Bytes::from_static(&[0xF8, 0xFF, 0xFE])
}
