//! Server memory per subscriber: the media workers run in a separate process without anything else.

use crate::linux::cipher::Profile;
use crate::linux::link::Link;
use crate::linux::stream::{Shape, Tracks, consume_options};
use crate::linux::table::{Row, Table};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use switchyard_media::ortc::{DtlsParameters, MediaKind, TransportParameters};
use switchyard_media::{Direction, Event, ProducerId};
use switchyard_media_worker::{Media, MediaConfig, Router, Sending};
use switchyard_peer::Identity;
use tokio::sync::mpsc;

pub(crate) fn table() -> Result<Table> {
    let mut table = Table::new(
        "memory",
        "resident memory of a process that is the media workers alone; kB per subscriber of audio and 1.5 Mb/s video",
    );
    let mut server = Server::start()?;
    let mut first = None;
    for call in ["first", "second"] {
        let mut publisher = Publisher::join(&mut server)?;
        publisher.send(&mut [], TRAFFIC)?;
        let alone = server.resident()?;
        let at_first = *first.get_or_insert(alone);
        let mut subscribers =
            (0..SUBSCRIBERS).map(|_| server.join(&publisher.identity, "recv")).collect::<Result<Vec<_>>>()?;
        subscribers.iter().try_for_each(Link::stop_reading)?;
        let joined = server.resident()?;
        publisher.send(&mut subscribers, TRAFFIC)?;
        let flowing = server.resident()?;
        server.ask(&Value::Null)?;
        drop(subscribers);
        sleep(AFTERWARDS);
        let closed = server.resident()?;
        for (when, kilobytes) in
            [("publisher alone", alone), ("joined", joined), ("after traffic", flowing), ("closed", closed)]
        {
            let each = (kilobytes as f64 - at_first as f64) / SUBSCRIBERS as f64;
            table.push(
                Row::default()
                    .text("call", call)
                    .text("when", when)
                    .count("subscribers", SUBSCRIBERS)
                    .ratio("resident MB", kilobytes as f64 / 1e3)
                    .ratio("kB per subscriber", each),
            );
        }
    }
    server.stop()?;
    Ok(table)
}

/// The main function of the separate process: answers requests until the input ends.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let bind = vec![Ipv4Addr::LOCALHOST.into()];
        let media = Media::start(MediaConfig {
            bind,
            port: 0,
            workers: 1,
            max_load: 1.0,
            max_packet_rate: u32::MAX,
            announced: vec![],
            sending: Sending::default(),
        })
        .await?;
        let mut hosted = None;
        for line in stdin().lines() {
            let answer = match serde_json::from_str(&line?)? {
                None => {
                    if let Some(Hosted { router, .. }) = hosted.take() {
                        router.close().await;
                    }
                    Value::Null
                }
                Some(join) => {
                    if hosted.is_none() {
                        let (router, events) = media.create_router().await?;
                        hosted = Some(Hosted { router, events, producers: Vec::new() });
                    }
                    let hosted = hosted.as_mut().context("just made")?;
                    serde_json::to_value(hosted.join(join).await?)?
                }
            };
            writeln!(stdout(), "{answer}")?;
        }
        media.shutdown().await;
        Ok(())
    })
}

/// A client's request: a transport with its producers or consumers.
#[derive(Serialize, Deserialize)]
struct Join {
    direction: Direction,
    dtls: DtlsParameters,
}

/// The call in the separate process.
struct Hosted {
    router: Router,
    events: mpsc::Receiver<Event>,
    producers: Vec<ProducerId>,
}

impl Hosted {
    async fn join(&mut self, join: Join) -> Result<TransportParameters> {
        while self.events.try_recv().is_ok() {}
        let (id, parameters) = self.router.create_transport(join.direction).await?;
        self.router.connect_transport(id, join.dtls).await?;
        match join.direction {
            Direction::Send => {
                let tracks = Tracks::new();
                for track in [&tracks.audio, &tracks.video] {
                    self.producers.push(self.router.produce(id, track.produce_options()?).await?.0);
                }
            }
            Direction::Recv => {
                for &producer in &self.producers {
                    self.router.consume(id, consume_options(producer)).await?;
                }
            }
        }
        Ok(parameters)
    }
}

/// The separate process, as this process sees it.
struct Server {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("memory-server").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting the server's process")?;
        let (requests, answers) =
            process.stdin.take().zip(process.stdout.take()).context("the process has no pipes")?;
        Ok(Self { process, requests, answers: BufReader::new(answers) })
    }

    fn ask(&mut self, request: &Value) -> Result<String> {
        writeln!(self.requests, "{request}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }

    fn join(&mut self, identity: &Identity, direction: &str) -> Result<Link> {
        let answer = self.ask(&json!({ "direction": direction, "dtls": identity.dtls_parameters() }))?;
        Link::connect(identity, &serde_json::from_str(&answer)?, Ipv4Addr::LOCALHOST.into())
    }

    /// Resident memory in kilobytes, after all requests were handled.
    fn resident(&self) -> Result<u64> {
        sleep(SETTLE);
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn stop(mut self) -> Result<()> {
        drop(self.requests);
        self.process.wait()?;
        Ok(())
    }
}

/// A publisher that sends in real time.
struct Publisher {
    identity: Identity,
    link: Link,
    tracks: Tracks,
}

impl Publisher {
    fn join(server: &mut Server) -> Result<Self> {
        let identity = Profile::Gcm.identity()?;
        let link = server.join(&identity, "send")?;
        Ok(Self { identity, link, tracks: Tracks::new() })
    }

    fn send(&mut self, subscribers: &mut [Link], duration: Duration) -> Result<()> {
        let start = Instant::now();
        subscribers.iter_mut().chain([&mut self.link]).try_for_each(|link| link.keep_alive(start))?;
        let mut next = start;
        while start.elapsed() < duration {
            for (kind, shape) in [(MediaKind::Audio, AUDIO), (MediaKind::Video, VIDEO)] {
                for packet in self.tracks.seal(kind, shape, &mut self.link.transport)? {
                    self.link.socket.send_to(&packet, self.link.server)?;
                }
            }
            next += INTERVAL;
            sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

const SUBSCRIBERS: usize = 500;
/// Longer than the time that histories cover.
const TRAFFIC: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_millis(300);
/// Time for the allocator to return memory that has been free for a second.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// Interval of both tracks, for simplicity: 50 audio packets and 50 small video frames per second, together
/// 1.5 Mbit/s.
const INTERVAL: Duration = Duration::from_millis(20);
const AUDIO: Shape = Shape { payload: 100, burst: 1 };
const VIDEO: Shape = Shape { payload: 1_200, burst: 3 };
