//! The visit of one client: it enters with its token, makes requests one after another, and leaves.

use std::time::Duration;

use engineioxide::DisconnectReason;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::line::{Letter, Line};
use super::packet;
use crate::Control;
use crate::carriers::http::client_address;
use crate::carriers::session::{Admission, AdmissionError, Farewell, Session, TOKEN_WITHIN};
use crate::clock::now;
use crate::error::{ErrorCode, Refusal};
use crate::hub::Closing;
use crate::wire::reply::Ack;

pub(super) struct Visit {
    control: Control,
    line: Line,
    letters: mpsc::UnboundedReceiver<Box<Letter>>,
    stop: CancellationToken,
}

/// Why a visit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The client sent a DISCONNECT packet.
    Left,
    /// The connection was lost.
    Lost,
    Overstayed,
    LetGo(Closing),
    /// The server is stopping.
    Restart,
}

impl Visit {
    pub(super) fn new(
        control: Control,
        line: Line,
        letters: mpsc::UnboundedReceiver<Box<Letter>>,
        stop: CancellationToken,
    ) -> Self {
        Self { control, line, letters, stop }
    }

    pub(super) async fn run(mut self) {
        // Boxed, so that a client without a token holds no memory for what comes after.
        let ending = match self.enter().await {
            Ok(admission) => Box::pin(self.stay(admission)).await,
            Err(ending) => ending,
        };
        self.part(ending).await;
    }

    /// Waits for a token that is good.
    async fn enter(&mut self) -> Result<Admission, Ending> {
        let deadline = Instant::now() + TOKEN_WITHIN;
        loop {
            let letter = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Ending::Restart),
                () = self.line.ended() => return Err(Ending::Lost),
                why = self.line.let_go() => return Err(Ending::LetGo(why)),
                letter = timeout_at(deadline, self.letters.recv()) => letter,
            };
            let Ok(Some(letter)) = letter else { return Err(Ending::Lost) };
            match *letter {
                Letter::Connect { text, auth, .. } => match Box::pin(self.admit(&text[auth])).await {
                    Ok(admission) => return Ok(admission),
                    Err(error) => self.line.say(packet::refused(&error.to_string())),
                },
                // Before it has entered, there is nothing to do for a client.
                Letter::Event { .. } | Letter::Disconnect => {}
            }
        }
    }

    async fn admit(&self, auth: &str) -> Result<Admission, AdmissionError> {
        let Ok(Auth { token }) = serde_json::from_str(auth) else { return Err(AdmissionError::MissingToken) };
        Admission::by_token(&self.control, &token, client_address(self.line.request())).await
    }

    async fn stay(&mut self, admission: Admission) -> Ending {
        if let Some(visitor) = self.line.visitor() {
            visitor.admit();
        }
        // Not the id of the Engine.IO session: whoever knows that id can send in the client's name.
        self.line.say(packet::connected(Uuid::new_v4()));
        let mut session = Session::open(self.control.clone(), admission, Box::new(self.line.clone()));
        session.greet().await;
        let ending = self.converse(&mut session).await;
        // What came before the end is still done.
        self.letters.close();
        while let Some(letter) = self.letters.recv().await {
            self.answer(&mut session, *letter).await;
        }
        session.close(ending.farewell()).await;
        ending
    }

    async fn converse(&mut self, session: &mut Session) -> Ending {
        loop {
            let letter = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ending::Restart,
                () = self.line.ended() => return Ending::Lost,
                why = self.line.let_go() => return Ending::LetGo(why),
                () = session.overstayed() => return Ending::Overstayed,
                letter = self.letters.recv() => letter,
            };
            let Some(letter) = letter else { return Ending::Lost };
            if matches!(*letter, Letter::Disconnect) {
                return Ending::Left;
            }
            self.answer(session, *letter).await;
        }
    }

    async fn answer(&self, session: &mut Session, letter: Letter) {
        // Whoever has entered already, or has left, has no more to say about it.
        let Letter::Event { text, ack, array, _room } = letter else { return };
        let answer = match open(&text[array]) {
            Ok((name, payload)) => session.answer(&name, payload.get(), now()).await,
            Err(refusal) => Ack(Err(refusal)),
        };
        self.line.acknowledge(ack, &answer);
    }

    /// Ends the session at the client as well.
    async fn part(self, ending: Ending) {
        let reason = match ending {
            Ending::Lost => DisconnectReason::TransportClose,
            Ending::Restart => DisconnectReason::ClosingServer,
            Ending::LetGo(Closing::TooSlow) => {
                if let Some(visitor) = self.line.visitor() {
                    visitor.hang_up();
                }
                DisconnectReason::TransportError
            }
            Ending::Left => self.wait_for_end().await,
            Ending::Overstayed | Ending::LetGo(Closing::Revoked) => {
                self.line.say(packet::disconnected());
                self.wait_for_end().await
            }
        };
        self.line.shut(reason);
    }

    /// A client closes a session that has no namespace left, but has to hear of it first, perhaps by its next poll.
    async fn wait_for_end(&self) -> DisconnectReason {
        timeout(LAST_WORDS, self.line.ended()).await.ok();
        DisconnectReason::TransportClose
    }
}

impl Ending {
    fn farewell(self) -> Farewell {
        match self {
            Self::Left => Farewell::Left,
            Self::Overstayed => Farewell::Overstayed,
            Self::Lost | Self::LetGo(_) | Self::Restart => Farewell::Lost,
        }
    }
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

/// The name and the payload of an event: `["name", payload]`.
fn open(array: &str) -> Result<(String, Box<RawValue>), Refusal> {
    let malformed = |detail: &'static str| Refusal::new(ErrorCode::BadRequest, detail);
    let mut parts: Vec<Box<RawValue>> =
        serde_json::from_str(array).map_err(|_| malformed("the event is not JSON"))?;
    let payload = match parts.len() {
        2 => parts.remove(1),
        _ => return Err(malformed("an event takes exactly one argument")),
    };
    let name = serde_json::from_str(parts[0].get()).map_err(|_| malformed("the event has no name"))?;
    Ok((name, payload))
}

/// How long a client may take to fetch the last packet and to close the session.
const LAST_WORDS: Duration = Duration::from_secs(2);
