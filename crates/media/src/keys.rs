//! The keys by which a router finds what it holds: valid on one worker, and only while the thing lives.

use slotmap::new_key_type;

new_key_type! {
    pub(crate) struct RouterKey;
    pub(crate) struct TransportKey;
    pub(crate) struct ProducerKey;
    pub(crate) struct ConsumerKey;
    pub(crate) struct DataProducerKey;
    pub(crate) struct DataConsumerKey;
}

/// The keys that lead to a transport.
pub(crate) type TransportAddress = (RouterKey, TransportKey);
