//! What the owner of a call can be asked. Every request is answered, unless the call ends first.

use switchyard_media_worker::media::{
    Direction,
    ortc::{RtpCapabilities, TransportParameters},
};
use tokio::sync::oneshot;

use crate::{
    call::{CallType, CallView, Command, Metadata, Person},
    error::Refusal,
    ids::{GroupId, LegId},
    signaling::{
        command::{Join, MediaCommand},
        hub::SocketId,
        reply::{Joined, MediaReply, Snapshot},
    },
};

/// What a call starts with.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub group_id: GroupId,
    pub call_type: CallType,
    pub metadata: Metadata,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

pub(super) enum Request {
    Command { command: Command, reply: Reply<CallView> },
    Attach { attach: Box<Attach>, reply: Reply<Joined> },
    Sync { leg: LegId, reply: Reply<Snapshot> },
    Lost { leg: LegId, reply: Reply<()> },
    Media { leg: LegId, command: MediaCommand, reply: Reply<MediaReply> },
    CreateTransport { leg: LegId, direction: Direction, reply: Reply<TransportParameters> },
    SetCapabilities { leg: LegId, capabilities: RtpCapabilities, reply: Reply<()> },
}

pub(super) struct Attach {
    pub(super) person: Person,
    pub(super) socket: SocketId,
    pub(super) join: Join,
}
