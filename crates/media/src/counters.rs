//! Everything that was dropped, refused or repaired, by name.

use serde::Serialize;

/// Totals since the SFU started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Datagrams whose first byte names no protocol (RFC 7983).
    pub datagrams_unclassified: u64,
    /// DTLS, SRTP or SRTCP from an address that no valid check came from.
    pub datagrams_unknown_tuple: u64,
    /// STUN for a username fragment that no transport has, or without one.
    pub stun_unknown_username: u64,
    /// STUN that failed its checks.
    pub stun_rejected: u64,
    /// Datagrams the DTLS association refused.
    pub dtls_rejected: u64,
    /// Handshakes with a certificate that signaling did not announce.
    pub fingerprint_mismatches: u64,
    /// Handshakes that came to nothing otherwise.
    pub handshakes_failed: u64,
    /// SRTP or SRTCP before the handshake gave keys.
    pub srtp_without_keys: u64,
    /// SRTP and SRTCP beyond what a client may send.
    pub packets_over_budget: u64,
    pub rtp_malformed: u64,
    /// Failed authentication, replayed, or too old.
    pub srtp_rejected: u64,
    pub srtcp_rejected: u64,
    pub rtcp_malformed: u64,
    /// Sender reports right after one of the same stream.
    pub sender_reports_too_frequent: u64,
    /// RTP that belongs to no producer of its transport.
    pub rtp_unknown_stream: u64,
    /// RTP with a payload type its producer did not announce.
    pub rtp_unknown_payload_type: u64,
    /// A copy of a packet that was already here.
    pub rtp_duplicate: u64,
    /// Older than the history of its stream.
    pub rtp_too_old: u64,
    /// Payloads the codec's descriptor parser refused.
    pub payload_malformed: u64,
    /// Larger than a packet that could be forwarded.
    pub payload_oversized: u64,
    /// Probing packets without media.
    pub padding_received: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
    /// Lost packets that came back as RTX.
    pub packets_recovered: u64,
    /// A stream that began anew: another SSRC, or a jump in sequence or time.
    pub stream_restarts: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// Packets padded so that they left in one run with others, and by how many bytes in all.
    pub packets_evened: u64,
    pub padding_bytes_sent: u64,
    pub retransmissions_sent: u64,
    /// Padding sent in place of late packets that nobody wants any more.
    pub fills_sent: u64,
    /// Requested again, but no longer in the history.
    pub retransmissions_unavailable: u64,
    /// A transport's queue of due packets was full.
    pub egress_overflow: u64,
    /// Due packets whose transport has no address or keys, or whose payload was overwritten meanwhile.
    pub egress_undeliverable: u64,
    pub nacks_sent: u64,
    pub key_frames_requested: u64,
    pub sctp_rejected: u64,
    pub data_messages_received: u64,
    pub data_messages_sent: u64,
    /// Messages of partially reliable data channels whose reader does not keep up.
    pub data_messages_dropped: u64,
    /// Packets that came from another shard of their router.
    pub relayed_in: u64,
    /// Packets from another shard that were here already, or came too late.
    pub relayed_duplicate: u64,
    /// Batches from another shard for a producer that is not known here (any more).
    pub relayed_unknown: u64,
    /// Packets sent to another shard again because they got lost on the way.
    pub relayed_again: u64,
    /// Consumers' videos that stopped because there was too much to do.
    pub video_shed: u64,
    /// Transports removed because working on them panicked.
    pub transports_buried: u64,
}

/// What is alive at the moment; all zero once every router is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Population {
    pub routers: usize,
    pub transports: usize,
    pub producers: usize,
    pub consumers: usize,
    /// Consumers whose video is left out because there is too much to do.
    pub consumers_shed: usize,
    pub data_producers: usize,
    pub data_consumers: usize,
    /// Addresses and username fragments that lead to a transport.
    pub demux_entries: usize,
    /// Bytes held for payload histories.
    pub stored_bytes: usize,
}
