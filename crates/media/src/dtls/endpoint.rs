use super::certificate::{Certificate, Fingerprint};
use super::config::Identity;
use super::flight::Flight;
use super::record::{self, Records};
use super::{Dtls, DtlsError, DtlsEvent, DtlsFailure, DtlsRole};
use crate::srtp::Profile;
use bytes::{Bytes, BytesMut};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// [`Dtls`] over rtc-dtls (DTLS 1.2).
pub(crate) struct RtcDtls {
    certificate: Certificate,
    state: State,
    transmits: VecDeque<Bytes>,
    events: VecDeque<DtlsEvent>,
}

enum State {
    /// The peer's fingerprints are not known yet, but its ClientHello may be here.
    Pending {
        early: Vec<Bytes>,
    },
    Handshaking(Handshake),
    Connected(Connected),
    Ended,
}

struct Handshake {
    endpoint: Endpoint,
    offer: Offer,
    flight: Flight,
    /// The time limit of the handshake, counted from our ClientHello or the peer's first datagram.
    deadline: Option<Instant>,
    received_bytes: usize,
}

/// State of the SRTP profile negotiation. As a server, rtc-dtls selects the first profile in the client's
/// list that it is configured with, and Chromium lists AES-CM first. To prefer GCM, the first endpoint is
/// configured with GCM alone; if that fails, the client's first flight is fed to a second endpoint, which is
/// configured with AES-CM.
enum Offer {
    Gcm { identity: Identity, first_flight: Vec<Bytes> },
    Settled,
}

struct Connected {
    endpoint: Endpoint,
    /// How many more plaintext datagrams are read, in case our last flight was lost and the peer repeats its
    /// own.
    plaintext_budget: u32,
}

