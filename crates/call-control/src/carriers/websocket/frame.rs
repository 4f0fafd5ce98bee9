//! The JSON frames of requests and answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Refusal};
use crate::wire::command::Text;
use crate::wire::frame::ACK;
use crate::wire::reply::Ack;

/// One request as received.
#[derive(Debug, Deserialize)]
pub(super) struct Request<'a> {
    pub(super) id: Option<RequestId>,
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
}

/// Id of a request, chosen by the client and repeated in the answer: an unsigned integer, or a text of at
/// most 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum RequestId {
    Number(u64),
    Text(Text<64>),
}

/// A malformed request: its id, if that can be read, and the refusal to answer with.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) id: Option<RequestId>,
    pub(super) refusal: Refusal,
}

impl<'a> Request<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Unreadable> {
        serde_json::from_str(text).map_err(|error| Unreadable {
            id: serde_json::from_str(text).ok().and_then(|OnlyId { id }| id),
            refusal: Refusal::new(ErrorCode::BadRequest, format!("a frame is {{id?, event, data}}: {error}")),
        })
    }
}

/// The JSON text of an answer.
pub(super) fn answer(id: Option<&RequestId>, ack: &Ack) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Answer { id, event: ACK, data: ack })
}

#[derive(Deserialize)]
struct OnlyId {
    id: Option<RequestId>,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
    event: &'static str,
    data: &'a Ack,
}

#[cfg(test)]
mod tests {
    use crate::carriers::websocket::frame::*;

    #[test]
    fn a_request_is_read_whatever_the_order_of_its_members() {
        let request = Request::read(r#"{"data": {"a": [1]}, "event": "call:join", "id": 7}"#).unwrap();
        assert_eq!((request.id, &*request.event), (Some(RequestId::Number(7)), "call:join"));
        assert_eq!(request.data.get(), r#"{"a": [1]}"#);
        let request = Request::read(r#"{"event":"caf\u00e9","data":null}"#).unwrap();
        assert_eq!((request.id, &*request.event), (None, "café"));
    }

    #[test]
    fn what_cannot_be_read_is_answered_by_its_id_where_it_has_one() {
        for (text, id) in [
            (r#"{"id":"x","event":"call:join"}"#, Some(RequestId::Text("x".to_owned().try_into().unwrap()))),
            (r#"{"id":1,"event":7,"data":{}}"#, Some(RequestId::Number(1))),
            (r#"{"id":{},"event":"call:join","data":{}}"#, None),
            (r#"{"id":-1,"event":"call:join","data":{}}"#, None),
            (r#"["call:join",{}]"#, None),
            ("{", None),
            ("", None),
        ] {
            let unreadable = Request::read(text).unwrap_err();
            assert_eq!(unreadable.id, id, "{text}");
            assert_eq!(unreadable.refusal.code, ErrorCode::BadRequest);
        }
        let long = format!(r#"{{"id":"{}","event":"call:join","data":{{}}}}"#, "x".repeat(65));
        assert_eq!(Request::read(&long).unwrap_err().id, None);
    }
}
