//! Requests to the owner task of a call. Each request gets an answer, unless the call ends first.

use serde_json::Value;
use switchyard_media_worker::media::{
    Direction, ProducerId,
    ortc::{ReceiverCapabilities, TransportParameters},
};
use tokio::sync::oneshot;

use super::{access::Entry, receipts::Once, recording::Repaired};
use crate::{
    actor::{Actor, Person},
    call::{Admission, CallType, CallView, Command, Metadata, ProducerRef},
    error::Refusal,
    hub::SocketId,
    ids::{GroupId, LegId, RecordingId, UserId},
    wire::{
        command::{Join, MediaCommand, Since},
        reply::{Joined, MediaReply, ParticipantView, Synced},
    },
};

/// Parameters of a new call.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub group_id: GroupId,
    pub call_type: CallType,
    pub metadata: Metadata,
    /// The idempotency key, if the request has one.
    pub once: Option<Once>,
}

/// Result of a create.
#[derive(Clone, Debug)]
pub enum Created {
    Now(Box<CallView>),
    /// The request was a repetition: the answer to the first request.
    Before(Value),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

pub(super) enum Request {
    Command {
        command: Command,
        by: Actor,
        reply: Reply<CallView>,
    },
    Attach {
        attach: Box<Attach>,
        reply: Reply<Joined>,
    },
    Sync {
        leg: LegId,
        since: Option<Since>,
        reply: Reply<Synced>,
    },
    Participants {
        reply: Reply<Vec<ParticipantView>>,
    },
    Admission {
        user: UserId,
        reply: Reply<Admission>,
    },
    Producer {
        producer: ProducerId,
        reply: Reply<ProducerRef>,
    },
    Mute {
        producer: ProducerRef,
        force: bool,
        by: Actor,
        reply: Reply<CallView>,
    },
    Lost {
        leg: LegId,
        reply: Reply<()>,
    },
    Media {
        leg: LegId,
        command: MediaCommand,
        reply: Reply<MediaReply>,
    },
    CreateTransport {
        leg: LegId,
        direction: Direction,
        reply: Reply<TransportParameters>,
    },
    /// The files of the running recording were repaired after a restart, or could not be.
    Repaired {
        recording: RecordingId,
        repaired: Result<Repaired, Refusal>,
        reply: Reply<()>,
    },
    SetCapabilities {
        leg: LegId,
        capabilities: ReceiverCapabilities,
        reply: Reply<()>,
    },
}

pub(super) struct Attach {
    pub(super) by: Actor,
    pub(super) person: Person,
    pub(super) entry: Entry,
    /// Whether they may record the call.
    pub(super) may_record: bool,
    pub(super) socket: SocketId,
    pub(super) join: Join,
}
