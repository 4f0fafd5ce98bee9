//! One thread that drives many transports: epoll over their sockets, batched reads, and one queue of deadlines.
//!
//! Nothing is allocated, locked or woken per packet. Like browsers' sockets, receiving sockets do not
//! coalesce datagrams (no UDP_GRO). Arrival times are the kernel's receive timestamps, so delays in a busy
//! generator are not attributed to the server.

mod inbox;
mod link;

pub(crate) use link::Role;

use crate::sender::wall_ns;
use crate::signaling::Consumer;
use crate::tally::Tally;
use anyhow::{Context, Result};
use inbox::Inbox;
use link::Link;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::Pid;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use switchyard_peer::{Identity, TransportOptions};
use tokio::sync::{mpsc, oneshot};

/// A handle on the thread; the thread ends with its last handle.
#[derive(Clone)]
pub(crate) struct Engine {
    commands: Sender<Command>,
    waker: Arc<EventFd>,
}

/// A transport of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(u64);

/// Notifications about a new transport.
pub(crate) struct Opened {
    /// Sent when the transport is connected.
    pub(crate) connected: oneshot::Receiver<()>,
    /// Sent when the first media packet arrives, with its time.
    pub(crate) first_packet: oneshot::Receiver<Instant>,
}

/// The parameters of a new transport.
pub(crate) struct NewLink {
    pub(crate) options: TransportOptions,
    pub(crate) remote: SocketAddr,
    pub(crate) role: Role,
}

enum Command {
    Open {
        id: LinkId,
        link: Box<NewLink>,
        connected: oneshot::Sender<()>,
        first_packet: oneshot::Sender<Instant>,
    },
    Listen {
        id: LinkId,
        consumers: Vec<Consumer>,
    },
    Unlisten {
        id: LinkId,
        consumer: String,
    },
    Close {
        id: LinkId,
        closed: oneshot::Sender<()>,
    },
}

impl Engine {
    /// Starts the thread, pinned to a core if one is given. Every second it sends its counts.
    pub(crate) fn start(
        core: Option<usize>,
        identity: Identity,
        tallies: mpsc::Sender<Tally>,
    ) -> Result<Self> {
        let (commands, inbox) = channel();
        let waker = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).context("making an eventfd")?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("making an epoll")?;
        epoll.add(&waker, EpollEvent::new(EpollFlags::EPOLLIN, WAKER)).context("watching the eventfd")?;
        let woken = waker.clone();
        let body = move || {
            if let Some(core) = core {
                pin_this_thread(core);
            }
            Running::new(identity, tallies, inbox, epoll, woken).run();
        };
        thread::Builder::new().name("load-engine".to_owned()).spawn(body)?;
        Ok(Self { commands, waker })
    }

    pub(crate) fn open(&self, id: LinkId, link: NewLink) -> Result<Opened> {
        let (connected_sender, connected) = oneshot::channel();
        let (first_sender, first_packet) = oneshot::channel();
        let link = Box::new(link);
        self.command(Command::Open { id, link, connected: connected_sender, first_packet: first_sender })?;
        Ok(Opened { connected, first_packet })
    }

    pub(crate) fn listen(&self, id: LinkId, consumers: Vec<Consumer>) -> Result<()> {
        self.command(Command::Listen { id, consumers })
    }

    pub(crate) fn unlisten(&self, id: LinkId, consumer: String) -> Result<()> {
        self.command(Command::Unlisten { id, consumer })
    }

    /// Sends close_notify and removes the transport.
    pub(crate) async fn close(&self, id: LinkId) -> Result<()> {
        let (closed, done) = oneshot::channel();
        self.command(Command::Close { id, closed })?;
        done.await.context("the engine stopped")
    }

    fn command(&self, command: Command) -> Result<()> {
        self.commands.send(command).ok().context("the engine stopped")?;
        self.waker.write(1).context("waking the engine")?;
        Ok(())
    }
}

impl LinkId {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}

struct Running {
    identity: Identity,
    tallies: mpsc::Sender<Tally>,
    commands: Receiver<Command>,
    waker: Arc<EventFd>,
    epoll: Epoll,
    links: HashMap<LinkId, Link>,
    deadlines: BTreeSet<(Instant, LinkId)>,
    inbox: Inbox,
    tally: Tally,
    /// The current second since 1970.
    second: u64,
}

