//! A worker's counters: those of the SFU, and those of the shell around it.

use serde::Serialize;
use switchyard_media as media;

/// The counters of one worker since it started.
#[derive(Debug, Clone, Serialize)]
pub struct Counters {
    /// The worker's number, from 0.
    pub worker: u16,
    /// The number of existing objects in the SFU.
    pub population: media::Population,
    /// The paths to clients, where bandwidth is divided.
    pub paths: media::Paths,
    pub media: media::Counters,
    pub shell: ShellCounters,
    /// The share of time, 0 to 1, in which the worker was not waiting, measured over 250 ms.
    pub busy: f64,
    /// The largest number of messages (datagrams, commands, relays) that waited for one turn in that time.
    pub queue_depth: u32,
    /// How much video the overloaded worker leaves out. 0: nothing. 1 to 8: a growing part of the consumers
    /// gets only the lowest layers. 9 to 16: a growing part of the consumers gets no video.
    pub shed: u8,
}

/// Every drop outside the SFU, by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShellCounters {
    /// Datagrams handed to the SFU.
    pub datagrams_received: u64,
    /// Empty datagrams, and those from port 0, to which no answer can be sent.
    pub datagrams_unusable: u64,
    /// Receive calls that failed with an error other than "no data".
    pub receive_errors: u64,
    /// Datagrams that the kernel dropped because a socket's receive buffer was full (SO_RXQ_OVFL's count).
    pub kernel_receive_drops: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Runs sent. A run is a message of equally long datagrams to one peer, which costs about as much as one
    /// datagram.
    pub runs_sent: u64,
    /// System calls that sent the runs.
    pub send_calls: u64,
    /// Datagrams dropped because the socket's send buffer was full (EAGAIN).
    pub send_buffer_full: u64,
    /// Datagrams dropped because the interface's queue was full (ENOBUFS).
    pub send_queue_full: u64,
    /// Datagrams that the kernel refused for another reason: no route, too large, not permitted.
    pub send_refused: u64,
    /// Datagrams for a local address that no socket is bound to.
    pub send_without_socket: u64,
    /// Packets for another worker dropped because its queue was full, or for video nearly full.
    pub relay_video_dropped: u64,
    pub relay_audio_dropped: u64,
    /// Packets for the recorder dropped because its queue was full, or for video nearly full. The call is not affected.
    pub recorder_video_dropped: u64,
    pub recorder_audio_dropped: u64,
    /// Messages for another worker dropped because its queue was full.
    pub relay_feedback_dropped: u64,
    pub relay_data_dropped: u64,
    /// Panics caught around the SFU; each removed one transport at most.
    pub faults: u64,
    /// Events replaced by a newer one of the same subject, because the router's owner read them too slowly.
    pub events_superseded: u64,
    /// Routers closed because their owner stopped reading events or dropped the receiver.
    pub routers_abandoned: u64,
}
