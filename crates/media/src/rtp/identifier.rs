use std::fmt;

/// Names the media section of the SDP that a packet belongs to (RFC 9143 §15.1), at most
/// [`MAX_IDENTIFIER_LEN`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mid(Identifier);

impl Mid {
    /// Accepts 1..=[`MAX_IDENTIFIER_LEN`] bytes of printable ASCII without spaces.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Identifier::parse(bytes, u8::is_ascii_graphic).map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Names one encoding of a simulcast track, as RID or repaired RID (RFC 8852 §3), at most
/// [`MAX_IDENTIFIER_LEN`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rid(Identifier);

impl Rid {
    /// Accepts 1..=[`MAX_IDENTIFIER_LEN`] ASCII letters, digits, `-` and `_` (RFC 8851 §10).
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Identifier::parse(bytes, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mid({:?})", self.as_str())
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rid({:?})", self.as_str())
    }
}

/// A short ASCII string stored inline. Unused bytes are zero, so that derived comparisons hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Identifier {
    bytes: [u8; MAX_IDENTIFIER_LEN],
    len: u8,
}

impl Identifier {
    fn parse(bytes: &[u8], allowed: impl Fn(&u8) -> bool) -> Option<Self> {
        let mut identifier = Self { bytes: [0; MAX_IDENTIFIER_LEN], len: bytes.len() as u8 };
        identifier.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        (!bytes.is_empty() && bytes.iter().all(allowed)).then_some(identifier)
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Longest MID or RID, in bytes: what a one-byte header extension element can hold (RFC 8285 §4.2).
pub(crate) const MAX_IDENTIFIER_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_as_they_were_sent() {
        let mid = Mid::parse(b"probator").unwrap();
        assert_eq!((mid.as_str(), mid.as_bytes()), ("probator", &b"probator"[..]));
        assert_eq!(mid.to_string(), "probator");
        assert_eq!(format!("{mid:?}"), "Mid(\"probator\")");
        assert_eq!(Mid::parse(b"probator"), Some(mid));
        assert_ne!(Mid::parse(b"probato"), Some(mid));
        assert_eq!(Rid::parse(b"r0").unwrap().to_string(), "r0");
    }

    #[test]
    fn empty_long_or_unprintable_identifiers_are_refused() {
        assert!(Mid::parse(&[b'm'; 16]).is_some());
        assert_eq!(Mid::parse(&[b'm'; 17]), None);
        assert_eq!(Mid::parse(&[b'm'; 300]), None);
        assert_eq!(Mid::parse(b""), None);
        assert_eq!(Mid::parse(b"a b"), None);
        assert_eq!(Mid::parse("é".as_bytes()), None);
        assert_eq!(Rid::parse(b"a.b"), None);
        assert!(Rid::parse(b"a-B_9").is_some());
    }
}
