//! The life of one peer: connect, join, media until it is stopped, leave. Only signaling runs here; an engine
//! handles the media.

use crate::adaptation::Adaptation;
use crate::context::CrewContext;
use crate::engine::{Engine, LinkId, NewLink, Opened, Role};
use crate::kind::Kind;
use crate::orders::{Milestone, Note, PeerSpec};
use crate::out_stream::OutStream;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::signaling::{Consumer, Joined, MediaEvent, MediaWish, Producer, Signaling};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchyard_peer::{IceCandidate, TransportOptions};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Runs a peer until it is stopped, and reports the result.
pub(crate) async fn live(context: Arc<CrewContext>, spec: PeerSpec, stop: oneshot::Receiver<()>) {
    let note = match run(&context, &spec, stop).await {
        Ok(()) => Note::Left,
        Err(error) => Note::Failed(format!("{error:#}")),
    };
    context.note(note).await;
}

async fn run(context: &CrewContext, spec: &PeerSpec, mut stop: oneshot::Receiver<()>) -> Result<()> {
    let mut peer = {
        let _turn = context.joining.acquire().await.context("the crew is gone")?;
        tokio::select! {
            joined = Peer::join(context, spec) => joined?,
            _ = &mut stop => return Ok(()),
        }
    };
    let lived = tokio::select! {
        result = peer.stay() => result,
        // A dropped sender also stops the peer.
        _ = stop => Ok(()),
    };
    peer.leave().await;
    lived
}

struct Peer<'a> {
    context: &'a CrewContext,
    engine: &'a Engine,
    signaling: Signaling,
    /// When the peer requested to join.
    asked: Instant,
    links: Vec<LinkId>,
    receiving: Option<Receiving>,
}

struct Receiving {
    link: LinkId,
    transport: String,
    /// Consumed producers. Needed because a producer may be both in the join's answer and announced later.
    consumed: Vec<Watched>,
    adaptation: Adaptation,
    first_packet: Option<oneshot::Receiver<Instant>>,
}

struct Watched {
    producer: String,
    consumer: String,
    kind: Kind,
}

impl Receiving {
    fn is_video(&self, consumer: &str) -> bool {
        self.consumed.iter().any(|watched| watched.consumer == consumer && watched.kind == Kind::Video)
    }
}

impl<'a> Peer<'a> {
    async fn join(context: &'a CrewContext, spec: &PeerSpec) -> Result<Self> {
        let options = &context.options;
        let signaling = Signaling::connect(&options.server.url, &spec.token, &context.call_id).await?;
        let consume = spec.receives && context.watch.is_none();
        let wish = MediaWish { send: spec.publishes, recv: spec.receives, consume };
        let asked = Instant::now();
        let joined = signaling.join(wish, &context.rtp_capabilities).await?;
        let engine = context.next_engine();
        let mut peer = Self { context, engine, signaling, asked, links: Vec::new(), receiving: None };
        peer.reached(Milestone::Joined, asked.elapsed()).await;
        match peer.start(spec, joined).await {
            Ok(()) => Ok(peer),
            Err(error) => {
                peer.leave().await;
                Err(error)
            }
        }
    }

    async fn start(&mut self, spec: &PeerSpec, mut joined: Joined) -> Result<()> {
        let receive = match joined.transports.recv.take() {
            Some(transport) => Some(self.receive(&transport).await?),
            None => None,
        };
        if let Some(transport) = joined.transports.send.take() {
            self.publish(spec, &transport).await?;
        }
        self.follow(&joined.consumers, &joined.producers).await?;
        let offered: Vec<MediaEvent> = joined.producers.into_iter().map(MediaEvent::Produced).collect();
        self.heed(offered).await?;
        if let Some(opened) = receive {
            opened.await.context("ICE or DTLS did not connect")?.context("no transport")?;
        }
        self.reached(Milestone::Connected, self.asked.elapsed()).await;
        Ok(())
    }

