//! The scenario without media: requests per second, the time to announce a call, and memory per idle socket.

use crate::api::{Api, User};
use crate::cast::sign_in;
use crate::cli::{ControlOptions, Options};
use crate::report::Spread;
use crate::server_process::Process;
use crate::socket_io::SocketIo;
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::json;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

#[derive(Debug, Serialize)]
pub(crate) struct ControlReport {
    creates: Rate,
    joins: Rate,
    sockets: usize,
    /// From the request to create a call until each member's socket received the announcement.
    told_ms: Option<Spread>,
    /// From the first socket's announcement until each socket's.
    fan_out_ms: Option<Spread>,
    /// Resident memory of the server per idle socket, in KiB; absent if the server's process is not visible.
    idle_socket_kib: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Rate {
    per_second: f64,
    latency_ms: Option<Spread>,
}

/// Runs the measurements, and deletes everything that it created on the server.
pub(crate) async fn run(options: &Options, sizes: &ControlOptions) -> Result<ControlReport> {
    ensure!(sizes.groups > 0 && sizes.sockets > 0, "--groups and --sockets must be at least 1");
    let api = Api::new(options)?;
    api.check_alive().await?;
    let users = sign_in(&api, sizes.sockets.max(2)).await?;
    let (creates, joins) = records(&api, &users, sizes.groups).await?;
    let (owner, others) = users.split_first().context("nobody to listen")?;
    let members = &others[..sizes.sockets.min(others.len())];
    let group = api.create_group("Load test", owner, members).await?;
    let process = options
        .server
        .server_pid
        .map(|pid| Process { pid })
        .or_else(|| Process::listening_on(options.port()));
    let before = process.and_then(Process::resident_bytes);
    let mut sockets = listen(options, members).await?;
    sleep(SETTLE).await;
    let after = process.and_then(Process::resident_bytes);
    let told = announce(&api, owner, &group, &mut sockets).await;
    api.delete_group(&group, owner).await?;
    let (told, fan_out) = told?;
    Ok(ControlReport {
        creates,
        joins,
        sockets: sockets.len(),
        told_ms: Spread::of(&told),
        fan_out_ms: Spread::of(&fan_out),
        idle_socket_kib: before
            .zip(after)
            .map(|(before, after)| after.saturating_sub(before) as f64 / 1_024.0 / sockets.len() as f64),
    })
}

/// Creates one call in each of many groups, and joins each with another user.
async fn records(api: &Api, users: &[User], groups: usize) -> Result<(Rate, Rate)> {
    let pair = |index: usize| (&users[index % users.len()], &users[(index + 1) % users.len()]);
    let make = |index| async move {
        let (owner, other) = pair(index);
        api.create_group("Load test", owner, std::slice::from_ref(other)).await
    };
    let ids: Vec<String> = stream::iter(0..groups).map(make).buffered(CONCURRENT).try_collect().await?;
    let create = |(index, group): (usize, String)| async move {
        let from = Instant::now();
        let call = api.create_call(&group, pair(index).0).await?;
        anyhow::Ok((call, from.elapsed()))
    };
    let (calls, creates) = paced(ids.iter().cloned().enumerate(), create).await?;
    let join = |(index, call): (usize, String)| async move {
        let from = Instant::now();
        api.join_call(&call, pair(index).1).await?;
        anyhow::Ok(((), from.elapsed()))
    };
    let (_, joins) = paced(calls.into_iter().enumerate(), join).await?;
    let clean =
        |(index, group): (usize, String)| async move { api.delete_group(&group, pair(index).0).await };
    stream::iter(ids.into_iter().enumerate())
        .map(clean)
        .buffered(CONCURRENT)
        .try_collect::<Vec<()>>()
        .await?;
    Ok((creates, joins))
}

/// Calls `act` for all items, up to [`CONCURRENT`] at the same time, and measures the rate.
async fn paced<I, T, F>(items: impl Iterator<Item = I>, act: impl Fn(I) -> F) -> Result<(Vec<T>, Rate)>
where
    F: Future<Output = Result<(T, Duration)>>,
{
    let from = Instant::now();
    let done: Vec<(T, Duration)> = stream::iter(items).map(act).buffered(CONCURRENT).try_collect().await?;
    let per_second = done.len() as f64 / from.elapsed().as_secs_f64();
    let (values, latencies): (Vec<T>, Vec<Duration>) = done.into_iter().unzip();
    Ok((values, Rate { per_second, latency_ms: Spread::of(&latencies) }))
}

async fn listen(options: &Options, members: &[User]) -> Result<Vec<SocketIo>> {
    let connect = |user: &User| {
        let auth = json!({ "token": user.token });
        async move { SocketIo::connect(&options.server.url, "/calls", &auth, &["call:created"]).await }
    };
    stream::iter(members).map(connect).buffered(CONCURRENT).try_collect().await
}

/// Creates calls in the group, one after another, and measures when each socket receives the announcement:
/// since the request, and since the first socket's.
async fn announce(
    api: &Api,
    owner: &User,
    group: &str,
    sockets: &mut [SocketIo],
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut told, mut fan_out) = (Vec::new(), Vec::new());
    for _ in 0..ANNOUNCEMENTS {
        let from = Instant::now();
        let hearing = try_join_all(sockets.iter_mut().map(hear));
        let (call, heard) = tokio::join!(api.create_call(group, owner), timeout(PATIENCE, hearing));
        let heard = heard.context("not every socket was told of a call")??;
        let first = heard.iter().min().copied().unwrap_or(from);
        told.extend(heard.iter().map(|at| at.duration_since(from)));
        fan_out.extend(heard.iter().map(|at| at.duration_since(first)));
        api.end_call(&call?, owner).await?;
    }
    Ok((told, fan_out))
}

async fn hear(socket: &mut SocketIo) -> Result<Instant> {
    while let Some(event) = socket.events.recv().await {
        if event.name == "call:created" {
            return Ok(Instant::now());
        }
    }
    anyhow::bail!("a waiting socket was closed")
}

impl fmt::Display for ControlReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<38}{value}");
        for (name, rate) in [("calls created", &self.creates), ("calls joined", &self.joins)] {
            row(name, format!("{:.0} /s, {}", rate.per_second, tail(rate.latency_ms.as_ref())))?;
        }
        row("sockets told of one call", self.sockets.to_string())?;
        row("told since it was asked for", tail(self.told_ms.as_ref()))?;
        row("told since the first was", tail(self.fan_out_ms.as_ref()))?;
        let memory =
            self.idle_socket_kib.map_or("process not found".to_owned(), |kib| format!("{kib:.1} KiB"));
        row("server memory per waiting socket", memory)
    }
}

fn tail(spread: Option<&Spread>) -> String {
    spread.map_or("none".to_owned(), |Spread { p50, p99, max, .. }| {
        format!("p50 {p50:.1}, p99 {p99:.1}, max {max:.1} ms")
    })
}

/// Requests at the same time.
const CONCURRENT: usize = 16;
const ANNOUNCEMENTS: usize = 20;
const SETTLE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
