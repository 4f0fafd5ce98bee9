use super::allowance::Allowance;
use super::config::Identity;
use super::flight::Flight;
use super::hello::{self, Echo};
use super::message::{Message, Reassembly};
use super::record::{self, Content, Record, Records};
use super::{DtlsError, DtlsEvent, DtlsFailure, DtlsRole, proof};
use crate::srtp::Profile;
use bytes::{Bytes, BytesMut};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// A handshake that only the holder of the announced certificate can complete or end.
///
/// Most of a handshake is in plaintext, which anybody can forge, and the library cannot take back what it has read.
/// So it reads a ClientHello only with our cookie, and the peer's flight only as a whole and with a valid signature.
/// Anything else is dropped, and the peer's repetition counts.
pub(super) struct Handshake {
    identity: Identity,
    role: DtlsRole,
    /// None in the server role until a client has echoed our cookie.
    endpoint: Option<Endpoint>,
    peer: PeerFlight,
    /// Our last flight.
    flight: Flight,
    /// The time limit, counted from our ClientHello or the peer's first datagram.
    deadline: Option<Instant>,
    allowance: Allowance,
    numbers: Numbers,
    output: Output,
}

/// The peer's messages.
#[derive(Default)]
struct PeerFlight {
    reassembly: Reassembly,
    /// Whole messages of the flight in the order of their numbers, unproven.
    held: Vec<Message>,
    /// The messages that the flight's signature covers besides its own, or is checked with.
    before: Vec<Message>,
    /// A server's HelloVerifyRequest that was answered.
    verify_request: Option<Message>,
    /// The number of the flight's first message.
    first: u16,
    /// The flight was read: nothing more comes in plaintext.
    proven: bool,
}

/// Record numbers in plaintext.
#[derive(Default)]
struct Numbers {
    /// The next one for the library to read.
    incoming: u64,
    /// Added to the library's own: we sent records before.
    shift: u64,
    /// HelloVerifyRequests sent.
    greetings: u64,
}

/// What happened since it was last taken.
#[derive(Default)]
pub(super) struct Output {
    pub(super) transmits: Vec<Bytes>,
    /// Records and messages dropped.
    pub(super) dropped: u32,
    pub(super) restarts: u32,
}

impl Handshake {
    /// Waits for a client.
    pub(super) fn accept(identity: Identity) -> Self {
        Self {
            identity,
            role: DtlsRole::Server,
            endpoint: None,
            peer: PeerFlight::default(),
            flight: Flight::default(),
            deadline: None,
            allowance: Allowance::default(),
            numbers: Numbers::default(),
            output: Output::default(),
        }
    }

    /// Sends a ClientHello.
    pub(super) fn connect(now: Instant, identity: Identity) -> Result<Self, DtlsError> {
        let mut handshake = Self { role: DtlsRole::Client, ..Self::accept(identity) };
        handshake.deadline = Some(now + HANDSHAKE_LIFETIME);
        handshake.greet_server(now).map_err(|error| DtlsError::Library(error.to_string()))?;
        Ok(handshake)
    }

