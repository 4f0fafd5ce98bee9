//! Ids are UUID newtypes, so that a group can never be passed where a call is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(pub Uuid);

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

/// A name that a client gives to its device and keeps across reloads: 1 to 64 visible ASCII characters.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
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
    fn a_device_id_is_short_and_visible() {
        assert!(DeviceId::try_from("tab-1".to_owned()).is_ok());
        for bad in [String::new(), "a b".to_owned(), "x".repeat(65), "é".to_owned()] {
            assert!(DeviceId::try_from(bad).is_err());
        }
    }
}
