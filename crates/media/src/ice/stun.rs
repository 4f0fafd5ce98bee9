//! The STUN side of a connectivity check (RFC 8489, RFC 8445 §7): from bytes to a typed request, and the replies.

use super::Tuple;
use bytes::Bytes;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{RTCCrypto, RTCCryptoProvider};
use rtc_stun::attributes::{
    ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_USE_CANDIDATE,
    ATTR_USERNAME, AttrType, RawAttribute,
};
use rtc_stun::error_code::{CODE_BAD_REQUEST, CODE_ROLE_CONFLICT, CODE_UNKNOWN_ATTRIBUTE, ErrorCode};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    BINDING_ERROR, BINDING_SUCCESS, CLASS_INDICATION, CLASS_REQUEST, MAGIC_COOKIE, MESSAGE_HEADER_SIZE,
    METHOD_BINDING, Message, Setter,
};
use rtc_stun::uattrs::UnknownAttributes;
use rtc_stun::xoraddr::XorMappedAddress;

/// Why a datagram was dropped without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IceError {
    #[error("not a well-formed STUN message")]
    Malformed,
    #[error("the fingerprint does not match the message")]
    BadFingerprint,
    #[error("a STUN response, though we never ask")]
    UnexpectedResponse,
    #[error("a STUN method other than Binding")]
    UnsupportedMethod,
    #[error("the username does not begin with one of our username fragments")]
    UnknownUsername,
    /// Dropped rather than answered with 401: a spoofed source address causes no reflected packet, and a
    /// client retries in either case.
    #[error("the message integrity does not match the password")]
    BadIntegrity,
    #[error("the reply could not be built")]
    Reply,
}

/// Why a request was answered with an error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// 400: USERNAME, MESSAGE-INTEGRITY or PRIORITY is missing or malformed.
    BadRequest,
    /// 420: these comprehension-required attribute types are unknown to us.
    UnknownAttributes(Vec<u16>),
    /// 487: the client claims to be controlled, but a lite agent never controls (RFC 8445 §6.1.1).
    RoleConflict,
}

