//! One connection: sign-in, requests one after another, and the close frame.

mod ending;

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use ending::Ending;

use super::frame::{self, Request, RequestId, Unreadable};
use crate::Control;
use crate::carriers::http::Visitor;
use crate::carriers::session::{Admission, AdmissionError, Session, TOKEN_WITHIN};
use crate::clock::now;
use crate::error::{ErrorCode, Refusal};
use crate::hub::outbox::{Held, Outbox};
use crate::hub::{Closing, Outlet, SlowSocket};
use crate::wire::Frame;
use crate::wire::frame::AUTH;
use crate::wire::reply::{Ack, Reply, TokenAccepted};

/// The parameters of a connection.
pub(super) struct Guest {
    pub(super) control: Control,
    /// `None` if the token has to come in the first frame.
    pub(super) admission: Option<Admission>,
    pub(super) address: Option<IpAddr>,
    pub(super) visitor: Option<Visitor>,
    pub(super) stop: CancellationToken,
}

/// Serves a connection until it ends.
pub(super) async fn serve<S>(stream: WebSocketStream<S>, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, requests) = stream.split();
    let (queue, outgoing) = mpsc::unbounded_channel();
    let (last_word, goodbye) = oneshot::channel();
    let mut writer = tokio::spawn(write(sink, outgoing, goodbye));
    let out = Out { outbox: guest.control.hub.outbox(), queue };
    let ending = Connection { requests, out, stop: guest.stop.clone(), pulse: Pulse::new() }.run(guest).await;
    // The last sender of the queue is dropped: the writer sends the waiting messages, then this frame.
    let _ = last_word.send(ending.close_frame());
    if timeout(LAST_WORDS, &mut writer).await.is_err() {
        writer.abort();
    }
}

