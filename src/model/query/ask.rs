//! A query as an app asks it, and its form in the language of the service.

use serde_json::{Map, Value, json};

use crate::model::{ClientId, Count, Json, Timestamp, iso};

/// A query: the condition, the order and the page of the wanted conversations.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ConversationQuery {
    /// The condition; none for the conversations of this client.
    #[uniffi(default)]
    pub condition: Option<QueryCondition>,
    /// The order: the first key that differs decides, and at last the id. Empty for the newest message first.
    #[uniffi(default = [])]
    pub order: Vec<QueryOrder>,
    /// The most conversations of the answer, 1 to 100.
    #[uniffi(default = 10)]
    pub limit: u32,
    /// The number of conversations to skip, at most 100,000.
    #[uniffi(default = 0)]
    pub skip: u32,
    /// True to let the service leave out the lists of members. A query on this device always has them.
    #[uniffi(default = false)]
    pub compact: bool,
    /// True to let the service add the last message of each. A query on this device always has it.
    #[uniffi(default = false)]
    pub last_messages: bool,
}

impl Default for ConversationQuery {
    fn default() -> Self {
        Self {
            condition: None,
            order: Vec::new(),
            limit: 10,
            skip: 0,
            compact: false,
            last_messages: false,
        }
    }
}

/// A key that conversations are ordered by.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct QueryOrder {
    /// The key, as in `QueryCondition`.
    pub key: String,
    /// True if the largest comes first.
    #[uniffi(default = false)]
    pub descending: bool,
}

