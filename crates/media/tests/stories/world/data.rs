//! A client's data channels, as a browser's SCTP does them: negotiated by signaling; the client initiates the
//! association.

use bytes::Bytes;
use rtc_sctp::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, PayloadProtocolIdentifier,
    StreamEvent,
};
use rtc_shared::TransportProtocol;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

#[derive(Default)]
pub struct DataChannels {
    sctp: Option<(Endpoint, Association)>,
    packets: VecDeque<Bytes>,
    /// Received messages with their stream ids.
    pub received: Vec<(u16, Vec<u8>)>,
    pub connected: bool,
    pub closed_streams: Vec<u16>,
}

impl DataChannels {
    pub fn open(&mut self, now: Instant) {
        let mut endpoint =
            Endpoint::new(LOCAL, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), None);
        let (_, association) = endpoint.connect(now, ClientConfig::default(), PEER).unwrap();
        self.sctp = Some((endpoint, association));
    }

    /// Opens a channel that signaling announced, which sends nothing.
    pub fn open_channel(&mut self, stream: u16) {
        let (_, association) = self.sctp.as_mut().expect("no association");
        association.open_stream(stream, PayloadProtocolIdentifier::Binary).unwrap();
    }

    pub fn close_channel(&mut self, now: Instant, stream: u16) {
        let (_, association) = self.sctp.as_mut().expect("no association");
        association.stream(stream).unwrap().close(now).unwrap();
    }

    pub fn send(&mut self, now: Instant, stream: u16, text: &str) {
        let (_, association) = self.sctp.as_mut().expect("no association");
        if association.stream(stream).is_err() {
            association.open_stream(stream, PayloadProtocolIdentifier::Binary).unwrap();
        }
        let message = Bytes::copy_from_slice(text.as_bytes());
        let mut library = association.stream(stream).unwrap();
        library.write_chunk_with_ppi(now, &message, PayloadProtocolIdentifier::String).unwrap();
    }

    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let Some((endpoint, association)) = &mut self.sctp else { return };
        if let Some((_, DatagramEvent::AssociationEvent(event))) = endpoint.handle(now, PEER, None, packet) {
            association.handle_event(event);
        }
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::Stream(StreamEvent::Readable { id }) => {
                    let mut stream = association.stream(id).unwrap();
                    while let Ok(Some(message)) = stream.read_sctp() {
                        self.received.push((id, message.to_payload(1 << 18).unwrap().to_vec()));
                    }
                }
                Event::AssociationLost { id, .. } => self.closed_streams.push(id),
                _ => {}
            }
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.sctp.as_ref().and_then(|(_, association)| association.poll_timeout())
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.sctp {
            association.handle_timeout(now);
        }
    }

    pub fn poll_packet(&mut self, now: Instant) -> Option<Bytes> {
        if let Some((_, association)) = &mut self.sctp {
            while let Some(transmit) = association.poll_transmit(now) {
                if let rtc_sctp::Payload::RawEncode(packets) = transmit.message {
                    self.packets.extend(packets);
                }
            }
        }
        self.packets.pop_front()
    }
}

const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));
const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
