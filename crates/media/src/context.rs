//! What control and packets work with beside the router: the time, the settings, and where effects are put.

use crate::clock::Epoch;
use crate::config::Config;
use crate::consumer::Taken;
use crate::counters::Counters;
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

/// What a router works with but does not own.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) epoch: Epoch,
    pub(crate) config: &'a Config,
    pub(crate) rng: &'a mut StdRng,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) counters: &'a mut Counters,
    /// What is left out at the moment.
    pub(crate) shed: Shed,
    /// The transport that is worked on.
    pub(crate) current: &'a mut Option<TransportAddress>,
}

/// Effects on their way out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) transmits: VecDeque<(Tuple, Bytes)>,
    pub(crate) events: VecDeque<(RouterId, Event)>,
    /// Producers that took packets which their consumers may not have been offered.
    pub(crate) fresh: VecDeque<(RouterKey, ProducerKey)>,
    /// Media packets to seal.
    pub(crate) due: DueList,
    /// Of the packets offered to a consumer, those to be sent.
    pub(crate) taken: Vec<Taken>,
    /// Producers with packets for other shards, each once.
    pub(crate) relay_due: Vec<(RouterKey, ProducerKey)>,
    pub(crate) relays: VecDeque<(ShardId, Relay)>,
    /// Transports whose timers may have moved.
    pub(crate) touched: Vec<TransportAddress>,
    /// What stopped leading to which transport.
    pub(crate) forgotten_tuples: Vec<(Tuple, TransportAddress)>,
    pub(crate) forgotten_usernames: Vec<String>,
    /// Things that ended by themselves and whose ids are to be forgotten.
    pub(crate) ended: Vec<Ended>,
}

/// Something that ended as a consequence, not by a control call of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    Transport(TransportId),
    Producer(ProducerId),
    Consumer(ConsumerId),
    DataProducer(DataProducerId),
    DataConsumer(DataConsumerId),
}
