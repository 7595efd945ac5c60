//! The headers of a host about a file: its version, its length, the range of the answer, and redirects.

use crate::net::HttpAnswer;

/// The version of a file at its host. Only a strong tag proves that two ranges are of one file.
pub(super) fn version_of(answer: &HttpAnswer) -> Option<String> {
    let tag = answer
        .headers
        .get("etag")
        .filter(|tag| tag.starts_with('"'));
    tag.or_else(|| answer.headers.get("last-modified")).cloned()
}

/// The first byte of the range and the length of the whole file, from a header such as `bytes 5-9/10`.
pub(super) fn range_of(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.parse().ok()?, total.parse().ok()))
}

pub(super) fn total_of(answer: &HttpAnswer, from: u64) -> Option<u64> {
    if let Some((_, total)) = answer
        .headers
        .get("content-range")
        .and_then(|it| range_of(it))
    {
        return total;
    }
    let length: u64 = answer.headers.get("content-length")?.parse().ok()?;
    Some(from.saturating_add(length))
}

/// The target of a redirect: a whole URL, or a path on the same host.
pub(super) fn elsewhere(from: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        // A redirect from HTTPS to HTTP is not followed.
        let is_safe = location.starts_with("https://") || from.starts_with("http://");
        return is_safe.then(|| location.to_owned());
    }
    let path = location
        .strip_prefix('/')
        .filter(|path| !path.starts_with('/'))?;
    let (scheme, rest) = from.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some(format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_sends_us_to_its_own_paths_and_to_safe_places() {
        let from = "https://files.example.org/a/b?c#d";
        let to = |location| elsewhere(from, location);
        assert_eq!(to("/x").as_deref(), Some("https://files.example.org/x"));
        assert_eq!(
            to("https://example.com/").as_deref(),
            Some("https://example.com/")
        );
        for location in [
            "http://example.com/",
            "//example.com/",
            "x",
            "",
            "file:///x",
        ] {
            assert_eq!(to(location), None, "{location}");
        }
        assert!(elsewhere("http://localhost/", "http://localhost/x").is_some());
    }

    #[test]
    fn a_range_tells_where_it_begins_and_how_long_the_whole_is() {
        assert_eq!(range_of("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range_of("bytes 5-9/*"), Some((5, None)));
        for text in [
            "",
            "bytes */10",
            "bytes 5-9",
            "bytes x-9/10",
            "items 5-9/10",
        ] {
            assert_eq!(range_of(text), None, "{text}");
        }
    }
}
