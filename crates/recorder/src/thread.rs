//! The recorder thread: it owns the taps and the recordings, and hands clusters to the writer thread.

use crate::config::NewTrack;
use crate::error::RecorderError;
use crate::event::Event;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::recordings::{Recordings, TICK};
use crate::report::RepairedFile;
use crate::taps::{Given, Taps};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use switchyard_media_worker::TapEnd;
use switchyard_media_worker::media::{RecordedLayer, Relay, TapOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};

/// The messages of this time are worked on together: nobody waits for a sample.
const PACE: Duration = Duration::from_millis(10);
/// Messages of one kind taken at once.
const TAKEN_AT_ONCE: usize = 1_024;
/// At the end, finishing all files takes no longer.
const FINISHING: Duration = Duration::from_secs(4);
/// Of this, so much may go into hashes; those that are missing then are left to the next start.
const HASHING: Duration = Duration::from_secs(2);

pub(crate) enum Command {
    Open {
        id: RecordingId,
        layer: RecordedLayer,
        began: Instant,
        earlier: Vec<RepairedFile>,
        reply: oneshot::Sender<()>,
    },
    AddTrack {
        recording: RecordingId,
        track: Box<NewTrack>,
        reply: Reply,
    },
    RemoveTrack(TrackKey),
    Pause {
        recording: RecordingId,
        paused: bool,
        reply: Reply,
    },
    Speaker(RecordingId, Option<TrackId>),
    /// The reply comes when its files are finished.
    Close(RecordingId, Option<oneshot::Sender<()>>),
    Shutdown(oneshot::Sender<()>),
}

pub(crate) type Reply = oneshot::Sender<Result<(), RecorderError>>;

pub(crate) struct RecorderThread {
    end: TapEnd,
    taps: Taps,
    recordings: Recordings,
    key_frame_interval: Duration,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<Event>,
    /// Set when nothing is hashed any more.
    hurry: Arc<AtomicBool>,
    /// Messages of a turn, kept for their memory.
    relays: Vec<Relay>,
    given: Vec<Given>,
    next_tick: Instant,
    /// Before this no messages are taken.
    next_take: Instant,
}

enum Woken {
    Command(Option<Command>),
    Event(Event),
    Relays,
    Time,
}

impl RecorderThread {
    pub(crate) fn new(
        end: TapEnd,
        taps: Taps,
        recordings: Recordings,
        key_frame_interval: Duration,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Receiver<Event>,
        hurry: Arc<AtomicBool>,
    ) -> Self {
        let now = Instant::now();
        Self {
            end,
            taps,
            recordings,
            key_frame_interval,
            commands,
            events,
            hurry,
            relays: Vec::new(),
            given: Vec::new(),
            next_tick: now + TICK,
            next_take: now,
        }
    }

    /// Works until it is shut down, until there is no handle left, or until nothing can be written any more.
    pub(crate) async fn run(mut self) {
        let reply = loop {
            let woken = self.wait().await;
            let now = Instant::now();
            match woken {
                Woken::Command(Some(Command::Shutdown(reply))) => break Some(reply),
                Woken::Command(None) => break None,
                Woken::Command(Some(command)) => self.obey(now, command),
                // Nothing can be finished either: the next start repairs what is there.
                Woken::Event(Event::ThreadBroke) => return,
                Woken::Event(event) => self.handle_event(now, event),
                Woken::Relays => self.take(now),
                Woken::Time => {}
            }
            self.keep_time(now);
        };
        self.finish().await;
        if let Some(reply) = reply {
            // Who gave up waiting needs no answer.
            let _ = reply.send(());
        }
    }

    async fn wait(&mut self) -> Woken {
        let wake_at = self.taps.next_timeout().into_iter().chain([self.next_tick]).min();
        let wake_at = wake_at.unwrap_or(self.next_tick);
        let (end, next_take) = (&mut self.end, self.next_take);
        let relays = async {
            sleep_until(next_take.into()).await;
            end.ready().await;
        };
        tokio::select! {
            command = self.commands.recv() => Woken::Command(command),
            Some(event) = self.events.recv() => Woken::Event(event),
            () = relays => Woken::Relays,
            () = sleep_until(wake_at.into()) => Woken::Time,
        }
    }

    fn obey(&mut self, now: Instant, command: Command) {
        match command {
            // In each case: who gave up waiting needs no answer.
            Command::Open { id, layer, began, earlier, reply } => {
                self.recordings.open(id, layer, began, earlier);
                let _ = reply.send(());
            }
            Command::AddTrack { recording, track, reply } => {
                let _ = reply.send(self.add_track(now, recording, *track));
            }
            Command::Pause { recording, paused, reply } => {
                let waiting = self.recordings.pause(now, recording, paused);
                let _ = reply.send(waiting.map(|waiting| self.start_over(now, &waiting)));
            }
            Command::RemoveTrack(key) => self.end_track(now, key),
            Command::Speaker(recording, track) => self.recordings.note_speaker(now, recording, track),
            Command::Close(id, reply) => {
                self.close(now, id);
                if let Some(reply) = reply {
                    self.recordings.tell_closed(id, reply);
                }
            }
            Command::Shutdown(_) => {}
        }
    }