impl Running {
    fn new(
        identity: Identity,
        tallies: mpsc::Sender<Tally>,
        commands: Receiver<Command>,
        epoll: Epoll,
        waker: Arc<EventFd>,
    ) -> Self {
        Self {
            identity,
            tallies,
            commands,
            waker,
            epoll,
            links: HashMap::new(),
            deadlines: BTreeSet::new(),
            inbox: Inbox::new(),
            tally: Tally::default(),
            second: wall_ns() / NS_PER_SECOND,
        }
    }

    fn run(&mut self) {
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        // This thread holds one reference to the waker. If it is the only one, all handles are dropped.
        while Arc::strong_count(&self.waker) > 1 {
            let ready = self.epoll.wait(&mut events, self.wait_for()).unwrap_or(0);
            for event in &events[..ready] {
                match event.data() {
                    WAKER => self.obey(),
                    number => self.receive(LinkId(number)),
                }
            }
            self.run_deadlines();
            self.turn_second();
        }
    }

    /// The time until the next deadline, rounded up to epoll's milliseconds.
    fn wait_for(&self) -> EpollTimeout {
        let next = self.deadlines.first().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let wait = next.map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT));
        let millis = wait.as_micros().div_ceil(1_000) as u16;
        EpollTimeout::from(millis)
    }

    fn obey(&mut self) {
        // The value does not matter: all commands are received anyway.
        let _ = self.waker.read();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open { id, link, connected, first_packet } => {
                    self.open(id, *link, connected, first_packet);
                }
                Command::Listen { id, consumers } => self.with(id, |link, _| link.listen(&consumers)),
                Command::Unlisten { id, consumer } => self.with(id, |link, _| link.unlisten(&consumer)),
                Command::Close { id, closed } => {
                    if let Some(mut link) = self.links.remove(&id) {
                        link.close(&mut self.tally);
                        self.deadlines.remove(&(link.due, id));
                    }
                    // The receiver may be gone.
                    let _ = closed.send(());
                }
            }
        }
    }

    /// On failure, `connected` is dropped, which notifies the receiver.
    fn open(
        &mut self,
        id: LinkId,
        new: NewLink,
        connected: oneshot::Sender<()>,
        first_packet: oneshot::Sender<Instant>,
    ) {
        let Ok(link) = Link::open(&self.identity, new, connected, first_packet) else { return };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, id.0);
        if self.epoll.add(link.socket(), event).is_ok() {
            self.deadlines.insert((link.due, id));
            self.links.insert(id, link);
        }
    }

    fn receive(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        // An error such as a refused port counts as a lost datagram: ICE and DTLS have their own timeouts.
        let Ok(datagrams) = self.inbox.receive(link.socket()) else { return };
        let (now, now_ns) = (Instant::now(), wall_ns());
        let mut lag_ns = None;
        for datagram in datagrams {
            lag_ns.get_or_insert(now_ns.saturating_sub(datagram.arrival_ns));
            link.take(datagram.bytes, datagram.arrival_ns, now, &mut self.tally);
        }
        if let Some(lag_ns) = lag_ns {
            self.tally.seconds.entry(self.second).or_default().lag.record_ns(lag_ns);
        }
        self.reschedule(id);
    }

    fn run_deadlines(&mut self) {
        let now = Instant::now();
        while let Some(&(due, id)) = self.deadlines.first()
            && due <= now
        {
            self.with(id, |link, tally| link.act(now, tally));
        }
    }

    fn with(&mut self, id: LinkId, act: impl FnOnce(&mut Link, &mut Tally)) {
        if let Some(link) = self.links.get_mut(&id) {
            act(link, &mut self.tally);
        }
        self.reschedule(id);
    }

    fn reschedule(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let due = link.next_due();
        if due != link.due {
            self.deadlines.remove(&(link.due, id));
            self.deadlines.insert((due, id));
            link.due = due;
        }
    }

    /// Once a second: adds settled packets to the tally and sends the tally to the collector.
    fn turn_second(&mut self) {
        let second = wall_ns() / NS_PER_SECOND;
        if second == self.second {
            return;
        }
        self.second = second;
        for link in self.links.values_mut() {
            link.settle(second, &mut self.tally);
        }
        // The tally is dropped if the collector is gone or its queue is full.
        let _ = self.tallies.try_send(std::mem::take(&mut self.tally));
    }
}

fn pin_this_thread(core: usize) {
    let mut cores = CpuSet::new();
    if cores.set(core).is_ok() {
        // An unpinned engine works too, but its results are less repeatable.
        let _ = sched_setaffinity(Pid::from_raw(0), &cores);
    }
}

const WAKER: u64 = u64::MAX;
const MAX_EVENTS: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_millis(500);
const NS_PER_SECOND: u64 = 1_000_000_000;
