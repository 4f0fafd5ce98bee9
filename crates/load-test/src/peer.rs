//! The life of one peer: connect, join, media until told to stop, leave.

use crate::api::User;
use crate::cli::Options;
use crate::link::Link;
use crate::publisher::Publisher;
use crate::rtp_stream::{RtpStream, StreamKind};
use crate::signaling::{Purpose, Signaling};
use crate::subscriber::Subscriber;
use anyhow::{Context, Result};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use switchyard_peer::Identity;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// What all peers of a call share.
pub(crate) struct CallContext {
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) call_id: String,
    pub(crate) rtp_capabilities: Value,
    pub(crate) traffic: Traffic,
    /// Turns true when peers are to leave.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) milestones: mpsc::Sender<Milestone>,
}

/// Media packets so far, over all peers.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

/// How far a peer has come.
#[derive(Debug)]
pub(crate) enum Milestone {
    /// `call:join` was answered, this long after it was asked.
    Joined(Duration),
    /// The transport is up, this long after `call:join` was asked.
    Connected(Duration),
    /// The first media packet came, this long after `call:join` was asked.
    FirstPacket(Duration),
    Failed(String),
}

/// What a peer has to tell in the end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PeerSummary {
    pub(crate) lost: u64,
    pub(crate) expected: u64,
    pub(crate) key_frames_requested: u64,
    pub(crate) rejected: u64,
    pub(crate) unsent: u64,
}

impl Traffic {
    pub(crate) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl CallContext {
    /// Runs a publisher; a failure is told as a milestone.
    pub(crate) async fn publish(self: Arc<Self>, user: User) -> PeerSummary {
        let result = self.try_publish(&user).await;
        self.conclude(result).await
    }

    /// Runs a subscriber; a failure is told as a milestone.
    pub(crate) async fn subscribe(self: Arc<Self>, user: User) -> PeerSummary {
        let result = self.try_subscribe(&user).await;
        self.conclude(result).await
    }

    async fn try_publish(&self, user: &User) -> Result<PeerSummary> {
        let signaling = Signaling::connect(&self.options.url, &user.token, &self.call_id).await?;
        let asked = Instant::now();
        let joined = signaling.join(Purpose::Send, &self.rtp_capabilities).await?;
        self.reached(Milestone::Joined(asked.elapsed())).await;
        let transport = joined.transports.send.context("the server made no send transport")?;
        signaling.connect_transport(&transport.id, &self.identity.dtls_parameters()).await?;
        let mut publisher = Publisher::new(self.options.video, Instant::now());
        let produce = |kind: StreamKind, stream: &RtpStream| {
            let parameters = stream.rtp_parameters(&publisher.cname);
            let (signaling, transport) = (&signaling, transport.id.clone());
            async move { signaling.produce(&transport, kind.name(), kind.source(), &parameters).await }
        };
        produce(StreamKind::Audio, &publisher.audio).await?;
        produce(StreamKind::Video, &publisher.video).await?;
        let mut link = Link::open(&self.identity, &transport, self.options.is_loopback()).await?;
        link.connect().await?;
        self.reached(Milestone::Connected(asked.elapsed())).await;
        self.until_stopped(publisher.run(&mut link, &self.traffic)).await?;
        leave(&signaling, &mut link).await;
        Ok(PeerSummary {
            key_frames_requested: publisher.key_frames_requested,
            rejected: link.transport.rejected,
            unsent: link.unsent,
            ..PeerSummary::default()
        })
    }

    async fn try_subscribe(&self, user: &User) -> Result<PeerSummary> {
        let mut signaling = Signaling::connect(&self.options.url, &user.token, &self.call_id).await?;
        let asked = Instant::now();
        let joined = signaling.join(Purpose::Receive, &self.rtp_capabilities).await?;
        self.reached(Milestone::Joined(asked.elapsed())).await;
        let transport = joined.transports.recv.context("the server made no receive transport")?;
        signaling.connect_transport(&transport.id, &self.identity.dtls_parameters()).await?;
        let (first_packet, first) = oneshot::channel();
        let mut subscriber = Subscriber::new(first_packet);
        subscriber.add(&joined.consumers);
        let mut link = Link::open(&self.identity, &transport, self.options.is_loopback()).await?;
        signaling.resume_consumers(&joined.consumers).await?;
        link.connect().await?;
        self.reached(Milestone::Connected(asked.elapsed())).await;
        let report_first = async {
            if let Ok(at) = first.await {
                self.reached(Milestone::FirstPacket(at.saturating_duration_since(asked))).await;
            }
            std::future::pending().await
        };
        let run = subscriber.run(&mut link, &mut signaling, &transport.id, &self.traffic);
        let run = async {
            tokio::select! {
                result = run => result,
                never = report_first => never,
            }
        };
        self.until_stopped(run).await?;
        leave(&signaling, &mut link).await;
        let (lost, expected) = subscriber.loss();
        let (rejected, unsent) = (link.transport.rejected, link.unsent);
        Ok(PeerSummary { lost, expected, rejected, unsent, ..PeerSummary::default() })
    }

    async fn until_stopped(&self, media: impl Future<Output = Result<()>>) -> Result<()> {
        let mut stop = self.stop.clone();
        tokio::select! {
            result = media => result,
            // A stopper that is gone means the same.
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    }

    async fn conclude(&self, result: Result<PeerSummary>) -> PeerSummary {
        match result {
            Ok(summary) => summary,
            Err(error) => {
                self.reached(Milestone::Failed(format!("{error:#}"))).await;
                PeerSummary::default()
            }
        }
    }

    async fn reached(&self, milestone: Milestone) {
        // Once nobody listens, the run is over.
        let _ = self.milestones.send(milestone).await;
    }
}

/// Politely, but not for long: the run is over.
async fn leave(signaling: &Signaling, link: &mut Link) {
    link.close();
    let _ = timeout(LEAVE_TIMEOUT, signaling.leave()).await;
}

const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
