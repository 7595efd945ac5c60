//! The attributes of a conversation, and their changes: `name`, `attr`, custom columns.
//!
//! ```text
//! {"name": "Tea", "attr.count": {"__op": "Increment", "amount": 1}, "color": {"__op": "Delete"}}
//!  └column replaced └one key changed by an operation                 └column deleted
//! ```
//!
//! The service's own columns cannot be named. Changes are applied in the order of their paths, so `attr` comes
//! before `attr.key`, in any order of the text.

use sampan::model::query::column::{Column, InvalidColumn};
use sampan::model::query::value;
use sampan::wire::ServiceCode;
use serde_json::{Map, Number, Value};

/// How deep the stored columns may nest: well below what a JSON parser reads back.
pub const MAX_DEPTH: usize = 32;

/// The columns that are the service's own.
const RESERVED: &[&str] = &[
    "ACL",
    "bin",
    "c",
    "conv_type",
    "createdAt",
    "joined",
    "joinedAt",
    "lm",
    "m",
    "mention_all",
    "mention_pids",
    "msg",
    "msg_from",
    "msg_mid",
    "msg_timestamp",
    "mu",
    "muted",
    "objectId",
    "patch_timestamp",
    "sys",
    "temp",
    "tempConv",
    "tempConvTTL",
    "tr",
    "ttl",
    "unique",
    "uniqueId",
    "updatedAt",
];

/// The reason why a change of attributes is refused. It names columns, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The text is not a JSON object.
    #[error("attributes must be a JSON object")]
    NotAnObject,
    /// A key names no column.
    #[error("attributes name no column: {0}")]
    Column(#[from] InvalidColumn),
    /// A column is the service's own.
    #[error("the column {0} cannot be changed")]
    Reserved(String),
    /// `name` must be a text, `attr` an object, and a path must lead through objects.
    #[error("the value of {0} has the wrong type")]
    Type(Column),
    /// An operation is unknown, or lacks a value that it needs.
    #[error("the operation on {0} is not supported")]
    Operation(Column),
    /// A sum is out of range.
    #[error("the sum of {0} is out of range")]
    Overflow(Column),
    /// The result would take more bytes than it may.
    #[error("the attributes would take more than {max} bytes")]
    TooLarge {
        /// The bytes that they may take.
        max: usize,
    },
    /// The result would nest deeper than [`MAX_DEPTH`].
    #[error("the attributes would nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl AttributeError {
    /// The number to answer with.
    #[must_use]
    pub const fn code(&self) -> ServiceCode {
        match self {
            Self::Reserved(_) => ServiceCode::CONVERSATION_READ_ONLY,
            _ => ServiceCode::CONVERSATION_UPDATE_FAILED,
        }
    }
}

/// Changes that were asked for, read but not yet applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes(Vec<(Column, Change)>);

/// The result of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// All columns after the change.
    pub columns: Map<String, Value>,
    /// The resulting values of the touched keys, nested; deleted ones are absent (`attrModified`).
    pub modified: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Set(Value),
    Delete,
    Add(Vec<Value>),
    AddUnique(Vec<Value>),
    Remove(Vec<Value>),
    Increment(Number),
}

/// The columns of a new conversation.
///
/// # Errors
///
/// [`AttributeError`]; its code is [`AttributeError::code`].
pub fn initial(text: &str, max_bytes: usize) -> Result<Map<String, Value>, AttributeError> {
    Ok(Changes::parse(text)?.apply(&Map::new(), max_bytes)?.columns)
}

impl Changes {
    /// Reads the changes of an update.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] when the text is no object, names a column that cannot change, or has an
    /// operation that is not supported.
    pub fn parse(text: &str) -> Result<Self, AttributeError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Self::from_object(object),
            _ => Err(AttributeError::NotAnObject),
        }
    }

    /// Reads the changes of an update that came as an object.
    ///
    /// # Errors
    ///
    /// As [`Changes::parse`].
    pub fn from_object(object: Map<String, Value>) -> Result<Self, AttributeError> {
        let changes = object.into_iter().map(|(key, value)| {
            let column = Column::parse(&key)?;
            if RESERVED.contains(&column.first()) {
                return Err(AttributeError::Reserved(column.first().to_owned()));
            }
            let change = Change::parse(&column, value)?;
            Ok((column, change))
        });
        let mut changes = changes.collect::<Result<Vec<_>, _>>()?;
        changes.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(Self(changes))
    }

    /// Applies the changes to the stored columns, all or none.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] when an operation does not fit the stored columns, or the result is too large.
    pub fn apply(
        &self,
        columns: &Map<String, Value>,
        max_bytes: usize,
    ) -> Result<Changed, AttributeError> {
        let mut columns = columns.clone();
        for (column, change) in &self.0 {
            change.apply(column, &mut columns)?;
        }
        check_types(&columns)?;
        check_size(&columns, max_bytes)?;
        let mut modified = Map::new();
        for (column, _) in &self.0 {
            if let Some(value) = value_at(&columns, column) {
                put(&mut modified, column, value.clone())?;
            }
        }
        Ok(Changed { columns, modified })
    }
}

