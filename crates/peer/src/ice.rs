//! The client's side of ICE towards an ICE-lite server (RFC 8445 §2.5): one candidate pair, checked and nominated.

use crate::options::IceParameters;
use anyhow::{Result, anyhow};
use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sends checks until one is answered, and after that to keep consent fresh (RFC 7675).
pub(crate) struct IceClient {
    crypto: Arc<dyn RTCCryptoProvider>,
    username: String,
    password: String,
    transaction: TransactionId,
    next_check: Instant,
    connected: bool,
}

impl IceClient {
    pub(crate) fn new(crypto: Arc<dyn RTCCryptoProvider>, server: &IceParameters, now: Instant) -> Self {
        Self {
            crypto,
            username: format!("{}:{:08x}", server.username_fragment, rand::random::<u32>()),
            password: server.password.clone(),
            transaction: TransactionId::new(),
            next_check: now,
            connected: false,
        }
    }

    pub(crate) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// The next check, if it is due.
    pub(crate) fn poll_check(&mut self, now: Instant) -> Result<Option<Vec<u8>>> {
        if now < self.next_check {
            return Ok(None);
        }
        self.next_check = now + if self.connected { CONSENT_INTERVAL } else { RETRANSMISSION };
        let attribute = |typ, value: Vec<u8>| RawAttribute { typ, length: value.len() as u16, value };
        let parts: [Box<dyn Setter + '_>; 8] = [
            Box::new(BINDING_REQUEST),
            Box::new(self.transaction),
            Box::new(TextAttribute::new(ATTR_USERNAME, self.username.clone())),
            Box::new(attribute(ATTR_PRIORITY, PRIORITY.to_be_bytes().to_vec())),
            Box::new(attribute(ATTR_ICE_CONTROLLING, TIE_BREAKER.to_be_bytes().to_vec())),
            Box::new(attribute(ATTR_USE_CANDIDATE, Vec::new())),
            Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
                self.password.clone(),
                self.crypto.crypto(),
            )),
            Box::new(FINGERPRINT),
        ];
        let mut request = Message::new();
        request.build(&parts).map_err(|error| anyhow!("building a check: {error}"))?;
        Ok(Some(request.raw))
    }

    /// Handles an answer; `true` if it is the first valid one.
    pub(crate) fn handle(&mut self, bytes: &[u8], now: Instant) -> bool {
        let mut answer = Message::new();
        let good = answer.unmarshal_binary(bytes).is_ok()
            && answer.typ == BINDING_SUCCESS
            && answer.transaction_id == self.transaction
            && MessageIntegrity::check(&mut answer, self.password.as_bytes(), self.crypto.crypto()).is_ok();
        if !good {
            return false;
        }
        self.transaction = TransactionId::new();
        self.next_check = now + CONSENT_INTERVAL;
        !std::mem::replace(&mut self.connected, true)
    }
}

/// Peer-reflexive, component 1 (RFC 8445 §5.1.2.1).
const PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;
/// An ICE-lite server is always controlled, so any value wins.
const TIE_BREAKER: u64 = 1;
const RETRANSMISSION: Duration = Duration::from_millis(100);
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_stun::xoraddr::XorMappedAddress;

    #[test]
    fn checks_are_repeated_until_answered_and_then_only_for_consent() {
        let now = Instant::now();
        let mut ice = client(now);
        let check = ice.poll_check(now).unwrap().unwrap();
        assert!(ice.poll_check(now).unwrap().is_none());
        assert!(ice.poll_check(now + RETRANSMISSION).unwrap().is_some());
        assert!(ice.handle(&answer(&check, PASSWORD), now));
        assert_eq!(ice.next_check(), now + CONSENT_INTERVAL);
    }

    #[test]
    fn answers_to_nobody_and_forged_ones_connect_nothing() {
        let now = Instant::now();
        let mut ice = client(now);
        let check = ice.poll_check(now).unwrap().unwrap();
        assert!(!ice.handle(&answer(&check, "another password of 22"), now));
        let good = answer(&check, PASSWORD);
        assert!(ice.handle(&good, now));
        assert!(!ice.handle(&good, now), "the same transaction again");
        assert!(!ice.handle(&check, now), "a request is no answer");
    }

    fn client(now: Instant) -> IceClient {
        let server = IceParameters { username_fragment: "server".into(), password: PASSWORD.into() };
        IceClient::new(rtc_crypto::default_provider().unwrap(), &server, now)
    }

    fn answer(check: &[u8], password: &str) -> Vec<u8> {
        let mut request = Message::new();
        request.unmarshal_binary(check).unwrap();
        let crypto = rtc_crypto::default_provider().unwrap();
        let password = password.to_owned();
        let parts: [Box<dyn Setter + '_>; 5] = [
            Box::new(request.clone()),
            Box::new(BINDING_SUCCESS),
            Box::new(XorMappedAddress { ip: [127, 0, 0, 1].into(), port: 1 }),
            Box::new(MessageIntegrity::new_short_term_integrity_with_provider(password, crypto.crypto())),
            Box::new(FINGERPRINT),
        ];
        let mut answer = Message::new();
        answer.build(&parts).unwrap();
        answer.raw
    }

    const PASSWORD: &str = "0123456789abcdef012345";
}
