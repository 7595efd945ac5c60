//! Names of columns: a key of a conversation's row, or a dotted path into one.

use std::fmt;

use serde_json::{Map, Value};

/// The most keys a dotted path may have; rows are not deeper than an app can oversee.
pub const MAX_KEYS: usize = 8;

/// The most bytes one key of a path may have.
pub const MAX_KEY_BYTES: usize = 128;

/// A text that names no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidColumn {
    /// Between two dots, or at an end, there is nothing.
    #[error("a key is empty")]
    EmptyKey,
    /// A key is longer than [`MAX_KEY_BYTES`].
    #[error("a key is longer than {MAX_KEY_BYTES} bytes")]
    LongKey,
    /// A key starts with `$`, as only operators do.
    #[error("a key starts with `$`")]
    OperatorKey,
    /// There are more than [`MAX_KEYS`] keys.
    #[error("a path has more than {MAX_KEYS} keys")]
    TooDeep,
}

/// The place of a value in a row: `name`, or `attr.topic` for a key inside a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    first: String,
    rest: Vec<String>,
}

impl Column {
    /// Reads a column's name.
    ///
    /// # Errors
    ///
    /// [`InvalidColumn`] with the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidColumn> {
        let mut keys = text.split('.').map(checked_key);
        let first = keys.next().unwrap_or(Err(InvalidColumn::EmptyKey))?;
        let rest = keys.collect::<Result<Vec<_>, _>>()?;
        if rest.len() >= MAX_KEYS {
            return Err(InvalidColumn::TooDeep);
        }
        Ok(Self { first, rest })
    }

    /// The column of the row.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The keys inside the column; none when the whole column is meant.
    #[must_use]
    pub fn rest(&self) -> &[String] {
        &self.rest
    }

    /// True if this is the whole column `name` and not a key inside one.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.rest.is_empty() && self.first == name
    }

    /// The values at this place in `row`: none, one, or several where the path leads through an array.
    ///
    /// A key inside an array means the element of that number, and that key of each element.
    #[must_use]
    pub fn values<'row>(&self, row: &'row Map<String, Value>) -> Vec<&'row Value> {
        let mut found: Vec<&Value> = row.get(&self.first).into_iter().collect();
        for key in &self.rest {
            found = found
                .into_iter()
                .flat_map(|value| inside(value, key))
                .collect();
        }
        found
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}

fn checked_key(key: &str) -> Result<String, InvalidColumn> {
    if key.is_empty() {
        Err(InvalidColumn::EmptyKey)
    } else if key.len() > MAX_KEY_BYTES {
        Err(InvalidColumn::LongKey)
    } else if key.starts_with('$') {
        Err(InvalidColumn::OperatorKey)
    } else {
        Ok(key.to_owned())
    }
}

fn inside<'row>(value: &'row Value, key: &str) -> Vec<&'row Value> {
    match value {
        Value::Object(object) => object.get(key).into_iter().collect(),
        Value::Array(elements) => {
            let numbered = key.parse::<usize>().ok().and_then(|at| elements.get(at));
            let keyed = elements
                .iter()
                .filter_map(|element| element.as_object()?.get(key));
            numbered.into_iter().chain(keyed).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(path: &str, row: Value) -> Vec<Value> {
        let row = row.as_object().unwrap().clone();
        Column::parse(path)
            .unwrap()
            .values(&row)
            .into_iter()
            .cloned()
            .collect()
    }

    #[test]
    fn a_dotted_path_leads_through_objects_and_every_element_of_an_array() {
        assert_eq!(
            values("attr.topic", json!({"attr": {"topic": "tea"}})),
            [json!("tea")]
        );
        assert_eq!(
            values("a.b", json!({"a": [{"b": 1}, {"c": 2}, {"b": 3}]})),
            [json!(1), json!(3)]
        );
        assert_eq!(values("a.1", json!({"a": ["x", "y"]})), [json!("y")]);
        assert!(values("name.x", json!({"name": "n"})).is_empty());
    }

    #[test]
    fn a_path_with_an_empty_long_or_operator_key_is_refused() {
        assert_eq!(Column::parse(""), Err(InvalidColumn::EmptyKey));
        assert_eq!(Column::parse("attr."), Err(InvalidColumn::EmptyKey));
        assert_eq!(Column::parse("attr.$size"), Err(InvalidColumn::OperatorKey));
        assert_eq!(
            Column::parse(&"k".repeat(MAX_KEY_BYTES + 1)),
            Err(InvalidColumn::LongKey)
        );
        assert_eq!(
            Column::parse(&["k"; MAX_KEYS + 1].join(".")),
            Err(InvalidColumn::TooDeep)
        );
        assert!(Column::parse(&["k"; MAX_KEYS].join(".")).is_ok());
    }
}
