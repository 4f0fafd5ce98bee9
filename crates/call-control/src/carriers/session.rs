//! One signed-in socket, of either carrier: executes its requests one after another.

mod admission;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use switchyard_media_worker::media::ortc::router_rtp_capabilities;
use tokio::time::Instant;

pub(in crate::carriers) use admission::TOKEN_WITHIN;
pub use admission::{Admission, AdmissionError};

use super::allowance::Allowance;
use crate::Control;
use crate::actor::Actor;
use crate::auth::AuthError;
use crate::call::CallView;
use crate::calls::RecordingWish;
use crate::clock::now;
use crate::error::{ErrorCode, Refusal};
use crate::hub::{Audience, Outlet, SocketId};
use crate::ids::{CallId, LegId};
use crate::wire::command::{ClientCommand, MediaCommand, Signal};
use crate::wire::event::{CallSignal, ServerEvent};
use crate::wire::reply::{
    Ack, Done, NewTransport, OfCall, Reply, RouterCapabilities, Snapshot, TokenAccepted,
};

/// A registered socket. The carrier has to close it with [`Session::close`].
///
/// The methods box their futures, so that an idle socket holds no memory for them.
pub struct Session {
    control: Control,
    admission: Admission,
    /// When the socket is closed because of its expired token; `None` if that time is out of range.
    overstays_at: Option<Instant>,
    signals: Allowance,
    signal_traffic: Allowance,
    key_frames: Allowance,
    consumers: Allowance,
    socket: SocketId,
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The client disconnected on purpose: its legs end.
    Left,
    /// The connection was lost, or the server closed it: the legs stay open for the resume window.
    Lost,
    /// The token expired without a refresh in time, or was revoked: the legs end.
    Overstayed,
}

impl Session {
    /// Registers a socket, which receives events from here on.
    pub fn open(control: Control, admission: Admission, outlet: Box<dyn Outlet>) -> Self {
        let socket = control.hub.register(admission.identity.user_id, outlet);
        let overstays_at = overstays_at(admission.identity.expires_at, control.token_grace, now());
        Self {
            control,
            admission,
            overstays_at,
            signals: SIGNALS,
            signal_traffic: SIGNAL_TRAFFIC,
            key_frames: KEY_FRAMES,
            consumers: CONSUMERS,
            socket,
        }
    }

    /// Sends a new socket the running calls of the user's groups, and what it has to ring for.
    pub async fn greet(&mut self) {
        Box::pin(self.tell_active_calls()).await;
    }

    async fn tell_active_calls(&mut self) {
        // A revocation between the check of the token and the registration did not find this socket.
        if self.control.remember(&self.admission.identity).await == Err(AuthError::Revoked) {
            self.overstays_at = Some(Instant::now());
            return;
        }
        match self.control.calls.find_active_for_user(self.admission.identity.user_id).await {
            Ok(calls) => {
                self.control.hub.send(&Audience::Socket(self.socket), &ServerEvent::ActiveCalls(calls));
            }
            Err(error) => tracing::warn!(%error, "a socket could not be told the active calls"),
        }
        self.control.calls.ring_socket(self.admission.identity.user_id, self.socket);
    }

    /// Executes one request. If it is cancelled, the request may be executed but not answered.
    pub async fn answer(&mut self, event: &str, payload: &str, now: DateTime<Utc>) -> Ack {
        let result = AssertUnwindSafe(Box::pin(self.try_answer(event, payload, now))).catch_unwind().await;
        Ack(result.unwrap_or_else(|_| {
            tracing::error!("answering a request panicked");
            Err(Refusal::new(ErrorCode::Internal, "the error was logged"))
        }))
    }

