//! The whole media path against another implementation: peer connections of webrtc-rs publish and subscribe
//! over real sockets on loopback.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod recorder;
mod sdp;

use async_trait::async_trait;
use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8, MediaEngine};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use switchyard_media_worker::media::allocation::VideoKind;
use switchyard_media_worker::media::ortc::{MediaKind, router_rtp_capabilities};
use switchyard_media_worker::media::{ConsumeOptions, Direction, ProduceOptions, ProducerId};
use switchyard_media_worker::{Counters, Media, MediaConfig, Router, Sending};
use tokio::sync::mpsc;
use tokio::time::timeout;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription, Registry, register_default_interceptors,
};
use webrtc::runtime::TokioRuntime;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_flow_between_two_peers_of_another_implementation() {
    let counters = call(1, 0).await;
    assert_eq!(counters[0].media.relayed_in, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_flow_from_one_worker_to_another() {
    // With 16 idle transports, the subscriber's transport is placed on the other worker.
    let counters = call(2, 16).await;
    let [home, other] = &counters[..] else { panic!("two workers") };
    assert!(other.media.relayed_in >= 200, "{:?}", other.media);
    assert!(home.media.packets_received >= 200, "{:?}", home.media);
    assert_eq!((home.media.packets_sent, other.media.packets_received), (0, 0));
    let dropped = |it: &Counters| it.shell.relay_video_dropped + it.shell.relay_audio_dropped;
    assert_eq!(dropped(home) + dropped(other), 0);
}

/// A call with a publisher, `idle` clients that only have a transport, and a subscriber to all tracks.
async fn call(workers: usize, idle: usize) -> Vec<Counters> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (bind, announced) = (vec![loopback], vec![]);
    let config = MediaConfig {
        bind,
        port: 0,
        workers,
        max_load: 1.0,
        max_packet_rate: 10_000,
        announced,
        sending: Sending::default(),
    };
    let media = Media::start(config).await.unwrap();
    let (router, _events) = media.create_router().await.unwrap();

    let (publisher, producers) = Publisher::join(&router).await;
    for _ in 0..idle {
        router.create_transport(Direction::Recv).await.unwrap();
    }
    let mut subscriber = Subscriber::join(&router, &producers).await;
    let sending = tokio::spawn(publisher.send_forever());
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let payloads = subscriber.receive(kind, 100).await;
        let numbers: BTreeSet<u32> = payloads.iter().map(number).collect();
        assert_eq!(numbers.len(), payloads.len(), "{kind:?} came twice");
        let span = numbers.last().unwrap() - numbers.first().unwrap();
        assert!(span < 110, "{kind:?} was lost: 100 packets of {span}");
        assert!(payloads.iter().all(|payload| *payload == payload_of(kind, number(payload))));
    }
    sending.abort();

    let counters = media.counters().await;
    for Counters { media, .. } in &counters {
        assert_eq!(media.srtp_rejected + media.rtp_unknown_stream, 0, "{media:?}");
    }
    media.shutdown().await;
    counters
}

/// Sends one microphone and one camera.
struct Publisher {
    tracks: [(MediaKind, Arc<TrackLocalStaticRTP>); 2],
    _connection: Arc<dyn PeerConnection>,
}

