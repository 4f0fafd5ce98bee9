//! All routers of one worker, and the demultiplexing of datagrams to them.

mod control;

use crate::batch::{Batch, Run};
use crate::clock::Epoch;
use crate::config::Config;
use crate::context::{Context, Ended, Outbox};
use crate::counters::{Counters, Population};
use crate::event::{Input, Output, Sealed, TransportCloseReason};
use crate::ice::{Tuple, local_username_fragment};
use crate::id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, RouterId, ShardId, TransportId};
use crate::keys::{
    ConsumerKey, DataConsumerKey, DataProducerKey, ProducerKey, RouterKey, TransportAddress, TransportKey,
};
use crate::paths::Paths;
use crate::relay::{Message, Relay};
use crate::router::{Departure, Router, Way};
use crate::rtp::{DatagramClass, classify};
use crate::shed::Shed;
use crate::speaker::Speaker;
use rand::SeedableRng;
use rand::rngs::StdRng;
use slotmap::SlotMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

/// One worker's selective forwarding unit. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Sfu {
    config: Config,
    epoch: Epoch,
    rng: StdRng,
    routers: SlotMap<RouterKey, Router>,
    demux: Demux,
    names: Names,
    /// Transports with timers, by the time to handle them. An entry other than its transport's `scheduled`
    /// time is stale.
    wakeups: BinaryHeap<Reverse<(Instant, RouterKey, TransportKey)>>,
    outbox: Outbox,
    counters: Counters,
    shed: Shed,
    /// The transport being handled, for [`Self::bury`].
    current: Option<TransportAddress>,
}

/// Finds the transport of a datagram. Strangers choose the keys of both maps, so these use the standard
/// hasher, which resists collision attacks.
#[derive(Debug, Default)]
struct Demux {
    by_username: HashMap<String, TransportAddress>,
    by_tuple: HashMap<Tuple, TransportAddress>,
}

/// The keys of objects by public id.
#[derive(Debug, Default)]
struct Names {
    routers: HashMap<RouterId, RouterKey>,
    transports: HashMap<TransportId, TransportAddress>,
    producers: HashMap<ProducerId, (RouterKey, ProducerKey)>,
    consumers: HashMap<ConsumerId, (RouterKey, ConsumerKey)>,
    data_producers: HashMap<DataProducerId, (RouterKey, DataProducerKey)>,
    data_consumers: HashMap<DataConsumerId, (RouterKey, DataConsumerKey)>,
}

impl Sfu {
    /// `seed` must come from the system's entropy: ICE passwords are derived from it.
    pub fn new(config: Config, seed: [u8; 32], epoch: Epoch) -> Self {
        Self {
            config,
            epoch,
            rng: StdRng::from_seed(seed),
            routers: SlotMap::with_key(),
            demux: Demux::default(),
            names: Names::default(),
            wakeups: BinaryHeap::new(),
            outbox: Outbox::default(),
            counters: Counters::default(),
            shed: Shed::NONE,
            current: None,
        }
    }