    /// Waits until the token has expired and the grace time is over.
    pub async fn overstayed(&self) {
        match self.overstays_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Unregisters the socket, and ends or keeps its legs according to `farewell`.
    pub async fn close(self, farewell: Farewell) {
        Box::pin(self.end_legs(farewell)).await;
    }

    async fn end_legs(self, farewell: Farewell) {
        let (calls, actor, user) = (&self.control.calls, self.actor(), self.admission.identity.user_id);
        for (call, leg) in self.control.hub.unregister(self.socket) {
            let ended = match farewell {
                Farewell::Left => calls.leave(&actor, call, Some(leg)).await.map(drop),
                Farewell::Overstayed => calls.expire(call, user, leg).await,
                Farewell::Lost => {
                    calls.connection_lost(call, leg).await;
                    Ok(())
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%call, %leg, %error, "a leg did not end with its socket");
                // The leg may have ended already. If the database is unreachable, the resume window ends it.
                calls.connection_lost(call, leg).await;
            }
        }
    }

    async fn try_answer(&mut self, event: &str, payload: &str, now: DateTime<Utc>) -> Result<Reply, Refusal> {
        let command = ClientCommand::parse(event, payload)?;
        if self.admission.expires_at() <= now
            && !matches!(command, ClientCommand::Leave(_) | ClientCommand::Refresh(_))
        {
            return Err(AuthError::Expired.into());
        }
        if self.control.is_signed_out(&self.admission.identity) {
            return Err(AuthError::Revoked.into());
        }
        if !matches!(command, ClientCommand::Leave(_)) {
            self.control.limiter.count_user(self.admission.identity.user_id)?;
        }
        self.take_turn(&command, Instant::now())?;
        self.perform(command).await
    }

    /// Rate limits of requests that cause traffic for other clients, or much work for the server.
    ///
    /// # Errors
    /// `rate_limited`.
    fn take_turn(&mut self, command: &ClientCommand, now: Instant) -> Result<(), Refusal> {
        let in_turn = if matches!(command, ClientCommand::Signal(_)) {
            self.signals.take(1, now)
        } else if matches!(command, ClientCommand::Media(MediaCommand::RequestKeyFrame(_))) {
            self.key_frames.take(1, now)
        } else {
            self.consumers.take(command.consumers(), now)
        };
        if in_turn { Ok(()) } else { Err(too_many()) }
    }

    async fn perform(&mut self, command: ClientCommand) -> Result<Reply, Refusal> {
        let (calls, actor) = (&self.control.calls, &self.actor());
        match command {
            ClientCommand::Join(join) => {
                let joined = calls.attach(actor, self.socket, *join).await?;
                // A revocation during the join may not have found this leg.
                if self.control.is_signed_out(&self.admission.identity) {
                    let Snapshot { call_id, user_id, leg_id, .. } = joined.snapshot;
                    calls.expire(call_id, user_id, leg_id).await?;
                    return Err(AuthError::Revoked.into());
                }
                Ok(Reply::Joined(Box::new(joined)))
            }
            ClientCommand::Leave(leave) => {
                calls.leave(actor, leave.call_id, Some(self.leg(leave.call_id)?)).await?;
                Ok(Reply::Done(Done {}))
            }
            ClientCommand::End(end) => {
                let call = calls.end(actor, end.call_id, end.reason.unwrap_or_default()).await?;
                Ok(Reply::Call(Box::new(OfCall { call })))
            }
            ClientCommand::Signal(signal) => self.pass_on(signal),
            ClientCommand::Sync(sync) => {
                let leg = self.leg(sync.call_id)?;
                calls.sync(sync.call_id, leg, sync.since()).await.map(Reply::Synced)
            }
            ClientCommand::Mute(mute) => {
                calls.mute(actor, mute.call_id, mute.producer_id, mute.force).await?;
                Ok(Reply::Done(Done {}))
            }
            ClientCommand::Remove(remove) => {
                calls.remove(actor, remove.call_id, remove.user_id).await?;
                Ok(Reply::Done(Done {}))
            }
            ClientCommand::Permit(permit) => {
                let (call, user) = (permit.call_id, permit.user_id);
                calls.permit(actor, call, user, permit.change()).await?;
                Ok(Reply::Done(Done {}))
            }
            ClientCommand::Lock(lock) => {
                let call = calls.lock(actor, lock.call_id, lock.locked).await?;
                Ok(Reply::Call(Box::new(OfCall { call })))
            }
            ClientCommand::Ring(ring) => {
                of_call(calls.ring(actor, ring.call_id, &ring.user_ids.into_vec()).await)
            }
            ClientCommand::Decline(decline) => {
                calls.decline(actor, decline.call_id).await?;
                Ok(Reply::Done(Done {}))
            }
            ClientCommand::StartRecording(start) => {
                let wish = RecordingWish { mode: start.mode, layer: start.layer, consent: start.consent };
                of_call(calls.start_recording(actor, start.call_id, wish).await.map(|(_, call)| call))
            }
            ClientCommand::PauseRecording(on) => {
                of_call(calls.pause_recording(actor, on.call_id, None, true).await)
            }
            ClientCommand::ResumeRecording(on) => {
                of_call(calls.pause_recording(actor, on.call_id, None, false).await)
            }
            ClientCommand::StopRecording(on) => of_call(calls.stop_recording(actor, on.call_id, None).await),
            ClientCommand::Consent(answer) => {
                let leg = self.leg(answer.call_id)?;
                of_call(calls.consent(actor, answer.call_id, leg, answer.accept).await)
            }
            ClientCommand::Refresh(refresh) => self.refresh(&refresh.token).await,
            ClientCommand::RouterCapabilities(_) => {
                let router_rtp_capabilities = router_rtp_capabilities();
                Ok(Reply::RouterCapabilities(RouterCapabilities { router_rtp_capabilities }))
            }
            ClientCommand::SetRtpCapabilities(set) => {
                let leg = self.leg(set.call_id)?;
                calls.set_rtp_capabilities(set.call_id, leg, set.rtp_capabilities).await?;
                Ok(Reply::Done(Done {}))
            }
            ClientCommand::CreateTransport(create) => {
                let leg = self.leg(create.call_id)?;
                let transport = calls.create_transport(create.call_id, leg, create.direction).await?;
                Ok(Reply::Transport(Box::new(NewTransport(transport))))
            }
            ClientCommand::Media(command) => self.media(command).await,
            ClientCommand::ClientStats(_) => Ok(Reply::Done(Done {})),
        }
    }

    /// Replaces the token with a newer one of the same user.
    ///
    /// # Errors
    /// `unauthorized`, `unavailable`, `forbidden` for a token of another user.
    async fn refresh(&mut self, token: &str) -> Result<Reply, Refusal> {
        let identity = self.control.authenticate(token).await?;
        if identity.user_id != self.admission.identity.user_id {
            return Err(Refusal::new(ErrorCode::Forbidden, "this token is somebody else's"));
        }
        self.overstays_at = overstays_at(identity.expires_at, self.control.token_grace, now());
        self.admission.identity = identity;
        Ok(Reply::TokenAccepted(TokenAccepted { expires_at: self.admission.expires_at() }))
    }

    /// Executes a media command. Its ids do not name the call, and few sockets are in several calls: so the
    /// calls of this socket are tried one after another until one knows the id.
    async fn media(&self, command: MediaCommand) -> Result<Reply, Refusal> {
        let mut answer = Err(not_in_call());
        for (call, leg) in self.control.hub.legs(self.socket) {
            answer = self.control.calls.media(call, leg, command.clone()).await;
            let is_unknown = |refusal: &Refusal| refusal.code == ErrorCode::NotFound;
            if !answer.as_ref().is_err_and(is_unknown) {
                break;
            }
        }
        Ok(Reply::Media(Box::new(answer?)))
    }

    /// # Errors
    /// `not_in_call`; `forbidden` without the permission; `not_found` if nobody it is for is connected; `rate_limited`;
    /// `too_large` if it would be too much for so many receivers at any time.
    fn pass_on(&mut self, signal: Signal) -> Result<Reply, Refusal> {
        let call_id = signal.call_id;
        let from_leg_id = self.leg(call_id)?;
        let hub = &self.control.hub;
        if !hub.may_signal(call_id, self.admission.identity.user_id) {
            return Err(Refusal::new(ErrorCode::Forbidden, "you may not send signals in this call"));
        }
        let audience = match (signal.target_leg_id, signal.target_user_id) {
            (Some(leg), _) => Audience::LegOf(call_id, leg),
            (None, Some(user)) => Audience::CallUser(call_id, user),
            (None, None) => Audience::CallExcept(call_id, from_leg_id),
        };
        let receivers = hub.reach(&audience);
        if receivers.is_empty() && !matches!(audience, Audience::CallExcept(..)) {
            return Err(Refusal::new(ErrorCode::NotFound, "whom this is for is not connected to the call"));
        }
        let traffic = signal.payload.get().len().div_ceil(SIGNAL_UNIT).max(1).saturating_mul(receivers.len());
        let traffic = u32::try_from(traffic).unwrap_or(u32::MAX);
        if traffic > SIGNAL_BURST {
            return Err(Refusal::new(ErrorCode::TooLarge, "the payload is too long for so many receivers"));
        }
        if !self.signal_traffic.take(traffic, Instant::now()) {
            return Err(too_many());
        }
        let event = ServerEvent::CallSignal(CallSignal {
            call_id,
            kind: signal.kind.into_string(),
            payload: signal.payload,
            from_user_id: self.admission.identity.user_id,
            from_leg_id,
        });
        hub.send_to(&receivers, &event);
        Ok(Reply::Done(Done {}))
    }

    fn actor(&self) -> Actor {
        self.admission.identity.actor(self.admission.address)
    }

    fn leg(&self, call: CallId) -> Result<LegId, Refusal> {
        self.control.hub.leg(self.socket, call).ok_or_else(not_in_call)
    }
}

fn of_call(done: Result<CallView, Refusal>) -> Result<Reply, Refusal> {
    done.map(|call| Reply::Call(Box::new(OfCall { call })))
}

/// The end of the grace time, on the monotonic clock; `None` if it is out of range.
fn overstays_at(expires_at: DateTime<Utc>, grace: Duration, now: DateTime<Utc>) -> Option<Instant> {
    let remaining = (expires_at - now).to_std().unwrap_or_default();
    Instant::now().checked_add(remaining.checked_add(grace)?)
}

fn not_in_call() -> Refusal {
    Refusal::new(ErrorCode::NotInCall, "join the call first")
}

fn too_many() -> Refusal {
    Refusal::new(ErrorCode::RateLimited, "too many of these at a time")
}

/// Bursts for the trickled ICE candidates (RFC 8838) of a few connections, and a rate for chat.
const SIGNALS: Allowance = Allowance::new(50, 200);
/// Counted in units of payload for each receiver.
const SIGNAL_TRAFFIC: Allowance = Allowance::new(1_024, SIGNAL_BURST);
const SIGNAL_BURST: u32 = 4_096;
/// Bytes of payload.
const SIGNAL_UNIT: usize = 1_024;
/// Counted in consumers that are created or changed. The burst allows a client to replace all its consumers
/// several times, as after a change of the network.
const CONSUMERS: Allowance = Allowance::new(200, 1_000);
/// Each key frame costs its sender bandwidth. The burst allows a client to switch to many senders at once.
const KEY_FRAMES: Allowance = Allowance::new(10, 100);
