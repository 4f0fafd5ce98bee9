use super::guard::{self, Contents, Sent};
use super::resets::Resets;
use super::stream::{Reliability, SendBuffer};
use super::{
    DropReason, MAX_MESSAGE_SIZE, Payload, STREAMS, SctpError, SctpEvent, SctpOpenError, SctpSendError,
};
use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, Chunks, DatagramEvent, Endpoint, EndpointConfig, EndpointEvent, Event,
    PayloadProtocolIdentifier, ServerConfig, StreamEvent, TransportConfig,
};
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

/// One SCTP association, from the server's side.
///
/// After each call drain [`Self::poll_packet`] and [`Self::poll_event`], then come back at [`Self::poll_timeout`].
pub(crate) struct Sctp {
    endpoint: Endpoint,
    state: State,
    /// Streams that signaling opened; they outlast the setup of the association.
    streams: BTreeMap<u16, OpenStream>,
    /// Streams that we have closed and the peer has not yet: a peer that never opened the channel leaves its stream
    /// here.
    closing: BTreeSet<u16>,
    /// Where the search for a free stream goes on, so that an id rests as long as possible before it is used again.
    next_free: u16,
    /// The cumulative TSN of our last SACK: everything up to this TSN has arrived.
    acknowledged: u32,
    packets: VecDeque<Bytes>,
    events: VecDeque<SctpEvent>,
}

enum State {
    /// The library creates an association for each INIT, including repeated ones; the client completes one of
    /// them.
    Setup {
        attempts: Vec<Attempt>,
    },
    Established {
        attempt: Attempt,
        resets: Resets,
    },
    Closed,
}

struct Attempt {
    handle: AssociationHandle,
    association: Box<Association>,
}

struct OpenStream {
    reliability: Reliability,
    buffer: SendBuffer,
}

impl Sctp {
    pub(crate) fn new() -> Self {
        let transport = TransportConfig::default()
            .with_max_message_size(MAX_MESSAGE_SIZE as u32)
            .with_max_receive_buffer_size(RECEIVE_WINDOW)
            .with_max_num_inbound_streams(STREAMS)
            .with_max_num_outbound_streams(STREAMS);
        let server = Some(Arc::new(ServerConfig::new(transport)));
        Self {
            endpoint: Endpoint::new(LOCAL, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), server),
            state: State::Setup { attempts: Vec::new() },
            streams: BTreeMap::new(),
            closing: BTreeSet::new(),
            next_free: 0,
            acknowledged: 0,
            packets: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Handles one packet, the content of one DTLS record. An error means that it was dropped.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: Bytes) -> Result<(), SctpError> {
        let contents = guard::inspect(&packet, self.acknowledged)?;
        self.admit(&contents)?;
        match self.endpoint.handle(now, PEER, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                if let State::Setup { attempts } = &mut self.state {
                    attempts.push(Attempt { handle, association: Box::new(association) });
                }
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some(attempt) = self.attempts_mut().iter_mut().find(|attempt| attempt.handle == handle)
                {
                    attempt.association.handle_event(event);
                }
            }
            Some(_) | None => return Err(SctpError::NotOurs),
        }
        self.settle(now);
        Ok(())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for attempt in self.attempts_mut() {
            attempt.association.handle_timeout(now);
        }
        self.settle(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.attempts().iter().filter_map(|attempt| attempt.association.poll_timeout()).min()
    }

