//! Ids as UUID newtypes: the compiler tells the id of a group from the id of a call.

use std::{fmt, str::FromStr};

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
}

impl UserId {
    /// The user with this id in the app. A UUID is used as it is; any other text becomes a UUID version 5
    /// (RFC 9562 §5.5) in the `namespace` of its issuer. `None` unless the id has 1 to 255 characters.
    #[must_use]
    pub fn from_external(id: &str, namespace: &Uuid) -> Option<Self> {
        from_external(id, namespace).map(Self)
    }

    /// The first 8 characters of the id, as a name for a user without one.
    pub(crate) fn short(self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl GroupId {
    /// The group with this id in the app, converted like [`UserId::from_external`], in a namespace for
    /// groups.
    #[must_use]
    pub fn from_external(id: &str) -> Option<Self> {
        from_external(id, &GROUPS).map(Self)
    }
}

fn from_external(id: &str, namespace: &Uuid) -> Option<Uuid> {
    if id.is_empty() || id.chars().count() > MAX_EXTERNAL_ID {
        return None;
    }
    Some(Uuid::parse_str(id).unwrap_or_else(|_| Uuid::new_v5(namespace, id.as_bytes())))
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
        assert_ne!(user, UserId::from_external("alice", &elsewhere));
        assert_ne!(user, UserId::from_external("Alice", &here));
        assert_ne!(user.map(|user| user.0), GroupId::from_external("alice").map(|group| group.0));
        let id = Uuid::new_v4();
        assert_eq!(UserId::from_external(&id.to_string(), &here), Some(UserId(id)));
        assert_eq!(GroupId::from_external(&id.to_string()), Some(GroupId(id)));
    }

    #[test]
    fn an_external_id_has_1_to_255_characters() {
        assert!(GroupId::from_external(&"é".repeat(255)).is_some());
        for bad in [String::new(), "x".repeat(256)] {
            assert_eq!(GroupId::from_external(&bad), None);
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