async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    goodbye: oneshot::Receiver<Option<CloseFrame>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(next) = outgoing.recv().await {
        let message = match &next {
            Outgoing::Text(held) => Message::Text(held.text().clone()),
            Outgoing::Ping => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    // If the close frame cannot be sent, there is nothing left to do.
    if let Ok(Some(frame)) = goodbye.await {
        let _ = sink.send(Message::Close(Some(frame))).await;
    }
    let _ = sink.close().await;
}

struct Connection<S> {
    requests: SplitStream<WebSocketStream<S>>,
    out: Out,
    stop: CancellationToken,
    pulse: Pulse,
}

/// Where messages to the client are queued. The outbox bounds the queue.
#[derive(Clone)]
struct Out {
    outbox: Outbox,
    queue: mpsc::UnboundedSender<Outgoing>,
}

enum Outgoing {
    Text(Held),
    Ping,
}

impl Out {
    fn send(&self, text: Utf8Bytes) -> Result<(), SlowSocket> {
        let held = self.outbox.hold(text)?;
        // A closed connection is not slow.
        self.queue.send(Outgoing::Text(held)).ok();
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(mut self, guest: Guest) -> Ending {
        let Guest { control, admission, address, visitor, .. } = guest;
        let admission = match admission {
            Some(admission) => admission,
            None => match self.sign_in(&control, address).await {
                Ok(admission) => admission,
                Err(ending) => return ending,
            },
        };
        if let Some(visitor) = &visitor {
            visitor.admit();
        }
        let (close, mut closing) = watch::channel(None);
        let outlet = QueueOutlet { out: self.out.clone(), close };
        let mut session = Session::open(control, admission, Box::new(outlet));
        session.greet().await;
        let ending = self.converse(&mut session, &mut closing).await;
        session.close(ending.farewell()).await;
        ending
    }

    /// Waits for the first frame, which has to contain a token.
    async fn sign_in(&mut self, control: &Control, address: Option<IpAddr>) -> Result<Admission, Ending> {
        let stop = self.stop.clone();
        let first = tokio::select! {
            () = stop.cancelled() => return Err(Ending::Restart),
            first = timeout(TOKEN_WITHIN, self.message()) => first,
        };
        let Ok(first) = first else { return Err(Ending::NotAdmitted(AdmissionError::MissingToken)) };
        let (id, token) = match first? {
            Incoming::Text(text) => read_auth(&text),
            Incoming::Binary => Err(no_binary()),
        }
        .or_else(|unreadable| {
            self.refuse(unreadable)?;
            Err(Ending::NotAdmitted(AdmissionError::MissingToken))
        })?;
        match Admission::by_token(control, &token, address).await {
            Ok(admission) => {
                self.acknowledge(id.as_ref(), &accepted(admission.expires_at()))?;
                Ok(admission)
            }
            Err(error) => {
                self.acknowledge(id.as_ref(), &Ack(Err(error.into())))?;
                Err(Ending::NotAdmitted(error))
            }
        }
    }

    /// Answers requests until the connection has to end.
    async fn converse(
        &mut self,
        session: &mut Session,
        closing: &mut watch::Receiver<Option<Closing>>,
    ) -> Ending {
        let (stop, outbox) = (self.stop.clone(), self.out.outbox.clone());
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => return Ending::Restart,
                why = let_go(closing) => return Ending::LetGo(why),
                () = session.overstayed() => return Ending::Overstayed,
                () = outbox.stalled() => return Ending::LetGo(Closing::TooSlow),
                message = self.message() => message,
            };
            let answered = match message {
                Ok(Incoming::Text(text)) => self.answer(session, &text).await,
                Ok(Incoming::Binary) => self.refuse(no_binary()),
                Err(ending) => Err(ending),
            };
            if let Err(ending) = answered {
                return ending;
            }
        }
    }

    async fn answer(&self, session: &mut Session, text: &str) -> Result<(), Ending> {
        match Request::read(text) {
            Ok(Request { id, event, data }) => {
                let ack = session.answer(&event, data.get(), now()).await;
                self.acknowledge(id.as_ref(), &ack)
            }
            Err(unreadable) => self.refuse(unreadable),
        }
    }

    fn refuse(&self, Unreadable { id, refusal }: Unreadable) -> Result<(), Ending> {
        self.acknowledge(id.as_ref(), &Ack(Err(refusal)))
    }

    /// Queues an acknowledgement. If too much waits the connection ends, so that the client notices the loss.
    fn acknowledge(&self, id: Option<&RequestId>, ack: &Ack) -> Result<(), Ending> {
        let text = frame::answer(id, ack).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Ending::Lost
        })?;
        self.out.send(text.into()).map_err(|SlowSocket| Ending::LetGo(Closing::TooSlow))
    }

    /// Waits for the next message of the client, and sends pings while it waits. Cancel safe.
    async fn message(&mut self) -> Result<Incoming, Ending> {
        loop {
            tokio::select! {
                biased;
                message = self.requests.next() => {
                    self.pulse.felt();
                    match message.ok_or(Ending::Lost)?.map_err(|error| Ending::from(&error))? {
                        Message::Text(text) => return Ok(Incoming::Text(text)),
                        Message::Binary(_) => return Ok(Incoming::Binary),
                        Message::Close(frame) => return Err(Ending::of_client(frame.as_ref())),
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                alive = self.pulse.check() => {
                    if !alive || self.out.queue.send(Outgoing::Ping).is_err() {
                        return Err(Ending::Lost);
                    }
                }
            }
        }
    }
}

enum Incoming {
    Text(Utf8Bytes),
    Binary,
}

/// Heartbeat: detects a dead connection.
struct Pulse {
    beat: Interval,
    felt: bool,
}

impl Pulse {
    fn new() -> Self {
        let mut beat = interval_at(Instant::now() + PING, PING);
        // While a request is being answered nothing is read: missed ticks must not count against the client.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { beat, felt: true }
    }

    fn felt(&mut self) {
        self.felt = true;
    }

    /// Waits until the next ping is due; false if nothing was received since the last one.
    async fn check(&mut self) -> bool {
        self.beat.tick().await;
        std::mem::take(&mut self.felt)
    }
}

struct QueueOutlet {
    out: Out,
    close: watch::Sender<Option<Closing>>,
}

impl Outlet for QueueOutlet {
    fn send(&self, frame: &Frame) -> Result<(), SlowSocket> {
        self.out.send(frame.plain().clone())
    }

    fn close(&self, why: Closing) {
        self.close.send_replace(Some(why));
    }
}

async fn let_go(closing: &mut watch::Receiver<Option<Closing>>) -> Closing {
    match closing.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        // The hub drops an outlet only after it has closed it, or after the session has ended.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

fn read_auth(text: &str) -> Result<(Option<RequestId>, String), Unreadable> {
    let Request { id, event, data } = Request::read(text)?;
    if event != AUTH {
        let refusal = Refusal::new(ErrorCode::Unauthorized, "the first frame has to bring a token");
        return Err(Unreadable { id, refusal });
    }
    match serde_json::from_str(data.get()) {
        Ok(Auth { token }) => Ok((id, token)),
        Err(error) => Err(Unreadable { id, refusal: Refusal::new(ErrorCode::BadRequest, error.to_string()) }),
    }
}

fn accepted(expires_at: DateTime<Utc>) -> Ack {
    Ack(Ok(Reply::TokenAccepted(TokenAccepted { expires_at })))
}

fn no_binary() -> Unreadable {
    Unreadable { id: None, refusal: Refusal::new(ErrorCode::BadRequest, "binary messages are not taken") }
}

/// Interval of pings: a dead connection is detected within twice this time.
const PING: Duration = Duration::from_secs(10);
/// Time limit for sending the last messages and the close frame.
const LAST_WORDS: Duration = Duration::from_secs(2);
