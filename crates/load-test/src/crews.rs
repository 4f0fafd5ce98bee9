//! All crews of a run: one in this process, or one in each of several child processes.

use crate::cli::Options;
use crate::crew;
use crate::orders::{Briefing, Note, Order, PeerSpec};
use anyhow::{Context, Result};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

pub(crate) struct Crews {
    orders: Vec<mpsc::Sender<Order>>,
    pub(crate) notes: mpsc::Receiver<Note>,
    children: Vec<Child>,
}

impl Crews {
    /// Starts one crew per briefing.
    pub(crate) async fn start(options: &Options, briefings: Vec<Briefing>) -> Result<Self> {
        let (told, notes) = mpsc::channel(QUEUE);
        let mut crews = Self { orders: Vec::new(), notes, children: Vec::new() };
        let in_this_process = briefings.len() == 1;
        for briefing in briefings {
            let (orders, given) = mpsc::channel(QUEUE);
            if in_this_process {
                tokio::spawn(crew::run(options.clone(), briefing, given, told.clone()));
            } else {
                crews.children.push(spawn_child(&briefing, given, told.clone()).await?);
            }
            crews.orders.push(orders);
        }
        Ok(crews)
    }

    pub(crate) fn count(&self) -> usize {
        self.orders.len()
    }

    pub(crate) async fn admit(&self, spec: PeerSpec) -> Result<()> {
        self.order(spec.number, Order::Admit(spec)).await
    }

    pub(crate) async fn dismiss(&self, number: u64) -> Result<()> {
        self.order(number, Order::Dismiss(number)).await
    }

    pub(crate) async fn stop(&self) {
        for orders in &self.orders {
            // An error means that the crew has stopped already.
            let _ = orders.send(Order::Stop).await;
        }
    }

    /// Ids of the processes that generate load.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let children = self.children.iter().filter_map(Child::id);
        children.chain(std::iter::once(std::process::id())).collect()
    }

    async fn order(&self, number: u64, order: Order) -> Result<()> {
        let crew = number as usize % self.orders.len();
        self.orders[crew].send(order).await.ok().context("a generator process died")
    }
}

/// Runs in the child process: reads orders from standard input and writes notes to standard output, one per
/// line.
pub(crate) async fn serve_parent(options: Options) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let first = lines.next_line().await?.context("no briefing came")?;
    let briefing = serde_json::from_str(&first).context("an unreadable briefing")?;
    let (orders, given) = mpsc::channel(QUEUE);
    let (told, mut notes) = mpsc::channel(QUEUE);
    let reading = tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(order) = serde_json::from_str(&line) else { return };
            if orders.send(order).await.is_err() {
                return;
            }
        }
    });
    let writing = tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(note) = notes.recv().await {
            if write_line(&mut out, &note).await.is_err() {
                return;
            }
        }
    });
    let result = crew::run(options, briefing, given, told).await;
    reading.abort();
    writing.await?;
    result
}

async fn spawn_child(
    briefing: &Briefing,
    orders: mpsc::Receiver<Order>,
    notes: mpsc::Sender<Note>,
) -> Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--crew")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting a generator process")?;
    let mut input = child.stdin.take().context("a child without standard input")?;
    let output = child.stdout.take().context("a child without standard output")?;
    write_line(&mut input, briefing).await.context("briefing a generator process")?;
    tokio::spawn(write_orders(input, orders));
    tokio::spawn(read_notes(output, notes));
    Ok(child)
}

async fn write_orders(mut input: ChildStdin, mut orders: mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        if write_line(&mut input, &order).await.is_err() {
            return;
        }
    }
}

/// Forwards a child's notes. Sends [`Note::Done`] at the end, also if the child dies.
async fn read_notes(output: impl AsyncRead + Unpin, notes: mpsc::Sender<Note>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(note) = serde_json::from_str(&line) else { break };
        if matches!(note, Note::Done) || notes.send(note).await.is_err() {
            break;
        }
    }
    // An error means that the collector is gone.
    let _ = notes.send(Note::Done).await;
}

async fn write_line(out: &mut (impl AsyncWriteExt + Unpin), value: &impl serde::Serialize) -> Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    out.write_all(line.as_bytes()).await?;
    Ok(out.flush().await?)
}

const QUEUE: usize = 1_024;
