//! A client with one transport on its own socket, which sends or receives audio and video.

use rtc::rtp::{Header, Packet};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchyard_media_worker::Router;
use switchyard_media_worker::media::allocation::VideoKind;
use switchyard_media_worker::media::ortc::{MediaKind, router_rtp_capabilities};
use switchyard_media_worker::media::{ConsumeOptions, Direction, ProduceOptions, ProducerId, TransportId};
use switchyard_peer::{Identity, Incoming, Transport};
use tokio::runtime::Runtime;

pub struct Client {
    pub server: SocketAddr,
    transport_id: TransportId,
    transport: Transport,
    socket: UdpSocket,
    /// The publisher's numbers of the packets sent or received, for audio and video.
    sounds: BTreeSet<u32>,
    packets: BTreeSet<u32>,
}

impl Client {
    /// Connects a new transport of the router.
    pub fn join(runtime: &Runtime, router: &Router, identity: &Identity, direction: Direction) -> Self {
        let (transport_id, parameters) = runtime.block_on(router.create_transport(direction)).unwrap();
        let dtls = serde_json::from_value(serde_json::to_value(identity.dtls_parameters()).unwrap()).unwrap();
        runtime.block_on(router.connect_transport(transport_id, dtls)).unwrap();
        let options = serde_json::from_value(serde_json::to_value(&parameters).unwrap()).unwrap();
        let candidate = &parameters.ice_candidates[0];
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
        let mut client = Self {
            server: (candidate.address, candidate.port).into(),
            transport_id,
            transport: Transport::new(identity, &options, Instant::now()),
            socket,
            sounds: BTreeSet::new(),
            packets: BTreeSet::new(),
        };
        client.connect();
        client
    }

    fn connect(&mut self) {
        self.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2_048];
        loop {
            assert!(Instant::now() < deadline, "ICE or DTLS did not connect");
            self.transport.handle_timeout(Instant::now()).unwrap();
            self.flush();
            let Ok(len) = self.socket.recv(&mut buffer) else { continue };
            let incoming = self.transport.handle_datagram(&buffer[..len], Instant::now()).unwrap();
            self.flush();
            if let Some(Incoming::Connected) = incoming {
                return self.socket.set_nonblocking(true).unwrap();
            }
        }
    }

    pub fn produce(&self, runtime: &Runtime, router: &Router) -> [ProducerId; 2] {
        [MediaKind::Audio, MediaKind::Video].map(|kind| {
            let (ssrc, payload_type) = name_of(kind);
            let codec = match kind {
                MediaKind::Audio => json!({
                    "mimeType": "audio/opus", "payloadType": payload_type, "clockRate": 48_000, "channels": 2,
                }),
                MediaKind::Video => json!({
                    "mimeType": "video/VP8", "payloadType": payload_type, "clockRate": 90_000,
                    "rtcpFeedback": [{"type": "nack", "parameter": "pli"}],
                }),
            };
            let rtp_parameters = serde_json::from_value(json!({
                "codecs": [codec], "headerExtensions": [], "encodings": [{"ssrc": ssrc}],
                "rtcp": {"cname": "client"},
            }))
            .unwrap();
            let options = ProduceOptions { kind, rtp_parameters, paused: false };
            runtime.block_on(router.produce(self.transport_id, options)).unwrap().0
        })
    }

    pub fn consume(&self, runtime: &Runtime, router: &Router, producers: [ProducerId; 2]) {
        for producer in producers {
            let rtp_capabilities = Arc::new(router_rtp_capabilities().clone().try_into().unwrap());
            let options = ConsumeOptions {
                producer,
                rtp_capabilities,
                paused: false,
                preferred_layers: None,
                video: VideoKind::Camera,
            };
            runtime.block_on(router.consume(self.transport_id, options)).unwrap();
        }
    }

    /// Sends the next audio packet.
    pub fn send_sound(&mut self) {
        let number = self.sounds.len() as u32;
        self.sounds.insert(number);
        self.send(MediaKind::Audio, number, number * 960, vec![0xfc; 80]);
    }

    /// Sends the next picture. Every picture is a key frame.
    pub fn send_picture(&mut self) {
        let picture = (self.packets.len() / PACKETS) as u32;
        for packet in 0..PACKETS {
            let number = self.packets.len() as u32;
            self.packets.insert(number);
            // A payload descriptor (RFC 7741 §4.2), and in the first packet a key frame's tag.
            let mut payload = vec![if packet == 0 { 0x10 } else { 0 }];
            payload.resize(1_100, 0);
            self.send(MediaKind::Video, number, picture.wrapping_mul(900), payload);
        }
    }

    fn send(&mut self, kind: MediaKind, number: u32, timestamp: u32, mut payload: Vec<u8>) {
        let (ssrc, payload_type) = name_of(kind);
        payload.extend(number.to_be_bytes());
        let marker = kind == MediaKind::Audio || number as usize % PACKETS == PACKETS - 1;
        let sequence_number = number as u16;
        let header = Header {
            version: 2,
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc,
            ..Header::default()
        };
        self.transport.send_rtp(&Packet { header, payload: payload.into() }).unwrap();
        self.flush();
    }

    /// Receives all queued datagrams.
    pub fn receive(&mut self) {
        let mut buffer = [0; 2_048];
        let now = Instant::now();
        while let Ok(len) = self.socket.recv(&mut buffer) {
            if let Some(Incoming::Rtp(packet)) = self.transport.handle_datagram(&buffer[..len], now).unwrap()
            {
                let number =
                    u32::from_be_bytes(packet.payload[packet.payload.len() - 4..].try_into().unwrap());
                let is_sound = packet.payload[0] == 0xfc;
                let numbers = if is_sound { &mut self.sounds } else { &mut self.packets };
                assert!(numbers.insert(number), "{number} came twice");
            }
        }
        self.transport.handle_timeout(now).unwrap();
        self.flush();
    }

    /// The numbers of audio and video packets sent or received.
    pub fn counts(&self) -> (usize, usize) {
        (self.sounds.len(), self.packets.len())
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.transport.poll_transmit() {
            // A full buffer drops the datagram, as a network may.
            let _ = self.socket.send_to(&datagram, self.server);
        }
    }
}

/// SSRC and payload type of a publisher's track.
fn name_of(kind: MediaKind) -> (u32, u8) {
    match kind {
        MediaKind::Audio => (0x00a0_d100, 111),
        MediaKind::Video => (0x0071_de00, 96),
    }
}

/// Packets per picture.
pub const PACKETS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);
