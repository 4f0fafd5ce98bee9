//! One Engine.IO session: what comes from its client goes into a bounded mailbox, and what goes to the client is counted
//! until it is written.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, Str};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

use super::packet::{self, Packet};
use crate::carriers::http::Visitor;
use crate::error::{ErrorCode, Refusal};
use crate::hub::outbox::{Held, Outbox};
use crate::hub::{Closing, Outlet, SlowSocket};
use crate::wire::Frame;
use crate::wire::reply::Ack;

/// What the library keeps for us with each session.
#[derive(Default)]
pub struct Place(OnceLock<Desk>);

struct Desk {
    mailbox: mpsc::UnboundedSender<Box<Letter>>,
    /// Free bytes of the mailbox.
    room: Arc<Semaphore>,
    outbox: Outbox,
    closing: watch::Sender<Option<Closing>>,
    /// Cancelled when the session has ended.
    ended: CancellationToken,
}

/// What a client sent, in the order in which it came. Boxed in the mailbox, which has places for dozens of letters from
/// the beginning.
pub(super) enum Letter {
    Connect { text: Str, auth: Range<usize>, _room: OwnedSemaphorePermit },
    Event { text: Str, ack: Option<u64>, array: Range<usize>, _room: OwnedSemaphorePermit },
    Disconnect,
}

/// Handle of a session. All clones are one session.
#[derive(Clone)]
pub(super) struct Line(Arc<Socket<Place>>);

impl Place {
    /// Has to be called once, before anything is delivered.
    pub(super) fn open(socket: &Socket<Self>, outbox: Outbox) -> mpsc::UnboundedReceiver<Box<Letter>> {
        let (mailbox, letters) = mpsc::unbounded_channel();
        socket.data.0.get_or_init(|| Desk {
            mailbox,
            room: Arc::new(Semaphore::new(MAILBOX)),
            outbox,
            closing: watch::Sender::new(None),
            ended: CancellationToken::new(),
        });
        letters
    }
}

impl Line {
    pub(super) fn of(socket: Arc<Socket<Place>>) -> Self {
        Self(socket)
    }

    /// Puts a packet into the mailbox. Without room for a request, it is refused.
    pub(super) fn deliver(&self, text: &Str) {
        let Some(desk) = self.desk() else { return };
        let room = |text: &Str| {
            let bytes = u32::try_from(text.len() + OVERHEAD).ok()?;
            Arc::clone(&desk.room).try_acquire_many_owned(bytes).ok()
        };
        let letter = match Packet::read(text) {
            Err(packet::Malformed) => return self.0.close(DisconnectReason::PacketParsingError),
            Ok(Packet::Ignored) => return,
            Ok(Packet::ConnectElsewhere) => return self.say(packet::unknown_namespace(text)),
            Ok(Packet::EventWithAttachments { ack }) => {
                return self.refuse(ack, ErrorCode::BadRequest, "binary attachments are not taken");
            }
            Ok(Packet::Disconnect) => Letter::Disconnect,
            Ok(Packet::Connect { auth }) => match room(text) {
                Some(room) => Letter::Connect { text: text.clone(), auth, _room: room },
                None => return self.say(packet::refused("rate_limited")),
            },
            Ok(Packet::Event { ack, array }) => match room(text) {
                Some(room) => Letter::Event { text: text.clone(), ack, array, _room: room },
                None => {
                    return self.refuse(ack, ErrorCode::RateLimited, "too many requests wait for an answer");
                }
            },
        };
        // A session without a reader has ended.
        desk.mailbox.send(Box::new(letter)).ok();
    }

    /// Sends a packet. If too much waits for the client, the session will be closed, so that it notices the loss.
    pub(super) fn say(&self, text: Utf8Bytes) {
        if self.send(text) == Err(SlowSocket) {
            self.close(Closing::TooSlow);
        }
    }

    pub(super) fn acknowledge(&self, id: Option<u64>, ack: &Ack) {
        let Some(id) = id else { return };
        match packet::acknowledged(id, ack) {
            Ok(text) => self.say(text),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                self.close(Closing::TooSlow);
            }
        }
    }

    fn refuse(&self, id: Option<u64>, code: ErrorCode, detail: &'static str) {
        self.acknowledge(id, &Ack(Err(Refusal::new(code, detail))));
    }

    fn send(&self, text: Utf8Bytes) -> Result<(), SlowSocket> {
        let Some(desk) = self.desk() else { return Ok(()) };
        match self.0.emit(shared(desk.outbox.hold(text)?)) {
            // A closed session is not slow: its end will be noticed.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SlowSocket),
        }
    }

    /// The session has ended.
    pub(super) fn end(&self) {
        if let Some(desk) = self.desk() {
            desk.ended.cancel();
        }
    }

    /// Waits until the session has ended. Cancel safe.
    pub(super) async fn ended(&self) {
        if let Some(desk) = self.desk() {
            desk.ended.cancelled().await;
        }
    }

    /// Waits until the session has to be closed. Cancel safe.
    pub(super) async fn let_go(&self) -> Closing {
        let Some(desk) = self.desk() else { return Closing::TooSlow };
        let mut closing = desk.closing.subscribe();
        tokio::select! {
            why = closing.wait_for(Option::is_some) => {
                why.ok().and_then(|why| *why).unwrap_or(Closing::TooSlow)
            }
            () = desk.outbox.stalled() => Closing::TooSlow,
        }
    }

    pub(super) fn visitor(&self) -> Option<&Visitor> {
        self.0.req_parts.extensions.get()
    }

    pub(super) fn request(&self) -> &axum::http::Extensions {
        &self.0.req_parts.extensions
    }

    /// Closes the session after what waits has been sent. Its client takes it for a lost connection.
    pub(super) fn shut(&self, reason: DisconnectReason) {
        self.0.close(reason);
    }

    fn desk(&self) -> Option<&Desk> {
        self.0.data.0.get()
    }
}

impl Outlet for Line {
    fn send(&self, frame: &Frame) -> Result<(), SlowSocket> {
        Self::send(self, frame.socket_io().clone())
    }

    fn close(&self, why: Closing) {
        if let Some(desk) = self.desk() {
            desk.closing.send_replace(Some(why));
        }
    }
}

/// The library drops the text once it has written it: then the outbox counts it no longer.
#[expect(
    unsafe_code,
    reason = "a text of the library that tells when it is dropped cannot be made otherwise"
)]
fn shared(held: Held) -> Str {
    // SAFETY: `Held` returns the bytes of a `Utf8Bytes`, which are UTF-8 and never change.
    unsafe { Str::from_bytes_unchecked(Bytes::from_owner(held)) }
}

/// Bytes of requests of one session that may wait. Another one is refused with `rate_limited`.
const MAILBOX: usize = 512 * 1024;
/// Counted for each of them besides its text.
const OVERHEAD: usize = 1024;
