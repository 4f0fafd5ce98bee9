//! The handle that call control uses.

use crate::config::{NewTrack, RecorderConfig};
use crate::counters::{Counting, RecorderCounters};
use crate::error::RecorderError;
use crate::event::Event;
use crate::finisher::{Chore, Finisher};
use crate::folder::Folder;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::notices::Notices;
use crate::queue::queue;
use crate::recordings::Recordings;
use crate::removal::delete_track;
use crate::repair::{describe, repair_interrupted};
use crate::report::{Notice, RepairedFile};
use crate::taps::Taps;
use crate::thread::{Command, RecorderThread};
use crate::writer::{Ends, Writer};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::thread::Builder;
use std::time::{Duration, Instant, SystemTime};
use switchyard_media_worker::TapEnd;
use switchyard_media_worker::media::RecordedLayer;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Bytes that wait for the disk.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
const COMMANDS: usize = 1_024;
const EVENTS: usize = 1_024;
const CHORES: usize = 1_024;
/// How long the disk may take to make the folder of a recording.
const OPENING: Duration = Duration::from_secs(3);
/// [`Recorder::shutdown`] takes no longer.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Handle of the recorder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    folder: Folder,
    min_free: u64,
    commands: mpsc::Sender<Command>,
    counting: Counting,
    /// Set when nothing is hashed any more.
    hurry: Arc<AtomicBool>,
}

