//! What control calls and packets use beside the router: the time, the settings, and the outbox for effects.

use crate::clock::Epoch;
use crate::config::Config;
use crate::consumer::Taken;
use crate::counters::Counters;
use crate::division::Division;
use crate::due::DueList;
use crate::event::Event;
use crate::ice::Tuple;
use crate::id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, RouterId, ShardId, TransportId};
use crate::keys::{ProducerKey, RouterKey, TransportAddress};
use crate::relay::Relay;
use crate::shed::Shed;
use bytes::Bytes;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::time::Instant;

/// What a router uses but does not own.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) epoch: Epoch,
    pub(crate) config: &'a Config,
    pub(crate) rng: &'a mut StdRng,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) counters: &'a mut Counters,
    /// How much video is left out because of overload.
    pub(crate) shed: Shed,
    /// The transport being handled, see [`crate::Sfu::bury`].
    pub(crate) current: &'a mut Option<TransportAddress>,
}

/// Effects of handling an input, to be carried out by the SFU or the shell.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) transmits: VecDeque<(Tuple, Bytes)>,
    pub(crate) events: VecDeque<(RouterId, Event)>,
    /// Producers with packets that may not have been offered to all consumers.
    pub(crate) fresh: VecDeque<(RouterKey, ProducerKey)>,
    /// Media packets to seal.
    pub(crate) due: DueList,
    /// The packets that the current consumer accepted.
    pub(crate) taken: Vec<Taken>,
    /// The division of one client's bandwidth.
    pub(crate) division: Division,
    /// Producers with packets for other shards, each once.
    pub(crate) relay_due: Vec<(RouterKey, ProducerKey)>,
    pub(crate) relays: VecDeque<(ShardId, Relay)>,
    /// Transports whose timers may have changed.
    pub(crate) touched: Vec<TransportAddress>,
    /// Tuples whose mapping to a transport must be removed.
    pub(crate) forgotten_tuples: Vec<(Tuple, TransportAddress)>,
    pub(crate) forgotten_usernames: Vec<String>,
    /// Objects that were removed and whose ids must be forgotten.
    pub(crate) ended: Vec<Ended>,
}

/// The public id of a removed object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    Transport(TransportId),
    Producer(ProducerId),
    Consumer(ConsumerId),
    DataProducer(DataProducerId),
    DataConsumer(DataConsumerId),
}
