//! The STUN and TURN servers for clients, with time-limited credentials.

mod url;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::{ids::UserId, wire::IceServer};

pub use url::is_ice_url;

/// The STUN and TURN servers of this installation.
#[derive(Clone, Debug, Default)]
pub struct IceServers {
    /// `stun:`, `turn:` and `turns:` addresses.
    pub urls: Vec<String>,
    /// coturn's `static-auth-secret`.
    pub secret: Option<SecretString>,
}

impl IceServers {
    /// The servers, with TURN credentials for this user (draft-uberti-behave-turn-rest-00): the username is
    /// the expiry in Unix seconds, a colon and the user's id; the credential is the HMAC-SHA1 of the username
    /// with the secret.
    #[must_use]
    pub fn for_user(&self, user: UserId, now: DateTime<Utc>) -> Vec<IceServer> {
        let (stun, turn): (Vec<_>, Vec<_>) =
            self.urls.iter().cloned().partition(|url| url.starts_with("stun"));
        let mut servers = Vec::new();
        if !stun.is_empty() {
            servers.push(IceServer { urls: stun, username: None, credential: None });
        }
        if !turn.is_empty() {
            let username =
                self.secret.as_ref().map(|_| format!("{}:{user}", now.timestamp() + VALID_SECONDS));
            let credential =
                self.secret.as_ref().zip(username.as_ref()).map(|(secret, name)| credential(secret, name));
            servers.push(IceServer { urls: turn, username, credential });
        }
        servers
    }
}

fn credential(secret: &SecretString, username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose_secret().as_bytes());
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

/// Clients ask again at each join and sync. coturn checks the expiry when an allocation is made, so one that is in use
/// goes on being refreshed.
const VALID_SECONDS: i64 = 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_the_hmac_of_the_username() {
        // RFC 2202, test case 2.
        let digest = credential(&"Jefe".into(), "what do ya want for nothing?");
        assert_eq!(digest, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }

    #[test]
    fn only_turn_servers_get_credentials_and_they_expire() {
        let servers = IceServers {
            urls: vec!["stun:a.example".to_owned(), "turn:b.example".to_owned()],
            secret: Some("secret".into()),
        };
        let (user, now) = (UserId::random(), DateTime::from_timestamp(1_000, 0).unwrap());
        let [stun, turn] = &servers.for_user(user, now)[..] else { panic!("two entries") };
        assert_eq!((stun.username.as_ref(), stun.credential.as_ref()), (None, None));
        assert_eq!(turn.username, Some(format!("4600:{user}")));
        assert!(IceServers::default().for_user(user, now).is_empty());
    }
}
