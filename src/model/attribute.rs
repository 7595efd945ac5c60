//! Changes of an attribute that go by its present value.

use serde_json::{Value, json};

use super::Json;

/// A change of an attribute that goes by the value that it has at the service. Such a change is not the same
/// when it is made twice, so it is never queued and never repeated.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum AttributeChange {
    /// A number is added to the value; where there is none, to zero.
    Increment {
        /// The number; a negative one is taken away.
        amount: i64,
    },
    /// Values are put behind those of a list.
    Append {
        /// The values.
        values: Vec<Json>,
    },
    /// Values are put behind those of a list, as far as they are not in it.
    AppendMissing {
        /// The values.
        values: Vec<Json>,
    },
    /// Values are taken out of a list, wherever they stand.
    TakeOut {
        /// The values.
        values: Vec<Json>,
    },
}

impl AttributeChange {
    /// The change as the service wants it written (the protocol, section 5.6).
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
