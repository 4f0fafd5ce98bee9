//! Data channels: messages from one client to those who consume them.

use crate::id::{DataConsumerId, DataProducerId};
use crate::router::{DataConsumerKey, DataProducerKey, TransportKey};

#[derive(Debug)]
pub(crate) struct DataProducer {
    pub(crate) id: DataProducerId,
    pub(crate) transport: TransportKey,
    /// The SCTP stream on the client's sending transport.
    pub(crate) stream: u16,
    pub(crate) consumers: Vec<DataConsumerKey>,
    /// How consumers' streams are to behave, but for the stream id.
    pub(crate) offer: crate::config::DataConsumerParameters,
}

#[derive(Debug)]
pub(crate) struct DataConsumer {
    pub(crate) id: DataConsumerId,
    pub(crate) producer: DataProducerKey,
    pub(crate) transport: TransportKey,
    /// The SCTP stream on the receiving transport.
    pub(crate) stream: u16,
    /// Nothing may be lost: a reader that does not keep up is closed instead.
    pub(crate) reliable: bool,
}
