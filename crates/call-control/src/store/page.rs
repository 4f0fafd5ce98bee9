//! Keyset pagination: a cursor names the last row of a page, so that rows added in the meantime do not shift
//! the next page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A part of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Ask again with this as `cursor` for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Which part of a list to return.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<C> {
    /// Maximum number of items, 1 to 100.
    pub limit: u8,
    pub after: Option<C>,
}

/// A position in a list.
pub trait Cursor: Sized {
    fn encode(&self) -> String;
    fn decode(text: &str) -> Option<Self>;
}

/// A position in a list that is ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeCursor {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

impl TimeCursor {
    /// Before everything.
    pub const START: Self = Self { at: DateTime::UNIX_EPOCH, id: Uuid::nil() };
}

impl Cursor for TimeCursor {
    fn encode(&self) -> String {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.at.timestamp_micros().to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (micros, id) = bytes.split_first_chunk::<8>()?;
        let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros)).filter(is_ordinary)?;
        Some(Self { at, id: Uuid::from_slice(id).ok()? })
    }
}

/// SQLite compares times as text, which is correct only for years with four digits.
fn is_ordinary(at: &DateTime<Utc>) -> bool {
    (1970..=9999).contains(&at.year())
}

/// A position in a list that is ordered by number.
impl Cursor for i64 {
    fn encode(&self) -> String {
        self.to_string()
    }

    fn decode(text: &str) -> Option<Self> {
        text.parse().ok().filter(|seq| *seq >= 0)
    }
}

impl<C> PageRequest<C> {
    /// One row more than the page: it shows whether another page follows.
    pub(super) const fn limit_and_one(&self) -> i64 {
        self.limit as i64 + 1
    }

    pub(super) fn page<T>(&self, mut items: Vec<T>, cursor: impl Fn(&T) -> C) -> Page<T>
    where
        C: Cursor,
    {
        let more = items.len() > usize::from(self.limit);
        items.truncate(usize::from(self.limit));
        let next_cursor = items.last().filter(|_| more).map(|last| cursor(last).encode());
        Page { items, next_cursor }
    }
}

impl<T> Page<T> {
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_writes_and_refuses_the_rest() {
        let cursor = TimeCursor { at: crate::clock::now(), id: Uuid::new_v4() };
        assert_eq!(TimeCursor::decode(&cursor.encode()), Some(cursor));
        for bad in ["", "x", "AAAA", &cursor.encode()[1..], &format!("{}AAAA", cursor.encode())] {
            assert_eq!(TimeCursor::decode(bad), None, "{bad}");
        }
        let ancient = TimeCursor { at: DateTime::from_timestamp(-1, 0).unwrap(), id: Uuid::nil() };
        assert_eq!(TimeCursor::decode(&ancient.encode()), None);
        assert_eq!(i64::decode("12"), Some(12));
        assert_eq!(i64::decode("-1"), None);
    }
}
