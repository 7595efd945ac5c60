//! The claims of several sources about one loaded message or conversation. Each field is a maximum or a minimum
//! over a total order, so the order of the sources does not matter, and a source that comes twice changes
//! nothing.
//!
//! The claims are kept beside the message, whose own row has no place for them. They outlive the message: a
//! message that was deleted here stays deleted when its source is loaded again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The claims of sources about a message, without the content, which is stored with the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Packed", from = "Packed")]
pub struct Claim {
    /// The time at which the service took the message: the smallest time that a source has.
    pub at: i64,
    /// The rank of the content that counts.
    pub content: ContentRank,
    /// The time at which the message first reached somebody: the smallest time that a source has.
    pub delivered_at: Option<i64>,
    /// The clients who alone see the message, besides its sender; empty: every member sees it.
    pub readers: BTreeSet<String>,
}

/// A claim on disk: without the names of its fields, because there is one for each loaded message.
type Packed = (i64, i64, bool, u64, u64, Option<i64>, BTreeSet<String>);

impl From<Claim> for Packed {
    fn from(claim: Claim) -> Self {
        let digest = u128::from_be_bytes(claim.content.digest);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        let (high, low) = (half(digest >> 64), half(digest));
        let ContentRank { as_of, is_gone, .. } = claim.content;
        let (at, delivered_at) = (claim.at, claim.delivered_at);
        (at, as_of, is_gone, high, low, delivered_at, claim.readers)
    }
}

impl From<Packed> for Claim {
    fn from((at, as_of, is_gone, high, low, delivered_at, readers): Packed) -> Self {
        let digest = (u128::from(high) << 64) | u128::from(low);
        Self {
            at,
            content: ContentRank {
                as_of,
                is_gone,
                digest: digest.to_be_bytes(),
            },
            delivered_at,
            readers,
        }
    }
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
    /// Joins two claims about one message. A claim that names a reader counts alone: nobody else may see the
    /// message, and a claim without one tells of messages that everybody sees.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        match (self.readers.is_empty(), other.readers.is_empty()) {
            (true, false) => return other.clone(),
            (false, true) => return self.clone(),
            _ => {}
        }
        Self {
            at: self.at.min(other.at),
            content: self.content.max(other.content),
            delivered_at: match (self.delivered_at, other.delivered_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            readers: self.readers.union(&other.readers).cloned().collect(),
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
    /// The time of the newest loaded message that one client alone sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_private: Option<i64>,
    /// The oldest loaded message that one client alone sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_private: Option<(i64, String, String)>,
    /// True if a row of the table said that this is a service conversation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub said_service: bool,
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
        self.newest_private = self.newest_private.max(other.newest_private);
        self.first = earlier(self.first, other.first);
        self.first_private = earlier(self.first_private, other.first_private);
        self.said_service |= other.said_service;
        self.senders.extend(other.senders);
        self.subscribers.extend(other.subscribers);
        self.readers.extend(other.readers);
        for (client, role) in other.roles {
            let known = self.roles.entry(client).or_insert_with(|| role.clone());
            if *known < role {
                *known = role;
            }
        }
        if self.is_service() {
            // Only messages that one client alone sees are kept in a service conversation.
            (self.newest, self.first) = (None, None);
            self.senders.clear();
        }
        self
    }

    /// True if this is a service conversation: a row said so once, or somebody sees messages that no other client
    /// sees. A conversation never stops to be one, so that the order of the sources does not matter.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.said_service || !self.readers.is_empty()
    }

    /// Notes one message that was loaded, and the only client who sees it.
    pub fn note(&mut self, at: i64, id: &str, from: &str, reader: Option<&str>) {
        let (newest, first) = match reader {
            None => (&mut self.newest, &mut self.first),
            Some(_) => (&mut self.newest_private, &mut self.first_private),
        };
        *newest = (*newest).max(Some(at));
        let is_first = first.as_ref().is_none_or(|(first, first_id, first_from)| {
            (at, id, from) < (*first, first_id.as_str(), first_from.as_str())
        });
        if is_first {
            *first = Some((at, id.to_owned(), from.to_owned()));
        }
        let (names, name) = match reader {
            None => (&mut self.senders, from),
            Some(reader) => (&mut self.readers, reader),
        };
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::codec::{decode, encode};
    use super::*;

    fn claim() -> impl Strategy<Value = Claim> {
        let content = (0_i64..4, any::<bool>(), any::<u8>());
        let readers = proptest::collection::btree_set("[xyz]", 0..3);
        (0_i64..4, content, proptest::option::of(1_i64..4), readers).prop_map(
            |(at, (as_of, is_gone, digest), delivered_at, readers)| Claim {
                at,
                content: ContentRank {
                    as_of,
                    is_gone,
                    digest: [digest; 16],
                },
                delivered_at,
                readers,
            },
        )
    }

    fn known() -> impl Strategy<Value = Known> {
        let row = proptest::option::of((0_i64..3, "[ab]"));
        let reader = proptest::option::of("[xy]");
        let messages = proptest::collection::vec((0_i64..5, "[ab]", "[xyz]", reader), 0..4);
        let roles = proptest::collection::btree_map("[xy]", (0_i64..3, "[MO]"), 0..3);
        let names = || proptest::collection::btree_set("[xyz]", 0..3);
        (row, messages, roles, names(), any::<bool>()).prop_map(
            |(row, messages, roles, subscribers, said_service)| {
                let mut known = Known {
                    row,
                    roles,
                    subscribers,
                    said_service,
                    ..Known::default()
                };
                for (at, id, from, reader) in messages {
                    known.note(at, &id, &from, reader.as_deref());
                }
                Known::default().join(known)
            },
        )
    }

    proptest! {
        #[test]
        fn claims_join_in_any_order_and_number(a in claim(), b in claim(), c in claim()) {
            prop_assert_eq!(a.join(&b), b.join(&a));
            prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
            prop_assert_eq!(a.join(&a), a);
        }

        #[test]
        fn a_claim_comes_back_as_it_was_written(claim in claim()) {
            let written = encode(&claim).unwrap();
            prop_assert_eq!(decode::<Claim>(&written).unwrap(), claim);
        }

        #[test]
        fn conversations_join_in_any_order_and_number(a in known(), b in known(), c in known()) {
            prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
            prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.clone().join(b.join(c)));
            prop_assert_eq!(a.clone().join(a.clone()), a);
        }
    }
}
