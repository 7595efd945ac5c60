//! Stretches of history: the slices of a time range, the request for the next page of a slice, and the rest of
//! the slice after that page.
//!
//! A slice is half open: `older <= time < newer`. The interface leaves both ends of a query out, so a query
//! names `newer` as its start and `older - 1` as its end: neighbouring slices share no row and miss none. After
//! the first page the start is the last row's time together with its id, because a time alone would skip the
//! other rows of that millisecond.

use serde::{Deserialize, Serialize};

use super::page::Summary;
use super::place::Place;

/// The rows that a page may have; the interface allows no more.
pub const PAGE_ROWS_MAX: u32 = 1000;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The part of the interface that answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Scope {
    /// The history of the whole app.
    App,
    /// One normal conversation.
    Conversation {
        /// Its id.
        id: String,
    },
    /// One chat room.
    Room {
        /// Its id.
        id: String,
    },
    /// The messages of a service conversation to one subscriber.
    Subscriber {
        /// The service conversation.
        service: String,
        /// The subscriber.
        client: String,
    },
    /// The messages that one client sent.
    Client {
        /// The client.
        id: String,
    },
}

/// A piece of work: some histories over one stretch of time, and how far they are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The reading that the slice belongs to.
    pub pass: u32,
    /// The histories, read one after the other.
    pub scopes: Vec<Scope>,
    /// The first millisecond that belongs to the slice.
    pub older: i64,
    /// The first millisecond after the slice.
    pub newer: i64,
    /// The last row that was read of the first history; the next page starts behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Place>,
}

/// A request, without the host and without its authorisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The path, its parts encoded.
    pub path: String,
    /// The query, not encoded yet, in its order.
    pub query: Vec<(String, String)>,
}

impl Scope {
    /// The path of this history.
    #[must_use]
    pub fn path(&self) -> String {
        let part = |text: &str| encoded(text);
        match self {
            Self::App => "/1.2/rtm/messages".to_owned(),
            Self::Conversation { id } => format!("/1.2/rtm/conversations/{}/messages", part(id)),
            Self::Room { id } => format!("/1.2/rtm/chatrooms/{}/messages", part(id)),
            Self::Subscriber { service, client } => format!(
                "/1.2/rtm/service-conversations/{}/subscribers/{}/messages",
                part(service),
                part(client)
            ),
            Self::Client { id } => format!("/1.2/rtm/clients/{}/messages", part(id)),
        }
    }
}

impl Slice {
    /// A slice of the whole app's history.
    #[must_use]
    pub fn of_app(pass: u32, older: i64, newer: i64) -> Self {
        Self {
            pass,
            scopes: vec![Scope::App],
            older,
            newer,
            cursor: None,
        }
    }

    /// True if the slice is of the whole app's history.
    #[must_use]
    pub fn is_of_app(&self) -> bool {
        self.scopes.first() == Some(&Scope::App)
    }

    /// True if two slices begin at the same place of the same work. Their older ends may differ, because a part
    /// was given to another worker.
    #[must_use]
    pub fn begins_like(&self, other: &Self) -> bool {
        let place = |slice: &Self| (slice.pass, slice.newer);
        place(self) == place(other) && self.cursor == other.cursor && self.scopes == other.scopes
    }

    /// The request for the next page; none when nothing is left.
    #[must_use]
    pub fn request(&self) -> Option<Request> {
        let scope = self.scopes.first()?;
        let mut query = vec![("limit".to_owned(), PAGE_ROWS_MAX.to_string())];
        let mut add = |name: &str, value: String| query.push((name.to_owned(), value));
        match &self.cursor {
            None => add("timestamp", self.newer.to_string()),
            Some(place) => {
                add("timestamp", place.at.to_string());
                add("msgid", place.id.clone());
            }
        }
        // A zero means "no end", as a slice from the beginning of time needs.
        add(
            "till_timestamp",
            self.older.saturating_sub(1).max(0).to_string(),
        );
        Some(Request {
            path: scope.path(),
            query,
        })
    }

    /// The slice that is left after a page was read; none when the page was the end.
    ///
    /// Only an empty page ends a history: a short one may have been cut for other reasons. A row
    /// older than the slice ends it too, in case the other end of the query is not heeded.
    #[must_use]
    pub fn after(mut self, page: &Summary) -> Option<Self> {
        let is_beyond = page.oldest.is_some_and(|oldest| oldest < self.older);
        match &page.last {
            Some(last) if !is_beyond => self.cursor = Some(last.clone()),
            _ => {
                self.scopes.drain(..self.scopes.len().min(1));
                self.cursor = None;
            }
        }
        (!self.scopes.is_empty()).then_some(self)
    }

    /// True if a page brings the slice on: its last row must lie behind the cursor.
    #[must_use]
    pub fn is_brought_on_by(&self, page: &Summary) -> bool {
        match (&self.cursor, &page.last) {
            (Some(before), Some(last)) => {
                last.at < before.at || (last.at == before.at && last.id != before.id)
            }
            _ => true,
        }
    }

    /// Cuts the part that is not read yet into two halves by time, the older one first; none when
    /// it is shorter than `shortest` or not of the whole app.
    #[must_use]
    pub fn halves(&self, shortest: i64) -> Option<(Self, Self)> {
        let newest = self.cursor.as_ref().map_or(self.newer, |place| place.at);
        if !self.is_of_app() || newest.saturating_sub(self.older) < shortest.saturating_mul(2) {
            return None;
        }
        let middle = self.older + (newest - self.older) / 2;
        let older = Self::of_app(self.pass, self.older, middle);
        let newer = Self {
            older: middle,
            ..self.clone()
        };
        Some((older, newer))
    }
}

