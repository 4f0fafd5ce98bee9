//! The queues for messages between workers, from one shard of a router to another, and to the recorder.

mod room;

use crate::counters::ShellCounters;
use room::{Asks, Room};
use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use switchyard_media::{DataLoss, Relay, RelayClass, ShardId};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The sending ends of all workers' queues, and of the recorder's, which has the last number.
#[derive(Clone)]
pub(crate) struct Relays<M: Message = Relay> {
    own: ShardId,
    queues: Arc<[RelayQueue<M>]>,
}

/// The sending end of one reader's queue.
#[derive(Clone)]
pub(crate) struct RelayQueue<M: Message = Relay> {
    /// Unbounded, because control messages must arrive. Each kind of control message has a limited rate, and
    /// data is limited in bytes.
    ordered: mpsc::UnboundedSender<Letter<M>>,
    media: mpsc::Sender<Letter<M>>,
    data: Arc<Data<M>>,
    reader: Reader,
}

/// Who reads a queue.
#[derive(Debug, Clone)]
enum Reader {
    Worker,
    /// Bounded in bytes, too: while a disk stands still, the queue fills.
    Recorder(Arc<Room>),
}

/// The receiving end of one reader's queue.
pub(crate) struct RelayInbox<M: Message = Relay> {
    ordered: mpsc::UnboundedReceiver<Letter<M>>,
    media: mpsc::Receiver<Letter<M>>,
    data: Arc<Data<M>>,
    reader: Reader,
    /// Messages taken from the queues, for the next turn.
    waiting: VecDeque<Letter<M>>,
}

/// The data-channel messages that are queued.
struct Data<M: Message> {
    bytes: AtomicUsize,
    /// Losses whose report is queued, each once.
    losses: Mutex<HashSet<(ShardId, M::Loss)>>,
}

/// A queued message.
#[derive(Debug)]
pub(crate) struct Letter<M = Relay> {
    pub(crate) from: ShardId,
    /// When it was sent.
    pub(crate) at: Instant,
    pub(crate) message: M,
}

/// The properties of a message that a queue uses.
pub(crate) trait Message: Sized + From<Self::Loss> {
    type Loss: Copy + Eq + Hash;

    fn class(&self) -> RelayClass;
    /// The number of media packets in the message.
    fn packets(&self) -> usize;
    /// The bytes that the message's media packets take in memory.
    fn bytes(&self) -> usize;
    /// The loss that must be reported if the message is dropped.
    fn loss(&self) -> Option<Self::Loss>;
    /// The loss that the message reports.
    fn told_loss(&self) -> Option<Self::Loss>;
}

/// A worker's queue.
pub(crate) fn queue<M: Message>() -> (RelayQueue<M>, RelayInbox<M>) {
    queue_for(Reader::Worker)
}

/// The recorder's queue.
pub(crate) fn recorder_queue<M: Message>() -> (RelayQueue<M>, RelayInbox<M>) {
    queue_for(Reader::Recorder(Arc::default()))
}

fn queue_for<M: Message>(reader: Reader) -> (RelayQueue<M>, RelayInbox<M>) {
    let (ordered, ordered_end) = mpsc::unbounded_channel();
    let (media, media_end) = mpsc::channel(MEDIA_QUEUE);
    let data = Arc::new(Data { bytes: AtomicUsize::new(0), losses: Mutex::default() });
    let inbox = RelayInbox {
        ordered: ordered_end,
        media: media_end,
        data: data.clone(),
        reader: reader.clone(),
        waiting: VecDeque::new(),
    };
    (RelayQueue { ordered, media, data, reader }, inbox)
}

impl<M: Message> Relays<M> {
    pub(crate) fn new(own: ShardId, queues: Arc<[RelayQueue<M>]>) -> Self {
        Self { own, queues }
    }

    pub(crate) fn own(&self) -> ShardId {
        self.own
    }

