//! The peers in one process: engines for their media, and one task per peer for signaling.
//!
//! A crew receives orders and sends notes. Both are plain data, so a crew can run in this process, or in a
//! child process connected by its standard input and output ([`crate::crews`]).

use crate::cli::Options;
use crate::context::CrewContext;
use crate::orders::{Briefing, Note, Order};
use crate::peer;
use crate::tally::Tally;
use anyhow::Result;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

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

const QUEUE: usize = 256;
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
