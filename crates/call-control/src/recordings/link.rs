//! Signed links to files: good for one file, for one reader, and for a short time.
//!
//! Players cannot send a token in a header, so the link itself is the proof. It is worth less than a token: it opens
//! one file, ends within minutes, and is refused once its reader may not read the recording any more.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    actor::{Actor, Who},
    error::{ErrorCode, Refusal},
    ids::{FileId, RecordingId, RecordingTrackId, UserId},
};

/// What a link opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    File(FileId),
    /// The file of a track that is still written.
    Live(RecordingTrackId),
}

/// For whom a link was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    User(UserId),
    /// A user whom a token made a server admin.
    Admin(UserId),
    Service,
}

/// The parts of a link that its address shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub reader: Reader,
    /// When it was made, in seconds since 1970: what its reader's sessions were revoked after ends it.
    pub issued: i64,
    /// In seconds since 1970.
    pub expires: i64,
    /// In base64url without padding.
    pub signature: String,
}

/// What a link is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) recording: RecordingId,
    pub(super) target: Target,
    /// The recording's `link_epoch`: a higher one revokes all links made before.
    pub(super) epoch: i64,
}

/// The key that signs links.
pub(super) struct LinkKey(hmac::Key);

impl LinkKey {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(super) fn sign(
        &self,
        grant: Grant,
        reader: Reader,
        now: DateTime<Utc>,
        validity: Duration,
    ) -> Ticket {
        let (issued, expires) = (now.timestamp(), (now + validity).timestamp());
        let tag = hmac::sign(&self.0, &signed_bytes(grant, reader, issued, expires));
        Ticket { reader, issued, expires, signature: URL_SAFE_NO_PAD.encode(tag) }
    }

    /// # Errors
    /// `forbidden` for a ticket that was not signed for this, `link_expired`.
    pub(super) fn check(&self, grant: Grant, ticket: &Ticket, now: DateTime<Utc>) -> Result<(), Refusal> {
        let signed = signed_bytes(grant, ticket.reader, ticket.issued, ticket.expires);
        let is_ours = URL_SAFE_NO_PAD
            .decode(&ticket.signature)
            .is_ok_and(|tag| hmac::verify(&self.0, &signed, &tag).is_ok());
        if !is_ours {
            return Err(Refusal::new(ErrorCode::Forbidden, "the link is not valid here"));
        }
        if ticket.expires <= now.timestamp() {
            return Err(Refusal::new(ErrorCode::LinkExpired, "ask for a new link"));
        }
        Ok(())
    }
}

/// Each part has a fixed length, so that no two links are signed as the same bytes.
fn signed_bytes(grant: Grant, reader: Reader, issued: i64, expires: i64) -> Vec<u8> {
    let (kind, target) = match grant.target {
        Target::File(file) => (b'f', file.0),
        Target::Live(track) => (b'l', track.0),
    };
    let (who, user) = match reader {
        Reader::User(user) => (b'u', user.0),
        Reader::Admin(user) => (b'a', user.0),
        Reader::Service => (b's', Uuid::nil()),
    };
    let mut bytes = Vec::from(PURPOSE);
    bytes.extend_from_slice(grant.recording.0.as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(target.as_bytes());
    bytes.push(who);
    bytes.extend_from_slice(user.as_bytes());
    bytes.extend_from_slice(&issued.to_be_bytes());
    bytes.extend_from_slice(&expires.to_be_bytes());
    bytes.extend_from_slice(&grant.epoch.to_be_bytes());
    bytes
}

impl Ticket {
    /// The query of the link's address.
    #[must_use]
    pub fn query(&self) -> String {
        let reader = match self.reader {
            Reader::User(user) => user.to_string(),
            Reader::Admin(user) => format!("{ADMIN}{user}"),
            Reader::Service => SERVICE.to_owned(),
        };
        let Self { issued, expires, signature, .. } = self;
        format!("reader={reader}&issued={issued}&expires={expires}&signature={signature}")
    }
}

impl Reader {
    #[must_use]
    pub fn of(by: &Actor) -> Self {
        match &by.who {
            Who::User { person, admin: false } => Self::User(person.id),
            Who::User { person, admin: true } => Self::Admin(person.id),
            Who::Service | Who::Server => Self::Service,
        }
    }

    /// Reads what [`Ticket::query`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == SERVICE {
            return Some(Self::Service);
        }
        match text.strip_prefix(ADMIN) {
            Some(user) => user.parse().ok().map(Self::Admin),
            None => text.parse().ok().map(Self::User),
        }
    }
}

