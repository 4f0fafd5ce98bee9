use super::certificate::{Certificate, Fingerprint};
use super::config::Identity;
use super::handshake::{Handshake, PEER, drain};
use super::hello::Cookie;
use super::record::{Content, Records};
use super::{Dtls, DtlsError, DtlsEvent, DtlsFailure, DtlsRole};
use bytes::{Bytes, BytesMut};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_shared::error::Error;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// [`Dtls`] over rtc-dtls (DTLS 1.2).
pub(crate) struct RtcDtls {
    certificate: Certificate,
    cookie: Cookie,
    state: State,
    transmits: VecDeque<Bytes>,
    events: VecDeque<DtlsEvent>,
}

enum State {
    /// The peer's fingerprints are not known yet, but its ClientHello may be here.
    Pending {
        early: Vec<Bytes>,
    },
    Handshaking(Box<Handshake>),
    Connected(Connected),
    Ended,
}

struct Connected {
    endpoint: Endpoint,
    /// Our last flight, for a peer that did not receive it and repeats its own (RFC 6347 §4.2.4).
    last_flight: Vec<Bytes>,
    repeated: Instant,
}

impl RtcDtls {
    /// `cookie` is random.
    pub(crate) fn new(certificate: Certificate, cookie: [u8; 20]) -> Self {
        Self {
            certificate,
            cookie,
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
        let identity =
            Identity { certificate: self.certificate.clone(), remote: remote.into(), cookie: self.cookie };
        let handshake = match role {
            DtlsRole::Client => Handshake::connect(now, identity)?,
            DtlsRole::Server => Handshake::accept(identity),
        };
        self.state = State::Handshaking(Box::new(handshake));
        self.take_output();
        if role == DtlsRole::Server {
            early.iter().for_each(|datagram| self.handshake(now, datagram));
        }
        Ok(())
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match &mut self.state {
            State::Pending { early } if early.len() < MAX_EARLY_DATAGRAMS => {
                early.push(Bytes::copy_from_slice(datagram));
            }
            State::Pending { .. } | State::Ended => self.events.push_back(DtlsEvent::Dropped(1)),
            State::Handshaking(_) => self.handshake(now, datagram),
            State::Connected(_) => self.receive(now, datagram),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let State::Handshaking(handshake) = &mut self.state {
            match handshake.handle_timeout(now) {
                Ok(()) => self.take_output(),
                Err(failure) => self.fail(failure),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking(handshake) => handshake.poll_timeout(),
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
        match &mut self.state {
            State::Handshaking(handshake) => self.transmits.extend(handshake.close(now)),
            State::Connected(Connected { endpoint, .. }) => {
                // An error does not matter: the endpoint is discarded.
                let _ = endpoint.close(now);
                self.transmits.extend(drain(endpoint));
            }
            State::Pending { .. } | State::Ended => {}
        }
        self.state = State::Ended;
    }
}

impl RtcDtls {
    fn handshake(&mut self, now: Instant, datagram: &[u8]) {
        let State::Handshaking(handshake) = &mut self.state else { return };
        let received = handshake.receive(now, datagram);
        self.take_output();
        match received {
            Ok(events) => self.take(now, events),
            Err(failure) => self.fail(failure),
        }
    }

    fn take_output(&mut self) {
        let State::Handshaking(handshake) = &mut self.state else { return };
        let output = handshake.take_output();
        self.transmits.extend(output.transmits);
        if output.dropped > 0 {
            self.events.push_back(DtlsEvent::Dropped(output.dropped));
        }
        if output.restarts > 0 {
            self.events.push_back(DtlsEvent::Restarted(output.restarts));
        }
    }

    /// Reads a datagram of an established association, which nothing in plaintext can change.
    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let mut records = Records::of(datagram);
        let mut dropped = 0;
        for record in records.by_ref() {
            let State::Connected(connected) = &mut self.state else { break };
            match (record.encrypted, record.content) {
                (true, Content::Alert | Content::Handshake | Content::ApplicationData) => {
                    let read = connected.endpoint.read(now, PEER, None, BytesMut::from(record.bytes));
                    self.transmits.extend(drain(&mut connected.endpoint));
                    match read {
                        Ok(events) => self.take(now, events),
                        Err(Error::ErrAlertFatalOrClose) => self.peer_closed(),
                        Err(_) => dropped += 1,
                    }
                }
                (false, Content::Handshake) => {
                    dropped += 1;
                    self.transmits.extend(connected.repeat(now));
                }
                (_, Content::ChangeCipherSpec) | (false, Content::Alert | Content::ApplicationData) => {
                    dropped += 1;
                }
            }
        }
        dropped += records.dropped;
        if dropped > 0 {
            self.events.push_back(DtlsEvent::Dropped(dropped));
        }
    }

    fn take(&mut self, now: Instant, events: Vec<EndpointEvent>) {
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => self.complete(now),
                EndpointEvent::ApplicationData(data) => {
                    self.events.push_back(DtlsEvent::ApplicationData(data.freeze()));
                }
                EndpointEvent::PeerClosed => self.peer_closed(),
                _ => {}
            }
        }
    }

    fn complete(&mut self, now: Instant) {
        let State::Handshaking(handshake) = std::mem::replace(&mut self.state, State::Ended) else { return };
        match handshake.complete() {
            Ok((endpoint, last_flight, event)) => {
                self.events.push_back(event);
                self.state = State::Connected(Connected { endpoint, last_flight, repeated: now });
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn peer_closed(&mut self) {
        self.state = State::Ended;
        self.events.push_back(DtlsEvent::Closed);
    }

    fn fail(&mut self, failure: DtlsFailure) {
        self.state = State::Ended;
        self.events.push_back(DtlsEvent::Failed(failure));
    }
}

impl Connected {
    /// Our last flight, if it was not sent just before: its size and a forged request's are much the same, and the
    /// peer drops the records that it has.
    fn repeat(&mut self, now: Instant) -> Vec<Bytes> {
        if now < self.repeated + REPEAT_INTERVAL {
            return Vec::new();
        }
        self.repeated = now;
        self.last_flight.clone()
    }
}

/// Datagrams. A ClientHello with post-quantum key shares takes two.
const MAX_EARLY_DATAGRAMS: usize = 4;
const REPEAT_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests;
