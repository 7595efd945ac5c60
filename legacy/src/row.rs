//! One row of a table. Columns may be missing, and a cell may be of another type than its column declares:
//! SQLite allows both, and the SDKs' versions did both.

use serde_json::Value;

use crate::facts::Payload;

/// A cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Integer(i64),
    Real(f64),
    /// Text that may not be UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// A row with the names of its columns.
pub(crate) struct Row<'a> {
    pub(crate) number: i64,
    pub(crate) columns: &'a [String],
    pub(crate) cells: Vec<Cell>,
}

impl Row<'_> {
    /// Takes a cell out; one that is missing is NULL.
    pub(crate) fn take(&mut self, name: &str) -> Cell {
        let at = self.columns.iter().position(|column| column == name);
        let cell = at.and_then(|at| self.cells.get_mut(at));
        cell.map(std::mem::take).unwrap_or_default()
    }

    /// A text that is not empty.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).text().filter(|text| !text.is_empty())
    }

    /// A whole number; a real one is rounded half away from zero.
    pub(crate) fn whole(&mut self, name: &str) -> Option<i64> {
        self.take(name).number().map(rounded)
    }

    /// A time in milliseconds; zero and less mean that there is none.
    pub(crate) fn time(&mut self, name: &str) -> Option<i64> {
        self.whole(name).filter(|time| *time > 0)
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.whole(name).is_some_and(|flag| flag != 0)
    }

    /// JSON in a text or in bytes.
    pub(crate) fn json(&mut self, name: &str) -> Option<Value> {
        serde_json::from_slice(&self.take(name).bytes()?).ok()
    }
}

impl Cell {
    /// The bytes of a text or a blob.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Text; a number as its digits.
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => String::from_utf8(bytes).ok(),
            Self::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A number, also one that is written as text.
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "times and flags are far below 2^53"
            )]
            Self::Integer(number) => Some(number as f64),
            Self::Real(number) => Some(number),
            Self::Text(bytes) => str::from_utf8(&bytes).ok()?.trim().parse().ok(),
            _ => None,
        }
        .filter(|number| number.is_finite())
    }

    /// The content of a message. Text that is not UTF-8 stays as its bytes.
    pub(crate) fn payload(self) -> Option<Payload> {
        Some(match String::from_utf8(self.bytes()?) {
            Ok(text) => Payload::Text(text),
            Err(error) => Payload::Bytes(error.into_bytes()),
        })
    }
}

/// The nearest whole number, half away from zero; a number beyond the range becomes the end of the range.
pub(crate) fn rounded(number: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a conversion of floats saturates at the ends of the range"
    )]
    let whole = number.round() as i64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_in_each_class_that_sqlite_stores_it_in() {
        for cell in [
            Cell::Integer(1500),
            Cell::Real(1499.5),
            Cell::Text(b" 1500 ".to_vec()),
        ] {
            assert_eq!(cell.number().map(rounded), Some(1500));
        }
        assert_eq!(Cell::Real(f64::NAN).number(), None);
        assert_eq!(Cell::Null.number(), None);
        assert_eq!(rounded(-0.5), -1);
    }

    #[test]
    fn a_text_that_is_not_utf8_stays_as_bytes() {
        let payload = |bytes: &[u8]| Cell::Text(bytes.to_vec()).payload().unwrap();
        assert_eq!(payload("船".as_bytes()), Payload::Text("船".to_owned()));
        assert_eq!(payload(&[0xff]), Payload::Bytes(vec![0xff]));
    }
}
