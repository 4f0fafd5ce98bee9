use std::fmt;

/// One side's ICE username fragment and password (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub username_fragment: String,
    pub password: String,
}

impl Credentials {
    /// How many random bytes [`Self::from_random`] takes: 40 bits of username fragment, 160 of password.
    pub(crate) const RANDOM_BYTES: usize = USERNAME_FRAGMENT_CHARS + PASSWORD_CHARS;

    /// Spells `random` as credentials in lower-case letters and digits. `prefix` (ICE characters only) begins the
    /// username fragment, so that a packet can be routed to a worker before its transport is known.
    pub(crate) fn from_random(prefix: &str, random: &[u8; Self::RANDOM_BYTES]) -> Self {
        let (fragment, password) = random.split_at(USERNAME_FRAGMENT_CHARS);
        let mut username_fragment = String::from(prefix);
        username_fragment.extend(fragment.iter().map(spell));
        Self { username_fragment, password: password.iter().map(spell).collect() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username_fragment", &self.username_fragment)
            .finish_non_exhaustive()
    }
}

/// Five bits per character: the alphabet divides 256, so uniform bytes give uniform characters.
fn spell(byte: &u8) -> char {
    char::from(ALPHABET[usize::from(byte % 32)])
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// RFC 8445 §5.3 wants at least 24 bits of randomness.
const USERNAME_FRAGMENT_CHARS: usize = 8;
/// RFC 8445 §5.3 wants at least 128 bits of randomness and 22 characters.
const PASSWORD_CHARS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_long_enough_alphanumeric_and_begin_with_the_prefix() {
        let mut random = [0u8; Credentials::RANDOM_BYTES];
        for (byte, value) in random.iter_mut().zip((0..=255).step_by(7)) {
            *byte = value;
        }
        let credentials = Credentials::from_random("w3", &random);
        assert!(credentials.username_fragment.starts_with("w3"));
        assert_eq!(credentials.username_fragment.len(), 10);
        assert!(credentials.password.len() >= 22);
        let all = credentials.username_fragment.clone() + &credentials.password;
        assert!(all.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials::from_random("", &[9; Credentials::RANDOM_BYTES]);
        assert!(!format!("{credentials:?}").contains(&credentials.password));
    }
}
