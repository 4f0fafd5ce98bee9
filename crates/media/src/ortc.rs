//! The ORTC layer: the JSON that clients and server exchange about media, and the derivation of a consumer's
//! parameters from a producer's.
//!
//! The types follow mediasoup-client's contract. Input is read tolerantly: unknown fields are ignored, `null`
//! means missing, unknown codecs and extensions are kept. Output is strict: an optional field is left out,
//! never `null`. Nothing here is random: the caller chooses SSRCs and MIDs.
//!
//! A producer's parameters go through [`producer_mapping`] and [`consumable_parameters`] once, and each consumer's
//! are derived from the result by [`consumer_parameters`]. [`router_rtp_capabilities`] is the starting point
//! of both.

mod codec;
mod consumer;
mod fmtp;
mod header_extension;
mod lenient;
mod pipe;
mod producer;
mod receiver;
mod router_capabilities;
mod rtp_capabilities;
mod rtp_parameters;
mod scalability_mode;
mod transport_parameters;
mod validate;

#[cfg(test)]
mod golden_vectors;
#[cfg(test)]
mod hostile_input;

pub use codec::{Codec, CodecRef, MediaKind, MimeType, match_codecs};
pub use consumer::{ConsumerIdentity, can_consume, consumer_parameters};
pub use fmtp::{CodecFmtp, FmtpValue};
pub use header_extension::HeaderExtensionUri;
pub use pipe::pipe_consumer_parameters;
pub use producer::{
    CodecMapping, EncodingMapping, ProducerKind, RtpMapping, adopt_cname, consumable_parameters,
    producer_mapping,
};
pub use receiver::ReceiverCapabilities;
pub use router_capabilities::router_rtp_capabilities;
pub use rtp_capabilities::{ExtensionDirection, RtpCapabilities, RtpCodecCapability, RtpHeaderExtension};
pub use rtp_parameters::{
    RtcpFeedback, RtcpParameters, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters,
    RtpParameters, RtxParameters,
};
pub use scalability_mode::{Layers, ScalabilityMode};
pub use transport_parameters::{
    DtlsFingerprint, DtlsParameters, DtlsRole, FingerprintAlgorithm, IceCandidate, IceCandidateType,
    IceParameters, IceProtocol, IceTcpType, SctpParameters, SctpStreamParameters, TransportParameters,
};

/// Why a client's media description was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrtcError {
    /// The description breaks the contract or a bound; sending it again cannot help.
    #[error("invalid parameters: {0}")]
    Invalid(String),
    /// The description is valid but requires something that this server does not support.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The receiver cannot decode the producer's codec.
    #[error("the receiver cannot decode this producer")]
    CannotConsume,
}