impl Publisher {
    async fn join(router: &Router) -> (Self, [ProducerId; 2]) {
        let (connection, mut happenings) = connect(PUBLISHER_PAYLOAD_TYPES).await;
        let tracks = [(MediaKind::Audio, AUDIO_SSRC), (MediaKind::Video, VIDEO_SSRC)]
            .map(|(kind, ssrc)| (kind, track(kind, ssrc)));
        for (_, track) in &tracks {
            connection.add_track(track.clone() as Arc<dyn TrackLocal>).await.unwrap();
        }
        let offer = connection.create_offer(None).await.unwrap();
        connection.set_local_description(offer).await.unwrap();
        happenings.wait_for(Happening::Gathered).await;
        let offer = sdp::Description::parse(&connection.local_description().await.unwrap().sdp);

        let (transport, parameters) = router.create_transport(Direction::Send).await.unwrap();
        router.connect_transport(transport, offer.dtls_parameters()).await.unwrap();
        let mut producers = Vec::new();
        for (section, (kind, ssrc)) in
            offer.sections.iter().zip([(MediaKind::Audio, AUDIO_SSRC), (MediaKind::Video, VIDEO_SSRC)])
        {
            let rtp_parameters = section.rtp_parameters(ssrc);
            let options = ProduceOptions { kind, rtp_parameters, paused: false };
            producers.push(router.produce(transport, options).await.unwrap().0);
        }
        let answer = RTCSessionDescription::answer(sdp::answer(&offer, &parameters)).unwrap();
        connection.set_remote_description(answer).await.unwrap();
        happenings.wait_for(Happening::Connected).await;
        (Self { tracks, _connection: connection }, producers.try_into().unwrap())
    }

    async fn send_forever(self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        for number in 0.. {
            ticks.tick().await;
            for (kind, track) in &self.tracks {
                let (payload_type, ssrc, step) = match kind {
                    MediaKind::Audio => (PUBLISHER_PAYLOAD_TYPES.0, AUDIO_SSRC, 240),
                    MediaKind::Video => (PUBLISHER_PAYLOAD_TYPES.1, VIDEO_SSRC, 450),
                };
                let header = rtc::rtp::Header {
                    version: 2,
                    payload_type,
                    ssrc,
                    marker: true,
                    sequence_number: number as u16,
                    timestamp: step * number,
                    ..rtc::rtp::Header::default()
                };
                let packet = rtc::rtp::Packet { header, payload: payload_of(*kind, number) };
                track.write_rtp(packet).await.unwrap();
            }
        }
    }
}

/// Receives all offered tracks, as mediasoup-client's receiving transport does.
struct Subscriber {
    happenings: Happenings,
    _connection: Arc<dyn PeerConnection>,
}

impl Subscriber {
    async fn join(router: &Router, producers: &[ProducerId]) -> Self {
        let (connection, mut happenings) = connect(ROUTER_PAYLOAD_TYPES).await;
        let (transport, parameters) = router.create_transport(Direction::Recv).await.unwrap();
        let mut consumers = Vec::new();
        for producer in producers {
            let options = ConsumeOptions {
                producer: *producer,
                rtp_capabilities: Arc::new(router_rtp_capabilities().clone().try_into().unwrap()),
                paused: true,
                preferred_layers: None,
                video: VideoKind::Camera,
            };
            consumers.push(router.consume(transport, options).await.unwrap());
        }
        let sent: Vec<_> =
            consumers.iter().map(|(_, consumer)| (consumer.kind, &consumer.rtp_parameters)).collect();
        let offer = RTCSessionDescription::offer(sdp::offer(&sent, &parameters)).unwrap();
        connection.set_remote_description(offer).await.unwrap();
        let answer = connection.create_answer(None).await.unwrap();
        connection.set_local_description(answer).await.unwrap();
        happenings.wait_for(Happening::Gathered).await;
        let answer = sdp::Description::parse(&connection.local_description().await.unwrap().sdp);
        router.connect_transport(transport, answer.dtls_parameters()).await.unwrap();
        for (consumer, _) in consumers {
            router.resume_consumer(consumer).await.unwrap();
        }
        happenings.wait_for(Happening::Connected).await;
        Self { happenings, _connection: connection }
    }

    /// The payloads of the next packets of a kind.
    async fn receive(&mut self, kind: MediaKind, count: usize) -> Vec<Bytes> {
        let mut payloads = Vec::new();
        while payloads.len() < count {
            if let Happening::Packet(of, payload) = self.happenings.next().await
                && of == kind
            {
                payloads.push(payload);
            }
        }
        payloads
    }
}

