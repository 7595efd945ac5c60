//! Figures and their limits.

use serde_json::{Value, json};

pub(crate) use crate::measure::{Target, beside, to_f64};

/// A row that must stay below a limit of its own.
pub(crate) fn at_most(name: &str, (value, unit): (f64, &str), most: f64) -> Value {
    json!({
        "name": name, "value": value, "unit": unit, "peer": null, "ratio": null,
        "target": format!("at most {most} {unit}"), "pass": value <= most,
    })
}

/// A row that must stay below a limit of its own; the peer's figure is shown with it.
pub(crate) fn at_most_beside(
    name: &str,
    (value, unit): (f64, &str),
    most: f64,
    (peer, whose): (f64, &str),
) -> Value {
    let mut row = beside(name, (value, unit), (peer, whose), Target::Nothing);
    if let Some(row) = row.as_object_mut() {
        row.insert("target".to_owned(), json!(format!("at most {most} {unit}")));
        row.insert("pass".to_owned(), json!(value <= most));
    }
    row
}

/// Bytes in megabytes.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    to_f64(bytes) / 1_000_000.0
}

/// The peer's name.
pub(crate) const SQLITE: &str = "SQLite";
