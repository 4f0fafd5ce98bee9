//! What a worker counted: the SFU's own figures, and what the shell saw around it.

use serde::Serialize;
use switchyard_media as media;

/// The counters of one worker since it started.
#[derive(Debug, Clone, Serialize)]
pub struct Counters {
    /// Which worker it is, from 0.
    pub worker: u16,
    /// What is alive in the SFU.
    pub population: media::Population,
    pub media: media::Counters,
    pub shell: ShellCounters,
    /// The share of its time that the worker was not waiting, 0 to 1, over a quarter of a second.
    pub busy: f64,
    /// The most messages (datagrams, commands, relays) that waited for one turn in that time.
    pub queue_depth: u32,
    /// How far the worker leaves out video because it has too much to do: 0 not at all, up to 8 lower layers for more
    /// and more consumers, up to 16 none for more and more of them.
    pub shed: u8,
}

/// Every drop outside the SFU, by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShellCounters {
    /// Datagrams handed to the SFU.
    pub datagrams_received: u64,
    /// Empty datagrams, and those from port 0, to which nothing can be answered.
    pub datagrams_unusable: u64,
    /// Receive calls that failed otherwise than for want of data.
    pub receive_errors: u64,
    /// Datagrams that the kernel dropped because a socket's receive buffer was full (SO_RXQ_OVFL's count).
    pub kernel_receive_drops: u64,
    /// Datagrams that left.
    pub datagrams_sent: u64,
    /// Runs of equal datagrams to one peer that they left in, each at the price of one.
    pub runs_sent: u64,
    /// System calls that the runs left in.
    pub send_calls: u64,
    /// Datagrams dropped because the socket's send buffer was full (EAGAIN).
    pub send_buffer_full: u64,
    /// Datagrams dropped because the interface's queue was full (ENOBUFS).
    pub send_queue_full: u64,
    /// Datagrams that the kernel refused for another reason: no route, too large, forbidden.
    pub send_refused: u64,
    /// Datagrams for a local address that no socket is bound to.
    pub send_without_socket: u64,
    /// Packets for another worker whose queue was full, or (video) nearly full.
    pub relay_video_dropped: u64,
    pub relay_audio_dropped: u64,
    /// Messages for another worker whose queue was full.
    pub relay_feedback_dropped: u64,
    pub relay_data_dropped: u64,
    /// Panics caught around the SFU; each cost one transport at most.
    pub faults: u64,
    /// Observed events replaced by a newer one of the same kind because their router's owner was slow.
    pub events_superseded: u64,
    /// Routers closed because their owner stopped reading events, or had gone.
    pub routers_abandoned: u64,
}
