//! The open recordings. Nothing here waits: what has to be written goes into the writer's queue.

use crate::counters::Counting;
use crate::error::RecorderError;
use crate::event::Event;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::manifest::Manifest;
use crate::notices::Notices;
use crate::queue::{Job, Queue, Room};
use crate::report::{Notice, RepairedFile, TrackNote, TrackReport, Trouble};
use crate::time::{Zero, millis};
use crate::timeline;
use crate::track::Track;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use switchyard_media_worker::media::{RecordedLayer, TapCounts, TapOutput};
use tokio::sync::oneshot;

/// [`Recordings::tick`] wants to be called at this interval.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Tracks of one recording in its life.
const MAX_TRACKS: usize = 4_096;
/// Lines in the time line of a recording.
const MAX_NOTES: u32 = 100_000;

pub(crate) struct Recordings {
    by_id: HashMap<RecordingId, Recording>,
    /// Tracks that have not ended, of all recordings.
    live: usize,
    max_tracks: usize,
    queue: Queue,
    notices: Notices,
    counting: Counting,
    /// The counts of tracks that are done.
    past: Past,
}

struct Recording {
    zero: Zero,
    layer: RecordedLayer,
    paused: bool,
    tracks: HashMap<TrackId, Slot>,
    done: Vec<(TrackReport, Vec<(&'static str, String)>)>,
    /// What an earlier process wrote.
    earlier: Vec<RepairedFile>,
    notes: u32,
    /// Its owner knows that it is not whole.
    broken: bool,
    phase: Phase,
    /// Who waits until it is closed.
    waiting: Vec<oneshot::Sender<()>>,
}

struct Slot {
    track: Track,
    live: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Waits for the files of its tracks.
    Closing,
    /// Waits for the manifest.
    Listing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Past {
    packets_lost: u64,
    concealed: Duration,
    held: Duration,
    clusters_dropped: u64,
}

impl Recordings {
    pub(crate) fn new(max_tracks: usize, queue: Queue, notices: Notices, counting: Counting) -> Self {
        Self { by_id: HashMap::new(), live: 0, max_tracks, queue, notices, counting, past: Past::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn ids(&self) -> Vec<RecordingId> {
        self.by_id.keys().copied().collect()
    }

    /// Opening an open one changes nothing.
    pub(crate) fn open(
        &mut self,
        id: RecordingId,
        layer: RecordedLayer,
        began: Instant,
        earlier: Vec<RepairedFile>,
    ) {
        self.by_id.entry(id).or_insert_with(|| Recording {
            zero: Zero::new(began),
            layer,
            paused: false,
            tracks: HashMap::new(),
            done: Vec::new(),
            earlier,
            notes: 0,
            broken: false,
            phase: Phase::Open,
            waiting: Vec::new(),
        });
    }

    /// The layer to record.
    pub(crate) fn add_track(
        &mut self,
        key: TrackKey,
        tags: Vec<(&'static str, String)>,
    ) -> Result<RecordedLayer, RecorderError> {
        let recording = self.by_id.get_mut(&key.recording).filter(|recording| recording.phase == Phase::Open);
        let recording = recording.ok_or(RecorderError::NotOpen)?;
        let known = recording.tracks.len() + recording.done.len();
        if self.live >= self.max_tracks || known >= MAX_TRACKS || recording.tracks.contains_key(&key.track) {
            return Err(RecorderError::TooManyTracks);
        }
        let track = Track::new(key, recording.zero, tags, recording.paused);
        recording.tracks.insert(key.track, Slot { track, live: true });
        self.live += 1;
        Ok(recording.layer)
    }

    /// What a tap gave out, with its totals.
    pub(crate) fn output(&mut self, now: Instant, key: TrackKey, output: TapOutput, counts: TapCounts) {
        let Some(slot) = self.slot(key).filter(|slot| slot.live) else { return };
        slot.track.story.counts = counts;
        let Some((track, queue)) = self.track(key) else { return };
        match output {
            TapOutput::Format(format) => track.format(format, queue),
            TapOutput::Sample(sample) => track.sample(now, &sample, queue),
            TapOutput::Notice(notice) => track.notice(notice),
            // Messages to other shards are the taps' own business.
            TapOutput::Relay { .. } => {}
        }
    }

    /// Notes that more of a track was sent than is written.
    pub(crate) fn break_track(&mut self, key: TrackKey) {
        if let Some((track, _)) = self.track(key) {
            track.story.record.note(TrackNote::Dropped);
        }
    }

    /// Ends a track, after all that its tap had.
    pub(crate) fn end_track(&mut self, now: Instant, key: TrackKey) {
        let Some(slot) = self.slot(key).filter(|slot| slot.live) else { return };
        slot.live = false;
        self.live -= 1;
        if let Some((track, queue)) = self.track(key) {
            track.end(now, queue);
        }
        self.settle(now, key.recording);
    }

    /// The tracks that wait for a key frame after a pause.
    pub(crate) fn pause(
        &mut self,
        now: Instant,
        id: RecordingId,
        paused: bool,
    ) -> Result<Vec<TrackKey>, RecorderError> {
        let recording = self.by_id.get_mut(&id).filter(|recording| recording.phase == Phase::Open);
        let recording = recording.ok_or(RecorderError::NotOpen)?;
        if recording.paused == paused {
            return Ok(Vec::new());
        }
        recording.paused = paused;
        for slot in recording.tracks.values_mut().filter(|slot| slot.live) {
            slot.track.pause(now, paused, &self.queue);
        }
        let waiting = recording.tracks.iter().filter(|(_, slot)| !paused && slot.track.needs_key_frame());
        let waiting = waiting.map(|(track, _)| TrackKey { recording: id, track: *track }).collect();
        self.note(now, id, |at_ms| timeline::pause(at_ms, paused));
        Ok(waiting)
    }

    pub(crate) fn note_speaker(&mut self, now: Instant, id: RecordingId, track: Option<TrackId>) {
        self.note(now, id, |at_ms| timeline::speaker(at_ms, track));
    }

    fn note(&mut self, now: Instant, id: RecordingId, line: impl FnOnce(u64) -> serde_json::Value) {
        let Some(recording) = self.by_id.get_mut(&id) else { return };
        recording.notes += 1;
        let job = Job::Note { recording: id, line: format!("{}\n", line(recording.zero.ms(now))) };
        if recording.notes > MAX_NOTES || self.queue.offer(Room::Audio, job).is_err() {
            self.counting.lock().notes_dropped += 1;
        }
    }

    /// The live tracks of a recording.
    pub(crate) fn tracks(&self, id: RecordingId) -> Vec<TrackKey> {
        let tracks = self.by_id.get(&id).into_iter().flat_map(|recording| &recording.tracks);
        tracks
            .filter(|(_, slot)| slot.live)
            .map(|(track, _)| TrackKey { recording: id, track: *track })
            .collect()
    }

    /// Closes a recording whose tracks were ended. Its end is told when its files are finished.
    pub(crate) fn close(&mut self, now: Instant, id: RecordingId) {
        if let Some(recording) = self.by_id.get_mut(&id).filter(|recording| recording.phase == Phase::Open) {
            recording.phase = Phase::Closing;
            self.settle(now, id);
        }
    }

    /// Answers once the recording is closed.
    pub(crate) fn tell_closed(&mut self, id: RecordingId, reply: oneshot::Sender<()>) {
        match self.by_id.get_mut(&id) {
            Some(recording) => recording.waiting.push(reply),
            None => {
                // Who gave up waiting needs no answer.
                let _ = reply.send(());
            }
        }
    }

    /// What the writing threads tell. Returns the recordings that have to end because of it.
    pub(crate) fn event(&mut self, now: Instant, event: Event) -> Vec<RecordingId> {
        match event {
            Event::Failed(id, trouble) => self.break_off(id, trouble).into_iter().collect(),
            Event::LowSpace => {
                let open = self.by_id.iter().filter(|(_, recording)| recording.phase == Phase::Open);
                let open: Vec<RecordingId> = open.map(|(id, _)| *id).collect();
                open.into_iter().filter_map(|id| self.break_off(id, Trouble::DiskFull)).collect()
            }
            Event::File(file, done) => {
                let is_gone = done.is_none();
                let broken = is_gone.then(|| self.break_off(file.of.recording, Trouble::StorageError));
                if let Some(slot) = self.slot(file.of) {
                    slot.track.story.finished(file, done);
                }
                self.settle(now, file.of.recording);
                broken.flatten().into_iter().collect()
            }
            Event::Closed(id) => {
                if let Some(closed) = self.by_id.remove(&id) {
                    self.notices.send(Notice::Closed(id));
                    for reply in closed.waiting {
                        // Who gave up waiting needs no answer.
                        let _ = reply.send(());
                    }
                }
                Vec::new()
            }
            // What follows from it is the recorder thread's business.
            Event::ThreadBroke => Vec::new(),
        }
    }

    /// Tells, once, that the recording is not whole. Returns it if it has to end because of this.
    fn break_off(&mut self, id: RecordingId, trouble: Trouble) -> Option<RecordingId> {
        let recording = self.by_id.get_mut(&id).filter(|recording| !recording.broken)?;
        recording.broken = true;
        self.notices.send(Notice::Broken(id, trouble));
        (recording.phase == Phase::Open).then_some(id)
    }

    /// Takes out the tracks that are done, and lists the recording when there are no others.
    fn settle(&mut self, now: Instant, id: RecordingId) {
        let Some(recording) = self.by_id.get_mut(&id) else { return };
        let done = recording.tracks.iter().filter(|(_, slot)| slot.track.story.is_done());
        for track in done.map(|(track, _)| *track).collect::<Vec<_>>() {
            let Some(mut slot) = recording.tracks.remove(&track) else { continue };
            if let Some(report) = slot.track.due_report(now) {
                self.notices.send(Notice::Track(id, Box::new(report)));
            }
            self.past.add(&slot.track);
            recording.done.push(slot.track.into_record(now));
        }
        if recording.phase == Phase::Closing && recording.tracks.is_empty() {
            recording.phase = Phase::Listing;
            let tracks = std::mem::take(&mut recording.done);
            let earlier = std::mem::take(&mut recording.earlier);
            let manifest = Manifest { recording: id, began: recording.zero.began(), tracks, earlier };
            // Without a writer there is nobody left who could list it.
            let _ = self.queue.offer(Room::Always, Job::Close(Box::new(manifest)));
        }
    }

    /// Writes what has waited long enough, and reports. Returns the tracks that need a key frame after a loss.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<TrackKey> {
        let mut waiting = Vec::new();
        for (id, recording) in &mut self.by_id {
            for (track, slot) in &mut recording.tracks {
                slot.track.flush_old(now, &self.queue);
                if slot.track.recovers(&self.queue) && slot.track.needs_key_frame() {
                    waiting.push(TrackKey { recording: *id, track: *track });
                }
                if let Some(report) = slot.track.due_report(now) {
                    self.notices.send(Notice::Track(*id, Box::new(report)));
                }
            }
        }
        self.notices.flush();
        self.count();
        waiting
    }

    fn count(&self) {
        let mut total = self.past;
        for slot in self.by_id.values().flat_map(|recording| recording.tracks.values()) {
            total.add(&slot.track);
        }
        let mut counters = self.counting.lock();
        counters.recordings_active = self.by_id.len() as u64;
        counters.tracks = self.live as u64;
        counters.packets_lost = total.packets_lost;
        counters.concealed_ms = millis(total.concealed);
        counters.held_ms = millis(total.held);
        counters.clusters_dropped = total.clusters_dropped;
        counters.queued_bytes = self.queue.held() as u64;
    }

    pub(crate) fn stop_writing(&self) {
        // An error means that the writer has stopped already, which is the goal.
        let _ = self.queue.offer(Room::Always, Job::Stop);
    }

    fn slot(&mut self, key: TrackKey) -> Option<&mut Slot> {
        self.by_id.get_mut(&key.recording)?.tracks.get_mut(&key.track)
    }

    fn track(&mut self, key: TrackKey) -> Option<(&mut Track, &Queue)> {
        let slot = self.by_id.get_mut(&key.recording)?.tracks.get_mut(&key.track)?;
        Some((&mut slot.track, &self.queue))
    }
}

impl Past {
    fn add(&mut self, track: &Track) {
        let counts = track.story.counts;
        self.packets_lost += counts.packets_lost;
        self.concealed += counts.concealed;
        self.held += counts.held;
        self.clusters_dropped += track.story.clusters_dropped;
    }
}

#[cfg(test)]
mod tests;