    async fn publish(&mut self, spec: &PeerSpec, transport: &TransportOptions) -> Result<()> {
        self.connect_transport(transport).await?;
        let mut sender = Sender::new(&self.context.send_options(spec.number), Instant::now());
        let mut producers = Vec::new();
        for stream in sender.streams() {
            producers.push(self.produce(transport, stream, &sender.cname).await?);
        }
        sender.name_producers(producers);
        let opened = self.open(transport, Role::Send(Box::new(sender)))?.1;
        timeout(CONNECT_TIMEOUT, opened.connected)
            .await
            .context("ICE or DTLS did not connect")?
            .context("no transport")
    }

    async fn produce(&self, transport: &TransportOptions, stream: &OutStream, cname: &str) -> Result<String> {
        let parameters = stream.rtp_parameters(cname);
        self.signaling.produce(&transport.id, stream.media.kind(), stream.media.source(), &parameters).await
    }

    async fn receive(
        &mut self,
        transport: &TransportOptions,
    ) -> Result<tokio::time::Timeout<oneshot::Receiver<()>>> {
        self.connect_transport(transport).await?;
        let options = &self.context.options;
        let receiver =
            Receiver::new(options.feedback_interval(), options.receiving.verify_share, Instant::now());
        let (link, opened) = self.open(transport, Role::Receive(Box::new(receiver)))?;
        self.receiving = Some(Receiving {
            link,
            transport: transport.id.clone(),
            consumed: Vec::new(),
            adaptation: Adaptation::default(),
            first_packet: Some(opened.first_packet),
        });
        Ok(timeout(CONNECT_TIMEOUT, opened.connected))
    }

    async fn connect_transport(&self, transport: &TransportOptions) -> Result<()> {
        self.signaling.connect_transport(&transport.id, &self.context.identity.dtls_parameters()).await
    }

    fn open(&mut self, options: &TransportOptions, role: Role) -> Result<(LinkId, Opened)> {
        let local = self.context.options.is_loopback();
        let remote = choose(&options.ice_candidates, local).context("the server offers no UDP candidate")?;
        let link = self.context.next_link();
        self.links.push(link);
        let opened = self.engine.open(link, NewLink { options: options.clone(), remote, role })?;
        Ok((link, opened))
    }

    /// Handles events about other peers' media; returns only if signaling fails.
    async fn stay(&mut self) -> Result<()> {
        loop {
            let first_packet = self.receiving.as_mut().and_then(|receiving| receiving.first_packet.take());
            let event = match first_packet {
                Some(mut first) => tokio::select! {
                    at = &mut first => {
                        let after = at.map(|at| at.saturating_duration_since(self.asked));
                        self.reached(Milestone::FirstPacket, after.unwrap_or(CONNECT_TIMEOUT)).await;
                        continue;
                    }
                    event = self.signaling.next_event() => {
                        if let Some(receiving) = &mut self.receiving {
                            receiving.first_packet = Some(first);
                        }
                        event?
                    }
                },
                None => self.signaling.next_event().await?,
            };
            // Many peers may join at once: one request can consume several producers.
            let mut events = vec![event];
            events.extend(std::iter::from_fn(|| self.signaling.poll_event()));
            self.heed(events).await?;
        }
    }