    /// Reads a datagram. Whatever is wrong with it, only an error ends the handshake.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        self.deadline.get_or_insert(now + HANDSHAKE_LIFETIME);
        if !self.allowance.take(now, datagram.len()) {
            self.output.dropped += 1;
            return Ok(Vec::new());
        }
        let (mut records, mut events) = (Records::of(datagram), Vec::new());
        for record in records.by_ref() {
            events.extend(self.read_record(now, &record)?);
        }
        self.output.dropped += records.dropped;
        Ok(events)
    }

    pub(super) fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// Repeats our flight if it is time to; fails when the time is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(DtlsFailure::TimedOut);
        }
        self.output.transmits.extend(self.flight.repeat(now).iter().cloned());
        Ok(())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.flight.due().into_iter().chain(self.deadline).min()
    }

    /// Ends the handshake that is complete. Returns our last flight if the peer waits for it: a server does not.
    pub(super) fn complete(self) -> Result<(Endpoint, Vec<Bytes>, DtlsEvent), DtlsFailure> {
        let lost = || DtlsFailure::Protocol("the association vanished".to_owned());
        let endpoint = self.endpoint.ok_or_else(lost)?;
        let state = endpoint.get_connection_state(PEER).ok_or_else(lost)?;
        let profile =
            Profile::negotiated(state.srtp_protection_profile()).ok_or(DtlsFailure::NoSrtpProfile)?;
        let keying_material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len())
            .map_err(|error| DtlsFailure::Protocol(error.to_string()))?;
        let event = DtlsEvent::Connected { profile, keying_material, is_client: state.is_client() };
        let last_flight = match self.role {
            DtlsRole::Server => self.flight.into_datagrams(),
            DtlsRole::Client => Vec::new(),
        };
        Ok((endpoint, last_flight, event))
    }

    /// Says goodbye to a peer that may have keys already.
    pub(super) fn close(&mut self, now: Instant) -> Vec<Bytes> {
        let Some(endpoint) = &mut self.endpoint else { return Vec::new() };
        // An error does not matter: the endpoint is discarded.
        let _ = endpoint.close(now);
        self.drain()
    }

    fn read_record(&mut self, now: Instant, record: &Record<'_>) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        match (record.encrypted, record.content) {
            (true, Content::Alert | Content::Handshake | Content::ApplicationData) => {
                self.read_sealed(now, record.bytes)
            }
            (false, Content::ChangeCipherSpec) if record.body == [1] => {
                self.numbers.incoming += 1;
                self.read_sealed(now, &record.renumbered(self.numbers.incoming))
            }
            (false, Content::Handshake) => {
                let from = if self.peer.proven { self.peer.first } else { 0 };
                let (messages, dropped) = self.peer.reassembly.add(record.body, from);
                self.output.dropped += dropped;
                let mut events = Vec::new();
                for message in messages {
                    events.extend(self.read_message(now, message)?);
                }
                Ok(events)
            }
            // Not authenticated, so neither an alert nor data is believed; there is no second change of ciphers.
            (_, Content::ChangeCipherSpec) | (false, Content::Alert | Content::ApplicationData) => {
                self.output.dropped += 1;
                Ok(Vec::new())
            }
        }
    }

    /// Reads a record that the library can open, keeps until it can, or drops.
    fn read_sealed(&mut self, now: Instant, record: &[u8]) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let Some(endpoint) = &mut self.endpoint else {
            self.output.dropped += 1;
            return Ok(Vec::new());
        };
        match endpoint.read(now, PEER, None, BytesMut::from(record)) {
            Ok(events) if events.iter().any(|event| matches!(event, EndpointEvent::PeerClosed)) => {
                Err(DtlsFailure::Alert)
            }
            Ok(events) => {
                self.send_flight(now);
                Ok(events)
            }
            Err(Error::ErrAlertFatalOrClose) => Err(DtlsFailure::Alert),
            Err(_) => self.start_anew(now).map(|()| Vec::new()),
        }
    }

    fn read_message(&mut self, now: Instant, message: Message) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        match (self.role, &self.endpoint) {
            (DtlsRole::Server, None) => self.greet_client(now, message),
            // The client has not received our flight, which is repeated in time.
            (DtlsRole::Server, Some(_)) if message.kind == hello::CLIENT_HELLO => {}
            (DtlsRole::Client, _) if message.kind == hello::HELLO_VERIFY_REQUEST => {
                self.answer_verify_request(now, message)?;
            }
            (DtlsRole::Server | DtlsRole::Client, _) => return self.hold(now, message),
        }
        Ok(Vec::new())
    }

    /// Keeps a message of the peer's flight, and reads the flight once it is whole and proven.
    fn hold(&mut self, now: Instant, message: Message) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let expected = proof::kinds(self.role).contains(&message.kind);
        if self.peer.proven || message.sequence < self.peer.first || !expected {
            self.output.dropped += 1;
            return Ok(Vec::new());
        }
        self.peer.hold(message);
        let Some(flight) = self.peer.take_whole(self.role) else { return Ok(Vec::new()) };
        let proven = match self.role {
            DtlsRole::Server => proof::is_of_client(&flight, &self.peer.before),
            DtlsRole::Client => proof::is_of_server(&flight, &self.peer.before),
        };
        if !proven {
            self.output.dropped += flight.len() as u32;
            return Ok(Vec::new());
        }
        self.peer.first += flight.len() as u16;
        self.peer.proven = true;
        self.read_flight(now, &flight)
    }

    /// Reads a proven flight. The handshake may be complete with it, if what follows it came before.
    fn read_flight(&mut self, now: Instant, flight: &[Message]) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let mut events = Vec::new();
        for message in flight {
            match self.read(now, message) {
                Ok(more) => events.extend(more),
                Err(Error::ErrNoMatchingCertificateFingerprint) => {
                    self.send_flight(now);
                    return Err(DtlsFailure::FingerprintMismatch);
                }
                Err(_) => return self.start_anew(now).map(|()| Vec::new()),
            }
        }
        self.send_flight(now);
        Ok(events)
    }

    /// Asks a client for the cookie, or begins the handshake with one that echoes it.
    fn greet_client(&mut self, now: Instant, message: Message) {
        match hello::echo(&message, &self.identity.cookie) {
            Some(Echo::Right) => {
                if self.begin(now, message).is_err() {
                    // The client can be told: it has received our cookie.
                    self.send_flight(now);
                    self.forget_peer();
                    self.output.dropped += 1;
                }
            }
            Some(Echo::Missing) => {
                let request = hello::verify_request(&self.identity.cookie, self.numbers.greetings);
                self.numbers.greetings += 1;
                self.output.transmits.push(request.into());
            }
            None => self.output.dropped += 1,
        }
    }

    /// Reads a ClientHello with our cookie. As a server, rtc-dtls selects the first profile in the client's list that
    /// it is configured with, and Chromium lists AES-CM first. To prefer GCM, the first endpoint knows GCM alone; if
    /// that fails, a second one knows AES-CM.
    fn begin(&mut self, now: Instant, client_hello: Message) -> Result<(), Error> {
        let first = hello::before_cookie(&client_hello).ok_or(Error::ErrCookieMismatch)?;
        self.endpoint = Some(self.identity.server(Profile::AeadAes128Gcm)?);
        self.numbers.shift = self.numbers.greetings;
        match self.read(now, &first) {
            Err(Error::ErrServerNoMatchingSrtpProfile) => {
                self.endpoint = Some(self.identity.server(Profile::Aes128CmHmacSha1_80)?);
                self.read(now, &first)?;
            }
            read => drop(read?),
        }
        // The library's own HelloVerifyRequest; the client has received ours.
        self.drain();
        self.read(now, &client_hello)?;
        self.send_flight(now);
        self.peer.first = client_hello.sequence + 1;
        self.peer.before.insert(0, client_hello);
        Ok(())
    }

    fn greet_server(&mut self, now: Instant) -> Result<(), Error> {
        let config = self.identity.config(DtlsRole::Client, &PROFILES)?;
        let mut endpoint = Endpoint::new(LOCAL, TransportProtocol::UDP, None);
        endpoint.connect(now, PEER, config, None)?;
        self.endpoint = Some(endpoint);
        self.send_flight(now);
        Ok(())
    }

    /// Sends the ClientHello with the cookie. Another cookie than before means that one of the two was forged, and the
    /// library can answer only one: a new handshake finds out.
    fn answer_verify_request(&mut self, now: Instant, message: Message) -> Result<(), DtlsFailure> {
        let answered = self.peer.verify_request.as_ref();
        if self.peer.proven || answered == Some(&message) {
            return Ok(());
        }
        if answered.is_some() || message.sequence != 0 || self.read(now, &message).is_err() {
            return self.start_anew(now);
        }
        self.peer.verify_request = Some(message);
        self.peer.first = 1;
        self.peer.held.retain(|message| message.sequence >= 1);
        self.send_flight(now);
        Ok(())
    }

    /// The library failed, which it cannot recover from.
    fn start_anew(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        self.output.restarts += 1;
        self.forget_peer();
        self.numbers.shift += NUMBERS_PER_HANDSHAKE;
        self.numbers.greetings += NUMBERS_PER_HANDSHAKE;
        if !self.allowance.take(now, RESTART_COST) {
            return Ok(());
        }
        match self.role {
            DtlsRole::Server => Ok(()),
            DtlsRole::Client => {
                self.greet_server(now).map_err(|error| DtlsFailure::Protocol(error.to_string()))
            }
        }
    }

    fn forget_peer(&mut self) {
        self.endpoint = None;
        self.peer = PeerFlight::default();
        self.flight = Flight::default();
    }

    fn read(&mut self, now: Instant, message: &Message) -> Result<Vec<EndpointEvent>, Error> {
        let endpoint = self.endpoint.as_mut().ok_or(Error::ErrConnClosed)?;
        self.numbers.incoming += 1;
        let record = record::write_handshake(&message.bytes(), self.numbers.incoming);
        endpoint.read(now, PEER, None, BytesMut::from(record.as_slice()))
    }

    /// Sends what the library has to send, and repeats it until the peer answers.
    fn send_flight(&mut self, now: Instant) {
        let flight = self.drain();
        if flight.is_empty() {
            return;
        }
        if !self.peer.proven {
            let bodies = flight.iter().flat_map(|datagram| Records::of(datagram)).filter(is_message);
            self.peer.before = Message::all_in(bodies.map(|record| record.body));
        }
        self.output.transmits.extend(flight.iter().cloned());
        self.flight = Flight::sent(now, flight);
    }

    fn drain(&mut self) -> Vec<Bytes> {
        let Some(endpoint) = &mut self.endpoint else { return Vec::new() };
        let shift = self.numbers.shift;
        let shifted = |datagram: Bytes| {
            let mut datagram = BytesMut::from(datagram);
            record::shift_numbers(&mut datagram, shift);
            datagram.freeze()
        };
        drain(endpoint).into_iter().map(shifted).collect()
    }
}

