//! The cipher of a profile, keyed for one direction of RTP or of RTCP.

use super::Profile;
use super::counter_mode::{self, CounterMode};
use super::gcm::{self, Gcm};
use super::keys::{Labels, MasterKey};
use std::fmt;

pub(super) enum Cipher {
    Gcm(Gcm),
    /// Boxed because it is forty times as large as the other, which nearly every peer uses.
    CounterMode(Box<CounterMode>),
}

impl Cipher {
    pub(super) fn new(master: &MasterKey, labels: Labels) -> Self {
        let salt = labels.salt;
        match master.profile() {
            Profile::AeadAes128Gcm => {
                Self::Gcm(Gcm::new(&master.derive(labels.encryption), master.derive(salt)))
            }
            Profile::Aes128CmHmacSha1_80 => Self::CounterMode(Box::new(CounterMode::new(
                &master.derive(labels.encryption),
                master.derive(salt),
                &master.derive(labels.authentication),
            ))),
        }
    }

    /// Length of the authentication tag in bytes.
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => gcm::TAG_LEN,
            Self::CounterMode(_) => counter_mode::TAG_LEN,
        }
    }
}

impl fmt::Debug for Cipher {
    /// Names the cipher; keys and salts stay secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gcm(_) => "Gcm",
            Self::CounterMode(_) => "CounterMode",
        })
    }
}