#[derive(Debug, PartialEq)]
enum Happening {
    Gathered,
    Connected,
    Packet(MediaKind, Bytes),
}

struct Happenings(mpsc::Receiver<Happening>);

impl Happenings {
    async fn next(&mut self) -> Happening {
        timeout(PATIENCE, self.0.recv()).await.expect("nothing happens").expect("the peer is gone")
    }

    async fn wait_for(&mut self, awaited: Happening) {
        while self.next().await != awaited {}
    }
}

struct Handler(mpsc::Sender<Happening>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.send(Happening::Gathered).await;
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            let _ = self.0.send(Happening::Connected).await;
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let happenings = self.0.clone();
        tokio::spawn(async move {
            let audio = track.kind().await == RtpCodecKind::Audio;
            let kind = if audio { MediaKind::Audio } else { MediaKind::Video };
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = happenings.send(Happening::Packet(kind, packet.payload)).await;
                }
            }
        });
    }
}

async fn connect(payload_types: (u8, u8)) -> (Arc<dyn PeerConnection>, Happenings) {
    let (sender, receiver) = mpsc::channel(4_096);
    let mut engine = MediaEngine::default();
    for (kind, codec_kind, payload_type) in [
        (MediaKind::Audio, RtpCodecKind::Audio, payload_types.0),
        (MediaKind::Video, RtpCodecKind::Video, payload_types.1),
    ] {
        let parameters = RTCRtpCodecParameters { rtp_codec: codec(kind), payload_type };
        engine.register_codec(parameters, codec_kind).unwrap();
    }
    let registry = register_default_interceptors(Registry::new(), &mut engine).unwrap();
    let connection = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(Handler(sender)))
        .with_runtime(Arc::new(TokioRuntime))
        .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
        .build();
    (Arc::new(connection.await.unwrap()), Happenings(receiver))
}

fn track(kind: MediaKind, ssrc: u32) -> Arc<TrackLocalStaticRTP> {
    let (name, codec_kind) = match kind {
        MediaKind::Audio => ("mic", RtpCodecKind::Audio),
        MediaKind::Video => ("camera", RtpCodecKind::Video),
    };
    let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
    let encoding =
        RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec: codec(kind), ..Default::default() };
    let track = MediaStreamTrack::new("stream".into(), name.into(), name.into(), codec_kind, vec![encoding]);
    Arc::new(TrackLocalStaticRTP::new(track))
}

fn codec(kind: MediaKind) -> RTCRtpCodec {
    let (mime_type, clock_rate, channels) = match kind {
        MediaKind::Audio => (MIME_TYPE_OPUS, 48_000, 2),
        MediaKind::Video => (MIME_TYPE_VP8, 90_000, 0),
    };
    RTCRtpCodec { mime_type: mime_type.to_owned(), clock_rate, channels, ..Default::default() }
}

/// Every picture is a key frame in one packet, so that a receiver can start with any picture.
fn payload_of(kind: MediaKind, number: u32) -> Bytes {
    let mut payload = match kind {
        // 5 ms, as the packets' times say.
        MediaKind::Audio => vec![0xec; 80],
        MediaKind::Video => [&[0x10], &KEY_FRAME[..], &[7; 900]].concat(),
    };
    payload.extend(number.to_be_bytes());
    payload.into()
}

fn number(payload: &Bytes) -> u32 {
    u32::from_be_bytes(payload[payload.len() - 4..].try_into().unwrap())
}

/// The beginning of a VP8 key frame of 640 x 360.
const KEY_FRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
const AUDIO_SSRC: u32 = 0x00a0_d100;
const VIDEO_SSRC: u32 = 0x0071_de00;
/// Payload types of audio and video; the router's differ.
const PUBLISHER_PAYLOAD_TYPES: (u8, u8) = (111, 96);
const ROUTER_PAYLOAD_TYPES: (u8, u8) = (100, 101);
const PATIENCE: Duration = Duration::from_secs(20);