impl Recorder {
    /// Starts the recorder's threads. The receiver yields what happens to recordings; it must be read. While it is not,
    /// only the newest report of each track is kept. It ends when the recorder has stopped, which a panic brings about,
    /// too.
    ///
    /// # Errors
    /// When the folder or a thread cannot be made.
    pub fn start(
        config: RecorderConfig,
        end: TapEnd,
    ) -> Result<(Self, mpsc::Receiver<Notice>), RecorderError> {
        let folder = Folder::open(config.folder)?;
        let counting = Counting::default();
        let (queue, inbox) = queue(QUEUE_BYTES);
        let (notices, notice_receiver) = Notices::new();
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (events, event_receiver) = mpsc::channel(EVENTS);
        let (chores, chore_receiver) = sync_channel::<Chore>(CHORES);
        let hurry = Arc::new(AtomicBool::new(false));
        let finisher = Finisher {
            folder: folder.clone(),
            chores: chore_receiver,
            events: events.clone(),
            hurry: hurry.clone(),
        };
        spawn("recorder-finish", watched(events.clone(), move || finisher.run()))?;
        let ends = Ends {
            folder: folder.clone(),
            inbox,
            chores,
            events: events.clone(),
            counting: counting.clone(),
            sync_interval: config.sync_interval,
            min_free: config.min_free,
        };
        spawn("recorder-write", watched(events, move || Writer::new(ends).run()))?;
        let recordings = Recordings::new(config.max_tracks, queue, notices, counting.clone());
        let thread = RecorderThread::new(
            end,
            Taps::new(counting.clone()),
            recordings,
            config.key_frame_interval,
            command_receiver,
            event_receiver,
            hurry.clone(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        spawn("recorder", move || runtime.block_on(thread.run()))?;
        Ok((Self { folder, min_free: config.min_free, commands, counting, hurry }, notice_receiver))
    }

    /// Opens a recording, in which tracks can be recorded. `began` is its time zero. Opening again one that an earlier
    /// process began continues it: repair it before, and tell which files that has found.
    ///
    /// # Errors
    /// [`RecorderError::StorageFull`], [`RecorderError::Storage`], [`RecorderError::Stopped`].
    pub async fn open(
        &self,
        id: RecordingId,
        layer: RecordedLayer,
        began: Instant,
        earlier: Vec<RepairedFile>,
    ) -> Result<(), RecorderError> {
        let min_free = self.min_free;
        let made = self.on_disk(move |folder| {
            if folder.free()? < min_free {
                return Err(RecorderError::StorageFull);
            }
            Ok(folder.make_recording(id)?)
        });
        // A disk that stands still must not hold up the call that wants to be recorded.
        timeout(OPENING, made).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Open { id, layer, began, earlier, reply }).await?;
        answer.await.map_err(|_| RecorderError::Stopped)
    }

    /// Records a producer until it ends or [`Recorder::remove_track`].
    ///
    /// # Errors
    /// [`RecorderError::NotOpen`], [`RecorderError::TooManyTracks`] (also for an id that the recording has already),
    /// [`RecorderError::Stopped`].
    pub async fn add_track(&self, recording: RecordingId, track: NewTrack) -> Result<(), RecorderError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::AddTrack { recording, track: Box::new(track), reply }).await?;
        answer.await.map_err(|_| RecorderError::Stopped)?
    }

    /// Ends a track. Its files are finished when a [`Notice::Track`] says that it has ended.
    pub async fn remove_track(&self, recording: RecordingId, track: TrackId) {
        // A recorder that has stopped has ended all tracks.
        let _ = self.send(Command::RemoveTrack(TrackKey { recording, track })).await;
    }

    /// Writes nothing while paused. Tracks stay. Their files end at the pause; what is captured after it goes into new
    /// ones.
    ///
    /// # Errors
    /// [`RecorderError::NotOpen`], [`RecorderError::Stopped`].
    pub async fn pause(&self, recording: RecordingId, paused: bool) -> Result<(), RecorderError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Pause { recording, paused, reply }).await?;
        answer.await.map_err(|_| RecorderError::Stopped)?
    }

    /// Notes a change of the dominant speaker in the recording's time line.
    pub fn note_speaker(&self, recording: RecordingId, track: Option<TrackId>) {
        if self.commands.try_send(Command::Speaker(recording, track)).is_err() {
            self.counting.lock().notes_dropped += 1;
        }
    }

    /// Ends all tracks and finishes the files. [`Notice::Closed`] follows.
    pub async fn close(&self, recording: RecordingId) {
        // A recorder that has stopped has closed all recordings.
        let _ = self.send(Command::Close(recording, None)).await;
    }

    /// Finishes the files that a crash left open: cuts what is torn, and writes what the end of a file has. Finished
    /// files stay as they are. The manifest names them all then. Closes the recording before if it is open: a file that is
    /// written must not be repaired. `began` is its time zero.
    ///
    /// # Errors
    /// [`RecorderError::Storage`], [`RecorderError::Stopped`].
    pub async fn repair(
        &self,
        recording: RecordingId,
        began: SystemTime,
    ) -> Result<Vec<RepairedFile>, RecorderError> {
        let (reply, closed) = oneshot::channel();
        self.send(Command::Close(recording, Some(reply))).await?;
        closed.await.map_err(|_| RecorderError::Stopped)?;
        self.on_disk(move |folder| Ok(repair_interrupted(folder, recording, began)?)).await
    }

    /// The hash of a finished file, in hexadecimal, by its [`crate::FileReport::key`]. This reads all of it. `None` if
    /// it is gone, or if the recorder is shut down meanwhile.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn hash(&self, key: String) -> Result<Option<String>, RecorderError> {
        let hurry = self.hurry.clone();
        self.on_disk(move |folder| {
            let Some(path) = folder.file_at(&key) else { return Ok(None) };
            Ok(describe(&path, &hurry)?.and_then(|file| file.sha256))
        })
        .await
    }

    /// The recordings that have a folder.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn stored(&self) -> Result<Vec<RecordingId>, RecorderError> {
        self.on_disk(|folder| Ok(folder.stored()?)).await
    }

    /// Removes all files of a recording. It must not be open.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn delete(&self, recording: RecordingId) -> Result<(), RecorderError> {
        self.on_disk(move |folder| Ok(folder.delete(recording)?)).await
    }

    /// Removes the files of one track, and what the time line and the manifest tell of it. The recording must not be
    /// open.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn delete_track(&self, recording: RecordingId, track: TrackId) -> Result<(), RecorderError> {
        self.on_disk(move |folder| Ok(delete_track(folder, recording, track)?)).await
    }

    #[must_use]
    pub fn counters(&self) -> RecorderCounters {
        *self.counting.lock()
    }

    /// Closes all recordings and stops the threads. Files that cannot be finished within 5 s are left to
    /// [`Recorder::repair`].
    pub async fn shutdown(&self) {
        let (reply, stopped) = oneshot::channel();
        let stop = async {
            if self.send(Command::Shutdown(reply)).await.is_ok() {
                // An error means that the thread has ended, which is the goal.
                let _ = stopped.await;
            }
        };
        if timeout(SHUTDOWN, stop).await.is_err() {
            tracing::warn!("the recorder did not stop in time");
        }
    }

    async fn send(&self, command: Command) -> Result<(), RecorderError> {
        self.commands.send(command).await.map_err(|_| RecorderError::Stopped)
    }

    /// Works with files where a slow disk makes nobody else wait.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, RecorderError> + Send + 'static,
    ) -> Result<T, RecorderError> {
        let folder = self.folder.clone();
        spawn_blocking(move || work(&folder)).await.map_err(|_| RecorderError::Stopped)?
    }
}

/// The work of a thread without which nothing can be written. If it panics, the recorder thread is told.
fn watched(events: mpsc::Sender<Event>, work: impl FnOnce()) -> impl FnOnce() {
    move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            // Without a recorder thread nobody waits for it.
            let _ = events.blocking_send(Event::ThreadBroke);
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panic_of_a_watched_thread_is_told_and_its_end_is_not() {
        let (events, mut told) = mpsc::channel(2);
        watched(events.clone(), || {})();
        watched(events, || panic!("a test wants this"))();
        assert_eq!(told.blocking_recv(), Some(Event::ThreadBroke));
        assert_eq!(told.blocking_recv(), None);
    }
}
