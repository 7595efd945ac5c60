//! The comparison of two JSON values: numbers by amount, dates by instant, all others by their JSON.

use std::cmp::Ordering;

use crate::model::Timestamp;
use crate::model::iso;
use serde_json::{Map, Number, Value};

/// True if two values are the same: `1` is `1.0`, and two dates are the same when their instants are.
#[must_use]
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => same_objects(left, right),
        _ => left == right,
    }
}

/// The order of two values of one type; `None` where the types differ or have no order.
#[must_use]
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(compare_numbers(left, right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// The order of two numbers; whole ones compare exactly, whatever their size.
#[must_use]
pub fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => fraction(left).total_cmp(&fraction(right)),
    }
}

/// The instant of a date object `{"__type": "Date", "iso": …}`.
#[must_use]
pub fn date_object(value: &Value) -> Option<Timestamp> {
    date_of(value.as_object()?)
}

/// The instant of a date object, or of a text such as `createdAt` holds.
#[must_use]
pub fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(iso) => iso::parse(iso),
        Value::Object(object) => date_of(object),
        _ => None,
    }
}

/// True if an object claims to be a date, valid or not.
#[must_use]
pub fn claims_to_be_a_date(object: &Map<String, Value>) -> bool {
    object.get("__type").and_then(Value::as_str) == Some("Date")
}

fn date_of(object: &Map<String, Value>) -> Option<Timestamp> {
    if !claims_to_be_a_date(object) {
        return None;
    }
    iso::parse(object.get("iso")?.as_str()?)
}

fn same_objects(left: &Map<String, Value>, right: &Map<String, Value>) -> bool {
    if let (Some(left), Some(right)) = (date_of(left), date_of(right)) {
        return left == right;
    }
    left.len() == right.len()
        && left
            .iter()
            .all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
}

/// The nearest fraction; adding zero makes -0.0 the same as 0.0.
fn fraction(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0) + 0.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_the_same_by_amount_and_exact_beyond_the_range_of_fractions() {
        assert!(same(&json!(1), &json!(1.0)));
        assert!(same(&json!(0), &json!(-0.0)));
        assert!(!same(
            &json!(9_007_199_254_740_993_u64),
            &json!(9_007_199_254_740_992_u64)
        ));
        assert_eq!(compare(&json!(-1), &json!(u64::MAX)), Some(Ordering::Less));
    }

    #[test]
    fn dates_are_the_same_by_instant_also_deep_inside() {
        let utc = json!([{"at": {"__type": "Date", "iso": "2020-01-21T14:22:48.642Z"}}]);
        let more = json!([{"at": {"__type": "Date", "iso": "2020-01-21T14:22:48.642Z", "x": 1}}]);
        assert!(same(&utc, &more));
    }

    #[test]
    fn values_of_different_types_have_no_order() {
        assert_eq!(compare(&json!("1"), &json!(1)), None);
        assert_eq!(compare(&json!(null), &json!(null)), None);
    }
}
