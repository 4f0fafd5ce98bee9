//! A worker: one thread that owns its sockets and its SFU, and runs the event loop.
//!
//! A turn of the loop executes commands, reads a limited number of batches, handles an expired timeout of the
//! SFU, sends control output, and seals and sends a batch of the media that is due. Because reading precedes
//! sealing, one flush can send the results of several datagrams, without delaying any: when the rest of a
//! frame arrives, each consumer that was not served yet gets the whole frame in one run. If a turn leaves
//! work, the next turn follows at once, after the runtime has polled the sockets.

use crate::contain::Contained;
use crate::counters::{Counters, ShellCounters};
use crate::kernel_drops::kernel_drops;
use crate::load::{Load, Meter};
use crate::outbox::{Flushed, Outbox, Posted};
use crate::relays::{Letter, RelayInbox, Relays};
use crate::shedding::Shedding;
use crate::socket::{Clocks, ReceiveBuffer, Refused, Socket};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use switchyard_media::{
    Batch, Event, Input, Output, Protocol, RouterId, Run, Sealed, Sfu, ShardId, Shed, Tuple,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep_until};

/// A command from a handle to a worker.
pub(crate) enum Command {
    /// Runs a closure on the SFU; the closure sends the answer.
    Control(Work),
    /// Opens this worker's shard of a router, if it is not open yet.
    OpenRouter {
        id: RouterId,
        home: ShardId,
        events: mpsc::Sender<Event>,
    },
    CloseRouter(RouterId),
    Count(oneshot::Sender<Counters>),
    Stop,
}

pub(crate) type Work = Box<dyn FnOnce(&mut Sfu, Instant) + Send>;

pub(crate) struct Worker {
    core: Contained,
    io: Io,
    outboxes: Outboxes,
    pacing: Pacing,
    strain: Strain,
    relays: Relays,
    relayed: RelayInbox,
    counters: ShellCounters,
    /// Must be the last field, so that it is dropped last: the closing of its queue shows the handles that the
    /// sockets are closed.
    commands: Commands,
}

/// The sockets, and the buffers that datagrams are read into and sealed into.
struct Io {
    sockets: Vec<Socket>,
    received: ReceiveBuffer,
    batch: Batch,
}

/// The events of each router on their way to the router's owner.
#[derive(Default)]
struct Outboxes {
    by_router: HashMap<RouterId, Outbox>,
    /// Whether an outbox holds events that its owner's queue had no room for.
    wait: bool,
}

/// When the worker has to do something.
struct Pacing {
    /// When the SFU needs its next [`Input::Timeout`].
    deadline: Option<Instant>,
    /// How long media may wait to be sent with more media.
    coalesce: Duration,
    /// The end of the present wait.
    hold: Option<Instant>,
    /// Batches sent since all due media was last sealed.
    flushes: u32,
}

/// How busy the worker is, and how much video it leaves out because of it.
struct Strain {
    load: Arc<Load>,
    meter: Meter,
    shedding: Shedding,
}

struct Commands {
    /// Commands taken from the queue, to be carried out in this turn.
    inbox: Vec<Command>,
    queue: mpsc::Receiver<Command>,
}

/// A worker's ends of the queues and values that it shares with the rest of the process.
pub(crate) struct Ends {
    /// How long media may wait to be sent with more media.
    pub(crate) coalesce: Duration,
    pub(crate) load: Arc<Load>,
    pub(crate) relays: Relays,
    pub(crate) relayed: RelayInbox,
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// The result of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// All available work is done.
    Idle,
    /// Media is held, to be sent with more media.
    Holding,
    /// A limit was reached: there may be more work.
    Busy,
    Stopped,
}

impl Worker {
    pub(crate) fn new(
        sfu: Sfu,
        sockets: Vec<Socket>,
        Ends { coalesce, load, relays, relayed, commands }: Ends,
    ) -> Self {
        let now = Instant::now();
        Self {
            core: Contained::new(sfu),
            io: Io { sockets, received: ReceiveBuffer::new(), batch: Batch::with_capacity(BATCH_BYTES) },
            outboxes: Outboxes::default(),
            pacing: Pacing { deadline: None, coalesce, hold: None, flushes: 0 },
            strain: Strain { load, meter: Meter::new(now), shedding: Shedding::new(now) },
            relays,
            relayed,
            counters: ShellCounters::default(),
            commands: Commands { inbox: Vec::with_capacity(COMMANDS_PER_TURN), queue: commands },
        }
    }

