//! A full ICE agent that talks to an ICE-lite one: checks, nomination, consent.

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;
use rtc_stun::xoraddr::XorMappedAddress;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use switchyard_media::ortc::IceParameters;

pub struct Ice {
    remote: IceParameters,
    checks_sent: u64,
    connected: bool,
    next_check: Option<Instant>,
    /// Our address as the server saw it (XOR-MAPPED-ADDRESS), from each answer.
    pub mapped: Vec<SocketAddr>,
}

impl Ice {
    pub fn new(remote: IceParameters, now: Instant) -> Self {
        Self { remote, checks_sent: 0, connected: false, next_check: Some(now), mapped: Vec::new() }
    }

    /// Sends a check at once with new credentials.
    pub fn restart(&mut self, remote: IceParameters, now: Instant) {
        self.remote = remote;
        self.check_again(now);
    }

    pub fn check_again(&mut self, now: Instant) {
        self.connected = false;
        self.next_check = Some(now);
    }

    /// Stops sending checks, like a client whose network is gone.
    pub fn fall_silent(&mut self) {
        self.next_check = None;
    }

    /// The server's credentials, as far as the client knows.
    pub fn remote(&self) -> &IceParameters {
        &self.remote
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.next_check
    }

    /// The check that is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next_check.filter(|at| *at <= now)?;
        self.next_check = Some(now + if self.connected { CONSENT_INTERVAL } else { CHECK_INTERVAL });
        self.checks_sent += 1;
        Some(self.check())
    }

    /// Creates a check without sending it, for stories that send it by another path.
    pub fn check(&self) -> Vec<u8> {
        let username = format!("{}:client", self.remote.username_fragment);
        check(&username, &self.remote.password, self.checks_sent)
    }

    pub fn handle_answer(&mut self, datagram: &[u8]) {
        let mut answer = Message::new();
        answer.unmarshal_binary(datagram).unwrap();
        assert_eq!(answer.typ, BINDING_SUCCESS, "a check was refused");
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&answer).unwrap();
        self.mapped.push((mapped.ip, mapped.port).into());
        let provider = AwsLcRsProvider::new();
        let password = self.remote.password.as_bytes();
        // An answer to a check sent before a restart is authenticated with the old password.
        if MessageIntegrity::check(&mut answer, password, provider.crypto()).is_ok() {
            self.connected = true;
        }
    }
}

/// A nominating check of the controlling side.
pub fn check(username: &str, password: &str, number: u64) -> Vec<u8> {
    let provider = AwsLcRsProvider::new();
    let integrity =
        MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
    let mut transaction = [7; 12];
    transaction[..8].copy_from_slice(&number.to_be_bytes());
    let attribute = |typ, value: &[u8]| RawAttribute { typ, length: 0, value: value.to_vec() };
    let setters: Vec<Box<dyn Setter + '_>> = vec![
        Box::new(TransactionId(transaction)),
        Box::new(BINDING_REQUEST),
        Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
        Box::new(attribute(ATTR_PRIORITY, &[0x6e, 0, 0x1e, 0xff])),
        Box::new(attribute(ATTR_ICE_CONTROLLING, &[1; 8])),
        Box::new(attribute(ATTR_USE_CANDIDATE, &[])),
        Box::new(integrity),
        Box::new(FINGERPRINT),
    ];
    let mut message = Message::new();
    message.build(&setters).unwrap();
    message.raw.clone()
}

const CHECK_INTERVAL: Duration = Duration::from_millis(50);
const CONSENT_INTERVAL: Duration = Duration::from_millis(2_500);