    /// Queues a message without waiting. If there is no room, the message is dropped and counted, video
    /// before audio. Messages to a worker that has ended are ignored.
    pub(crate) fn send(&self, now: Instant, to: ShardId, message: M, counters: &mut ShellCounters) {
        let Some(queue) = self.queues.get(usize::from(to.0)) else { return };
        let packets = message.packets() as u64;
        let letter = |message| Letter { from: self.own, at: now, message };
        match message.class() {
            RelayClass::Control => queue.order(letter(message)),
            RelayClass::Video => {
                if queue.media.capacity() <= KEPT_FOR_AUDIO
                    || !queue.offer_media(letter(message), Asks::Video)
                {
                    *queue.reader.dropped(Asks::Video, counters) += packets;
                }
            }
            RelayClass::Audio => {
                if !queue.offer_media(letter(message), Asks::Audio) {
                    *queue.reader.dropped(Asks::Audio, counters) += packets;
                }
            }
            RelayClass::Feedback => {
                if !queue.offer(letter(message)) {
                    counters.relay_feedback_dropped += 1;
                }
            }
            RelayClass::Data(bytes) if queue.data.reserve(bytes) => queue.order(letter(message)),
            RelayClass::Data(_) => {
                counters.relay_data_dropped += 1;
                let news = message.loss().filter(|loss| queue.data.lose(self.own, *loss));
                news.into_iter().for_each(|loss| queue.order(letter(loss.into())));
            }
        }
    }
}

impl<M: Message> RelayQueue<M> {
    fn order(&self, letter: Letter<M>) {
        let _ = self.ordered.send(letter);
    }

    /// False if the queue is full, in messages or in bytes.
    fn offer_media(&self, letter: Letter<M>, asks: Asks) -> bool {
        let Reader::Recorder(room) = &self.reader else { return self.offer(letter) };
        let bytes = letter.message.bytes();
        if self.media.is_closed() {
            return true;
        }
        if !room.reserve(bytes, asks) {
            return false;
        }
        let queued = self.offer(letter);
        if !queued {
            room.release(bytes);
        }
        queued
    }

    /// False if the queue is full.
    fn offer(&self, letter: Letter<M>) -> bool {
        match self.media.try_send(letter) {
            Ok(()) | Err(TrySendError::Closed(_)) => true,
            Err(TrySendError::Full(_)) => false,
        }
    }
}

impl Reader {
    /// Where the dropped packets towards this reader are counted.
    fn dropped<'a>(&self, asks: Asks, counters: &'a mut ShellCounters) -> &'a mut u64 {
        match (self, asks) {
            (Self::Worker, Asks::Video) => &mut counters.relay_video_dropped,
            (Self::Worker, Asks::Audio) => &mut counters.relay_audio_dropped,
            (Self::Recorder(_), Asks::Video) => &mut counters.recorder_video_dropped,
            (Self::Recorder(_), Asks::Audio) => &mut counters.recorder_audio_dropped,
        }
    }

    /// Releases the room of a message that was taken from the queue.
    fn release<M: Message>(&self, message: &M) {
        match (self, message.class()) {
            (Self::Recorder(room), RelayClass::Audio | RelayClass::Video) => room.release(message.bytes()),
            (Self::Worker | Self::Recorder(_), _) => {}
        }
    }
}

impl<M: Message> Data<M> {
    /// Reserves room for a message of `bytes` bytes; `false` if there is none.
    fn reserve(&self, bytes: usize) -> bool {
        let taken = charge(bytes);
        let fits = self.bytes.fetch_add(taken, Ordering::Relaxed) + taken <= DATA_BYTES;
        if !fits {
            self.bytes.fetch_sub(taken, Ordering::Relaxed);
        }
        fits
    }

