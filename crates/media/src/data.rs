//! Data channels: messages from one client's data producer to its data consumers.

use crate::config::DataConsumerParameters;
use crate::id::{DataConsumerId, DataProducerId, ShardId};
use crate::keys::{DataConsumerKey, DataProducerKey, TransportKey};

#[derive(Debug)]
pub(crate) struct DataProducer {
    pub(crate) id: DataProducerId,
    pub(crate) origin: DataOrigin,
    pub(crate) consumers: Vec<DataConsumerKey>,
    /// Other shards subscribed to the producer's messages.
    pub(crate) relays: Vec<ShardId>,
    /// Parameters of the data consumers' streams, except the stream id.
    pub(crate) offer: DataConsumerParameters,
}

/// Where a data producer's messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataOrigin {
    /// An SCTP stream of the client's sending transport.
    Stream(TransportKey, u16),
    /// Another shard of the router.
    Relay(ShardId),
}

impl DataProducer {
    pub(crate) fn new(id: DataProducerId, origin: DataOrigin, offer: DataConsumerParameters) -> Self {
        Self { id, origin, consumers: Vec::new(), relays: Vec::new(), offer }
    }

    /// The SCTP stream on which the producer's messages arrive, if it is on this transport.
    pub(crate) fn stream_on(&self, transport: TransportKey) -> Option<u16> {
        match self.origin {
            DataOrigin::Stream(on, stream) if on == transport => Some(stream),
            DataOrigin::Stream(..) | DataOrigin::Relay(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct DataConsumer {
    pub(crate) id: DataConsumerId,
    pub(crate) producer: DataProducerKey,
    pub(crate) transport: TransportKey,
    /// The SCTP stream on the receiving transport.
    pub(crate) stream: u16,
    /// No message may be lost: if the receiver does not keep up, its data consumer is closed.
    pub(crate) reliable: bool,
}
