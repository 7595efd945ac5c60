//! Changes of an attribute relative to its present value.

use serde_json::{Value, json};

use super::Json;

/// A change of an attribute relative to its value at the service. Repeating such a change has another result,
/// so the change is never queued and never repeated.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum AttributeChange {
    /// Adds a number to the value, or to zero if there is no value.
    Increment {
        /// The number; a negative number is subtracted.
        amount: i64,
    },
    /// Appends values to a list.
    Append {
        /// The values.
        values: Vec<Json>,
    },
    /// Appends those of the values to a list that the list does not have.
    AppendMissing {
        /// The values.
        values: Vec<Json>,
    },
    /// Removes values from a list, at every place.
    TakeOut {
        /// The values.
        values: Vec<Json>,
    },
}

impl AttributeChange {
    /// The change in the service's form (the protocol, section 5.6).
    #[must_use]
    pub fn operation(&self) -> Value {
        let all = |values: &[Json]| values.iter().map(Json::to_value).collect::<Value>();
        match self {
            Self::Increment { amount } => json!({ "__op": "Increment", "amount": amount }),
            Self::Append { values } => json!({ "__op": "Add", "objects": all(values) }),
            Self::AppendMissing { values } => {
                json!({ "__op": "AddUnique", "objects": all(values) })
            }
            Self::TakeOut { values } => json!({ "__op": "Remove", "objects": all(values) }),
        }
    }
}