    /// Records a loss; `false` if its report is queued already.
    fn lose(&self, from: ShardId, loss: M::Loss) -> bool {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).insert((from, loss))
    }

    /// Releases the room of a message that was taken from the queue. After a loss report, the next loss is
    /// reported again.
    fn release(&self, from: ShardId, message: &M) {
        if let RelayClass::Data(bytes) = message.class() {
            self.bytes.fetch_sub(charge(bytes), Ordering::Relaxed);
        }
        if let Some(loss) = message.told_loss() {
            self.losses.lock().unwrap_or_else(PoisonError::into_inner).remove(&(from, loss));
        }
    }
}

impl<M: Message> RelayInbox<M> {
    /// Ready when a message is queued.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Each source is polled, so that each can wake the thread.
        let ordered = self.ordered.poll_recv(context).map(|message| self.waiting.extend(message));
        let media = self.media.poll_recv(context).map(|message| self.waiting.extend(message));
        if ordered.is_ready() || media.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes queued messages, control before media, at most `limit` of each.
    pub(crate) fn take(&mut self, limit: usize) -> impl Iterator<Item = Letter<M>> + '_ {
        let ordered = std::iter::from_fn(|| self.ordered.try_recv().ok()).take(limit);
        self.waiting.extend(ordered);
        let media = std::iter::from_fn(|| self.media.try_recv().ok()).take(limit);
        self.waiting.extend(media);
        self.waiting.drain(..).inspect(|Letter { from, message, .. }| {
            self.data.release(*from, message);
            self.reader.release(message);
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.ordered.len() + self.media.len()
    }
}

impl Message for Relay {
    type Loss = DataLoss;

    fn class(&self) -> RelayClass {
        self.class()
    }

    fn packets(&self) -> usize {
        self.packets()
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn loss(&self) -> Option<DataLoss> {
        self.loss()
    }

    fn told_loss(&self) -> Option<DataLoss> {
        self.told_loss()
    }
}

/// The room that a data message takes. It includes an overhead, so that many small messages are limited too.
fn charge(bytes: usize) -> usize {
    bytes + MESSAGE_BYTES
}

/// Batches queued for one reader. A batch holds the packets that one producer received in one turn.
const MEDIA_QUEUE: usize = 4_096;
/// Room in the media queue that video must leave free.
const KEPT_FOR_AUDIO: usize = MEDIA_QUEUE / 4;
/// Bytes of data-channel messages queued for one worker.
const DATA_BYTES: usize = 8 << 20;
/// Bytes of overhead per message: the message itself and its payload's allocation, roughly.
const MESSAGE_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_video_before_audio_by_name_and_count() {
        let (relays, mut inbox) = to_another();
        let mut counters = ShellCounters::default();
        for _ in 0..MEDIA_QUEUE {
            relays.send(Instant::now(), THERE, Told::Video(3), &mut counters);
        }
        let room_for_video = MEDIA_QUEUE - KEPT_FOR_AUDIO;
        assert_eq!(counters.relay_video_dropped, 3 * KEPT_FOR_AUDIO as u64);
        for _ in 0..KEPT_FOR_AUDIO {
            relays.send(Instant::now(), THERE, Told::Audio(2), &mut counters);
        }
        assert_eq!(counters.relay_audio_dropped, 0, "there is room left for sound");
        for _ in 0..5 {
            relays.send(Instant::now(), THERE, Told::Audio(2), &mut counters);
            relays.send(Instant::now(), THERE, Told::Video(3), &mut counters);
            relays.send(Instant::now(), THERE, Told::Feedback, &mut counters);
        }
        let ShellCounters { relay_video_dropped, relay_audio_dropped, relay_feedback_dropped, .. } = counters;
        assert_eq!(relay_video_dropped, 3 * (KEPT_FOR_AUDIO as u64 + 5));
        assert_eq!((relay_audio_dropped, relay_feedback_dropped), (10, 5));
        let arrived = drain(&mut inbox);
        assert_eq!(arrived[..room_for_video], vec![Told::Video(3); room_for_video]);
        assert_eq!(arrived[room_for_video..], vec![Told::Audio(2); KEPT_FOR_AUDIO]);
    }

