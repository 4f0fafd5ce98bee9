//! Which bytes of a file a request asks for (RFC 9110 §13 and §14).

use axum::http::{HeaderMap, header};

/// What is sent of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// The bytes from `first` to `last`, both included.
    Some {
        first: u64,
        last: u64,
    },
    /// The file has none of the bytes.
    Outside,
}

/// Which part of a file of this length and this strong entity tag the headers of a `GET` ask for. Several ranges
/// at once, and ranges that cannot be read, are answered with the whole file (§14.2).
pub(crate) fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Part {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Part::Whole };
    // An entity tag that is weak, or a date, is never the one of this file (§13.1.5).
    if headers.get(header::IF_RANGE).is_some_and(|validator| validator != etag) {
        return Part::Whole;
    }
    range.to_str().ok().and_then(|range| parse(range, length)).unwrap_or(Part::Whole)
}

/// Whether the client has the file with this entity tag already (§13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|tags| tags.split(',')).map(str::trim).any(|tag| {
        // The comparison is weak (§8.8.3.2).
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// `None` for what is no single range of bytes.
fn parse(range: &str, length: u64) -> Option<Part> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match range.trim().split_once('-')? {
        ("", suffix) => Some(ending(number(suffix)?, length)),
        (first, "") => Some(between(number(first)?, u64::MAX, length)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| between(first, last, length))
        }
    }
}

const fn ending(count: u64, length: u64) -> Part {
    if count == 0 || length == 0 {
        return Part::Outside;
    }
    Part::Some { first: length.saturating_sub(count), last: length - 1 }
}

fn between(first: u64, last: u64, length: u64) -> Part {
    if first < length { Part::Some { first, last: last.min(length - 1) } } else { Part::Outside }
}

/// Digits alone; a number too large for any file counts as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const ETAG: &str = "\"a file\"";

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn of_ten(range: &str) -> Part {
        wanted(&headers(&[(header::RANGE, range)]), ETAG, 10)
    }

    #[test]
    fn a_single_range_is_cut_to_the_file() {
        let some = |first, last| Part::Some { first, last };
        for (range, part) in [
            ("bytes=0-0", some(0, 0)),
            ("bytes=2-5", some(2, 5)),
            ("bytes=2-", some(2, 9)),
            ("bytes=2-99", some(2, 9)),
            ("bytes=2-99999999999999999999999", some(2, 9)),
            ("bytes=-3", some(7, 9)),
            ("bytes=-99", some(0, 9)),
            ("Bytes = 2-5", some(2, 5)),
            ("bytes=10-", Part::Outside),
            ("bytes=10-20", Part::Outside),
            ("bytes=99999999999999999999999-", Part::Outside),
            ("bytes=-0", Part::Outside),
        ] {
            assert_eq!(of_ten(range), part, "{range}");
        }
        assert_eq!(wanted(&headers(&[(header::RANGE, "bytes=0-")]), ETAG, 0), Part::Outside);
        assert_eq!(wanted(&headers(&[(header::RANGE, "bytes=-1")]), ETAG, 0), Part::Outside);
    }

    #[test]
    fn what_is_no_single_range_of_bytes_gets_the_whole_file() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=0-1,3-4",
            "bytes=0-0,-1",
            "seconds=0-1",
            "bytes=--5",
        ] {
            assert_eq!(of_ten(range), Part::Whole, "{range}");
        }
        let twice = headers(&[(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=3-4")]);
        let mut both = twice.clone();
        both.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(wanted(&both, ETAG, 10), Part::Whole);
        assert_eq!(wanted(&HeaderMap::new(), ETAG, 10), Part::Whole);
    }

    #[test]
    fn a_range_of_another_file_gets_the_whole_file() {
        let asked = |validator| {
            wanted(&headers(&[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, validator)]), ETAG, 10)
        };
        assert_eq!(asked(ETAG), Part::Some { first: 1, last: 2 });
        for other in ["\"another\"", "W/\"a file\"", "Sun, 29 Nov 2026 01:00:00 GMT", "*"] {
            assert_eq!(asked(other), Part::Whole, "{other}");
        }
    }

    #[test]
    fn who_has_the_file_is_recognized() {
        let has = |tags| is_known(&headers(&[(header::IF_NONE_MATCH, tags)]), ETAG);
        for known in ["*", ETAG, "W/\"a file\"", "\"x\", \"a file\""] {
            assert!(has(known), "{known}");
        }
        assert!(!has("\"x\"") && !has("a file") && !is_known(&HeaderMap::new(), ETAG));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_what_is_sent_lies_in_the_file(range in "(bytes=)?[0-9]{0,22}[-,= ]{0,2}[0-9]{0,22}", length: u64) {
            match wanted(&headers(&[(header::RANGE, &range)]), ETAG, length) {
                Part::Some { first, last } => prop_assert!(first <= last && last < length),
                Part::Whole | Part::Outside => {}
            }
        }
    }
}