/// A condition on conversations.
///
/// A key is one of the service's columns (`objectId`, `name`, `c` for the creator, `m` for the members, `lm`
/// for the time of the last message, `createdAt`, `updatedAt`, `tr` for chat rooms, `sys` for service
/// conversations, `unique`), an own column, or a path with dots, such as `attr.topic` for an attribute. A path
/// has at most eight names of 128 bytes each. An array meets a condition on one value if one of its elements
/// does.
///
/// A query has at most 128 conditions, nested eight deep, with 2,000 listed values and eight texts or
/// expressions to search for (`Contains`, `StartsWith`, `EndsWith`, `Matches`), of 1,000 bytes each. A query
/// for the service must fit into a command of 5 KiB.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum QueryCondition {
    /// The value is this one. Null also matches a missing value.
    Equal {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// The value is another one, or there is none.
    NotEqual {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// The value is of the same type and smaller.
    Less {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// The value is of the same type and not larger.
    AtMost {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// The value is of the same type and larger.
    Greater {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// The value is of the same type and not smaller.
    AtLeast {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// The value is a time before this one.
    Before {
        /// The key.
        key: String,
        /// The time, by the service's clock.
        at: Timestamp,
    },
    /// The value is a time after this one.
    After {
        /// The key.
        key: String,
        /// The time, by the service's clock.
        at: Timestamp,
    },
    /// There is a value.
    Exists {
        /// The key.
        key: String,
    },
    /// There is no value.
    Missing {
        /// The key.
        key: String,
    },
    /// The value is one of these.
    OneOf {
        /// The key.
        key: String,
        /// The values.
        values: Vec<Json>,
    },
    /// The value is none of these.
    NoneOf {
        /// The key.
        key: String,
        /// The values.
        values: Vec<Json>,
    },
    /// The value is an array with all of these.
    AllOf {
        /// The key.
        key: String,
        /// The values.
        values: Vec<Json>,
    },
    /// The value is an array of this length.
    Size {
        /// The key.
        key: String,
        /// The length.
        count: Count,
    },
    /// The value is a text with this in it.
    Contains {
        /// The key.
        key: String,
        /// The text.
        text: String,
    },
    /// The value is a text that begins with this.
    StartsWith {
        /// The key.
        key: String,
        /// The text.
        text: String,
    },
    /// The value is a text that ends with this.
    EndsWith {
        /// The key.
        key: String,
        /// The text.
        text: String,
    },
    /// The value is a text that a regular expression matches somewhere. An expression that needs backtracking, such
    /// as look-around, is refused.
    Matches {
        /// The key.
        key: String,
        /// The expression, at most 1,024 bytes.
        pattern: String,
        /// Letters of `imsxu`: `i` ignores case, `m` lets `^` and `$` stand at lines, `s` lets a dot be a line's
        /// end, `x` ignores blanks in the expression.
        flags: String,
    },
    /// All of these are members.
    Members {
        /// The clients.
        clients: Vec<ClientId>,
    },
    /// The members are exactly these clients.
    OnlyMembers {
        /// The clients.
        clients: Vec<ClientId>,
    },
    /// All parts hold.
    All {
        /// The parts.
        parts: Vec<QueryCondition>,
    },
    /// At least one part holds.
    Any {
        /// The parts.
        parts: Vec<QueryCondition>,
    },
    /// A condition in the service's own language: a JSON object, such as `{"attr.topic": "tea"}`.
    Service {
        /// The object.
        condition: Json,
    },
}

impl ConversationQuery {
    /// The most conversations of one answer.
    pub const LIMIT_MAX: usize = 100;

    /// The conditions in the service's language; none without a condition.
    #[must_use]
    pub fn conditions(&self) -> Option<Value> {
        self.condition.as_ref().map(QueryCondition::to_value)
    }

    /// The order in the service's language; none for the usual one.
    #[must_use]
    pub fn sort(&self) -> Option<String> {
        let keys = self.order.iter().map(|order| {
            let sign = if order.descending { "-" } else { "" };
            format!("{sign}{}", order.key)
        });
        let keys: Vec<_> = keys.collect();
        (!keys.is_empty()).then(|| keys.join(","))
    }
}

impl QueryCondition {
    /// The condition in the service's language.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Equal { key, value } => one(key, "$eq", value.to_value()),
            Self::NotEqual { key, value } => one(key, "$ne", value.to_value()),
            Self::Less { key, value } => one(key, "$lt", value.to_value()),
            Self::AtMost { key, value } => one(key, "$lte", value.to_value()),
            Self::Greater { key, value } => one(key, "$gt", value.to_value()),
            Self::AtLeast { key, value } => one(key, "$gte", value.to_value()),
            Self::Before { key, at } => one(key, "$lt", date(*at)),
            Self::After { key, at } => one(key, "$gt", date(*at)),
            Self::Exists { key } => one(key, "$exists", true.into()),
            Self::Missing { key } => one(key, "$exists", false.into()),
            Self::OneOf { key, values } => one(key, "$in", all(values)),
            Self::NoneOf { key, values } => one(key, "$nin", all(values)),
            Self::AllOf { key, values } => one(key, "$all", all(values)),
            Self::Size { key, count } => one(key, "$size", count.0.into()),
            Self::Contains { key, text } => one(key, "$regex", literal(text).into()),
            Self::StartsWith { key, text } => {
                one(key, "$regex", format!("^{}", literal(text)).into())
            }
            Self::EndsWith { key, text } => {
                one(key, "$regex", format!("{}$", literal(text)).into())
            }
            Self::Matches {
                key,
                pattern,
                flags,
            } => {
                let test = json!({ "$regex": pattern, "$options": flags });
                Value::Object(Map::from_iter([(key.clone(), test)]))
            }
            Self::Members { clients } => json!({ "m": { "$all": names(clients) } }),
            Self::OnlyMembers { clients } => {
                json!({ "m": { "$all": names(clients), "$size": names(clients).len() } })
            }
            Self::All { parts } => {
                json!({ "$and": parts.iter().map(Self::to_value).collect::<Value>() })
            }
            Self::Any { parts } => {
                json!({ "$or": parts.iter().map(Self::to_value).collect::<Value>() })
            }
            Self::Service { condition } => condition.to_value(),
        }
    }
}

fn one(key: &str, operator: &str, operand: Value) -> Value {
    let test = Map::from_iter([(operator.to_owned(), operand)]);
    Value::Object(Map::from_iter([(key.to_owned(), Value::Object(test))]))
}

fn all(values: &[Json]) -> Value {
    values.iter().map(Json::to_value).collect()
}

/// Each client once, in order.
fn names(clients: &[ClientId]) -> Vec<&str> {
    let mut names: Vec<_> = clients.iter().map(ClientId::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A date as the service writes it.
#[must_use]
pub fn date(at: Timestamp) -> Value {
    json!({ "__type": "Date", "iso": iso::format(at) })
}

/// A text that a regular expression takes literally, quoted as the official SDKs quote it.
fn literal(text: &str) -> String {
    format!("\\Q{}\\E", text.replace("\\E", "\\E\\\\E\\Q"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::{Filter, Steps};

    fn fits(condition: &QueryCondition, row: &Value) -> bool {
        let filter = Filter::parse(&condition.to_value().to_string()).unwrap();
        filter.matches(row.as_object().unwrap(), &Steps::new(u64::MAX))
    }

    #[test]
    fn texts_are_taken_literally_wherever_they_stand() {
        let row = json!({ "name": r"a.b\Ec (d" });
        let key = || "name".to_owned();
        let text = |text: &str| text.to_owned();
        for (condition, expected) in [
            (
                QueryCondition::Contains {
                    key: key(),
                    text: text(r"b\Ec"),
                },
                true,
            ),
            (
                QueryCondition::Contains {
                    key: key(),
                    text: text("axb"),
                },
                false,
            ),
            (
                QueryCondition::StartsWith {
                    key: key(),
                    text: text("a."),
                },
                true,
            ),
            (
                QueryCondition::StartsWith {
                    key: key(),
                    text: text("b"),
                },
                false,
            ),
            (
                QueryCondition::EndsWith {
                    key: key(),
                    text: text("(d"),
                },
                true,
            ),
            (
                QueryCondition::EndsWith {
                    key: key(),
                    text: text("c"),
                },
                false,
            ),
        ] {
            assert_eq!(fits(&condition, &row), expected, "{condition:?}");
        }
    }

    #[test]
    fn members_are_named_once_and_in_any_order() {
        let clients = ["ben", "ann", "ben"].map(|it| ClientId::new(it).unwrap());
        let only = QueryCondition::OnlyMembers {
            clients: clients.to_vec(),
        };
        assert!(fits(&only, &json!({ "m": ["ann", "ben"] })));
        assert!(!fits(&only, &json!({ "m": ["ann", "ben", "cat"] })));
        let some = QueryCondition::Members {
            clients: clients.to_vec(),
        };
        assert!(fits(&some, &json!({ "m": ["cat", "ben", "ann"] })));
    }

    #[test]
    fn times_compare_with_dates_and_with_texts_of_times() {
        let at = Timestamp::from_millis(1_000);
        let after = QueryCondition::After {
            key: "lm".to_owned(),
            at,
        };
        assert!(fits(
            &after,
            &json!({ "lm": date(Timestamp::from_millis(1_001)) })
        ));
        assert!(!fits(&after, &json!({ "lm": date(at) })));
        let before = QueryCondition::Before {
            key: "createdAt".to_owned(),
            at,
        };
        assert!(fits(
            &before,
            &json!({ "createdAt": "1970-01-01T00:00:00.999Z" })
        ));
    }

    #[test]
    fn an_order_is_written_key_by_key() {
        let key = |key: &str, descending| QueryOrder {
            key: key.to_owned(),
            descending,
        };
        let query = ConversationQuery {
            order: vec![key("lm", true), key("name", false)],
            ..ConversationQuery::default()
        };
        assert_eq!(query.sort().as_deref(), Some("-lm,name"));
        assert_eq!(ConversationQuery::default().sort(), None);
    }
}
