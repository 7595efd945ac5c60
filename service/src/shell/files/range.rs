//! The range of a file that a request wants.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, header};

/// The bytes of a file that a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No bytes: the caller has the file.
    Nothing,
    /// All bytes.
    Whole,
    /// A range of bytes.
    Part(Range<u64>),
    /// A range that the file does not have.
    Unsatisfiable,
}

/// Reads the headers of a request for a file of this size and tag. A header that is not understood, and one that
/// asks for several ranges, is passed over, as HTTP allows: then the caller gets the whole file.
pub(super) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let text = |name| headers.get(name).map(HeaderValue::to_str)?.ok();
    let names_it = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').map(str::trim).any(names_it))
    {
        return Wanted::Nothing;
    }
    // Only tags are compared: answers carry no date.
    let is_same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let Some(range) = text(header::RANGE).filter(|_| is_same) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|it| it.split_once('-'))
    else {
        return Wanted::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= size && is_number_or_empty(last) => Wanted::Unsatisfiable,
        (Some(first), Some(last)) if first <= last => {
            Wanted::Part(first..size.min(last.saturating_add(1)))
        }
        (Some(first), None) if last.is_empty() => Wanted::Part(first..size),
        (None, Some(0)) if first.is_empty() => Wanted::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && size == 0 => Wanted::Unsatisfiable,
        (None, Some(tail)) if first.is_empty() => Wanted::Part(size.saturating_sub(tail)..size),
        _ => Wanted::Whole,
    }
}

/// A number of digits alone; a number that is too large becomes the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn is_number_or_empty(text: &str) -> bool {
    text.is_empty() || number(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn of(pairs: &[(header::HeaderName, &str)]) -> Wanted {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()));
        wanted(&pairs.collect(), 100, TAG)
    }

    #[test]
    fn a_range_is_read_as_http_says() {
        use Wanted::{Part, Unsatisfiable, Whole};
        let cases = [
            ("bytes=0-0", Part(0..1)),
            ("bytes=10-19", Part(10..20)),
            ("bytes=90-", Part(90..100)),
            ("bytes=90-500", Part(90..100)),
            ("bytes=-10", Part(90..100)),
            ("bytes=-500", Part(0..100)),
            ("bytes=99-99", Part(99..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=0-99999999999999999999999", Part(0..100)),
            ("bytes=-0", Unsatisfiable),
            ("bytes=20-10", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=a-b", Whole),
            ("lines=1-2", Whole),
            ("bytes", Whole),
        ];
        for (text, expected) in cases {
            assert_eq!(of(&[(header::RANGE, text)]), expected, "{text}");
        }
        assert_eq!(of(&[]), Whole);
    }

    #[test]
    fn a_part_is_given_only_of_the_file_that_the_caller_has_begun() {
        let range = (header::RANGE, "bytes=50-");
        assert_eq!(
            of(&[range.clone(), (header::IF_RANGE, TAG)]),
            Wanted::Part(50..100)
        );
        for other in ["\"abd\"", "W/\"abc\"", "Mon, 30 Nov 2026 10:00:00 GMT"] {
            assert_eq!(
                of(&[range.clone(), (header::IF_RANGE, other)]),
                Wanted::Whole,
                "{other}"
            );
        }
    }

    #[test]
    fn a_caller_that_has_the_file_gets_nothing() {
        for tags in [TAG, "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(
                of(&[(header::IF_NONE_MATCH, tags)]),
                Wanted::Nothing,
                "{tags}"
            );
        }
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"x\"")]), Wanted::Whole);
    }
}
