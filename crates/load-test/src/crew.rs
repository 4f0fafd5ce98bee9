//! The peers in one process: engines for their media, and one task per peer for signaling.
//!
//! A crew receives orders and sends notes. Both are plain data, so a crew can run in this process, or in a
//! child process connected by its standard input and output ([`crate::crews`]).

use crate::cli::Options;
use crate::engine::{Engine, LinkId};
use crate::peer;
use crate::sender::SendOptions;
use crate::signaling::TRANSPORT_CC_URI;
use crate::tally::Tally;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use switchyard_peer::Identity;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The configuration of a crew, sent before the first order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Briefing {
    pub(crate) call_id: String,
    pub(crate) rtp_capabilities: Value,
    /// One entry per engine thread: the core to pin it to, if any.
    pub(crate) engines: Vec<Option<usize>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    Admit(PeerSpec),
    /// The peer with this number leaves.
    Dismiss(u64),
    /// All peers leave.
    Stop,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerSpec {
    /// Unique in the run.
    pub(crate) number: u64,
    pub(crate) token: String,
    pub(crate) publishes: bool,
    pub(crate) receives: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Note {
    /// The time between a peer's request to join and a milestone.
    Reached {
        milestone: Milestone,
        micros: u64,
    },
    /// A peer ended without an order; the reason.
    Failed(String),
    Left,
    Counted(Tally),
    /// All peers have left and all notes are sent.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Milestone {
    /// `call:join` was answered.
    Joined,
    /// The peer's transports are connected.
    Connected,
    /// The first media packet arrived.
    FirstPacket,
}

/// What all peers of a crew share.
pub(crate) struct CrewContext {
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) call_id: String,
    pub(crate) rtp_capabilities: Value,
    /// Videos that each peer watches at most; `None`: all.
    pub(crate) watch: Option<usize>,
    /// Limits how many peers join at the same time.
    pub(crate) joining: Semaphore,
    engines: Vec<Engine>,
    peers: AtomicU64,
    links: AtomicU64,
    notes: mpsc::Sender<Note>,
}

/// Carries out orders until [`Order::Stop`] or until the sender of orders is dropped.
pub(crate) async fn run(
    options: Options,
    briefing: Briefing,
    mut orders: mpsc::Receiver<Order>,
    notes: mpsc::Sender<Note>,
) -> Result<()> {
    let (tallies, counted) = mpsc::channel(QUEUE);
    let context = Arc::new(CrewContext::new(options, briefing, &tallies, notes.clone())?);
    drop(tallies);
    let forwarding = tokio::spawn(forward(counted, notes.clone()));
    let mut peers = JoinSet::new();
    let mut stops: HashMap<u64, oneshot::Sender<()>> = HashMap::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Admit(spec)) => {
                    let (stop, stopped) = oneshot::channel();
                    stops.insert(spec.number, stop);
                    peers.spawn(peer::live(context.clone(), spec, stopped));
                }
                // Dropping the sender stops the peer.
                Some(Order::Dismiss(number)) => drop(stops.remove(&number)),
                Some(Order::Stop) | None => break,
            },
            Some(_) = peers.join_next() => {}
        }
    }
    stops.clear();
    let _ = timeout(STOP_TIMEOUT, async { while peers.join_next().await.is_some() {} }).await;
    // The engines send their last counts at the start of the next second.
    sleep(Duration::from_millis(1_100)).await;
    drop(context);
    let _ = timeout(STOP_TIMEOUT, forwarding).await;
    // An error means that the collector is gone.
    let _ = notes.send(Note::Done).await;
    Ok(())
}

async fn forward(mut tallies: mpsc::Receiver<Tally>, notes: mpsc::Sender<Note>) {
    while let Some(tally) = tallies.recv().await {
        if notes.send(Note::Counted(tally)).await.is_err() {
            return;
        }
    }
}

impl CrewContext {
    fn new(
        options: Options,
        briefing: Briefing,
        tallies: &mpsc::Sender<Tally>,
        notes: mpsc::Sender<Note>,
    ) -> Result<Self> {
        let identity = Identity::generate()?;
        let start = |core: &Option<usize>| Engine::start(*core, identity.clone(), tallies.clone());
        let engines = briefing.engines.iter().map(start).collect::<Result<_>>()?;
        let mut rtp_capabilities = briefing.rtp_capabilities;
        if options.receiving.no_transport_cc {
            remove_transport_cc(&mut rtp_capabilities);
        }
        Ok(Self {
            watch: options.scenario.watch(&options),
            options,
            identity,
            call_id: briefing.call_id,
            rtp_capabilities,
            joining: Semaphore::new(JOINING_AT_ONCE),
            engines,
            peers: AtomicU64::new(0),
            links: AtomicU64::new(0),
            notes,
        })
    }

    /// The engine for the next peer: each in turn.
    pub(crate) fn next_engine(&self) -> &Engine {
        let turn = self.peers.fetch_add(1, Ordering::Relaxed);
        &self.engines[turn as usize % self.engines.len()]
    }

    pub(crate) fn next_link(&self) -> LinkId {
        LinkId::new(self.links.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn send_options(&self, number: u64) -> SendOptions {
        self.options.send_options(number)
    }

    pub(crate) async fn note(&self, note: Note) {
        // An error means that the run is over.
        let _ = self.notes.send(note).await;
    }
}

/// A client that does not offer the extension gets no transport-wide sequence numbers.
fn remove_transport_cc(capabilities: &mut Value) {
    if let Some(extensions) = capabilities["headerExtensions"].as_array_mut() {
        extensions.retain(|extension| extension["uri"] != TRANSPORT_CC_URI);
    }
    for codec in capabilities["codecs"].as_array_mut().into_iter().flatten() {
        if let Some(feedback) = codec["rtcpFeedback"].as_array_mut() {
            feedback.retain(|kind| kind["type"] != "transport-cc");
        }
    }
}

const QUEUE: usize = 256;
const JOINING_AT_ONCE: usize = 32;
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_without_transport_cc_offers_neither_the_extension_nor_the_feedback() {
        let mut capabilities = json!({
            "headerExtensions": [{ "uri": TRANSPORT_CC_URI }, { "uri": "other" }],
            "codecs": [{ "rtcpFeedback": [{ "type": "transport-cc" }, { "type": "nack" }] }],
        });
        remove_transport_cc(&mut capabilities);
        assert_eq!(capabilities["headerExtensions"], json!([{ "uri": "other" }]));
        assert_eq!(capabilities["codecs"][0]["rtcpFeedback"], json!([{ "type": "nack" }]));
    }

    #[test]
    fn orders_and_notes_survive_a_pipe() {
        let spec = PeerSpec { number: 7, token: "t".to_owned(), publishes: true, receives: false };
        let order = serde_json::to_string(&Order::Admit(spec)).unwrap();
        assert!(matches!(serde_json::from_str(&order).unwrap(), Order::Admit(PeerSpec { number: 7, .. })));
        let note = serde_json::to_string(&Note::Reached { milestone: Milestone::Joined, micros: 5 }).unwrap();
        assert!(matches!(serde_json::from_str(&note).unwrap(), Note::Reached { micros: 5, .. }));
    }
}
