//! A page in an answer of the history interface: the fields that are read, and the fields that are removed
//! before the page is kept.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::place::Place;

/// Fields that hold the address of a sender: personal data that nobody needs to move a history.
const ADDRESSES: [&str; 3] = ["from-ip", "fromIp", "sourceIP"];

/// The reason why a body is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The body is cut off or no JSON.
    #[error("the answer is no complete JSON: {0}")]
    Json(String),
    /// The body is JSON, but neither an array of rows nor an object that holds one.
    #[error("the answer is no list of rows")]
    NoRows,
    /// No row of a page has both a time and an id, so there is no request for the next page.
    #[error("no row of the answer has a time and an id")]
    NoPlace,
}

/// The facts of a page that are needed to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its rows.
    pub rows: usize,
    /// The newest time in it.
    pub newest: Option<i64>,
    /// The oldest time in it.
    pub oldest: Option<i64>,
    /// The last row that has both a time and an id.
    pub last: Option<Place>,
    /// True if no row is newer than the row before it.
    pub is_sorted: bool,
    /// Rows without a time or an id, which are kept like all others.
    pub odd: usize,
}

/// The two fields that paging needs. Other fields, and these fields with another type, are ignored.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "msg-id")]
    id: Option<&'a RawValue>,
}

/// The rows of a body: an array, or an object whose `results` is one.
///
/// # Errors
///
/// [`PageError::Json`] and [`PageError::NoRows`].
pub fn rows(body: &str) -> Result<Vec<&RawValue>, PageError> {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let start = body.trim_start().as_bytes().first();
    if start == Some(&b'{') {
        let whole: &RawValue = serde_json::from_str(body).map_err(json)?;
        let found = serde_json::from_str::<Results<'_>>(whole.get());
        return found.map(|it| it.results).map_err(|_| PageError::NoRows);
    }
    let rows = serde_json::from_str::<Vec<&RawValue>>(body);
    rows.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => PageError::NoRows,
        _ => json(error),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn json(error: serde_json::Error) -> PageError {
    // The position only: the message of the parser could repeat content.
    PageError::Json(format!("line {}, column {}", error.line(), error.column()))
}

/// Reads the fields that the crawl needs.
///
/// # Errors
///
/// [`PageError`] when the body is no page of history.
pub fn summary(body: &str) -> Result<Summary, PageError> {
    let rows = rows(body)?;
    let mut found = Summary {
        rows: rows.len(),
        is_sorted: true,
        ..Summary::default()
    };
    let mut before = i64::MAX;
    for row in &rows {
        let Some(place) = place(row) else {
            found.odd += 1;
            continue;
        };
        found.is_sorted &= place.at <= before;
        before = place.at;
        found.newest = Some(found.newest.map_or(place.at, |it| it.max(place.at)));
        found.oldest = Some(found.oldest.map_or(place.at, |it| it.min(place.at)));
        found.last = Some(place);
    }
    match found.rows > 0 && found.last.is_none() {
        true => Err(PageError::NoPlace),
        false => Ok(found),
    }
}

/// The places of all rows that have one.
///
/// # Errors
///
/// [`PageError`] when the body is no list of rows.
pub fn places(body: &str) -> Result<Vec<(i64, String)>, PageError> {
    let places = rows(body)?.into_iter().filter_map(place);
    Ok(places.map(|place| (place.at, place.id)).collect())
}

fn place(row: &RawValue) -> Option<Place> {
    let head: Head<'_> = serde_json::from_str(row.get()).ok()?;
    let id: String = serde_json::from_str(head.id?.get()).ok()?;
    let at = serde_json::from_str(head.timestamp?.get()).ok()?;
    (!id.is_empty()).then_some(Place { at, id })
}

/// An object whose fields keep their order and their text.
pub(crate) struct Fields<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The body without the addresses of senders; none when there are none, and the body is kept as it
/// came. All other fields keep their order and the very text of their values.
///
/// # Errors
///
/// [`PageError::Json`] and [`PageError::NoRows`].
pub fn without_addresses(body: &str) -> Result<Option<String>, PageError> {
    // A field that is spelled with escapes is unlikely, and looked for all the same.
    let is_clean = !body.contains('\\') && ADDRESSES.iter().all(|name| !body.contains(name));
    if is_clean {
        return Ok(None);
    }
    let (mut kept, mut dropped) = (String::with_capacity(body.len()), 0_usize);
    for (index, row) in rows(body)?.into_iter().enumerate() {
        kept.push(if index == 0 { '[' } else { ',' });
        dropped += push_row(&mut kept, row);
    }
    if kept.is_empty() {
        kept.push('[');
    }
    kept.push(']');
    // Around the rows of an object stand its other fields.
    let kept = match body.trim_start().starts_with('{') {
        true => around(body, &kept)?,
        false => kept,
    };
    Ok((dropped > 0).then_some(kept))
}

fn push_row(kept: &mut String, row: &RawValue) -> usize {
    let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(row.get()) else {
        kept.push_str(row.get());
        return 0;
    };
    let all = fields.len();
    let fields = fields.into_iter();
    let fields: Vec<_> = fields
        .filter(|(name, _)| !ADDRESSES.contains(&name.as_str()))
        .collect();
    if fields.len() == all {
        kept.push_str(row.get());
        return 0;
    }
    push_fields(kept, &fields);
    all - fields.len()
}

fn push_fields(kept: &mut String, fields: &[(String, &RawValue)]) {
    kept.push('{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            kept.push(',');
        }
        kept.push_str(&serde_json::Value::from(name.as_str()).to_string());
        kept.push(':');
        kept.push_str(value.get());
    }
    kept.push('}');
}

