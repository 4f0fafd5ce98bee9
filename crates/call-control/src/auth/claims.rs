use chrono::DateTime;
use serde::Deserialize;
use uuid::{Uuid, uuid};

use super::Identity;
use crate::{ids::UserId, name::shorten};

/// The claims that say who somebody is; the others are checked by the JWT library.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    /// Unix seconds, possibly with a fraction (RFC 7519 §2).
    exp: f64,
    iss: Option<String>,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
}

impl Claims {
    pub(super) fn identity(self) -> Option<Identity> {
        let user_id = user_id(self.iss.as_deref().unwrap_or_default(), &self.sub)?;
        let names = [self.name, self.preferred_username, self.email];
        let name = names.into_iter().flatten().find_map(|name| shorten(&name));
        #[expect(clippy::cast_possible_truncation, reason = "casting clamps, and no clock reaches that far")]
        let expires_at =
            DateTime::from_timestamp(self.exp as i64, 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC);
        Some(Identity { user_id, name: name.unwrap_or_else(|| short_id(user_id)), expires_at, admin: false })
    }
}

/// A UUID is taken as it is; anything else becomes one, in a namespace of its issuer.
fn user_id(issuer: &str, subject: &str) -> Option<UserId> {
    if subject.is_empty() || subject.len() > MAX_SUBJECT {
        return None;
    }
    let namespace = || Uuid::new_v5(&ISSUERS, issuer.as_bytes());
    let id = Uuid::parse_str(subject).unwrap_or_else(|_| Uuid::new_v5(&namespace(), subject.as_bytes()));
    Some(UserId(id))
}

fn short_id(user: UserId) -> String {
    user.to_string().chars().take(8).collect()
}

const ISSUERS: Uuid = uuid!("6a0f5c1e-5d0b-4c39-9d5c-0f9a7c8f3b21");
const MAX_SUBJECT: usize = 255;