    /// Handles an input or the passing of time. `now` must never decrease.
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        match input {
            Input::Datagram { tuple, bytes, at } => self.receive(tuple.canonical(), bytes, at, now),
            Input::Relay { from, relay } => self.receive_relay(from, relay, now),
            Input::Timeout => self.wake(now),
        }
    }

    /// Seals media packets that are due into `batch`. On [`Sealed::More`] send the batch, clear it and call again.
    pub fn seal_due(&mut self, now: Instant, batch: &mut Batch) -> Sealed {
        let mut departure = Departure { batch, now: self.epoch.ntp(now), at: now };
        loop {
            if self.outbox.fresh.len() > 1 {
                // Queue first: packets of several producers for one transport should be sent together.
                self.queue_fresh(now);
            }
            if self.seal_queued(now, &mut departure) == Sealed::More {
                return Sealed::More;
            }
            if self.outbox.fresh.is_empty() {
                return Sealed::Done;
            }
            if self.fan_out_next(Way::Sealed(&mut departure), now) == Sealed::More {
                return Sealed::More;
            }
        }
    }

    /// The kernel did not take a run that [`Self::seal_due`] made: its packets never left the host, and their absence says
    /// nothing of the path.
    pub fn refused(&mut self, run: Run<'_>) {
        let Some(&(router, transport)) = self.demux.by_tuple.get(&run.tuple) else { return };
        if let Some(router) = self.routers.get_mut(router) {
            router.note_refused(transport, run);
        }
    }

    /// Returns the other outputs, one per call, until [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        if let Some((tuple, bytes)) = self.outbox.transmits.pop_front() {
            return Output::Transmit { tuple, bytes };
        }
        while let Some((router_key, producer)) = self.outbox.relay_due.pop() {
            if let Some(router) = self.routers.get_mut(router_key) {
                router.flush_relay(producer, &mut self.outbox);
            }
        }
        if let Some((to, relay)) = self.outbox.relays.pop_front() {
            return Output::Relay { to, relay };
        }
        if let Some((router, event)) = self.outbox.events.pop_front() {
            return Output::Event(router, event);
        }
        Output::Timeout(self.wakeups.peek().map(|Reverse((at, ..))| *at))
    }

    /// Sets how much outgoing video is left out, for present and future consumers.
    pub fn shed(&mut self, shed: Shed, now: Instant) {
        if std::mem::replace(&mut self.shed, shed) != shed {
            let routers: Vec<RouterKey> = self.routers.keys().collect();
            for router in routers {
                self.work(now, router, None, Router::ration_video);
            }
        }
    }

    /// Removes the transport that was being handled when a call panicked: its state may be inconsistent, the
    /// others' is not.
    pub fn bury(&mut self, now: Instant) {
        let Some((router_key, transport_key)) = self.current.take() else { return };
        self.counters.transports_buried += 1;
        self.outbox.due.forget_transport((router_key, transport_key));
        let (routers, mut ctx) = self.split(now);
        if let Some(router) = routers.get_mut(router_key) {
            router.remove_transport(transport_key, Some(TransportCloseReason::Fault), &mut ctx);
        }
        self.settle();
    }

    /// Totals since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The number of transports.
    pub fn transports(&self) -> usize {
        self.names.transports.len()
    }

    /// The number of existing objects.
    pub fn population(&self) -> Population {
        let mut population = Population::default();
        self.routers.values().for_each(|router| router.count(&mut population));
        population.demux_entries = self.demux.by_tuple.len() + self.demux.by_username.len();
        population
    }

    /// The paths to all clients where bandwidth is divided.
    pub fn paths(&self) -> Paths {
        let mut paths = Paths::default();
        self.routers.values().for_each(|router| router.survey(&mut paths));
        paths
    }

    /// Seals queued packets.
    fn seal_queued(&mut self, now: Instant, departure: &mut Departure<'_>) -> Sealed {
        while let Some((router_key, transport_key)) = self.outbox.due.transport() {
            self.current = Some((router_key, transport_key));
            let (routers, mut ctx) = self.split(now);
            let sealed = match routers.get_mut(router_key) {
                Some(router) => router.seal_due(transport_key, departure, &mut ctx),
                None => Sealed::Done,
            };
            if sealed == Sealed::More {
                return Sealed::More;
            }
            self.outbox.due.next_transport();
        }
        self.settle();
        self.current = None;
        Sealed::Done
    }

    /// Offers all fresh packets to the consumers that were not offered them yet, and queues the accepted
    /// ones.
    fn queue_fresh(&mut self, now: Instant) {
        while !self.outbox.fresh.is_empty() {
            self.fan_out_next(Way::Queued, now);
        }
    }

    /// Offers the fresh packets of the next producer to the consumers that were not offered them yet.
    fn fan_out_next(&mut self, way: Way<'_, '_>, now: Instant) -> Sealed {
        let Some((router_key, producer)) = self.outbox.fresh.pop_front() else { return Sealed::Done };
        let publisher = self.routers.get(router_key).and_then(|router| router.transport_of(producer));
        self.current = publisher.map(|transport| (router_key, transport));
        let (routers, mut ctx) = self.split(now);
        let sealed = match routers.get_mut(router_key) {
            Some(router) => router.fan_out(producer, way, &mut ctx),
            None => Sealed::Done,
        };
        if sealed == Sealed::More {
            self.outbox.fresh.push_front((router_key, producer));
        }
        self.settle();
        self.current = None;
        sealed
    }

    fn receive(&mut self, tuple: Tuple, bytes: &mut [u8], at: Instant, now: Instant) {
        let class = classify(bytes);
        let found = match class {
            DatagramClass::Stun => self.demux.by_username(bytes),
            DatagramClass::Dtls | DatagramClass::Rtp | DatagramClass::Rtcp => {
                self.demux.by_tuple.get(&tuple).copied()
            }
            DatagramClass::Unknown => {
                self.counters.datagrams_unclassified += 1;
                return;
            }
        };
        let Some((router_key, transport_key)) = found else {
            match class {
                DatagramClass::Stun => self.counters.stun_unknown_username += 1,
                DatagramClass::Dtls | DatagramClass::Rtp | DatagramClass::Rtcp | DatagramClass::Unknown => {
                    self.counters.datagrams_unknown_tuple += 1;
                }
            }
            return;
        };
        self.current = Some((router_key, transport_key));
        let (routers, mut ctx) = self.split(now);
        let Some(router) = routers.get_mut(router_key) else { return };
        match class {
            DatagramClass::Stun => {
                router.receive_stun(transport_key, tuple, bytes, &mut ctx);
                self.note_tuple(tuple, router_key, transport_key);
            }
            DatagramClass::Dtls => router.receive_dtls(transport_key, bytes, &mut ctx),
            DatagramClass::Rtp => router.receive_rtp(transport_key, bytes, at, &mut ctx),
            DatagramClass::Rtcp => router.receive_rtcp(transport_key, bytes, &mut ctx),
            DatagramClass::Unknown => {}
        }
        self.outbox.touched.push((router_key, transport_key));
        self.settle();
        self.current = None;
    }

    fn receive_relay(&mut self, from: ShardId, relay: Relay, now: Instant) {
        let Some(&router_key) = self.names.routers.get(&relay.router) else {
            self.counters.relayed_unknown += 1;
            return;
        };
        match relay.message {
            Message::Producer(id, message) => {
                let named = self.names.producers.get(&id).filter(|(router, _)| *router == router_key);
                let producer = (id, named.map(|&(_, key)| key));
                self.work(now, router_key, None, |router, ctx| {
                    router.receive_producer_message(from, producer, message, ctx);
                });
            }
            Message::DataProducer(id, message) => {
                let named = self.names.data_producers.get(&id).filter(|(router, _)| *router == router_key);
                let producer = (id, named.map(|&(_, key)| key));
                self.work(now, router_key, None, |router, ctx| {
                    router.receive_data_message(from, producer, message, ctx);
                });
            }
            Message::Voices(voices) => {
                self.work(now, router_key, None, |router, ctx| router.receive_voices(from, voices, ctx));
            }
            Message::VoiceEnded(producer) => {
                let speaker = Speaker { shard: from, producer };
                self.work(now, router_key, None, |router, ctx| router.end_voice(speaker, ctx));
            }
            Message::Floor(speaker) => {
                self.work(now, router_key, None, |router, ctx| router.take_floor(speaker, ctx));
            }
        }
    }

    /// If a tuple is valid, routes it to the transport, even if it led to another transport before.
    fn note_tuple(&mut self, tuple: Tuple, router_key: RouterKey, transport_key: TransportKey) {
        let transport = self.routers.get(router_key).and_then(|router| router.transports.get(transport_key));
        if transport.is_some_and(|transport| transport.ice.is_valid_tuple(tuple)) {
            self.demux.by_tuple.insert(tuple, (router_key, transport_key));
        }
    }

    /// Handles due timers, at most as many as were waiting: a timer that is set to `now` again waits for the
    /// next call.
    fn wake(&mut self, now: Instant) {
        for _ in 0..self.wakeups.len() {
            let Some(&Reverse((at, router_key, transport_key))) = self.wakeups.peek() else { break };
            if at > now {
                break;
            }
            self.wakeups.pop();
            self.current = Some((router_key, transport_key));
            let (routers, mut ctx) = self.split(now);
            let Some(router) = routers.get_mut(router_key) else { continue };
            let scheduled =
                router.transports.get_mut(transport_key).map(|transport| &mut transport.scheduled);
            let Some(scheduled) = scheduled.filter(|scheduled| **scheduled == Some(at)) else { continue };
            *scheduled = None;
            router.expire(transport_key, &mut ctx);
            self.outbox.touched.push((router_key, transport_key));
            self.settle();
        }
        self.current = None;
    }

    /// Updates the maps and the wake-ups after routers changed something.
    fn settle(&mut self) {
        for (tuple, address) in self.outbox.forgotten_tuples.drain(..) {
            if self.demux.by_tuple.get(&tuple) == Some(&address) {
                self.demux.by_tuple.remove(&tuple);
            }
        }
        for username in self.outbox.forgotten_usernames.drain(..) {
            self.demux.by_username.remove(&username);
        }
        for ended in self.outbox.ended.drain(..) {
            self.names.forget(ended);
        }
        while let Some((router_key, transport_key)) = self.outbox.touched.pop() {
            let Some(router) = self.routers.get_mut(router_key) else { continue };
            let Some(transport) = router.transports.get_mut(transport_key) else { continue };
            let Some(next) = transport.timers.next() else { continue };
            if transport.scheduled.is_none_or(|scheduled| next < scheduled) {
                transport.scheduled = Some(next);
                self.wakeups.push(Reverse((next, router_key, transport_key)));
            }
        }
    }

    fn split(&mut self, now: Instant) -> (&mut SlotMap<RouterKey, Router>, Context<'_>) {
        let ctx = Context {
            now,
            epoch: self.epoch,
            config: &self.config,
            rng: &mut self.rng,
            outbox: &mut self.outbox,
            counters: &mut self.counters,
            shed: self.shed,
            current: &mut self.current,
        };
        (&mut self.routers, ctx)
    }
}

impl Demux {
    fn by_username(&self, datagram: &[u8]) -> Option<TransportAddress> {
        self.by_username.get(local_username_fragment(datagram)?).copied()
    }
}

impl Names {
    fn forget(&mut self, ended: Ended) {
        match ended {
            Ended::Transport(id) => drop(self.transports.remove(&id)),
            Ended::Producer(id) => drop(self.producers.remove(&id)),
            Ended::Consumer(id) => drop(self.consumers.remove(&id)),
            Ended::DataProducer(id) => drop(self.data_producers.remove(&id)),
            Ended::DataConsumer(id) => drop(self.data_consumers.remove(&id)),
        }
    }
}