    /// A packet to be sent as one DTLS record, as far as congestion and the peer's window allow.
    pub(crate) fn poll_packet(&mut self, now: Instant) -> Option<Bytes> {
        if self.packets.is_empty() {
            self.gather(now);
        }
        self.packets.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// Opens a stream in both directions; `reliability` applies to what we send. May be called before the
    /// association is established.
    pub(crate) fn open_stream(&mut self, stream: u16, reliability: Reliability) -> Result<(), SctpOpenError> {
        if matches!(self.state, State::Closed) {
            return Err(SctpOpenError::Closed);
        }
        if stream >= STREAMS {
            return Err(SctpOpenError::InvalidId);
        }
        if self.streams.contains_key(&stream) {
            return Err(SctpOpenError::AlreadyOpen);
        }
        if self.closing.contains(&stream) {
            return Err(SctpOpenError::Closing);
        }
        if let State::Established { attempt, .. } = &mut self.state {
            attempt.register(stream);
        }
        self.streams.insert(stream, OpenStream { reliability, buffer: SendBuffer::default() });
        Ok(())
    }

    /// A stream that is neither open nor closing, if there is one.
    pub(crate) fn free_stream(&mut self) -> Option<u16> {
        let taken = |id: &u16| self.streams.contains_key(id) || self.closing.contains(id);
        let free = (self.next_free..STREAMS).chain(0..self.next_free).find(|id| !taken(id))?;
        self.next_free = (free + 1) % STREAMS;
        Some(free)
    }

    /// Closes a stream in both directions: queued messages are still sent, received ones are dropped. Its id is free
    /// again when the peer has closed it too (RFC 8831 §6.7).
    pub(crate) fn close_stream(&mut self, now: Instant, stream: u16) {
        if self.streams.remove(&stream).is_some()
            && let State::Established { attempt, .. } = &mut self.state
            && let Ok(mut library) = attempt.association.stream(stream)
            // An error means that the association is already gone, which is the goal.
            && library.close(now).is_ok()
        {
            self.closing.insert(stream);
        }
    }

    /// Sends a message completely, or refuses it.
    pub(crate) fn send(&mut self, now: Instant, stream: u16, payload: &Payload) -> Result<(), SctpSendError> {
        let attempt = match &mut self.state {
            State::Established { attempt, .. } => attempt,
            State::Setup { .. } => return Err(SctpSendError::NotConnected),
            State::Closed => return Err(SctpSendError::Closed),
        };
        let open = self.streams.get_mut(&stream).ok_or(SctpSendError::Closed)?;
        let (protocol, bytes) = on_the_wire(payload);
        if bytes.len() > MAX_MESSAGE_SIZE {
            return Err(SctpSendError::TooLarge);
        }
        if !open.buffer.has_room_for(bytes.len()) {
            return Err(SctpSendError::Blocked);
        }
        write(&mut attempt.association, now, stream, open.reliability, protocol, &bytes)
            .map_err(|_| SctpSendError::Closed)?;
        open.buffer.push(bytes.len());
        Ok(())
    }

    fn admit(&mut self, contents: &Contents) -> Result<(), SctpError> {
        match (&mut self.state, contents.init) {
            (State::Setup { attempts }, Some(_)) if attempts.len() == MAX_ATTEMPTS => {
                Err(SctpError::TooManyInits)
            }
            (State::Setup { .. }, init) => {
                self.acknowledged = init.map_or(self.acknowledged, |initial_tsn| initial_tsn.wrapping_sub(1));
                Ok(())
            }
            // A peer that wants to start over (RFC 9260 §5.2.2) would have to do so in a new DTLS association.
            (State::Established { .. }, Some(_)) => Err(SctpError::UnexpectedChunk),
            (State::Established { resets, .. }, None) => {
                let admitted = resets.admit(&contents.resets, &contents.answers, self.acknowledged);
                if admitted { Ok(()) } else { Err(SctpError::TooManyResets) }
            }
            (State::Closed, _) => Err(SctpError::Closed),
        }
    }

    /// Handles the library's events after any input.
    fn settle(&mut self, now: Instant) {
        if let State::Setup { attempts } = &mut self.state {
            let connected =
                |attempt: &mut Attempt| attempt.poll().any(|event| matches!(event, Event::Connected));
            if let Some(index) = attempts.iter_mut().position(connected) {
                let mut attempt = attempts.swap_remove(index);
                self.streams.keys().for_each(|stream| attempt.register(*stream));
                for abandoned in attempts.drain(..) {
                    self.endpoint.handle_event(abandoned.handle, EndpointEvent::drained());
                }
                self.state = State::Established { attempt, resets: Resets::default() };
                self.events.push_back(SctpEvent::Connected);
            }
        }
        self.take_events(now);
        if let State::Established { attempt, .. } = &self.state
            && attempt.association.is_closed()
        {
            self.gather(now);
            self.state = State::Closed;
            self.streams.clear();
            self.closing.clear();
            self.events.push_back(SctpEvent::Closed);
        }
    }

    fn take_events(&mut self, now: Instant) {
        let State::Established { attempt, .. } = &mut self.state else { return };
        while attempt.association.accept_stream().is_some() {}
        let events: Vec<Event> = attempt.poll().collect();
        let closed = attempt.association.is_closed();
        for event in events {
            match event {
                Event::Stream(StreamEvent::Readable { id }) => self.receive(now, id),
                Event::Stream(StreamEvent::BufferedAmountReleased { id, n_bytes }) => {
                    if let Some(open) = self.streams.get_mut(&id) {
                        open.buffer.release(n_bytes);
                    }
                }
                Event::AssociationLost { id, .. } if !closed => {
                    self.closing.remove(&id);
                    if self.streams.remove(&id).is_some() {
                        self.events.push_back(SctpEvent::StreamClosed { stream: id });
                    }
                }
                Event::AssociationLost { .. }
                | Event::HandshakeFailed { .. }
                | Event::Connected
                | Event::DatagramReceived
                | Event::Stream(_)
                | _ => {}
            }
        }
    }

    fn receive(&mut self, now: Instant, stream: u16) {
        let State::Established { attempt, .. } = &mut self.state else { return };
        let Ok(mut library) = attempt.association.stream(stream) else { return };
        while let Ok(Some(message)) = library.read_sctp() {
            if is_dcep_open(&message) {
                // An error has no other effect than that the peer's channel never opens.
                let _ = library.write_with_ppi(now, &[DCEP_ACK], PayloadProtocolIdentifier::Dcep);
            }
            let event = match payload(&message) {
                Ok(_) if !self.streams.contains_key(&stream) => SctpEvent::Dropped(DropReason::UnknownStream),
                Ok(payload) => SctpEvent::Message { stream, payload },
                Err(reason) => SctpEvent::Dropped(reason),
            };
            self.events.push_back(event);
        }
    }

    fn gather(&mut self, now: Instant) {
        while let Some(packets) = self.attempts_mut().iter_mut().find_map(|attempt| attempt.transmit(now)) {
            for said in packets.iter().filter_map(|packet| guard::sent(packet)) {
                match (said, &mut self.state) {
                    (Sent::Acknowledgement(tsn), _) => self.acknowledged = tsn,
                    (Sent::Reset(request), State::Established { resets, .. }) => resets.sent(request),
                    (Sent::Reset(_), State::Setup { .. } | State::Closed) => {}
                }
            }
            self.packets.extend(packets);
        }
    }

    fn attempts(&self) -> &[Attempt] {
        match &self.state {
            State::Setup { attempts } => attempts,
            State::Established { attempt, .. } => std::slice::from_ref(attempt),
            State::Closed => &[],
        }
    }

    fn attempts_mut(&mut self) -> &mut [Attempt] {
        match &mut self.state {
            State::Setup { attempts } => attempts,
            State::Established { attempt, .. } => std::slice::from_mut(attempt),
            State::Closed => &mut [],
        }
    }
}

impl Attempt {
    fn poll(&mut self) -> impl Iterator<Item = Event> {
        std::iter::from_fn(|| self.association.poll())
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        let message = self.association.poll_transmit(now)?.message;
        Some(if let rtc_sctp::Payload::RawEncode(packets) = message { packets } else { Vec::new() })
    }

