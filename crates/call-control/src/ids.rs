//! Ids as UUID newtypes: the compiler tells the id of a group from the id of a call.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;
use uuid::{Uuid, uuid};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
            TS,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(#[ts(type = "string")] pub Uuid);

        impl $name {
            /// A new, unguessable id (122 random bits).
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A person, as the app that embeds the server knows them.
    UserId,
    /// The people who may take part in a call.
    GroupId,
    /// One call's durable record.
    CallId,
    /// One device's stay in a call.
    LegId,
    /// One recording of a call.
    RecordingId,
    /// One recorded producer.
    RecordingTrackId,
    /// One file of a recording.
    FileId,
    /// A recordings folder. Its files are served, repaired and deleted by the server that has the folder.
    StorageId,
}

impl UserId {
    /// The user whom the app knows by this id, as tokens carry it. A UUID is used as it is. Any other text, and
    /// a UUID of version 5, becomes a UUID of version 5 (RFC 9562 §5.5) in the `namespace` of its issuer. `None`
    /// unless the id has 1 to 255 characters.
    #[must_use]
    pub fn from_external(id: &str, namespace: &Uuid) -> Option<Self> {
        ExternalId::parse(id).map(|id| Self(id.to_uuid(namespace)))
    }

    /// The user that a REST path names: a UUID of version 5 is an id that this server made, any other text is
    /// read like [`UserId::from_external`].
    #[must_use]
    pub fn from_path(id: &str, namespace: &Uuid) -> Option<Self> {
        made_here(id).map(Self).or_else(|| Self::from_external(id, namespace))
    }

    /// The first 8 characters of the id, as a name for a user without one.
    pub(crate) fn short(self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl GroupId {
    /// The group that a REST path names, converted like [`UserId::from_path`], in a namespace for groups.
    #[must_use]
    pub fn from_path(id: &str) -> Option<Self> {
        made_here(id).or_else(|| ExternalId::parse(id).map(|id| id.to_uuid(&GROUPS))).map(Self)
    }
}

/// An id of a user or group in the app.
///
/// A UUID is used as it is, in any spelling. Any other text becomes a UUID of version 5 (RFC 9562 §5.5). A
/// UUID of version 5 is treated as text: used as it is, it could be the id that another text becomes, and
/// take over that user. `external:` before a UUID of version 5 changes nothing; in a REST path it tells the
/// app's id from an id that this server made.
enum ExternalId<'a> {
    Uuid(Uuid),
    Text(Cow<'a, str>),
}

impl<'a> ExternalId<'a> {
    fn parse(id: &'a str) -> Option<Self> {
        if id.is_empty() || id.chars().count() > MAX_EXTERNAL_ID {
            return None;
        }
        if let Some(uuid) = made_here(id.strip_prefix(EXTERNAL).unwrap_or(id)) {
            return Some(Self::Text(uuid.to_string().into()));
        }
        Some(Uuid::parse_str(id).map_or(Self::Text(id.into()), Self::Uuid))
    }

    fn to_uuid(&self, namespace: &Uuid) -> Uuid {
        match self {
            Self::Uuid(uuid) => *uuid,
            Self::Text(text) => Uuid::new_v5(namespace, text.as_bytes()),
        }
    }
}

/// The UUID, if it is of the version that this server makes from texts.
pub(crate) fn made_here(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok().filter(|uuid| uuid.get_version_num() == MADE_VERSION)
}

/// A name that a client gives to its device and keeps across reloads: 1 to 64 visible ASCII characters.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS,
)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
#[schema(min_length = 1, max_length = 64)]
pub struct DeviceId(String);

#[derive(Debug, thiserror::Error)]
#[error("a device id has 1 to 64 visible ASCII characters")]
pub struct InvalidDeviceId;

impl TryFrom<String> for DeviceId {
    type Error = InvalidDeviceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid =
            (1..=MAX_DEVICE_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if valid { Ok(Self(text)) } else { Err(InvalidDeviceId) }
    }
}

const GROUPS: Uuid = uuid!("1012b521-ddab-4fa8-8fec-4af3de868080");
/// Before a UUID of version 5 that is an id of the app.
const EXTERNAL: &str = "external:";
const MADE_VERSION: usize = 5;
/// In characters, like the limit of `sub` in OpenID Connect Core 1.0 §2 (255 ASCII characters).
const MAX_EXTERNAL_ID: usize = 255;
const MAX_DEVICE_ID: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_prints() {
        let id = CallId::random();
        assert_eq!(id.to_string().parse::<CallId>().unwrap(), id);
        assert!("not-an-id".parse::<CallId>().is_err());
    }

    #[test]
    fn an_external_id_is_one_user_or_group_and_a_uuid_is_kept() {
        let (here, elsewhere) = (Uuid::new_v4(), Uuid::new_v4());
        let user = UserId::from_external("alice", &here);
        assert_eq!(user, UserId::from_external("alice", &here));
        assert_eq!(user, Some(UserId(Uuid::new_v5(&here, b"alice"))), "records keep their people");
        assert_ne!(user, UserId::from_external("alice", &elsewhere));
        assert_ne!(user, UserId::from_external("Alice", &here));
        assert_ne!(user.map(|user| user.0), GroupId::from_path("alice").map(|group| group.0));
        for id in [Uuid::new_v4(), Uuid::now_v7()] {
            assert_eq!(UserId::from_external(&id.to_string(), &here), Some(UserId(id)));
            assert_eq!(UserId::from_path(&id.to_string(), &here), Some(UserId(id)));
            assert_eq!(GroupId::from_path(&id.to_string()), Some(GroupId(id)));
        }
    }

    #[test]
    fn nobody_takes_over_the_user_whom_their_id_was_made_for() {
        let here = Uuid::new_v4();
        let alice = UserId::from_external("alice", &here).unwrap();
        let spellings = [
            alice.to_string(),
            alice.to_string().to_uppercase(),
            alice.0.simple().to_string(),
            alice.0.urn().to_string(),
            alice.0.braced().to_string(),
            format!("external:{alice}"),
        ];
        let others = spellings.each_ref().map(|sub| UserId::from_external(sub, &here).unwrap());
        assert!(!others.contains(&alice));
        assert_eq!(others, [others[0]; 6], "they are one person in any spelling");
        assert_eq!(UserId::from_path(&spellings[5], &here), Some(others[0]), "whom a path can name");
    }

    #[test]
    fn a_path_names_what_this_server_made_by_its_id_and_the_apps_by_theirs() {
        let here = Uuid::new_v4();
        let alice = UserId::from_external("alice", &here).unwrap();
        assert_eq!(UserId::from_path(&alice.to_string(), &here), Some(alice));
        assert_eq!(UserId::from_path("alice", &here), Some(alice));
        let team = GroupId::from_path("team-7").unwrap();
        assert_eq!(GroupId::from_path(&team.to_string()), Some(team));
        assert_ne!(GroupId::from_path(&format!("external:{team}")), Some(team));
    }

    #[test]
    fn an_external_id_has_1_to_255_characters() {
        assert!(GroupId::from_path(&"é".repeat(255)).is_some());
        for bad in [String::new(), "x".repeat(256)] {
            assert_eq!(GroupId::from_path(&bad), None);
        }
    }

    #[test]
    fn a_device_id_is_short_and_visible() {
        assert!(DeviceId::try_from("tab-1".to_owned()).is_ok());
        for bad in [String::new(), "a b".to_owned(), "x".repeat(65), "é".to_owned()] {
            assert!(DeviceId::try_from(bad).is_err());
        }
    }
}