    /// Runs turns until [`Command::Stop`] or until no handle is left. Then closes all routers, which notifies
    /// the peers.
    pub(crate) async fn run(mut self) {
        let mut timer = Box::pin(sleep_until(Instant::now().into()));
        let mut turn = Turn::Busy;
        while turn != Turn::Stopped {
            let since = Instant::now();
            match turn {
                Turn::Busy => tokio::task::yield_now().await,
                Turn::Holding => {
                    // The runtime's timers are too coarse for this wait. Control waits too, but no longer
                    // than media.
                    let until = self.pacing.hold.unwrap_or(since);
                    std::thread::sleep(until.saturating_duration_since(since));
                    self.strain.meter.waited(since.elapsed());
                    tokio::task::yield_now().await;
                }
                Turn::Idle | Turn::Stopped => {
                    self.wait(timer.as_mut()).await;
                    self.strain.meter.waited(since.elapsed());
                }
            }
            turn = self.turn();
        }
        let now = Instant::now();
        let open: Vec<RouterId> = self.outboxes.by_router.keys().copied().collect();
        open.into_iter().for_each(|router| self.close_router(now, router));
        self.poll_out(now);
    }

    /// Waits for a command, a datagram, a relay message or the next deadline.
    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) {
        self.flush_outboxes();
        let retry = self.outboxes.wait.then(|| Instant::now() + OUTBOX_RETRY);
        let wake_at = self.pacing.deadline.into_iter().chain(retry).min();
        if let Some(wake_at) = wake_at
            && timer.deadline().into_std() != wake_at
        {
            timer.as_mut().reset(wake_at.into());
        }
        poll_fn(|context| {
            // Each source is polled, so that each can wake the thread.
            let on_time = wake_at.is_some() && timer.as_mut().poll(context).is_ready();
            let readable = self.poll_sockets(context);
            let commanded = self.poll_commands(context);
            let told = self.relayed.poll_ready(context).is_ready();
            if on_time || readable || commanded || told { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll_sockets(&self, context: &mut Context<'_>) -> bool {
        self.io.sockets.iter().filter(|socket| socket.poll_readable(context).is_ready()).count() > 0
    }

    fn poll_commands(&mut self, context: &mut Context<'_>) -> bool {
        let received =
            self.commands.queue.poll_recv_many(context, &mut self.commands.inbox, COMMANDS_PER_TURN);
        if received == Poll::Ready(0) {
            self.commands.inbox.push(Command::Stop);
        }
        received.is_ready()
    }

    fn turn(&mut self) -> Turn {
        let commands = self.commands.queue.len() + self.commands.inbox.len();
        let turn = self.obey();
        if turn == Turn::Stopped {
            return turn;
        }
        let relays = self.relayed.len();
        let before = self.counters.datagrams_received;
        // While too much is unsent, input stays in the queues, where its age is measured and its amount is
        // limited.
        let takes_in = self.pacing.flushes < FLUSHES_WITH_INPUT;
        let read = if takes_in { self.ingest() } else { Turn::Idle };
        let datagrams = self.counters.datagrams_received - before;
        self.strain.meter.found(commands + relays + datagrams as usize);
        let now = Instant::now();
        let heard = if takes_in { self.hear_others(now) } else { Turn::Idle };
        if relays > 0 || datagrams > 0 {
            self.pacing.hold.get_or_insert(now + self.pacing.coalesce);
        }
        if self.pacing.deadline.is_some_and(|deadline| deadline <= now) {
            self.core.enter(now, |sfu| sfu.handle_input(Input::Timeout, now));
        }
        // Control output is sent first: media must not overtake the DTLS flight without which it cannot be
        // decrypted.
        self.poll_out(now);
        let egress = match self.pacing.hold {
            Some(until) if until > now => Turn::Holding,
            Some(_) | None => self.seal_and_send(now),
        };
        if self.pacing.hold.is_none() {
            self.strain.shedding.end_round(now);
        }
        if let Some(busy) = self.strain.meter.publish(now, self.core.transports(), &self.strain.load) {
            self.relieve(now, busy);
        }
        self.poll_out(now);
        if [turn, read, heard, egress].contains(&Turn::Busy) { Turn::Busy } else { egress }
    }

    /// Adjusts how much video is left out, at the end of a window. `busy` is the share of it that was not
    /// idle, 0 to 1.
    fn relieve(&mut self, now: Instant, busy: f64) {
        let before = self.strain.shedding.shed();
        let sockets = &self.io.sockets;
        let dropped = || kernel_drops(&sockets.iter().map(Socket::local).collect::<Vec<_>>());
        let Some(shed) = self.strain.shedding.decide(now, busy, dropped) else { return };
        if before == Shed::NONE {
            tracing::warn!("too much to do: leaving out video");
        } else if shed == Shed::NONE {
            tracing::info!("all video is sent again");
        }
        self.core.enter(now, |sfu| sfu.shed(shed, now));
    }

    fn obey(&mut self) -> Turn {
        while self.commands.inbox.len() < COMMANDS_PER_TURN
            && let Ok(command) = self.commands.queue.try_recv()
        {
            self.commands.inbox.push(command);
        }
        let turn = if self.commands.inbox.len() < COMMANDS_PER_TURN { Turn::Idle } else { Turn::Busy };
        let mut inbox = std::mem::take(&mut self.commands.inbox);
        for command in inbox.drain(..) {
            let now = Instant::now();
            match command {
                Command::Control(work) => {
                    self.core.enter(now, |sfu| work(sfu, now));
                }
                Command::OpenRouter { id, home, events } => self.open_router(now, id, home, events),
                Command::CloseRouter(id) => self.close_router(now, id),
                Command::Count(reply) => {
                    // An error means that the caller has stopped waiting.
                    let _ = reply.send(self.count());
                }
                Command::Stop => return Turn::Stopped,
            }
        }
        self.commands.inbox = inbox;
        turn
    }

    fn open_router(&mut self, now: Instant, id: RouterId, home: ShardId, events: mpsc::Sender<Event>) {
        if !self.outboxes.by_router.contains_key(&id)
            && let Some(Ok(())) = self.core.enter(now, |sfu| sfu.create_router(id, home))
        {
            self.outboxes.by_router.insert(id, Outbox::new(events));
        }
    }

    fn close_router(&mut self, now: Instant, id: RouterId) {
        if self.outboxes.by_router.remove(&id).is_some() {
            self.core.enter(now, |sfu| sfu.close_router(now, id));
        }
    }

    /// Handles messages from the other workers' shards.
    fn hear_others(&mut self, now: Instant) -> Turn {
        let Self { relayed, core, strain: Strain { shedding, .. }, .. } = self;
        let mut heard = 0;
        for Letter { from, at, message: relay } in relayed.take(RELAYS_PER_TURN) {
            heard += 1;
            shedding.found(now.saturating_duration_since(at));
            core.enter(now, |sfu| sfu.handle_input(Input::Relay { from, relay }, now));
        }
        if heard < RELAYS_PER_TURN { Turn::Idle } else { Turn::Busy }
    }

    fn ingest(&mut self) -> Turn {
        let Self {
            io: Io { sockets, received, .. }, core, counters, strain: Strain { shedding, .. }, ..
        } = self;
        let mut turn = Turn::Idle;
        for socket in sockets {
            let mut ingest = || ingest_batch(socket, received, core, counters, shedding);
            let read = (0..BATCHES_PER_TURN).take_while(|_| ingest()).count();
            if read == BATCHES_PER_TURN {
                turn = Turn::Busy;
            }
        }
        turn
    }

    fn seal_and_send(&mut self, now: Instant) -> Turn {
        let sealed = self.core.enter(now, |sfu| sfu.seal_due(now, &mut self.io.batch));
        // After a panic, the batch may end with a packet that is not sealed.
        if sealed.is_some() {
            let Self { io: Io { sockets, batch, .. }, core, counters, .. } = self;
            let mut refused = |run: Run<'_>| {
                core.enter(now, |sfu| sfu.refused(run));
            };
            send(sockets, batch.runs(), counters, &mut refused);
        }
        self.io.batch.clear();
        if sealed == Some(Sealed::Done) {
            (self.pacing.hold, self.pacing.flushes) = (None, 0);
            return Turn::Idle;
        }
        self.pacing.flushes += 1;
        Turn::Busy
    }

    fn poll_out(&mut self, now: Instant) {
        loop {
            match self.core.enter(now, Sfu::poll_output) {
                Some(Output::Transmit { tuple, bytes }) => {
                    let run = Run { tuple, segment_size: bytes.len(), bytes: &bytes };
                    send(&mut self.io.sockets, std::iter::once(run), &mut self.counters, &mut |_| ());
                }
                Some(Output::Relay { to, relay }) => self.relays.send(now, to, relay, &mut self.counters),
                Some(Output::Event(router, event)) => self.post(now, router, event),
                Some(Output::Timeout(deadline)) => {
                    self.pacing.deadline = deadline;
                    return;
                }
                None => {
                    self.pacing.deadline = Some(now + FAULT_PAUSE);
                    return;
                }
            }
        }
    }

    fn post(&mut self, now: Instant, router: RouterId, event: Event) {
        // The owner has closed this router: its events are ignored.
        let Some(outbox) = self.outboxes.by_router.get_mut(&router) else { return };
        match outbox.post(event) {
            Posted::Queued => {}
            Posted::Waiting => self.outboxes.wait = true,
            Posted::Superseded => self.counters.events_superseded += 1,
            Posted::Abandoned => {
                tracing::warn!(router.id = %router, "closing a router whose events nobody reads");
                self.counters.routers_abandoned += 1;
                self.close_router(now, router);
            }
        }
    }

    fn flush_outboxes(&mut self) {
        if self.outboxes.wait {
            let flushed = self.outboxes.by_router.values_mut().map(Outbox::flush);
            self.outboxes.wait = flushed.filter(|flushed| *flushed == Flushed::Waiting).count() > 0;
        }
    }

    fn count(&self) -> Counters {
        let shell = ShellCounters { faults: self.core.faults(), ..self.counters };
        let (busy, queue_depth) = (self.strain.load.busy(), self.strain.load.queue_depth());
        Counters {
            worker: self.relays.own().0,
            population: self.core.population(),
            paths: self.core.paths(),
            media: self.core.counters().clone(),
            shell,
            busy,
            queue_depth,
            shed: self.strain.shedding.shed().steps(),
        }
    }
}

/// Passes one batch to the SFU; `false` if the socket is empty.
fn ingest_batch(
    socket: &Socket,
    received: &mut ReceiveBuffer,
    core: &mut Contained,
    counters: &mut ShellCounters,
    shedding: &mut Shedding,
) -> bool {
    let Ok(messages) = socket.receive(received) else {
        counters.receive_errors += 1;
        return false;
    };
    let clocks = Clocks::read();
    for train in received.trains(messages) {
        if !train.is_usable() {
            counters.datagrams_unusable += train.len();
            continue;
        }
        counters.datagrams_received += train.len();
        let tuple = Tuple { protocol: Protocol::Udp, local: socket.local(), remote: train.remote };
        let (at, now) = (clocks.arrival(&train), clocks.now);
        shedding.found(now.saturating_duration_since(at));
        for bytes in train.datagrams() {
            core.enter(now, |sfu| sfu.handle_input(Input::Datagram { tuple, bytes, at }, now));
        }
    }
    messages == ReceiveBuffer::MESSAGES
}

/// Sends runs, each through the socket bound to its tuple's local address.
fn send<'a>(
    sockets: &mut [Socket],
    mut runs: impl Iterator<Item = Run<'a>> + Clone,
    counters: &mut ShellCounters,
    refused: Refused<'_>,
) {
    while let Some(first) = runs.clone().next() {
        let local = first.tuple.local;
        let count = runs.clone().take_while(|run| run.tuple.local == local).count();
        let same_socket = runs.clone().take(count);
        match sockets.iter_mut().find(|socket| socket.local() == local) {
            Some(socket) => socket.send(same_socket, counters, refused),
            None => counters.send_without_socket += same_socket.map(|run| run.packets() as u64).sum::<u64>(),
        }
        runs.nth(count - 1);
    }
}

/// Limited so that packets are forwarded during a burst of joins.
const COMMANDS_PER_TURN: usize = 64;
/// Batches of up to 32 messages, per socket: enough to drain a burst, and few enough to delay sealing by at
/// most about 1 ms.
const BATCHES_PER_TURN: usize = 8;
/// About the time in which the rest of a frame arrives after its first packet: a flush takes about 150 µs.
const FLUSHES_WITH_INPUT: u32 = 8;
/// Sealed bytes per flush: about eighty full packets. Sealing many packets before sending them is cheaper
/// than alternating, and this many fit well into a core's L2 cache.
const BATCH_BYTES: usize = 100 * 1024;
/// Messages of control and of media each. A media message holds the packets that one producer received in one
/// turn.
const RELAYS_PER_TURN: usize = 256;
/// How soon events are offered again to a slow owner.
const OUTBOX_RETRY: Duration = Duration::from_millis(20);
/// A pause after a panic, so that a fault that recurs at every poll does not use up the core.
const FAULT_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