fn around(body: &str, rows: &str) -> Result<String, PageError> {
    let Fields(mut fields) = serde_json::from_str::<Fields<'_>>(body).map_err(json)?;
    let rows: &RawValue = serde_json::from_str(rows).map_err(json)?;
    for (name, value) in &mut fields {
        if name == "results" {
            *value = rows;
        }
    }
    let mut whole = String::with_capacity(body.len());
    push_fields(&mut whole, &fields);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_place_to_go_on_from_is_that_of_the_last_row_that_has_one() {
        let body =
            r#"[{"timestamp":9,"msg-id":"a"},{"timestamp":8,"msg-id":"b+/="},{"msg-id":"c"}]"#;
        let found = summary(body).unwrap();
        assert_eq!((found.rows, found.odd, found.is_sorted), (3, 1, true));
        assert_eq!((found.newest, found.oldest), (Some(9), Some(8)));
        assert_eq!(
            found.last,
            Some(Place {
                at: 8,
                id: "b+/=".into()
            })
        );
    }

    #[test]
    fn a_body_that_is_cut_off_is_no_page_and_repeats_no_content() {
        let whole = r#"[{"timestamp":9,"msg-id":"a","data":"secret"}]"#;
        for end in 0..whole.len() {
            let error = summary(whole.get(..end).unwrap()).unwrap_err();
            assert!(matches!(error, PageError::Json(_)), "{end}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn an_error_object_is_no_page() {
        assert_eq!(summary(r#"{"code":1,"error":"x"}"#), Err(PageError::NoRows));
        assert_eq!(summary(r#""text""#), Err(PageError::NoRows));
        assert_eq!(summary(r#"[{"a":1}]"#), Err(PageError::NoPlace));
    }

    #[test]
    fn addresses_go_and_every_other_byte_of_a_row_stays() {
        let body = r#"[{"timestamp": 1.50, "from-ip":"1.2.3.4","data":"\u00e9 {\"from-ip\":1}"}, {"x" : 1}]"#;
        let kept = without_addresses(body).unwrap().unwrap();
        assert_eq!(
            kept,
            r#"[{"timestamp":1.50,"data":"\u00e9 {\"from-ip\":1}"},{"x" : 1}]"#
        );
        assert_eq!(without_addresses(r#"[{"data":"from-ip"}]"#), Ok(None));
        let wrapped = r#"{"results":[{"fromIp":"1.2.3.4","a":1}],"cursor":"c"}"#;
        let kept = without_addresses(wrapped).unwrap().unwrap();
        assert_eq!(kept, r#"{"results":[{"a":1}],"cursor":"c"}"#);
    }

    #[test]
    fn an_address_under_an_escaped_name_goes_too() {
        let kept = without_addresses(r#"[{"from\u002dip":"1.2.3.4","a":1}]"#).unwrap();
        assert_eq!(kept.as_deref(), Some(r#"[{"a":1}]"#));
    }

    proptest! {
        #[test]
        fn any_text_is_a_page_or_an_error(body in "(?s).{0,60}") {
            let _ = summary(&body);
            let _ = without_addresses(&body);
        }
    }
}