/// Cuts `older <= time < newer` into slices of `step`, the oldest first. The time before `likely` is one slice:
/// the service can hardly have kept anything of it, and one request tells that the slice is empty.
#[must_use]
pub fn cut(pass: u32, older: i64, likely: i64, newer: i64, step: i64) -> Vec<Slice> {
    let mut slices = Vec::new();
    let likely = likely.clamp(older, newer.max(older));
    if older < likely {
        slices.push(Slice::of_app(pass, older, likely));
    }
    let mut from = likely;
    while from < newer {
        let to = from.saturating_add(step.max(1)).min(newer);
        slices.push(Slice::of_app(pass, from, to));
        from = to;
    }
    slices
}

/// A part of a path or query, with every character encoded that could mean something there.
#[must_use]
pub fn encoded(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

impl Request {
    /// The service conversation and the subscriber, if the request asked for the history of a subscriber.
    #[must_use]
    pub fn subscriber(&self) -> Option<(String, String)> {
        let rest = self.path.strip_prefix("/1.2/rtm/service-conversations/")?;
        let (service, rest) = rest.split_once("/subscribers/")?;
        let client = rest.strip_suffix("/messages")?;
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.ok().map(std::borrow::Cow::into_owned)
        };
        Some((decoded(service)?, decoded(client)?))
    }

    /// The path with the query, as it goes into a request line.
    #[must_use]
    pub fn target(&self) -> String {
        let pairs = self.query.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        if pairs.is_empty() {
            return self.path.clone();
        }
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(rows: &[(i64, &str)]) -> Summary {
        Summary {
            rows: rows.len(),
            newest: rows.first().map(|row| row.0),
            oldest: rows.last().map(|row| row.0),
            last: rows.last().map(|row| Place {
                at: row.0,
                id: row.1.to_owned(),
            }),
            is_sorted: true,
            odd: 0,
        }
    }

    #[test]
    fn a_query_names_ends_that_are_both_left_out() {
        let request = Slice::of_app(1, 100, 200).request().unwrap();
        assert_eq!(
            request.target(),
            "/1.2/rtm/messages?limit=1000&timestamp=200&till_timestamp=99"
        );
    }

    #[test]
    fn a_page_is_followed_by_the_time_and_the_encoded_id_of_its_last_row() {
        let slice = Slice::of_app(1, 100, 200);
        let left = slice
            .after(&page(&[(150, "b"), (150, "4XC_IHK+Ry6/q=")]))
            .unwrap();
        let target = left.request().unwrap().target();
        assert!(
            target.contains("timestamp=150&msgid=4XC_IHK%2BRy6%2Fq%3D&"),
            "{target}"
        );
    }

    #[test]
    fn only_an_empty_page_or_a_row_before_the_slice_ends_a_history() {
        let slice = Slice::of_app(1, 100, 200);
        assert!(slice.clone().after(&page(&[(199, "a")])).is_some());
        assert_eq!(slice.clone().after(&page(&[])), None);
        assert_eq!(slice.after(&page(&[(199, "a"), (99, "b")])), None);
    }

    #[test]
    fn the_next_history_of_a_batch_starts_at_its_newer_end() {
        let room = |id: &str| Scope::Room { id: id.to_owned() };
        let slice = Slice {
            scopes: vec![room("a"), room("b")],
            ..Slice::of_app(1, 0, 200)
        };
        let left = slice.after(&page(&[(150, "x")])).unwrap();
        let left = left.after(&page(&[])).unwrap();
        assert_eq!(left.scopes, [room("b")]);
        assert_eq!(left.cursor, None);
        assert_eq!(left.after(&page(&[])), None);
    }

    #[test]
    fn an_answer_that_repeats_itself_brings_nothing_on() {
        let slice = Slice::of_app(1, 0, 200)
            .after(&page(&[(150, "x")]))
            .unwrap();
        assert!(!slice.is_brought_on_by(&page(&[(151, "w"), (150, "x")])));
        assert!(slice.is_brought_on_by(&page(&[(150, "y")])));
        assert!(slice.is_brought_on_by(&page(&[])));
    }

    proptest! {
        #[test]
        fn slices_cover_a_range_without_overlap(
            older in 0_i64..1000, likely in -10_i64..3000, length in 0_i64..2000, step in 1_i64..500,
        ) {
            let newer = older + length;
            let slices = cut(1, older, likely, newer, step);
            let mut from = older;
            for slice in &slices {
                prop_assert_eq!(slice.older, from);
                prop_assert!(slice.newer > slice.older);
                from = slice.newer;
            }
            prop_assert_eq!(from, newer);
        }

        #[test]
        fn halves_cover_what_is_left(
            older in 0_i64..1000, length in 0_i64..2000, at in proptest::option::of(0_i64..2000),
        ) {
            let cursor = at.map(|at| Place { at: older + at.min(length), id: "x".into() });
            let slice = Slice { cursor, ..Slice::of_app(3, older, older + length) };
            if let Some((first, second)) = slice.halves(10) {
                prop_assert_eq!(first.older, older);
                prop_assert_eq!(first.newer, second.older);
                prop_assert_eq!(second.newer, slice.newer);
                prop_assert_eq!(&second.cursor, &slice.cursor);
                prop_assert!(second.cursor.as_ref().is_none_or(|place| place.at > second.older));
            }
        }
    }
}