impl PeerFlight {
    fn hold(&mut self, message: Message) {
        self.held.retain(|other| other.sequence != message.sequence);
        let at = self.held.partition_point(|other| other.sequence < message.sequence);
        self.held.insert(at, message);
    }

    /// Takes the flight if all messages up to its last one are here. Others may have sent some that follow it.
    fn take_whole(&mut self, role: DtlsRole) -> Option<Vec<Message>> {
        let last = match role {
            DtlsRole::Server => proof::CERTIFICATE_VERIFY,
            DtlsRole::Client => proof::SERVER_HELLO_DONE,
        };
        let in_order = (self.first..).zip(&self.held).take_while(|(number, it)| it.sequence == *number);
        let end = in_order.into_iter().position(|(_, message)| message.kind == last)?;
        Some(self.held.drain(..=end).collect())
    }
}

fn is_message(record: &Record<'_>) -> bool {
    record.content == Content::Handshake && !record.encrypted
}

pub(super) fn drain(endpoint: &mut Endpoint) -> Vec<Bytes> {
    std::iter::from_fn(|| endpoint.poll_transmit()).map(|transmit| transmit.message.freeze()).collect()
}

/// RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];
/// The library keeps associations by address. This endpoint has one association, and its address may change,
/// so a fixed address stands for the peer (the port must not be 0).
pub(super) const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));
pub(super) const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
const HANDSHAKE_LIFETIME: Duration = Duration::from_secs(30);
/// More than one handshake's flights have.
const NUMBERS_PER_HANDSHAKE: u64 = 64;
/// Bytes of the allowance: a new start makes keys.
const RESTART_COST: usize = 4 * 1024;