    async fn heed(&mut self, events: Vec<MediaEvent>) -> Result<()> {
        let Some(receiving) = &mut self.receiving else { return Ok(()) };
        let mut producers: Vec<Producer> = Vec::new();
        for event in events {
            match event {
                MediaEvent::ConsumerClosed(consumer) => {
                    receiving.consumed.retain(|watched| watched.consumer != consumer);
                    receiving.adaptation.forget(&consumer, Instant::now());
                    self.engine.unlisten(receiving.link, consumer)?;
                }
                MediaEvent::Bandwidth(bandwidth) => receiving.adaptation.note_bandwidth(bandwidth),
                MediaEvent::Layers(consumer, layers) if receiving.is_video(&consumer) => {
                    receiving.adaptation.note_layers(consumer, layers, Instant::now());
                }
                // Sound has no layers to choose from.
                MediaEvent::Layers(..) => {}
                MediaEvent::Produced(producer) => {
                    let mut known = receiving.consumed.iter().map(|watched| &watched.producer);
                    let videos = receiving.consumed.iter().map(|watched| watched.kind);
                    let videos = videos.chain(producers.iter().map(|producer| producer.kind));
                    let videos = videos.filter(|kind| *kind == Kind::Video).count();
                    let watch = self.context.watch.unwrap_or(usize::MAX);
                    let wanted = producer.kind == Kind::Audio || videos < watch;
                    if wanted && !known.any(|known| *known == producer.producer_id) {
                        producers.push(producer);
                    }
                }
            }
        }
        let transport = receiving.transport.clone();
        for producers in producers.chunks(MAX_CONSUMED_AT_ONCE) {
            let ids: Vec<String> = producers.iter().map(|producer| producer.producer_id.clone()).collect();
            let consumers = self.signaling.consume(&transport, &ids).await?;
            self.follow(&consumers, producers).await?;
        }
        Ok(())
    }

    /// Starts counting the consumers' packets, and resumes the consumers.
    async fn follow(&mut self, consumers: &[Consumer], producers: &[Producer]) -> Result<()> {
        let Some(receiving) = &mut self.receiving else { return Ok(()) };
        for consumer in consumers {
            let producer = producers.iter().find(|producer| producer.producer_id == consumer.producer_id);
            receiving.consumed.push(Watched {
                producer: consumer.producer_id.clone(),
                consumer: consumer.id.clone(),
                kind: producer.map_or(Kind::Audio, |producer| producer.kind),
            });
        }
        self.engine.listen(receiving.link, consumers.to_vec())?;
        self.signaling.resume_consumers(consumers).await
    }

    /// Leaves the call, with a time limit for each step.
    async fn leave(self) {
        for link in &self.links {
            let _ = timeout(LEAVE_TIMEOUT, self.engine.close(*link)).await;
        }
        if let Some(receiving) = self.receiving {
            self.context.note(Note::Told(receiving.adaptation.finish(Instant::now()))).await;
        }
        let _ = timeout(LEAVE_TIMEOUT, self.signaling.leave()).await;
    }

    async fn reached(&self, milestone: Milestone, after: Duration) {
        self.context.note(Note::Reached { milestone, micros: after.as_micros() as u64 }).await;
    }
}

/// Chooses a UDP candidate. `local` prefers the server's loopback candidate, so that no traffic leaves this
/// machine.
fn choose(candidates: &[IceCandidate], local: bool) -> Option<SocketAddr> {
    let udp = || candidates.iter().filter(|candidate| candidate.protocol == "udp");
    let preferred = udp().find(|candidate| local && candidate.ip.is_loopback()).or_else(|| udp().next());
    preferred.map(|candidate| SocketAddr::new(candidate.ip, candidate.port))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of ids that `media:consume` accepts.
const MAX_CONSUMED_AT_ONCE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_test_prefers_loopback_and_any_other_the_servers_first_choice() {
        let candidates =
            [candidate("192.0.2.1", "tcp"), candidate("192.0.2.2", "udp"), candidate("127.0.0.1", "udp")];
        assert_eq!(choose(&candidates, true), Some("127.0.0.1:9".parse().unwrap()));
        assert_eq!(choose(&candidates, false), Some("192.0.2.2:9".parse().unwrap()));
        assert_eq!(choose(&candidates[..1], false), None);
    }

    fn candidate(ip: &str, protocol: &str) -> IceCandidate {
        IceCandidate { ip: ip.parse().unwrap(), port: 9, protocol: protocol.to_owned() }
    }
}
