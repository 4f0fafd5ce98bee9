//! The packets of Socket.IO (protocol revision 5), as far as the namespace `/calls` needs them.
//!
//! A packet is `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.

use std::ops::Range;

use serde_json::json;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::wire::frame::SOCKET_IO_NAMESPACE;
use crate::wire::reply::Ack;

/// One packet as received. Ranges are those of the packet's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Connect {
        auth: Range<usize>,
    },
    /// A wish to enter another namespace.
    ConnectElsewhere,
    Disconnect,
    Event {
        ack: Option<u64>,
        /// Where the JSON array is, `["name", payload]`.
        array: Range<usize>,
    },
    /// An event whose attachments follow in binary messages.
    EventWithAttachments {
        ack: Option<u64>,
    },
    /// An acknowledgement, which nobody asked for, or a packet to a namespace that was not entered.
    Ignored,
}

/// Not a packet of Socket.IO.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Packet {
    pub(super) fn read(text: &str) -> Result<Self, Malformed> {
        let kind = *text.as_bytes().first().ok_or(Malformed)?;
        let mut rest = text.get(1..).ok_or(Malformed)?;
        if matches!(kind, b'5' | b'6') {
            let (_, after) = number(rest);
            rest = after.strip_prefix('-').ok_or(Malformed)?;
        }
        let (namespace, rest) = namespace(rest);
        let is_ours = namespace == SOCKET_IO_NAMESPACE;
        let (id, json) = number(rest);
        let json = text.len() - json.len()..text.len();
        Ok(match kind {
            b'0' if is_ours => Self::Connect { auth: text.len() - rest.len()..text.len() },
            b'0' => Self::ConnectElsewhere,
            b'1' if is_ours => Self::Disconnect,
            b'2' if is_ours => Self::Event { ack: id, array: json },
            b'5' if is_ours => Self::EventWithAttachments { ack: id },
            b'1' | b'2' | b'3' | b'5' | b'6' => Self::Ignored,
            _ => return Err(Malformed),
        })
    }
}

/// The namespace without its query. Without one it is `/`.
fn namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return ("/", text);
    }
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    (namespace.split_once('?').map_or(namespace, |(path, _query)| path), rest)
}

/// The number at the start, if there is one that can be an id.
fn number(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().ok(), rest)
}

pub(super) fn connected(id: uuid::Uuid) -> Utf8Bytes {
    format!("0{SOCKET_IO_NAMESPACE},{}", json!({ "sid": id })).into()
}

pub(super) fn refused(message: &str) -> Utf8Bytes {
    format!("4{SOCKET_IO_NAMESPACE},{}", json!({ "message": message })).into()
}

/// For every namespace but ours, as the reference server says it.
pub(super) fn unknown_namespace(text: &str) -> Utf8Bytes {
    let (namespace, _) = namespace(text.get(1..).unwrap_or_default());
    let comma = if namespace == "/" { String::new() } else { format!("{namespace},") };
    format!("4{comma}{}", json!({ "message": "Invalid namespace" })).into()
}

pub(super) fn disconnected() -> Utf8Bytes {
    format!("1{SOCKET_IO_NAMESPACE},").into()
}

/// # Errors
/// [`serde_json::Error`] for an answer without a JSON form.
pub(super) fn acknowledged(id: u64, ack: &Ack) -> Result<Utf8Bytes, serde_json::Error> {
    Ok(format!("3{SOCKET_IO_NAMESPACE},{id}[{}]", serde_json::to_string(ack)?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_of_our_namespace_is_read() {
        for (text, read) in [
            (r#"0/calls,{"token":"x"}"#, Packet::Connect { auth: 8..21 }),
            ("0/calls,", Packet::Connect { auth: 8..8 }),
            ("0/calls", Packet::Connect { auth: 7..7 }),
            (r#"0/calls?a=b,{}"#, Packet::Connect { auth: 12..14 }),
            ("1/calls,", Packet::Disconnect),
            (r#"2/calls,["a",{}]"#, Packet::Event { ack: None, array: 8..16 }),
            (r#"2/calls,17["a",{}]"#, Packet::Event { ack: Some(17), array: 10..18 }),
            (r#"51-/calls,9["a",{}]"#, Packet::EventWithAttachments { ack: Some(9) }),
            (r#"3/calls,1[]"#, Packet::Ignored),
        ] {
            assert_eq!(Packet::read(text), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_for_others_or_for_nobody_is_told_apart() {
        for (text, read) in [
            ("0", Ok(Packet::ConnectElsewhere)),
            (r#"0{"token":"x"}"#, Ok(Packet::ConnectElsewhere)),
            ("0/admin,", Ok(Packet::ConnectElsewhere)),
            ("0/callsX,", Ok(Packet::ConnectElsewhere)),
            (r#"2["a"]"#, Ok(Packet::Ignored)),
            ("1", Ok(Packet::Ignored)),
            ("", Err(Malformed)),
            ("7/calls,", Err(Malformed)),
            ("é/calls,", Err(Malformed)),
            ("5/calls,[]", Err(Malformed)),
            ("4/calls,{}", Err(Malformed)),
        ] {
            assert_eq!(Packet::read(text), read, "{text}");
        }
        let huge = format!("2/calls,{}[]", "9".repeat(40));
        assert_eq!(Packet::read(&huge), Ok(Packet::Event { ack: None, array: 48..50 }));
    }

    #[test]
    fn another_namespace_is_refused_by_its_name() {
        assert_eq!(unknown_namespace("0").as_str(), r#"4{"message":"Invalid namespace"}"#);
        assert_eq!(unknown_namespace("0/admin,{}").as_str(), r#"4/admin,{"message":"Invalid namespace"}"#);
    }
}
