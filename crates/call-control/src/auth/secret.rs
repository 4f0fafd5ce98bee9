//! How long a secret has to be.

use secrecy::{ExposeSecret, SecretString};

/// A secret that anybody could guess.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} is blank or shorter than {SHORTEST} bytes, so that it can be guessed; give it {GOOD} random bytes"
)]
pub struct WeakSecret {
    name: &'static str,
}

/// Whether a secret of the setting `name` has its full length, 32 bytes: a key for HS256 has as many as the
/// hash (RFC 7518 §3.2), and the others are guessed no more easily.
///
/// # Errors
/// [`WeakSecret`] for one that is blank or has less than 16 bytes.
pub fn is_long_enough(name: &'static str, secret: &SecretString) -> Result<bool, WeakSecret> {
    let secret = secret.expose_secret();
    if secret.trim().len() < SHORTEST { Err(WeakSecret { name }) } else { Ok(secret.len() >= GOOD) }
}

/// In bytes.
const SHORTEST: usize = 16;
/// In bytes.
const GOOD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_blank_and_has_16_bytes_and_better_32() {
        let judged = |secret: &str| is_long_enough("JWT_SECRET", &secret.into()).ok();
        for bad in ["", " ", "short", &" ".repeat(40), &format!("{}x", " ".repeat(40)), &"x".repeat(15)] {
            assert_eq!(judged(bad), None, "{bad}");
        }
        assert_eq!(judged(&"x".repeat(16)), Some(false));
        assert_eq!(judged(&"x".repeat(31)), Some(false));
        assert_eq!(judged(&"x".repeat(32)), Some(true));
    }
}
