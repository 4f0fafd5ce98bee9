//! The SFU as pure state machines: its inputs are the time and datagrams, its outputs are values that say
//! what to send and what happened. It never opens a socket, spawns a thread, reads a clock or draws entropy.
//!
//! Input is passed by control calls and [`Sfu::handle_input`]. Output is taken from [`Sfu::seal_due`] for
//! media packets and from [`Sfu::poll_output`] for everything else. After each input (or each batch of
//! datagrams) the shell seals what is due, then polls until [`Output::Timeout`], which says when to call
//! next.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "a test starts at any time"))]

pub mod allocation;
mod arrival;
mod batch;
mod client_clock;
mod clock;
mod codec;
mod config;
pub mod congestion;
mod consumer;
mod context;
mod counters;
mod data;
mod division;
mod dtls;
mod due;
mod event;
mod format;
mod history;
mod ice;
mod id;
mod keys;
mod least;
mod nack;
pub mod ortc;
mod pacing;
mod paths;
mod prefetch;
mod producer;
mod relay;
mod router;
mod rtcp_io;
mod rtp;
mod sctp;
mod sfu;
mod shed;
mod speaker;
mod srtp;
mod tap;
mod timer;
mod trace;
mod transport;
mod transport_cc;

pub use batch::{Batch, Run};
pub use clock::Epoch;
pub use config::{
    Bandwidth, Config, ConsumeOptions, ConsumerParameters, DataConsumerParameters, DataProduceOptions,
    Direction, ProduceOptions, TransportOptions,
};
pub use counters::{Counters, Population};
pub use dtls::Certificate;
pub use event::{
    ControlError, DataConsumerCloseReason, DtlsState, Event, Input, Output, Sealed, TransportCloseReason,
    TransportStats,
};
pub use ice::{IceState, Protocol, Tuple};
pub use id::ShardId;
pub use id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, RouterId, TransportId};
pub use paths::{PathStats, Paths, Spread};
pub use producer::{LayerRates, LayerStacking, RateWindow};
pub use relay::{DataLoss, Relay, RelayClass, RelayedDataProducer, RelayedProducer};
pub use rtp::{VideoLayerSize, VideoLayersAllocation};
pub use sfu::Sfu;
pub use shed::Shed;
pub use tap::{
    RecordedCodec, RecordedLayer, Sample, Tap, TapCounts, TapNotice, TapOptions, TapOutput, Tapped,
    TrackFormat,
};
pub use trace::{Happening, ProbeResult, TracePart, Traced};
