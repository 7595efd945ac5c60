//! Archives of NSKeyedArchiver: lists, dictionaries, texts, numbers and dates, as JSON.
//!
//! An archive is a binary property list. `$objects` holds all values, `$top` names the first, and values
//! name each other by their place in `$objects`.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plist::Value as Plist;
use serde_json::{Map, Number, Value, json};

/// The greatest depth of nested values: the attributes of apps nest a few levels.
const DEPTH_MAX: usize = 64;

/// The most values that an archive may unfold to: values may name one another again and again.
const VALUES_MAX: usize = 100_000;

/// Milliseconds from 1970 to 2001, where Apple's clocks begin.
const EPOCH_MS: f64 = 978_307_200_000.0;

/// Reads an archive; none for bytes that are no archive.
pub(crate) fn decode(bytes: &[u8]) -> Option<Value> {
    // An XML property list is never written, and the parser of XML need not see foreign bytes.
    if !bytes.starts_with(b"bplist00") {
        return None;
    }
    let whole = Plist::from_reader(Cursor::new(bytes)).ok()?;
    let whole = whole.as_dictionary()?;
    let objects = whole.get("$objects")?.as_array()?;
    let root = whole.get("$top")?.as_dictionary()?.get("root")?;
    let mut archive = Archive {
        objects,
        left: VALUES_MAX,
    };
    archive.value(root, 0)
}

struct Archive<'a> {
    objects: &'a [Plist],
    left: usize,
}

impl<'a> Archive<'a> {
    fn value(&mut self, value: &'a Plist, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if depth > DEPTH_MAX {
            return None;
        }
        match value {
            Plist::Uid(place) => {
                let named = self.objects.get(usize::try_from(place.get()).ok()?)?;
                self.value(named, depth.saturating_add(1))
            }
            Plist::String(text) if text == "$null" => Some(Value::Null),
            Plist::String(text) => Some(text.as_str().into()),
            Plist::Boolean(flag) => Some((*flag).into()),
            Plist::Integer(number) => match number.as_signed() {
                Some(number) => Some(number.into()),
                None => number.as_unsigned().map(Value::from),
            },
            Plist::Real(number) => Number::from_f64(*number).map(Value::Number),
            Plist::Data(bytes) => Some(typed_bytes(bytes)),
            Plist::Array(items) => self.list(items, depth),
            Plist::Dictionary(fields) => self.object(fields, depth),
            _ => None,
        }
    }

    fn list(&mut self, items: &'a [Plist], depth: usize) -> Option<Value> {
        let mut list = Vec::new();
        for item in items {
            list.push(self.value(item, depth.saturating_add(1))?);
        }
        Some(Value::Array(list))
    }

    /// An object, by the fields that its class has.
    fn object(&mut self, fields: &'a plist::Dictionary, depth: usize) -> Option<Value> {
        if let Some(text) = fields.get("NS.string") {
            return Some(text.as_string()?.into());
        }
        if let Some(seconds) = fields.get("NS.time") {
            let millis = crate::row::rounded(seconds.as_real()?.mul_add(1000.0, EPOCH_MS));
            return Some(json!({ "__type": "Date", "iso": iso(millis) }));
        }
        if let Some(bytes) = fields.get("NS.data") {
            return Some(typed_bytes(bytes.as_data()?));
        }
        let items = fields.get("NS.objects")?.as_array()?;
        let Some(keys) = fields.get("NS.keys") else {
            return self.list(items, depth);
        };
        let mut object = Map::new();
        for (key, item) in keys.as_array()?.iter().zip(items) {
            let key = self.value(key, depth.saturating_add(1))?;
            let value = self.value(item, depth.saturating_add(1))?;
            object.insert(key.as_str()?.to_owned(), value);
        }
        Some(Value::Object(object))
    }
}

fn typed_bytes(bytes: &[u8]) -> Value {
    json!({ "__type": "Bytes", "base64": STANDARD.encode(bytes) })
}

/// A date as the service writes it: `2001-01-01T00:00:00.000Z`.
pub(crate) fn iso(millis: i64) -> String {
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    // The civil calendar repeats every 400 years, which begin in March here.
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_written_as_the_service_writes_them() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(978_307_200_001), "2001-01-01T00:00:00.001Z");
        assert_eq!(iso(1_582_934_400_000), "2020-02-29T00:00:00.000Z");
    }

    #[test]
    fn an_archive_that_names_itself_is_none() {
        let mut root = plist::Dictionary::new();
        root.insert(
            "NS.objects".into(),
            Plist::Array(vec![Plist::Uid(plist::Uid::new(0))]),
        );
        let mut top = plist::Dictionary::new();
        top.insert("root".into(), Plist::Uid(plist::Uid::new(0)));
        let mut whole = plist::Dictionary::new();
        whole.insert(
            "$objects".into(),
            Plist::Array(vec![Plist::Dictionary(root)]),
        );
        whole.insert("$top".into(), Plist::Dictionary(top));
        let mut bytes = Vec::new();
        Plist::Dictionary(whole)
            .to_writer_binary(&mut bytes)
            .unwrap();
        assert_eq!(decode(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
            let mut archive = b"bplist00".to_vec();
            archive.extend(bytes);
            let _ = decode(&archive);
        }
    }
}
