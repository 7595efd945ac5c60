//! Joining the claims of several sources about one message or conversation. Each field is a maximum or a
//! minimum over a total order, so the order of the sources does not matter, and a source that comes twice
//! changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The claims of sources about a message, without the content, which is stored with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The time at which the service took the message: the smallest time that a source has.
    pub at: i64,
    /// The rank of the content that counts.
    pub content: ContentRank,
    /// The time at which the message first reached somebody: the smallest time that a source has.
    pub delivered_at: Option<i64>,
}

/// The criteria between two contents of one message, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentRank {
    /// The time that the content is as of: a later reading counts more.
    pub as_of: i64,
    /// True if the message was not there any more.
    pub is_gone: bool,
    /// The start of the SHA-256 of the content: arbitrary, but the same in every order.
    pub digest: [u8; 16],
}

impl Claim {
    /// Joins two claims about one message.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            at: self.at.min(other.at),
            content: self.content.max(other.content),
            delivered_at: match (self.delivered_at, other.delivered_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

/// The claims of sources about a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The newest row of the table, as text, behind the time of its last change.
    pub row: Option<(i64, String)>,
    /// The time of the newest message that was loaded.
    pub newest: Option<i64>,
    /// The oldest message that was loaded: its time, its id and its sender.
    pub first: Option<(i64, String, String)>,
    /// Everybody who sent something.
    pub senders: BTreeSet<String>,
    /// The newest role of each client, behind the time of its last change.
    pub roles: BTreeMap<String, (i64, String)>,
    /// The subscribers of a service conversation.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subscribers: BTreeSet<String>,
    /// Clients who see messages that no other client sees.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub readers: BTreeSet<String>,
}

impl Known {
    /// Joins two claims about one conversation.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.row = self.row.max(other.row);
        self.newest = self.newest.max(other.newest);
        self.first = match (self.first, other.first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.senders.extend(other.senders);
        self.subscribers.extend(other.subscribers);
        self.readers.extend(other.readers);
        for (client, role) in other.roles {
            let known = self.roles.entry(client).or_insert_with(|| role.clone());
            if *known < role {
                *known = role;
            }
        }
        self
    }

    /// Notes one message that was loaded.
    pub fn note(&mut self, at: i64, id: &str, from: &str) {
        self.newest = self.newest.max(Some(at));
        let is_first = match &self.first {
            None => true,
            Some((first, first_id, _)) => (at, id) < (*first, first_id.as_str()),
        };
        if is_first {
            self.first = Some((at, id.to_owned(), from.to_owned()));
        }
        if !self.senders.contains(from) {
            self.senders.insert(from.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim() -> impl Strategy<Value = Claim> {
        let content = (0_i64..4, any::<bool>(), 0_u8..3);
        (0_i64..4, content, proptest::option::of(1_i64..4)).prop_map(
            |(at, (as_of, is_gone, digest), delivered_at)| Claim {
                at,
                content: ContentRank {
                    as_of,
                    is_gone,
                    digest: [digest; 16],
                },
                delivered_at,
            },
        )
    }

    fn known() -> impl Strategy<Value = Known> {
        let row = proptest::option::of((0_i64..3, "[ab]"));
        let messages = proptest::collection::vec((0_i64..5, "[ab]", "[xyz]"), 0..4);
        let roles = proptest::collection::btree_map("[xy]", (0_i64..3, "[MO]"), 0..3);
        (row, messages, roles).prop_map(|(row, messages, roles)| {
            let mut known = Known {
                row,
                roles,
                ..Known::default()
            };
            for (at, id, from) in messages {
                known.note(at, &id, &from);
            }
            known
        })
    }

    proptest! {
        #[test]
        fn claims_join_in_any_order_and_number(a in claim(), b in claim(), c in claim()) {
            prop_assert_eq!(a.join(&b), b.join(&a));
            prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
            prop_assert_eq!(a.join(&a), a);
        }

        #[test]
        fn conversations_join_in_any_order_and_number(a in known(), b in known(), c in known()) {
            prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
            prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.clone().join(b.join(c)));
            prop_assert_eq!(a.clone().join(a.clone()), a);
        }
    }
}
