//! A client on its own socket, which sends sound and real pictures in real time.

use bytes::Bytes;
use rtc::rtp::{Header, Packet};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use switchyard_media_worker::Router;
use switchyard_media_worker::media::ortc::MediaKind;
use switchyard_media_worker::media::{Direction, ProduceOptions, ProducerId, TransportId};
use switchyard_peer::{Identity, Incoming, Transport};

pub struct Client {
    server: SocketAddr,
    transport_id: TransportId,
    transport: Transport,
    socket: UdpSocket,
    /// Packets and pictures sent.
    sounds: u32,
    pictures: u32,
    packets: u16,
}

impl Client {
    pub async fn join(router: &Router, identity: &Identity) -> Self {
        // They are made before their time counts.
        LazyLock::force(&PICTURES);
        let (transport_id, parameters) = router.create_transport(Direction::Send).await.unwrap();
        let dtls = serde_json::from_value(serde_json::to_value(identity.dtls_parameters()).unwrap()).unwrap();
        router.connect_transport(transport_id, dtls).await.unwrap();
        let options = serde_json::from_value(serde_json::to_value(&parameters).unwrap()).unwrap();
        let candidate = &parameters.ice_candidates[0];
        let mut client = Self {
            server: (candidate.address, candidate.port).into(),
            transport_id,
            transport: Transport::new(identity, &options, Instant::now()),
            socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
            sounds: 0,
            pictures: 0,
            packets: 0,
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

    /// A microphone and a camera.
    pub async fn produce(&self, router: &Router) -> [ProducerId; 2] {
        let mut producers = Vec::new();
        for kind in [MediaKind::Audio, MediaKind::Video] {
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
            producers.push(router.produce(self.transport_id, options).await.unwrap().0);
        }
        producers.try_into().unwrap()
    }

    /// Sends for this time: 50 packets of silence and 25 pictures a second, a key frame among 25.
    pub async fn send(&mut self, time: Duration) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let until = Instant::now() + time;
        while Instant::now() < until {
            ticks.tick().await;
            self.receive();
            if self.sounds.is_multiple_of(2) {
                self.send_picture();
            }
            self.send_packet(
                MediaKind::Audio,
                true,
                self.sounds * 960,
                self.sounds as u16,
                &[0xF8, 0xFF, 0xFE],
            );
            self.sounds += 1;
        }
    }

    fn send_picture(&mut self) {
        let picture = &PICTURES[self.pictures as usize % PICTURES.len()];
        let parts = picture.chunks(1_100);
        let last = parts.len() - 1;
        for (index, part) in parts.enumerate() {
            // The payload descriptor of RFC 7741 section 4.2 in its shortest form.
            let payload = [&[if index == 0 { 0x10 } else { 0 }], part].concat();
            self.send_packet(MediaKind::Video, index == last, self.pictures * 3_600, self.packets, &payload);
            self.packets += 1;
        }
        self.pictures += 1;
    }

    fn send_packet(
        &mut self,
        kind: MediaKind,
        marker: bool,
        timestamp: u32,
        sequence_number: u16,
        payload: &[u8],
    ) {
        let (ssrc, payload_type) = name_of(kind);
        let header = Header {
            version: 2,
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc,
            ..Header::default()
        };
        self.transport.send_rtp(&Packet { header, payload: Bytes::copy_from_slice(payload) }).unwrap();
        self.flush();
    }

    /// Reads what the server sends, feedback among it.
    fn receive(&mut self) {
        let mut buffer = [0; 2_048];
        let now = Instant::now();
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.transport.handle_datagram(&buffer[..len], now).unwrap();
        }
        self.transport.handle_timeout(now).unwrap();
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.transport.poll_transmit() {
            // A full buffer drops the datagram, as a network may.
            let _ = self.socket.send_to(&datagram, self.server);
        }
    }
}

/// SSRC and payload type of a track.
fn name_of(kind: MediaKind) -> (u32, u8) {
    match kind {
        MediaKind::Audio => (0x00a0_d100, 111),
        MediaKind::Video => (0x0071_de00, 96),
    }
}

/// Two seconds of VP8.
static PICTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=2"]);
    command.args(["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-f", "ivf", "-"]);
    let output =
        command.output().unwrap_or_else(|error| panic!("this test needs the program ffmpeg: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // IVF: a header of 32 bytes, and 12 bytes before each picture, of which four tell its size.
    let mut pictures = Vec::new();
    let mut rest = &output.stdout[32..];
    while let Some((head, content)) = rest.split_first_chunk::<12>() {
        let size = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (picture, behind) = content.split_at(size);
        pictures.push(picture.to_vec());
        rest = behind;
    }
    assert_eq!(pictures.len(), 50);
    pictures
});

const PATIENCE: Duration = Duration::from_secs(20);
