//! What the peers of a crew share.

use crate::cli::Options;
use crate::engine::{Engine, LinkId};
use crate::kind::TRANSPORT_CC_URI;
use crate::options::SendOptions;
use crate::orders::{Briefing, Note};
use crate::tally::Tally;
use anyhow::Result;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use switchyard_peer::Identity;
use tokio::sync::{Semaphore, mpsc};

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

impl CrewContext {
    pub(crate) fn new(
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
            watch: options.watched(),
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

const JOINING_AT_ONCE: usize = 32;

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
}
