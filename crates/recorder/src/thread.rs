//! The recorder thread: it owns the taps and the recordings, and hands clusters to the writer thread.

use crate::config::NewTrack;
use crate::error::RecorderError;
use crate::event::Event;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::recordings::{Recordings, TICK};
use crate::taps::{Given, Taps};
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

pub(crate) enum Command {
    Open { id: RecordingId, layer: RecordedLayer, began: Instant, reply: oneshot::Sender<()> },
    AddTrack { recording: RecordingId, track: Box<NewTrack>, reply: Reply },
    RemoveTrack(TrackKey),
    Pause { recording: RecordingId, paused: bool, reply: Reply },
    Speaker(RecordingId, Option<TrackId>),
    Close(RecordingId),
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
    ) -> Self {
        let now = Instant::now();
        Self {
            end,
            taps,
            recordings,
            key_frame_interval,
            commands,
            events,
            relays: Vec::new(),
            given: Vec::new(),
            next_tick: now + TICK,
            next_take: now,
        }
    }

    /// Works until it is shut down, or until there is no handle left.
    pub(crate) async fn run(mut self) {
        let reply = loop {
            let woken = self.wait().await;
            let now = Instant::now();
            match woken {
                Woken::Command(Some(Command::Shutdown(reply))) => break Some(reply),
                Woken::Command(None) => break None,
                Woken::Command(Some(command)) => self.obey(now, command),
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
            Command::Open { id, layer, began, reply } => {
                self.recordings.open(id, layer, began);
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
            Command::Close(id) => self.close(now, id),
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
        for Given { key, outputs, counts, ended } in self.given.drain(..) {
            for output in outputs {
                self.recordings.output(now, key, output, counts);
            }
            if ended {
                self.recordings.end_track(now, key);
            }
        }
    }

    /// Closes all recordings and waits for their files, but not for a disk that stands still.
    async fn finish(&mut self) {
        for id in self.recordings.ids() {
            self.close(Instant::now(), id);
        }
        let until = Instant::now() + FINISHING;
        while !self.recordings.is_empty() {
            let Ok(Some(event)) = timeout_at(until.into(), self.events.recv()).await else {
                tracing::warn!("recorded files are not finished; the next start will finish them");
                break;
            };
            self.handle_event(Instant::now(), event);
        }
        self.recordings.tick(Instant::now());
        self.recordings.stop_writing();
    }
}
