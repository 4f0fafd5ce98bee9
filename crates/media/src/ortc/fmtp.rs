//! Codec parameters as they stand in an SDP `fmtp` line.

use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Codec-specific parameters: names with a string or a number each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Option<FmtpValue>>")]
pub struct CodecFmtp(BTreeMap<String, FmtpValue>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FmtpValue {
    Number(Number),
    Text(String),
}

impl CodecFmtp {
    /// The value as a whole number, whether it was written as one or as its digits.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key)? {
            FmtpValue::Number(number) => number.as_u64(),
            FmtpValue::Text(text) => text.parse().ok(),
        }
    }

    /// The value as text. SDP parsers turn all digits into numbers, even if the value is a name.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.0.get(key)? {
            FmtpValue::Number(number) => Some(Cow::Owned(number.to_string())),
            FmtpValue::Text(text) => Some(Cow::Borrowed(text)),
        }
    }

    /// The payload type whose packets an RTX codec repeats (RFC 4588 §8.6).
    pub fn apt(&self) -> Option<u8> {
        self.number("apt")?.try_into().ok()
    }

    /// Drops all parameters but these.
    pub(super) fn keep(&mut self, names: &[&str]) {
        self.0.retain(|name, _| names.contains(&name.as_str()));
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &FmtpValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl From<BTreeMap<String, Option<FmtpValue>>> for CodecFmtp {
    fn from(values: BTreeMap<String, Option<FmtpValue>>) -> Self {
        Self(values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }
}

impl<const N: usize> From<[(&str, FmtpValue); N]> for CodecFmtp {
    fn from(values: [(&str, FmtpValue); N]) -> Self {
        Self(values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl From<u32> for FmtpValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for FmtpValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
