//! The error answers of each operation, for the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::{
    IntoResponses,
    openapi::{
        Header, ObjectBuilder, Ref, RefOr, Response,
        content::ContentBuilder,
        example::ExampleBuilder,
        response::ResponseBuilder,
        schema::{SchemaType, Type},
    },
};
use uuid::Uuid;

use crate::{
    carriers::http::{Problem, status},
    error::{ErrorCode, Refusal},
    ids::CallId,
};

/// Declares sets of error codes, each with a description. Status, headers and examples follow from the code.
///
/// If two sets of an operation have the same status, the later set replaces the earlier one for that status.
macro_rules! problems {
    ($($(#[doc = $about:literal])+ $set:ident { $($(#[doc = $meaning:literal])+ $code:ident,)+ })+) => {$(
        $(#[doc = $about])+
        pub(crate) enum $set {}

        impl IntoResponses for $set {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                describe(&[$((ErrorCode::$code, concat!($($meaning),+))),+])
            }
        }
    )+};
}

problems! {
    /// What anybody may ask without the database.
    Limited {
        /// Too many requests from this address; `Retry-After` says how long to wait.
        RateLimited,
    }

    /// Any other request, save those that load balancers make.
    Counted {
        /// Too many requests of this user or from this address; `Retry-After` says how long to wait.
        RateLimited,
        /// A fault of the server, which was logged.
        Internal,
        /// The database cannot be reached, or the call is just starting; see `Retry-After`.
        Unavailable,
    }

    /// Besides [`Counted`], any request with a token.
    Signed {
        /// The token is missing, expired, revoked or not valid here.
        Unauthorized,
    }

    /// A request with ids or parameters that may not fit.
    Malformed {
        /// An id, a parameter or the body is malformed.
        BadRequest,
    }

    /// What only some may do.
    Barred {
        /// Not everybody may do this; the description says who.
        Forbidden,
    }

    /// A request that names an id which this server should have made.
    MadeHere {
        /// This server made no such id.
        NotFound,
    }

    /// A request about one thing.
    About {
        /// An id, a parameter or the body is malformed.
        BadRequest,
        /// Only members of the group, or only some of them, may do this.
        Forbidden,
        /// There is no such thing.
        NotFound,
    }

    /// A request with a body.
    Body {
        /// An id, a parameter or the body is malformed.
        BadRequest,
        /// The body is too large.
        TooLarge,
        /// The body is not `application/json`.
        UnsupportedMediaType,
    }

    /// A request with metadata.
    WithMetadata {
        /// The body is too large.
        TooLarge,
        /// The metadata would be too large.
        MetadataTooLarge,
    }

    /// Starting a call.
    Start {
        /// The group already has a running call: `callId`.
        CallExists,
        /// The first request with this key is still being worked on.
        Conflict,
        /// The key came with another body before.
        IdempotencyMismatch,
    }

    /// Starting a recording.
    Taping {
        /// Only those whom `RECORDING_BY` names may record, and none with less consent than `RECORDING_CONSENT`.
        Forbidden,
        /// This server records no calls.
        RecordingOff,
        /// The call is over.
        CallEnded,
        /// The call is being recorded.
        AlreadyRecording,
        /// The server records as many tracks as it may.
        LimitExceeded,
        /// The disk has no room for recordings.
        StorageFull,
    }

    /// What takes a running recording.
    Taped {
        /// The call is over.
        CallEnded,
        /// The recording has stopped.
        NotRecording,
    }

    /// New metadata that may start a recording.
    Wishing {
        /// Only some may do this, and only those whom `RECORDING_BY` names may record.
        Forbidden,
        /// This server records no calls.
        RecordingOff,
    }

    /// A patch of metadata that may start or stop a recording.
    Patching {
        /// Only some may do this, and only those whom `RECORDING_BY` names may record.
        Forbidden,
        /// This server records no calls.
        RecordingOff,
        /// The call is over: it cannot be recorded.
        CallEnded,
        /// The call is being recorded: `recordingEnabled` and `recordingId` cannot be removed.
        Conflict,
        /// The server records as many tracks as it may.
        LimitExceeded,
        /// The disk has no room for recordings.
        StorageFull,
    }

    /// Joining a call.
    Entry {
        /// Only members of the group may join, and only with a token of their own.
        Forbidden,
        /// Newcomers are kept out for now.
        CallLocked,
        /// A moderator removed the caller from the call.
        Removed,
        /// The call is over.
        CallEnded,
        /// The call is full.
        TooManyParticipants,
    }

    /// What takes a running call.
    Running {
        /// The call is over.
        CallEnded,
    }

    /// Ringing people.
    Ringing {
        /// The call is over.
        CallEnded,
        /// Newcomers are kept out for now.
        CallLocked,
        /// A moderator removed one of them from the call.
        Removed,
        /// The call has rung one of them, or different people, as often as it may.
        LimitExceeded,
        /// One of them was rung just now, or too many requests; `Retry-After` says how long to wait.
        RateLimited,
    }

    /// Declining a call.
    Declining {
        /// The call is over.
        CallEnded,
        /// The caller is not being rung.
        Conflict,
    }

    /// Leaving a call.
    Leaving {
        /// The caller was never in the call.
        NotInCall,
    }

    /// Putting somebody out of a call.
    Removing {
        /// The call is over.
        CallEnded,
        /// Whom it is about is not in the call.
        NotInCall,
    }

    /// Adding a member.
    Adding {
        /// The user is a member.
        Conflict,
        /// The group has as many members as it may.
        TooManyMembers,
    }

    /// Putting a member.
    Putting {
        /// The member is the last owner and would no longer be one.
        Conflict,
        /// The group has as many members as it may.
        TooManyMembers,
    }

    /// What may leave a group without an owner.
    LastOwner {
        /// The member is the last owner.
        Conflict,
    }

    /// Deleting a group.
    Deleting {
        /// Members keep starting calls in it.
        Conflict,
    }

    /// What takes a recording whose files are finished.
    Unfinished {
        /// The recording is not finished.
        Conflict,
    }

    /// Opening a file by a link.
    OpenFile {
        /// The link was not made for this, or whom it was made for may not see the recording any more.
        Forbidden,
        /// The link was good, and is too old.
        LinkExpired,
        /// There is no such file.
        NotFound,
        /// The recording is not finished.
        Conflict,
        /// The file has none of the bytes that `Range` asks for; `Content-Range` says how many it has.
        RangeNotSatisfiable,
        /// A fault of the server, which was logged.
        Internal,
        /// The database cannot be reached; see `Retry-After`.
        Unavailable,
    }

    /// Opening a growing file by a link.
    OpenLive {
        /// The link was not made for this, or whom it was made for may not see the recording any more.
        Forbidden,
        /// The link was good, and is too old.
        LinkExpired,
        /// There is no such recording, or nothing of the track is recorded yet.
        NotFound,
        /// The recording has been stopped.
        Conflict,
        /// The recording has as many live readers as it may.
        LimitExceeded,
        /// A fault of the server, which was logged.
        Internal,
        /// The database cannot be reached; see `Retry-After`.
        Unavailable,
    }

    /// A request with captions.
    CaptionsBody {
        /// An id or the language is malformed, or the body is not WebVTT.
        BadRequest,
        /// The body is larger than 5 MiB.
        TooLarge,
        /// The body is not `text/vtt`.
        UnsupportedMediaType,
    }

    /// Captions in another language.
    Languages {
        /// The recording has captions in as many languages as it may.
        LimitExceeded,
    }

    /// What is only there under dev sign-in.
    DevOnly {
        /// The user was signed out everywhere within this second.
        Unauthorized,
        /// The request does not come from this machine, or came through a proxy.
        Forbidden,
        /// This server takes the app's own tokens.
        NotFound,
    }

    /// Opening a WebSocket.
    Handshake {
        /// Not a WebSocket handshake, or the address has a query.
        BadRequest,
        /// The token is expired, revoked or not valid here.
        Unauthorized,
        /// Pages of this origin are not allowed.
        Forbidden,
        /// The user has as many connections open as they may.
        TooManySockets,
        /// Too many requests from this address; `Retry-After` says how long to wait.
        RateLimited,
        /// The token cannot be checked right now.
        Unavailable,
    }

    /// Whether the server can work.
    Down {
        /// A fault of the server, which was logged.
        Internal,
        /// The database cannot be reached.
        Unavailable,
    }
}

fn describe(problems: &[(ErrorCode, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (code, meaning) in problems {
        by_status.entry(status(*code).as_str().to_owned()).or_default().push((*code, meaning.trim()));
    }
    by_status.into_iter().map(|(status, problems)| (status, RefOr::T(response(&problems)))).collect()
}

fn response(problems: &[(ErrorCode, &str)]) -> Response {
    let describe = |(code, meaning): &(ErrorCode, &str)| format!("`{}`: {meaning}", name(*code));
    let description = problems.iter().map(describe).collect::<Vec<_>>().join("\n\n");
    let examples = problems.iter().map(|(code, meaning)| {
        let value = json!(Problem::from(example(*code, meaning)));
        (name(*code), ExampleBuilder::new().value(Some(value)))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build();
    let mut response =
        ResponseBuilder::new().description(description).content("application/problem+json", content);
    if problems.iter().any(|(code, _)| code.retryable()) {
        response = response.header("Retry-After", header(Type::Integer, "Seconds to wait."));
    }
    if problems.iter().any(|(code, _)| *code == ErrorCode::Unauthorized) {
        response = response.header("WWW-Authenticate", header(Type::String, "`Bearer`"));
    }
    response.build()
}

fn example(code: ErrorCode, meaning: &str) -> Refusal {
    let call_id = (code == ErrorCode::CallExists).then(|| CallId(Uuid::from_u128(EXAMPLE_ID)));
    Refusal { call_id, ..Refusal::new(code, meaning.to_owned()) }
}

/// The code as in the `code` field.
fn name(code: ErrorCode) -> String {
    code.slug().replace('-', "_")
}

fn header(kind: Type, description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(kind));
    Header::builder().schema(Some(schema)).description(Some(description)).build()
}

const EXAMPLE_ID: u128 = 0x2f1d_9f0e_8c3b_4f6a_9d2e_5b7a_1c4e_8f30;
