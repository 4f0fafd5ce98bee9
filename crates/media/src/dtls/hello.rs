//! The cookie exchange before a handshake (RFC 6347 §4.2.1). It keeps no state, so that a forged ClientHello does not
//! change how the true one is answered.

use super::message::Message;
use super::record;

/// Random bytes that a client must echo.
pub(super) type Cookie = [u8; COOKIE_SIZE];

/// What a ClientHello says about the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Echo {
    Missing,
    /// The client has received our HelloVerifyRequest.
    Right,
}

/// `None` if it is no ClientHello, or too short.
pub(super) fn echo(message: &Message, cookie: &Cookie) -> Option<Echo> {
    let (_, theirs, _) = split(message)?;
    Some(if theirs == cookie && message.sequence == 1 { Echo::Right } else { Echo::Missing })
}

/// The ClientHello that the client must have sent first: the same without the cookie. The library wants to read both.
pub(super) fn before_cookie(message: &Message) -> Option<Message> {
    let (before, _, after) = split(message)?;
    let body = [before, &[0], after].concat();
    Some(Message { kind: CLIENT_HELLO, sequence: 0, body })
}

/// A record that asks for the cookie.
pub(super) fn verify_request(cookie: &Cookie, number: u64) -> Vec<u8> {
    let body = [&[254, 253, COOKIE_SIZE as u8], cookie.as_slice()].concat();
    let message = Message { kind: HELLO_VERIFY_REQUEST, sequence: 0, body };
    record::write_handshake(&message.bytes(), number)
}

/// What is before the cookie's length, the cookie, and what is after it.
fn split(message: &Message) -> Option<(&[u8], &[u8], &[u8])> {
    if message.kind != CLIENT_HELLO {
        return None;
    }
    let session = usize::from(*message.body.get(SESSION_ID_LENGTH)?);
    let (before, rest) = message.body.split_at_checked(SESSION_ID_LENGTH + 1 + session)?;
    let (length, rest) = rest.split_first()?;
    let (cookie, after) = rest.split_at_checked(usize::from(*length))?;
    Some((before, cookie, after))
}

/// As the library's.
const COOKIE_SIZE: usize = 20;
/// Version and random come before it.
const SESSION_ID_LENGTH: usize = 2 + 32;
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