/// The part of USERNAME before the colon: the username fragment of the agent a check is meant for.
/// Allocates nothing. `None` for anything that is not such a check.
pub(crate) fn local_username_fragment(datagram: &[u8]) -> Option<&str> {
    let (header, mut attributes) = datagram.split_at_checked(MESSAGE_HEADER_SIZE)?;
    if header[0] > 3 || header[4..8] != MAGIC_COOKIE.to_be_bytes() {
        return None;
    }
    while let [type_high, type_low, length_high, length_low, rest @ ..] = attributes {
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if u16::from_be_bytes([*type_high, *type_low]) == ATTR_USERNAME.value() {
            return fragment_before_colon(rest.get(..length)?);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn fragment_before_colon(username: &[u8]) -> Option<&str> {
    let colon = username.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(&username[..colon]).ok()
}

/// A Binding message that a lite agent handles.
pub(super) enum Incoming {
    /// A keepalive that wants no reply (RFC 8445 §11).
    Indication,
    Request(Request),
}

/// A Binding request that has not been authenticated.
pub(super) struct Request {
    message: Message,
    /// How many of the message's attributes MESSAGE-INTEGRITY covers; the rest are ignored (RFC 8489 §14.5).
    covered: usize,
}

/// The contents of an authenticated check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) use_candidate: bool,
    /// NOMINATION's value (draft-thatcher-ice-renomination §3.1); libwebrtc sends it without USE-CANDIDATE.
    pub(super) nomination: Option<u32>,
}

impl Incoming {
    pub(super) fn parse(datagram: &[u8]) -> Result<Self, IceError> {
        let mut message = Message::new();
        message.unmarshal_binary(datagram).map_err(|_| IceError::Malformed)?;
        if message.raw.len() != MESSAGE_HEADER_SIZE + message.length as usize {
            return Err(IceError::Malformed);
        }
        if message.contains(ATTR_FINGERPRINT) && FINGERPRINT.check(&message).is_err() {
            return Err(IceError::BadFingerprint);
        }
        if message.typ.class != CLASS_REQUEST && message.typ.class != CLASS_INDICATION {
            return Err(IceError::UnexpectedResponse);
        }
        if message.typ.method != METHOD_BINDING {
            return Err(IceError::UnsupportedMethod);
        }
        if message.typ.class == CLASS_INDICATION {
            return Ok(Self::Indication);
        }
        let integrity =
            message.attributes.0.iter().position(|attribute| attribute.typ == ATTR_MESSAGE_INTEGRITY);
        Ok(Self::Request(Request { covered: integrity.unwrap_or(0), message }))
    }
}

impl Request {
    /// USERNAME's part before the colon; `None` unless the request carries USERNAME and then MESSAGE-INTEGRITY.
    pub(super) fn local_username_fragment(&self) -> Option<&str> {
        fragment_before_colon(&self.attribute(ATTR_USERNAME)?.value)
    }

    pub(super) fn authenticate(&mut self, password: &str) -> Result<(), IceError> {
        MessageIntegrity::check(&mut self.message, password.as_bytes(), crypto())
            .map_err(|_| IceError::BadIntegrity)
    }

    /// The contents of the request. Only meaningful after [`Self::authenticate`].
    pub(super) fn check(&self) -> Result<Check, Rejection> {
        let unknown: Vec<u16> = self
            .covered()
            .iter()
            .filter(|attribute| attribute.typ.required() && !UNDERSTOOD.contains(&attribute.typ))
            .map(|attribute| attribute.typ.value())
            .collect();
        if !unknown.is_empty() {
            return Err(Rejection::UnknownAttributes(unknown));
        }
        if self.attribute(ATTR_ICE_CONTROLLED).is_some() {
            return Err(Rejection::RoleConflict);
        }
        if self.attribute(ATTR_PRIORITY).is_none_or(|priority| priority.value.len() != 4) {
            return Err(Rejection::BadRequest);
        }
        let nomination = match self.attribute(ATTR_NOMINATION) {
            None => None,
            Some(attribute) => {
                let value = attribute.value.as_slice().try_into().map_err(|_| Rejection::BadRequest)?;
                Some(u32::from_be_bytes(value))
            }
        };
        Ok(Check { use_candidate: self.attribute(ATTR_USE_CANDIDATE).is_some(), nomination })
    }

    pub(super) fn success(&self, tuple: Tuple, password: &str) -> Result<Bytes, IceError> {
        let mapped = XorMappedAddress { ip: tuple.remote.ip(), port: tuple.remote.port() };
        self.reply(vec![Box::new(BINDING_SUCCESS), Box::new(mapped)], Some(password))
    }

    /// `password` is `None` for a request that could not be authenticated.
    pub(super) fn error(&self, rejection: &Rejection, password: Option<&str>) -> Result<Bytes, IceError> {
        let code =
            |code: ErrorCode| -> Vec<Box<dyn Setter>> { vec![Box::new(BINDING_ERROR), Box::new(code)] };
        let setters = match rejection {
            Rejection::BadRequest => code(CODE_BAD_REQUEST),
            Rejection::RoleConflict => code(CODE_ROLE_CONFLICT),
            Rejection::UnknownAttributes(types) => {
                let mut setters = code(CODE_UNKNOWN_ATTRIBUTE);
                setters.push(Box::new(UnknownAttributes(types.iter().map(|typ| AttrType(*typ)).collect())));
                setters
            }
        };
        self.reply(setters, password)
    }

    fn reply(&self, body: Vec<Box<dyn Setter>>, password: Option<&str>) -> Result<Bytes, IceError> {
        let mut setters: Vec<Box<dyn Setter>> = vec![Box::new(self.message.transaction_id)];
        setters.extend(body);
        if let Some(password) = password {
            let key = password.to_owned();
            setters.push(Box::new(MessageIntegrity::new_short_term_integrity_with_provider(key, crypto())));
        }
        setters.push(Box::new(FINGERPRINT));
        let mut reply = Message::new();
        reply.build(&setters).map_err(|_| IceError::Reply)?;
        Ok(Bytes::from(reply.raw))
    }

    fn attribute(&self, typ: AttrType) -> Option<&RawAttribute> {
        self.covered().iter().find(|attribute| attribute.typ == typ)
    }

    fn covered(&self) -> &[RawAttribute] {
        &self.message.attributes.0[..self.covered]
    }
}

fn crypto() -> &'static dyn RTCCrypto {
    static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();
    PROVIDER.crypto()
}

/// draft-thatcher-ice-renomination, as libwebrtc numbers it.
const ATTR_NOMINATION: AttrType = AttrType(0xC001);

/// The comprehension-required attributes that a check may carry.
const UNDERSTOOD: [AttrType; 3] = [ATTR_USERNAME, ATTR_PRIORITY, ATTR_USE_CANDIDATE];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use rtc_stun::textattrs::TextAttribute;

    fn request_for(username: &str) -> Vec<u8> {
        let mut message = Message::new();
        let setters: Vec<Box<dyn Setter>> = vec![
            Box::new(rtc_stun::message::BINDING_REQUEST),
            Box::new(RawAttribute { typ: AttrType(0xC057), length: 3, value: vec![1, 2, 3] }),
            Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
        ];
        message.build(&setters).unwrap();
        message.raw
    }

    #[test]
    fn the_local_username_fragment_is_found_behind_other_attributes() {
        assert_eq!(local_username_fragment(&request_for("ours:theirs")), Some("ours"));
        assert_eq!(local_username_fragment(&request_for("no-colon")), None);
    }

    #[test]
    fn a_truncated_check_has_no_username_fragment() {
        let request = request_for("ours:theirs");
        for length in 0..request.len() - 1 {
            assert_eq!(local_username_fragment(&request[..length]), None, "of {length} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(3), failure_persistence: None, ..Default::default() })]

        #[test]
        fn garbage_never_panics(mut datagram in prop::collection::vec(any::<u8>(), 0..200), cookie: bool) {
            if cookie && datagram.len() >= 8 {
                datagram[0] &= 1;
                datagram[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
                let length = datagram.len().saturating_sub(MESSAGE_HEADER_SIZE) as u16;
                datagram[2..4].copy_from_slice(&length.to_be_bytes());
            }
            let _ = local_username_fragment(&datagram);
            if let Ok(Incoming::Request(mut request)) = Incoming::parse(&datagram) {
                let _ = request.local_username_fragment().map(str::len);
                let _ = request.authenticate("password");
                let _ = request.check();
            }
        }
    }
}