impl RtcDtls {
    pub(crate) fn new(certificate: Certificate) -> Self {
        Self {
            certificate,
            state: State::Pending { early: Vec::new() },
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }
}

impl Dtls for RtcDtls {
    fn start(&mut self, now: Instant, role: DtlsRole, remote: Vec<Fingerprint>) -> Result<(), DtlsError> {
        let early = match &mut self.state {
            State::Pending { early } => std::mem::take(early),
            State::Handshaking(_) | State::Connected(_) => return Err(DtlsError::AlreadyStarted),
            State::Ended => return Err(DtlsError::Ended),
        };
        let identity = Identity { certificate: self.certificate.clone(), remote: remote.into() };
        match role {
            DtlsRole::Client => self.connect(now, &identity),
            DtlsRole::Server => {
                self.state = State::Handshaking(Handshake::accept(identity)?);
                early.iter().try_for_each(|datagram| self.handshake(now, datagram))
            }
        }
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsError> {
        let records = record::inspect(datagram).ok_or(DtlsError::Malformed)?;
        match &mut self.state {
            State::Pending { early } if early.len() < MAX_EARLY_DATAGRAMS => {
                early.push(Bytes::copy_from_slice(datagram));
                Ok(())
            }
            State::Pending { .. } => Err(DtlsError::TooMuch),
            State::Handshaking(_) => self.handshake(now, datagram),
            State::Connected(_) => self.receive(now, datagram, &records),
            State::Ended => Err(DtlsError::Ended),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let State::Handshaking(handshake) = &mut self.state {
            if handshake.deadline.is_some_and(|deadline| deadline <= now) {
                self.fail(DtlsFailure::TimedOut);
            } else {
                self.transmits.extend(handshake.flight.repeat(now).iter().cloned());
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking(handshake) => {
                handshake.flight.due().into_iter().chain(handshake.deadline).min()
            }
            State::Pending { .. } | State::Connected(_) | State::Ended => None,
        }
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn write(&mut self, now: Instant, data: &[u8]) -> Result<(), DtlsError> {
        match &mut self.state {
            State::Connected(connected) => {
                let written = connected.endpoint.write(now, PEER, data);
                self.transmits.extend(drain(&mut connected.endpoint));
                written.map_err(|error| DtlsError::Library(error.to_string()))
            }
            State::Pending { .. } | State::Handshaking(_) => Err(DtlsError::NotConnected),
            State::Ended => Err(DtlsError::Ended),
        }
    }

    fn close(&mut self, now: Instant) {
        if let State::Handshaking(Handshake { endpoint, .. }) | State::Connected(Connected { endpoint, .. }) =
            &mut self.state
        {
            // An error does not matter: the endpoint is discarded.
            let _ = endpoint.close(now);
            self.transmits.extend(drain(endpoint));
        }
        self.state = State::Ended;
    }
}

impl RtcDtls {
    fn connect(&mut self, now: Instant, identity: &Identity) -> Result<(), DtlsError> {
        let offers = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];
        let config = identity.config(DtlsRole::Client, &offers)?;
        let mut endpoint = Endpoint::new(LOCAL, TransportProtocol::UDP, None);
        endpoint.connect(now, PEER, config, None).map_err(|error| DtlsError::Library(error.to_string()))?;
        let client_hello = drain(&mut endpoint);
        self.transmits.extend(client_hello.iter().cloned());
        self.state = State::Handshaking(Handshake {
            endpoint,
            offer: Offer::Settled,
            flight: Flight::sent(now, client_hello),
            deadline: Some(now + HANDSHAKE_LIFETIME),
            received_bytes: 0,
        });
        Ok(())
    }

    /// Feeds one datagram to the handshake and handles the result.
    fn handshake(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsError> {
        let State::Handshaking(handshake) = &mut self.state else { return Err(DtlsError::Ended) };
        handshake.admit(now, datagram.len())?;
        let read = handshake.read(now, datagram);
        let sent = drain(&mut handshake.endpoint);
        self.transmits.extend(sent.iter().cloned());
        if !sent.is_empty() {
            handshake.offer = Offer::Settled;
            handshake.flight = Flight::sent(now, sent);
        }
        match read {
            Ok(events) => self.take(events),
            Err(error) => self.fail(failure(&error)),
        }
        Ok(())
    }

    /// Feeds one datagram to an established association.
    fn receive(&mut self, now: Instant, datagram: &[u8], records: &Records) -> Result<(), DtlsError> {
        let State::Connected(connected) = &mut self.state else { return Err(DtlsError::NotConnected) };
        if records.any_plaintext {
            connected.plaintext_budget =
                connected.plaintext_budget.checked_sub(1).ok_or(DtlsError::TooMuch)?;
        }
        let read = connected.endpoint.read(now, PEER, None, BytesMut::from(datagram));
        self.transmits.extend(drain(&mut connected.endpoint));
        match read {
            Ok(events) => {
                self.take(events);
                Ok(())
            }
            Err(Error::ErrAlertFatalOrClose) => {
                self.state = State::Ended;
                self.events.push_back(DtlsEvent::Closed);
                Ok(())
            }
            Err(error) => Err(DtlsError::Library(error.to_string())),
        }
    }

    fn take(&mut self, events: Vec<EndpointEvent>) {
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => self.complete(),
                EndpointEvent::ApplicationData(data) => {
                    self.events.push_back(DtlsEvent::ApplicationData(data.freeze()));
                }
                EndpointEvent::PeerClosed => self.peer_closed(),
                _ => {}
            }
        }
    }

    fn complete(&mut self) {
        let State::Handshaking(handshake) = std::mem::replace(&mut self.state, State::Ended) else { return };
        match handshake.connected() {
            Ok(event) => {
                self.events.push_back(event);
                let endpoint = handshake.endpoint;
                self.state = State::Connected(Connected { endpoint, plaintext_budget: PLAINTEXT_BUDGET });
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn peer_closed(&mut self) {
        let event = match std::mem::replace(&mut self.state, State::Ended) {
            State::Connected(_) => DtlsEvent::Closed,
            State::Pending { .. } | State::Handshaking(_) | State::Ended => {
                DtlsEvent::Failed(DtlsFailure::Alert)
            }
        };
        self.events.push_back(event);
    }

    fn fail(&mut self, failure: DtlsFailure) {
        self.state = State::Ended;
        self.events.push_back(DtlsEvent::Failed(failure));
    }
}

impl Handshake {
    fn accept(identity: Identity) -> Result<Self, DtlsError> {
        Ok(Self {
            endpoint: server(&identity, Profile::AeadAes128Gcm)?,
            offer: Offer::Gcm { identity, first_flight: Vec::new() },
            flight: Flight::default(),
            deadline: None,
            received_bytes: 0,
        })
    }

    /// Limits the time and the bytes that an unauthenticated peer can use.
    fn admit(&mut self, now: Instant, bytes: usize) -> Result<(), DtlsError> {
        self.deadline.get_or_insert(now + HANDSHAKE_LIFETIME);
        self.received_bytes += bytes;
        if self.received_bytes > MAX_HANDSHAKE_BYTES { Err(DtlsError::TooMuch) } else { Ok(()) }
    }

    fn read(&mut self, now: Instant, datagram: &[u8]) -> Result<Vec<EndpointEvent>, Error> {
        if let Offer::Gcm { first_flight, .. } = &mut self.offer
            && first_flight.len() < MAX_FIRST_FLIGHT_DATAGRAMS
        {
            first_flight.push(Bytes::copy_from_slice(datagram));
        }
        match self.endpoint.read(now, PEER, None, BytesMut::from(datagram)) {
            Err(Error::ErrServerNoMatchingSrtpProfile) => self.read_again_with_aes_cm(now),
            result => result,
        }
    }

    /// Replaces the GCM endpoint, whose alert is not sent, and feeds the client's first flight to the new
    /// endpoint.
    fn read_again_with_aes_cm(&mut self, now: Instant) -> Result<Vec<EndpointEvent>, Error> {
        let Offer::Gcm { identity, first_flight } = std::mem::replace(&mut self.offer, Offer::Settled) else {
            return Err(Error::ErrServerNoMatchingSrtpProfile);
        };
        self.endpoint = server(&identity, Profile::Aes128CmHmacSha1_80)
            .map_err(|_| Error::ErrServerNoMatchingSrtpProfile)?;
        let mut events = Vec::new();
        for datagram in first_flight {
            events.extend(self.endpoint.read(now, PEER, None, BytesMut::from(datagram))?);
        }
        Ok(events)
    }

    fn connected(&self) -> Result<DtlsEvent, DtlsFailure> {
        let lost = || DtlsFailure::Protocol("the association vanished".to_owned());
        let state = self.endpoint.get_connection_state(PEER).ok_or_else(lost)?;
        let profile =
            Profile::negotiated(state.srtp_protection_profile()).ok_or(DtlsFailure::NoSrtpProfile)?;
        let keying_material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len())
            .map_err(|error| DtlsFailure::Protocol(error.to_string()))?;
        Ok(DtlsEvent::Connected { profile, keying_material, is_client: state.is_client() })
    }
}

fn server(identity: &Identity, profile: Profile) -> Result<Endpoint, DtlsError> {
    let config = identity.config(DtlsRole::Server, &[profile])?;
    Ok(Endpoint::new(LOCAL, TransportProtocol::UDP, Some(config)))
}

fn drain(endpoint: &mut Endpoint) -> Vec<Bytes> {
    std::iter::from_fn(|| endpoint.poll_transmit()).map(|transmit| transmit.message.freeze()).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library has one error enum of 690 variants for all its crates"
)]
fn failure(error: &Error) -> DtlsFailure {
    match error {
        Error::ErrNoMatchingCertificateFingerprint => DtlsFailure::FingerprintMismatch,
        Error::ErrServerNoMatchingSrtpProfile
        | Error::ErrClientNoMatchingSrtpProfile
        | Error::ErrRequestedButNoSrtpExtension => DtlsFailure::NoSrtpProfile,
        Error::ErrAlertFatalOrClose => DtlsFailure::Alert,
        error => DtlsFailure::Protocol(error.to_string()),
    }
}

/// RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// The library keeps associations by address. This endpoint has one association, and its address may change,
/// so a fixed address stands for the peer (the port must not be 0).
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));
const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
/// Datagrams. A ClientHello with post-quantum key shares takes two.
const MAX_EARLY_DATAGRAMS: usize = 4;
const MAX_FIRST_FLIGHT_DATAGRAMS: usize = 8;
/// A handshake needs some 6 kB from each side; the rest is for repeats.
const MAX_HANDSHAKE_BYTES: usize = 128 * 1024;
const HANDSHAKE_LIFETIME: Duration = Duration::from_secs(30);
const PLAINTEXT_BUDGET: u32 = 64;

#[cfg(test)]
mod tests;
