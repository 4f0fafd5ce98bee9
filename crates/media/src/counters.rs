//! Everything that was dropped, refused or repaired, by name.

use crate::congestion::Totals;
use serde::Serialize;

/// Totals since the SFU started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Datagrams whose first byte names no protocol (RFC 7983).
    pub datagrams_unclassified: u64,
    /// DTLS, SRTP or SRTCP on a tuple without a valid connectivity check.
    pub datagrams_unknown_tuple: u64,
    /// STUN for a username fragment that no transport has, or without one.
    pub stun_unknown_username: u64,
    /// STUN messages that failed validation or authentication.
    pub stun_rejected: u64,
    /// DTLS records and handshake messages that were dropped: malformed, forged, in plaintext where only encryption is
    /// believed, or more than a handshake needs.
    pub dtls_rejected: u64,
    /// Handshakes with a certificate that signaling did not announce.
    pub fingerprint_mismatches: u64,
    /// Handshakes that failed for other reasons.
    pub handshakes_failed: u64,
    /// How often a handshake began anew, because the library could not go on.
    pub handshakes_restarted: u64,
    /// SRTP or SRTCP before the handshake was complete.
    pub srtp_without_keys: u64,
    /// SRTP and SRTCP beyond a client's packet rate limit.
    pub packets_over_budget: u64,
    pub rtp_malformed: u64,
    /// Failed authentication, replayed, or too old.
    pub srtp_rejected: u64,
    pub srtcp_rejected: u64,
    pub rtcp_malformed: u64,
    /// Transport-wide feedback that contradicts itself.
    pub feedback_malformed: u64,
    /// Packets said to have arrived that were not sent, or are forgotten; only where bandwidth is divided, as the next.
    pub feedback_unknown: u64,
    /// Jumps of a receiver's clock by seconds.
    pub feedback_clock_jumps: u64,
    /// Sender reports too soon after another one of the same stream.
    pub sender_reports_too_frequent: u64,
    /// RTP that belongs to no producer of its transport.
    pub rtp_unknown_stream: u64,
    /// RTP with a payload type its producer did not announce.
    pub rtp_unknown_payload_type: u64,
    /// Copies of packets received before.
    pub rtp_duplicate: u64,
    /// RTP older than the history of its stream, or with a sequence number too far off.
    pub rtp_too_old: u64,
    /// Payloads the codec's descriptor parser refused.
    pub payload_malformed: u64,
    /// Payloads too large to be forwarded.
    pub payload_oversized: u64,
    /// Probing packets without media.
    pub padding_received: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
    /// Lost packets recovered by retransmission (RTX).
    pub packets_recovered: u64,
    /// Streams that restarted: by another SSRC, or a jump in sequence number or timestamp.
    pub stream_restarts: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// Packets padded so that they could be sent in one run with others, and the total of their padding
    /// bytes.
    pub packets_evened: u64,
    pub padding_bytes_sent: u64,
    pub retransmissions_sent: u64,
    /// Padding packets sent in place of late packets that the consumer does not need.
    pub fills_sent: u64,
    /// How often a video was paused because the path to its client did not carry it.
    pub video_withheld: u64,
    /// Packets of video that waited for their turn, because more at once would have queued up on the path.
    pub packets_paced: u64,
    /// Packets that were not forwarded, because too much waited for its turn.
    pub video_left_out: u64,
    /// Packets to clients that these reported as lost, with those that came after all; only where bandwidth is divided.
    pub packets_lost: u64,
    /// How often it was tried whether a path carries more.
    pub probes_begun: u64,
    /// Tries that came through as they were sent.
    pub probes_passed: u64,
    /// Tries that showed what the path carries, because it carries less.
    pub probes_full: u64,
    /// Tries that said nothing, or were interrupted by a queue or by silence.
    pub probes_void: u64,
    /// Packets of padding sent to find out what a path carries.
    pub probes_sent: u64,
    /// Bytes of these packets.
    pub probe_bytes_sent: u64,
    /// NACKed packets that are not in the history.
    pub retransmissions_unavailable: u64,
    /// NACKed packets that were not repeated: beyond the share of a transport's rate that repair may take.
    pub retransmissions_over_budget: u64,
    /// NACKed packets that were not repeated: sent too long ago to be shown.
    pub retransmissions_too_late: u64,
    /// NACKed packets that were not repeated: repeated within the last round trip.
    pub retransmissions_too_soon: u64,
    /// NACKed packets that were not repeated: repeated too often.
    pub retransmissions_exhausted: u64,
    /// NACKed packets that were not repeated: feedback says that they have arrived.
    pub retransmissions_needless: u64,
    /// NACKed packets of layers that the consumer has left: repeated as padding, or not at all without RTX.
    pub retransmissions_left_out: u64,
    /// A transport's queue of due packets was full.
    pub egress_overflow: u64,
    /// How often a client's address changed to one where it had not proven to be.
    pub paths_doubted: u64,
    /// Packets and reports that were held back or left out, because a client had not proven to be at its address.
    pub unproven_withheld: u64,
    /// Due packets whose transport has no address or keys, or whose payload was overwritten meanwhile.
    pub egress_undeliverable: u64,
    /// Values of the header extension video-layers-allocation that cannot be read.
    pub layers_allocation_malformed: u64,
    pub nacks_sent: u64,
    pub key_frames_requested: u64,
    pub sctp_rejected: u64,
    pub data_messages_received: u64,
    pub data_messages_sent: u64,
    /// Data-channel messages that were not delivered: refused on arrival, without a data producer, lost
    /// between shards, or for a partially reliable channel whose receiver does not keep up.
    pub data_messages_dropped: u64,
    /// Packets that came from another shard of their router.
    pub relayed_in: u64,
    /// Packets from another shard that were received before, or came too late.
    pub relayed_duplicate: u64,
    /// Batches from another shard for a producer that this shard does not know.
    pub relayed_unknown: u64,
    /// Packets resent to another shard because they were lost on the way.
    pub relayed_again: u64,
    /// How often a consumer's video was stopped by overload.
    pub video_shed: u64,
    /// Transports removed because working on them panicked.
    pub transports_buried: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, news: &Totals) {
        self.packets_lost += news.packets_lost;
        self.probes_begun += news.probes_begun;
        self.probes_passed += news.probes_passed;
        self.probes_full += news.probes_full;
        self.probes_void += news.probes_void;
        self.feedback_unknown += news.feedback_unknown;
        self.feedback_clock_jumps += news.clock_jumps;
    }
}

/// The number of existing objects; all zero once every router is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Population {
    pub routers: usize,
    pub transports: usize,
    pub producers: usize,
    pub consumers: usize,
    /// Consumers whose video is stopped by overload.
    pub consumers_shed: usize,
    /// Consumers whose video is stopped because the path to their client does not carry it.
    pub consumers_withheld: usize,
    pub data_producers: usize,
    pub data_consumers: usize,
    /// Addresses and username fragments that lead to a transport.
    pub demux_entries: usize,
    /// Bytes held for payload histories.
    pub stored_bytes: usize,
}