    /// Makes a stream known before its first message: the library answers the reset of a stream that it does not know
    /// without resetting its own side (RFC 8831 §6.7).
    fn register(&mut self, stream: u16) {
        // An error means that the peer's first message came before.
        let _ = self.association.open_stream(stream, PayloadProtocolIdentifier::Binary);
    }
}

fn write(
    association: &mut Association,
    now: Instant,
    stream: u16,
    reliability: Reliability,
    protocol: PayloadProtocolIdentifier,
    bytes: &Bytes,
) -> Result<(), Error> {
    let mut library = association.stream(stream)?;
    let (kind, value) = reliability.delivery.library();
    library.set_reliability_params(!reliability.ordered, kind, value)?;
    library.write_chunk_with_ppi(now, bytes, protocol)?;
    Ok(())
}

/// SCTP has no empty messages: an empty message is sent as one byte with its own payload protocol identifier
/// (RFC 8831 §6.6).
fn on_the_wire(payload: &Payload) -> (PayloadProtocolIdentifier, Bytes) {
    let empty = Bytes::from_static(&[0]);
    match payload {
        Payload::Text(bytes) if bytes.is_empty() => (PayloadProtocolIdentifier::StringEmpty, empty),
        Payload::Binary(bytes) if bytes.is_empty() => (PayloadProtocolIdentifier::BinaryEmpty, empty),
        Payload::Text(bytes) => (PayloadProtocolIdentifier::String, bytes.clone()),
        Payload::Binary(bytes) => (PayloadProtocolIdentifier::Binary, bytes.clone()),
    }
}

fn payload(message: &Chunks) -> Result<Payload, DropReason> {
    let bytes = || message.to_payload(MAX_MESSAGE_SIZE).map(Into::into).map_err(|_| DropReason::TooLarge);
    match message.ppi {
        PayloadProtocolIdentifier::String => Ok(Payload::Text(bytes()?)),
        PayloadProtocolIdentifier::Binary => Ok(Payload::Binary(bytes()?)),
        PayloadProtocolIdentifier::StringEmpty => Ok(Payload::Text(Bytes::new())),
        PayloadProtocolIdentifier::BinaryEmpty => Ok(Payload::Binary(Bytes::new())),
        PayloadProtocolIdentifier::Dcep => Err(DropReason::Dcep),
        PayloadProtocolIdentifier::Unknown | _ => Err(DropReason::UnknownProtocol),
    }
}

fn is_dcep_open(message: &Chunks) -> bool {
    message.ppi == PayloadProtocolIdentifier::Dcep
        && message.to_payload(MAX_MESSAGE_SIZE).is_ok_and(|bytes| bytes.first() == Some(&DCEP_OPEN))
}

/// RFC 8832 §8.2.1.
const DCEP_ACK: u8 = 2;
const DCEP_OPEN: u8 = 3;
/// The library distinguishes peers by address. There is only one peer here, whatever its address is.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));
const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
/// Bytes: room for two messages of the largest size at the same time.
const RECEIVE_WINDOW: u32 = 2 * MAX_MESSAGE_SIZE as u32;
/// The number of associations kept for a client's repeated INITs.
const MAX_ATTEMPTS: usize = 4;

#[cfg(test)]
mod tests;
