//! The statistics of a transport as clients get them.

use serde::Serialize;
use switchyard_media_worker::media::congestion::{Bound, Course};
use switchyard_media_worker::media::{self, DtlsState, IceState};
use ts_rs::TS;

/// State and traffic of a transport as the server sees it.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TransportStats {
    #[ts(type = "'new' | 'connected' | 'completed' | 'disconnected'")]
    pub ice: IceState,
    #[ts(type = "'new' | 'connecting' | 'connected' | 'failed' | 'closed'")]
    pub dtls: DtlsState,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// By reports; null until there is one.
    pub rtt_ms: Option<u32>,
    /// What the path to the client carries; null if that is not estimated: with `MEDIA_ADAPTATION=false`, on a
    /// transport to send, and before there is a consumer.
    pub path: Option<PathStats>,
}

/// What is known of the path to a client. Rates are bit/s of UDP payload.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PathStats {
    /// What the path is thought to carry.
    pub estimate: u64,
    /// What sound, repair and the granted layers of videos take.
    pub used: u64,
    /// What all the wanted layers would take.
    pub wanted: u64,
    /// What arrived in the last second or so; null until ten packets did, and without transport-wide feedback.
    pub acknowledged: Option<u64>,
    /// Where the estimate is going; `hold` without transport-wide feedback.
    #[ts(type = "'hold' | 'increase' | 'decrease'")]
    pub state: Course,
    /// What the estimate follows: delays and probes, loss, the client's own estimate (REMB), or its reception reports if
    /// it sends no transport-wide feedback.
    #[ts(type = "'delay' | 'loss' | 'receiver' | 'reports'")]
    pub limited_by: Bound,
    /// How long packets wait in queues on the path.
    pub queue_ms: u32,
    /// By transport-wide feedback, without the client's waiting; 100 until there is one.
    pub rtt_ms: u32,
    /// Packets that the client reported as lost, with those that came after all.
    pub packets_lost: u64,
    /// How often it was tried whether the path carries more, how often all came through, and how often it showed that the
    /// path carries less. The others said nothing.
    pub probes_begun: u64,
    pub probes_passed: u64,
    pub probes_full: u64,
}

impl From<media::TransportStats> for TransportStats {
    fn from(stats: media::TransportStats) -> Self {
        let media::TransportStats {
            ice,
            dtls,
            packets_received,
            bytes_received,
            packets_sent,
            bytes_sent,
            rtt_ms,
            path,
        } = stats;
        let path = path.map(PathStats::from);
        Self { ice, dtls, packets_received, bytes_received, packets_sent, bytes_sent, rtt_ms, path }
    }
}

impl From<media::PathStats> for PathStats {
    fn from(path: media::PathStats) -> Self {
        Self {
            estimate: path.estimate,
            used: path.used,
            wanted: path.wanted,
            acknowledged: path.acknowledged,
            state: path.state,
            limited_by: path.limited_by,
            queue_ms: path.queue_ms,
            rtt_ms: path.rtt_ms,
            packets_lost: path.packets_lost,
            probes_begun: path.probes_begun,
            probes_passed: path.probes_passed,
            probes_full: path.probes_full,
        }
    }
}