/// Keeps these signatures apart from those of any other use of the key.
const PURPOSE: &[u8] = b"switchyard recording link 1";
const ADMIN: &str = "admin-";
const SERVICE: &str = "service";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    fn grant() -> Grant {
        Grant { recording: RecordingId::random(), target: Target::File(FileId::random()), epoch: 3 }
    }

    #[test]
    fn a_link_is_good_until_it_expires_and_for_what_it_was_made() {
        let (key, grant, now) = (LinkKey::new(&[7; 32]), grant(), now());
        let user = UserId::random();
        let ticket = key.sign(grant, Reader::User(user), now, Duration::from_secs(60));
        key.check(grant, &ticket, now).unwrap();

        let code =
            |key: &LinkKey, grant, ticket: &Ticket, now| key.check(grant, ticket, now).unwrap_err().code;
        let late = now + Duration::from_secs(60);
        assert_eq!(code(&key, grant, &ticket, late), ErrorCode::LinkExpired);

        let Target::File(FileId(id)) = grant.target else { panic!("it is a file") };
        for (what, other) in [
            ("another recording", Grant { recording: RecordingId::random(), ..grant }),
            ("another file", Grant { target: Target::File(FileId::random()), ..grant }),
            ("a live track of the same id", Grant { target: Target::Live(RecordingTrackId(id)), ..grant }),
            ("a revoked epoch", Grant { epoch: 4, ..grant }),
        ] {
            assert_eq!(code(&key, other, &ticket, now), ErrorCode::Forbidden, "{what}");
        }
        for (what, forged) in [
            ("a longer life", Ticket { expires: ticket.expires + 1, ..ticket.clone() }),
            ("a later issue", Ticket { issued: ticket.issued + 1, ..ticket.clone() }),
            ("another user", Ticket { reader: Reader::User(UserId::random()), ..ticket.clone() }),
            ("a higher rank", Ticket { reader: Reader::Admin(user), ..ticket.clone() }),
            ("the service", Ticket { reader: Reader::Service, ..ticket.clone() }),
            ("no signature", Ticket { signature: String::new(), ..ticket.clone() }),
            ("a cut signature", Ticket { signature: ticket.signature[1..].to_owned(), ..ticket.clone() }),
            ("nonsense", Ticket { signature: "!".repeat(43), ..ticket.clone() }),
        ] {
            assert_eq!(code(&key, grant, &forged, now), ErrorCode::Forbidden, "{what}");
            // Whoever forges learns nothing about time.
            assert_eq!(code(&key, grant, &forged, late), ErrorCode::Forbidden, "{what}");
        }
        assert_eq!(code(&LinkKey::new(&[8; 32]), grant, &ticket, now), ErrorCode::Forbidden);
    }

    #[test]
    fn a_reader_is_read_as_written() {
        let user = UserId::random();
        for reader in [Reader::User(user), Reader::Admin(user), Reader::Service] {
            let ticket = Ticket { reader, issued: 0, expires: 1, signature: "x".to_owned() };
            let query = ticket.query();
            let written = query.strip_prefix("reader=").unwrap().split('&').next().unwrap();
            assert_eq!(Reader::parse(written), Some(reader));
        }
        for bad in ["", "admin-", "Service", "admin-service", "x", &format!(" {user}")] {
            assert_eq!(Reader::parse(bad), None, "{bad}");
        }
    }
}
