//! Filters of a list of conversations, evaluated on this device.

use crate::model::query::{FilterError, QueryCondition};
use crate::model::{ClientId, ConversationKind, Json};
use crate::store::{ConversationNumber, ConversationRow, Snapshot};
use crate::views::query::QueryTest;

/// The conversations that a list shows.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum ConversationFilter {
    /// Conversations with unread messages.
    Unread,
    /// Conversations whose unread messages mention the client.
    Mentioned,
    /// Muted conversations.
    Muted,
    /// Conversations that were hidden on this device and have no newer activity. A list leaves them out unless
    /// its filter names them.
    Hidden,
    /// Conversations that were pinned on this device.
    Pinned,
    /// Conversations with unsent messages, failed ones included.
    Unsent,
    /// Conversations of a kind.
    Kind {
        /// The kind.
        kind: ConversationKind,
    },
    /// Conversations with a member.
    Member {
        /// The member.
        client: ClientId,
    },
    /// Conversations whose name contains a text, in upper or lower case.
    Name {
        /// The text.
        contains: String,
    },
    /// Conversations with an attribute of this value.
    Attribute {
        /// The attribute's name; dots separate the names inside objects.
        path: String,
        /// The value.
        equals: Json,
    },
    /// Conversations that meet a condition of a query, as at the service; see `QueryCondition`. A conversation
    /// does not match if evaluating an expression (`QueryCondition.Matches`) on it would cost too much.
    Query {
        /// The condition.
        condition: QueryCondition,
    },
    /// Conversations that match all parts.
    All {
        /// The parts.
        parts: Vec<ConversationFilter>,
    },
    /// Conversations that match at least one part.
    Any {
        /// The parts.
        parts: Vec<ConversationFilter>,
    },
    /// Conversations that do not match the part.
    Not {
        /// The part.
        part: Box<ConversationFilter>,
    },
}

impl ConversationFilter {
    /// Reads the conditions of queries in the filter; a condition that can't be used is refused.
    pub(super) fn tests(&self, tests: &mut Vec<QueryTest>) -> Result<(), FilterError> {
        match self {
            Self::Query { condition } => tests.push(QueryTest::new(condition)?),
            Self::All { parts } | Self::Any { parts } => {
                parts.iter().try_for_each(|part| part.tests(tests))?;
            }
            Self::Not { part } => part.tests(tests)?,
            _ => {}
        }
        Ok(())
    }

    /// True if the filter names hidden conversations; then the filter alone decides about them.
    pub(super) fn names_hidden(&self) -> bool {
        match self {
            Self::Hidden => true,
            Self::All { parts } | Self::Any { parts } => parts.iter().any(Self::names_hidden),
            Self::Not { part } => part.names_hidden(),
            _ => false,
        }
    }

    /// True if a conversation matches.
    pub(super) fn fits(
        &self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        row: &ConversationRow,
        tests: &[QueryTest],
    ) -> bool {
        let fits = |part: &Self| part.fits(snapshot, number, row, tests);
        match self {
            Self::Unread => !row.unread.is_none(),
            Self::Mentioned => row.unread.mentioned,
            Self::Muted => row.muted,
            Self::Hidden => row.is_hidden(),
            Self::Pinned => row.pinned,
            Self::Unsent => snapshot.outbox_of(number).iter().any(|it| it.has_echo()),
            Self::Kind { kind } => row.kind == *kind,
            Self::Member { client } => row.members.contains(client),
            Self::Name { contains } => {
                let name = row.name.as_deref().unwrap_or_default().to_lowercase();
                name.contains(&contains.to_lowercase())
            }
            Self::Attribute { path, equals } => row
                .attributes
                .as_ref()
                .is_some_and(|attributes| has(attributes, path, equals)),
            // A condition that could not be read matches nothing.
            Self::Query { condition } => {
                let test = tests.iter().find(|test| test.is_of(condition));
                test.is_some_and(|test| test.fits(snapshot, row))
            }
            Self::All { parts } => parts.iter().all(fits),
            Self::Any { parts } => parts.iter().any(fits),
            Self::Not { part } => !fits(part),
        }
    }
}

/// True if attributes have a value at the end of a path.
fn has(attributes: &Json, path: &str, equals: &Json) -> bool {
    let parse = |json: &Json| serde_json::from_str::<serde_json::Value>(json.as_str());
    let (Ok(attributes), Ok(equals)) = (parse(attributes), parse(equals)) else {
        return false;
    };
    let found = path
        .split('.')
        .try_fold(&attributes, |inside, name| inside.get(name));
    found == Some(&equals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_into_objects_and_a_value_is_compared_whole() {
        let attributes = Json::parse(r#"{"a":{"b":[1,2]},"c":null}"#).unwrap();
        let equals = |path, value| has(&attributes, path, &Json::parse(value).unwrap());
        assert!(equals("a.b", "[1,2]") && equals("c", "null"));
        assert!(!equals("a.b", "[1]") && !equals("a", "[1,2]") && !equals("d", "null"));
    }
}