    fn add_track(
        &mut self,
        now: Instant,
        recording: RecordingId,
        track: NewTrack,
    ) -> Result<(), RecorderError> {
        let key = TrackKey { recording, track: track.id };
        let layer = self.recordings.add_track(key, track.tags)?;
        let options = TapOptions { layer, key_frame_interval: self.key_frame_interval };
        self.taps.add(now, key, track.tapped, options, &mut self.end, &mut self.given);
        self.hand_on(now);
        Ok(())
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        for broken in self.recordings.event(now, event) {
            self.close(now, broken);
        }
    }

    fn take(&mut self, now: Instant) {
        self.next_take = now + PACE;
        let mut relays = std::mem::take(&mut self.relays);
        relays.extend(self.end.take(TAKEN_AT_ONCE));
        for relay in relays.drain(..) {
            self.taps.relay(now, relay, &mut self.end, &mut self.given);
        }
        self.relays = relays;
        self.hand_on(now);
    }

    fn keep_time(&mut self, now: Instant) {
        if self.taps.next_timeout().is_some_and(|at| at <= now) {
            self.taps.handle_timeouts(now, &mut self.end, &mut self.given);
            self.hand_on(now);
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            let waiting = self.recordings.tick(now);
            self.start_over(now, &waiting);
        }
    }

    fn start_over(&mut self, now: Instant, waiting: &[TrackKey]) {
        for key in waiting {
            self.taps.start_over(now, *key, &mut self.end, &mut self.given);
        }
        self.hand_on(now);
    }

    fn end_track(&mut self, now: Instant, key: TrackKey) {
        self.taps.close(now, key, &mut self.end, &mut self.given);
        self.hand_on(now);
        self.recordings.end_track(now, key);
    }

    fn close(&mut self, now: Instant, id: RecordingId) {
        for key in self.recordings.tracks(id) {
            self.end_track(now, key);
        }
        self.recordings.close(now, id);
    }

    /// Hands what taps gave out to the recordings.
    fn hand_on(&mut self, now: Instant) {
        for Given { key, outputs, counts, ended, broke } in self.given.drain(..) {
            for output in outputs {
                self.recordings.output(now, key, output, counts);
            }
            if broke {
                self.recordings.break_track(key);
            }
            if ended {
                self.recordings.end_track(now, key);
            }
        }
    }

    /// Closes all recordings and waits for their files, but not for a disk that stands still, and not for the hashes of
    /// hours of files.
    async fn finish(&mut self) {
        for id in self.recordings.ids() {
            self.close(Instant::now(), id);
        }
        let began = Instant::now();
        let mut until = began + HASHING;
        while !self.recordings.is_empty() {
            match timeout_at(until.into(), self.events.recv()).await {
                Ok(Some(event)) if event != Event::ThreadBroke => self.handle_event(Instant::now(), event),
                Err(_) if !self.hurry.swap(true, Ordering::Relaxed) => until = began + FINISHING,
                Ok(_) | Err(_) => {
                    tracing::warn!("recorded files are not finished; the next start will finish them");
                    break;
                }
            }
        }
        self.hurry.store(true, Ordering::Relaxed);
        self.recordings.tick(Instant::now());
        self.recordings.stop_writing();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counting;
    use crate::notices::Notices;
    use crate::queue::queue;
    use std::net::{IpAddr, Ipv4Addr};
    use switchyard_media_worker::{Media, MediaConfig, Sending};

    #[tokio::test(flavor = "multi_thread")]
    async fn when_a_writing_thread_breaks_the_recorder_ends_and_its_owner_learns_it() {
        let media = MediaConfig {
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port: 0,
            workers: 1,
            max_load: 1.0,
            max_packet_rate: 10_000,
            announced: vec![],
            sending: Sending::default(),
        };
        let media = Media::start(media).await.unwrap();
        let counting = Counting::default();
        let (queue, _inbox) = queue(1_000);
        let (notices, mut told) = Notices::new();
        let recordings = Recordings::new(10, queue, notices, counting.clone());
        let ((commands, commanded), (events, happened)) = (mpsc::channel(1), mpsc::channel(1));
        let end = media.take_tap_end().unwrap();
        let second = Duration::from_secs(1);
        let taps = Taps::new(counting);
        let thread = RecorderThread::new(end, taps, recordings, second, commanded, happened, Arc::default());
        events.send(Event::ThreadBroke).await.unwrap();
        thread.run().await;
        assert!(commands.is_closed());
        assert_eq!(told.recv().await, None);
        media.shutdown().await;
    }
}