impl Change {
    fn parse(column: &Column, value: Value) -> Result<Self, AttributeError> {
        let Value::Object(mut object) = value else {
            return Ok(Self::set(column, value));
        };
        let Some(operation) = object.remove("__op") else {
            return Ok(Self::Set(Value::Object(object)));
        };
        let objects = match object.remove("objects") {
            Some(Value::Array(objects)) => Some(objects),
            _ => None,
        };
        let amount = match object.remove("amount") {
            Some(Value::Number(amount)) => Some(amount),
            _ => None,
        };
        let change = match operation.as_str() {
            Some("Delete") => Some(Self::Delete),
            Some("Add") => objects.map(Self::Add),
            Some("AddUnique") => objects.map(Self::AddUnique),
            Some("Remove") => objects.map(Self::Remove),
            Some("Increment") => amount.map(Self::Increment),
            _ => None,
        };
        change.ok_or_else(|| AttributeError::Operation(column.clone()))
    }

    /// A null means "none" for the two columns that have a type.
    fn set(column: &Column, value: Value) -> Self {
        if value.is_null() && (column.is("name") || column.is("attr")) {
            Self::Delete
        } else {
            Self::Set(value)
        }
    }

    fn apply(
        &self,
        column: &Column,
        columns: &mut Map<String, Value>,
    ) -> Result<(), AttributeError> {
        let stored = value_at(columns, column);
        let result = match self {
            Self::Set(value) => value.clone(),
            Self::Delete => {
                delete(columns, column);
                return Ok(());
            }
            Self::Add(objects) => {
                let mut array = array(column, stored)?;
                array.extend(objects.iter().cloned());
                Value::Array(array)
            }
            Self::AddUnique(objects) => Value::Array(add_unique(array(column, stored)?, objects)),
            Self::Remove(objects) => {
                let mut array = array(column, stored)?;
                array.retain(|stored| !objects.iter().any(|object| value::same(stored, object)));
                Value::Array(array)
            }
            Self::Increment(amount) => Value::Number(sum(column, stored, amount)?),
        };
        put(columns, column, result)
    }
}

fn array(column: &Column, stored: Option<&Value>) -> Result<Vec<Value>, AttributeError> {
    match stored {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(array)) => Ok(array.clone()),
        Some(_) => Err(AttributeError::Type(column.clone())),
    }
}

fn add_unique(mut array: Vec<Value>, objects: &[Value]) -> Vec<Value> {
    for object in objects {
        if !array.iter().any(|stored| value::same(stored, object)) {
            array.push(object.clone());
        }
    }
    array
}

fn sum(column: &Column, stored: Option<&Value>, amount: &Number) -> Result<Number, AttributeError> {
    let stored = match stored {
        None | Some(Value::Null) => return Ok(amount.clone()),
        Some(Value::Number(stored)) => stored,
        Some(_) => return Err(AttributeError::Type(column.clone())),
    };
    let sum = match (stored.as_i64(), amount.as_i64()) {
        (Some(stored), Some(amount)) => stored.checked_add(amount).map(Number::from),
        _ => stored
            .as_f64()
            .zip(amount.as_f64())
            .and_then(|(a, b)| Number::from_f64(a + b)),
    };
    sum.ok_or_else(|| AttributeError::Overflow(column.clone()))
}

fn value_at<'a>(columns: &'a Map<String, Value>, column: &Column) -> Option<&'a Value> {
    let first = columns.get(column.first())?;
    column
        .rest()
        .iter()
        .try_fold(first, |value, key| value.as_object()?.get(key))
}

/// Puts a value in its place, making the objects on the way there.
fn put(
    columns: &mut Map<String, Value>,
    column: &Column,
    value: Value,
) -> Result<(), AttributeError> {
    let mut keys = column.rest().iter();
    let mut slot = columns.entry(column.first()).or_insert(Value::Null);
    for key in keys.by_ref() {
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        let object = slot
            .as_object_mut()
            .ok_or_else(|| AttributeError::Type(column.clone()))?;
        slot = object.entry(key).or_insert(Value::Null);
    }
    *slot = value;
    Ok(())
}

fn delete(columns: &mut Map<String, Value>, column: &Column) {
    let Some((last, way)) = column.rest().split_last() else {
        columns.remove(column.first());
        return;
    };
    let first = columns.get_mut(column.first());
    let parent = way
        .iter()
        .fold(first, |value, key| value?.as_object_mut()?.get_mut(key));
    if let Some(Value::Object(parent)) = parent {
        parent.remove(last);
    }
}

fn check_types(columns: &Map<String, Value>) -> Result<(), AttributeError> {
    let fits = |name: &str, is: fn(&Value) -> bool| match columns.get(name) {
        Some(value) if !is(value) => Err(AttributeError::Type(Column::parse(name)?)),
        _ => Ok(()),
    };
    fits("name", Value::is_string)?;
    fits("attr", Value::is_object)
}

fn check_size(columns: &Map<String, Value>, max: usize) -> Result<(), AttributeError> {
    // Depth first: writing the text would itself go as deep as the value.
    if columns
        .values()
        .any(|value| is_deeper_than(value, MAX_DEPTH - 1))
    {
        return Err(AttributeError::TooDeep);
    }
    let bytes = serde_json::to_vec(columns).map_or(usize::MAX, |text| text.len());
    if bytes > max {
        Err(AttributeError::TooLarge { max })
    } else {
        Ok(())
    }
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let below = |value: &Value| levels == 0 || is_deeper_than(value, levels - 1);
    match value {
        Value::Array(elements) => elements.iter().any(below),
        Value::Object(object) => object.values().any(below),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