    #[test]
    fn control_is_never_dropped_and_comes_before_media_in_order() {
        let (relays, mut inbox) = to_another();
        let mut counters = ShellCounters::default();
        for number in 0..3 * MEDIA_QUEUE {
            relays.send(Instant::now(), THERE, Told::Audio(1), &mut counters);
            relays.send(Instant::now(), THERE, Told::Control(number), &mut counters);
        }
        let arrived: Vec<Told> = inbox.take(usize::MAX).map(|letter| letter.message).collect();
        let control: Vec<Told> = (0..3 * MEDIA_QUEUE).map(Told::Control).collect();
        assert_eq!(arrived[..control.len()], control);
        assert_eq!(arrived.len() - control.len(), MEDIA_QUEUE);
    }

    #[test]
    fn data_is_bounded_in_bytes_and_what_is_lost_of_it_is_told() {
        let (relays, mut inbox) = to_another();
        for bytes in [1 << 20, 1_000, 1, 0] {
            let mut counters = ShellCounters::default();
            let (mut sent, mut kept) = (0, 0);
            while counters.relay_data_dropped < 3 {
                relays.send(Instant::now(), THERE, Told::Data(bytes), &mut counters);
                sent += 1;
            }
            let arrived = drain(&mut inbox);
            kept += arrived.iter().filter(|told| **told == Told::Data(bytes)).count();
            assert_eq!(kept, sent - 3);
            assert_eq!(kept, DATA_BYTES / (bytes + MESSAGE_BYTES));
            assert_eq!(arrived[kept..], [Told::Lost], "once, after what was not lost");
        }
        assert_eq!(inbox.data.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn however_much_is_lost_it_takes_no_more_room_and_is_told_again_only_when_it_was_told() {
        let (relays, mut inbox) = to_another();
        let mut counters = ShellCounters::default();
        relays.send(Instant::now(), THERE, Told::Data(DATA_BYTES - MESSAGE_BYTES), &mut counters);
        for told in 1..=3 {
            for _ in 0..100_000 {
                relays.send(Instant::now(), THERE, Told::Data(1), &mut counters);
            }
            assert_eq!(counters.relay_data_dropped, 100_000 * told);
            assert_eq!(inbox.len(), 2);
            assert_eq!(drain(&mut inbox)[1], Told::Lost);
            relays.send(Instant::now(), THERE, Told::Data(DATA_BYTES - MESSAGE_BYTES), &mut counters);
        }
    }

    #[test]
    fn when_the_other_worker_goes_on_there_is_room_again() {
        let (relays, mut inbox) = to_another();
        let mut counters = ShellCounters::default();
        for _ in 0..2 * MEDIA_QUEUE {
            relays.send(Instant::now(), THERE, Told::Video(1), &mut counters);
        }
        let dropped = counters.relay_video_dropped;
        for round in 0..1_000 {
            let taken = inbox.take(256).count();
            assert!(taken > 0, "round {round}");
            (0..taken).for_each(|_| relays.send(Instant::now(), THERE, Told::Video(1), &mut counters));
        }
        assert_eq!(counters.relay_video_dropped, dropped, "what was taken made room");
    }

    #[tokio::test]
    async fn a_waiting_worker_is_woken_by_either_queue_and_misses_nothing() {
        let (relays, mut inbox) = to_another();
        let mut counters = ShellCounters::default();
        for told in [Told::Audio(1), Told::Control(1), Told::Data(9), Told::Feedback] {
            let ready = tokio::spawn(async move {
                std::future::poll_fn(|context| inbox.poll_ready(context)).await;
                inbox
            });
            tokio::task::yield_now().await;
            relays.send(Instant::now(), THERE, told, &mut counters);
            inbox = ready.await.unwrap();
            assert_eq!(inbox.len(), 1);
            assert_eq!(drain(&mut inbox), [told]);
        }
        assert_eq!(counters, ShellCounters::default());
    }

    #[test]
    fn a_worker_that_has_ended_or_never_was_is_told_nothing() {
        let (relays, inbox) = to_another();
        drop(inbox);
        let mut counters = ShellCounters::default();
        for told in [Told::Audio(1), Told::Video(1), Told::Feedback, Told::Control(1), Told::Data(1)] {
            relays.send(Instant::now(), THERE, told, &mut counters);
            relays.send(Instant::now(), ShardId(7), told, &mut counters);
        }
        assert_eq!(counters, ShellCounters::default());
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Told {
        Control(usize),
        /// A message of this many packets.
        Audio(usize),
        Video(usize),
        /// A message of this many bytes.
        Data(usize),
        Lost,
        Feedback,
    }

    impl From<()> for Told {
        fn from((): ()) -> Self {
            Self::Lost
        }
    }

    impl Message for Told {
        type Loss = ();

        fn class(&self) -> RelayClass {
            match *self {
                Self::Control(_) | Self::Lost => RelayClass::Control,
                Self::Audio(_) => RelayClass::Audio,
                Self::Video(_) => RelayClass::Video,
                Self::Data(bytes) => RelayClass::Data(bytes),
                Self::Feedback => RelayClass::Feedback,
            }
        }

        fn packets(&self) -> usize {
            match *self {
                Self::Audio(packets) | Self::Video(packets) => packets,
                Self::Control(_) | Self::Data(_) | Self::Lost | Self::Feedback => 0,
            }
        }

        fn bytes(&self) -> usize {
            self.packets() * PACKET_BYTES
        }

        fn loss(&self) -> Option<()> {
            matches!(self, Self::Data(_)).then_some(())
        }

        fn told_loss(&self) -> Option<()> {
            matches!(self, Self::Lost).then_some(())
        }
    }

    #[test]
    fn a_recorder_that_stands_still_costs_a_bounded_room_and_video_before_audio() {
        let ((here, _), (there, mut inbox)) = (queue(), recorder_queue());
        let relays = Relays::new(ShardId(0), [here, there].into());
        let mut counters = ShellCounters::default();
        let many = room::ROOM / PACKET_BYTES / 8;
        for _ in 0..100 {
            relays.send(Instant::now(), THERE, Told::Video(many), &mut counters);
        }
        assert_eq!(counters.recorder_video_dropped, 93 * many as u64);
        for _ in 0..100 {
            relays.send(Instant::now(), THERE, Told::Audio(many), &mut counters);
        }
        assert_eq!(counters.recorder_audio_dropped, 99 * many as u64);
        assert_eq!((counters.relay_video_dropped, counters.relay_audio_dropped), (0, 0));
        let Reader::Recorder(room) = inbox.reader.clone() else { panic!() };
        assert_eq!(room.taken(), room::ROOM);
        assert_eq!(drain(&mut inbox).len(), 8);
        assert_eq!(room.taken(), 0);
        for _ in 0..2 * MEDIA_QUEUE {
            relays.send(Instant::now(), THERE, Told::Video(1), &mut counters);
        }
        assert!(inbox.len() <= MEDIA_QUEUE, "small batches are bounded in number");
        drop(inbox);
        let before = counters;
        for _ in 0..100 {
            relays.send(Instant::now(), THERE, Told::Video(many), &mut counters);
        }
        assert_eq!(counters, before, "a recorder that has ended is told nothing");
    }

    /// The first worker's sending ends and the second one's inbox.
    fn to_another() -> (Relays<Told>, RelayInbox<Told>) {
        let ((here, _), (there, inbox)) = (queue(), queue());
        (Relays::new(ShardId(0), [here, there].into()), inbox)
    }

    fn drain(inbox: &mut RelayInbox<Told>) -> Vec<Told> {
        let mut all = Vec::new();
        while inbox.len() > 0 {
            all.extend(inbox.take(256).map(|Letter { from, message, .. }| {
                assert_eq!(from, ShardId(0));
                message
            }));
        }
        all
    }

    const THERE: ShardId = ShardId(1);
    const PACKET_BYTES: usize = 1_024;
}
