//! Drafts that were sent after all: no SDK removes the failed row when a later try succeeds.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::facts::{Cache, Draft, Message, Payload, Reason};

/// The longest time by which the sent message may stand before the failed try: the two clocks differ.
const BEFORE_MS: i64 = 5 * 60 * 1000;

/// The longest time after the failed try in which somebody may have tried again.
const AFTER_MS: i64 = 7 * 24 * 3600 * 1000;

/// Leaves each draft that an own message with the same content follows. One message excuses one draft.
pub(crate) fn leave_sent(cache: &mut Cache, client: &str) {
    let mut drafts = std::mem::take(&mut cache.drafts);
    drafts
        .sort_by(|a, b| (&a.conversation, a.at, &a.token).cmp(&(&b.conversation, b.at, &b.token)));
    let mut used = BTreeSet::new();
    for draft in drafts {
        let after = |message: &Message| {
            (&message.conversation, message.place.at)
                < (&draft.conversation, draft.at.saturating_sub(BEFORE_MS))
        };
        let first = cache.messages.partition_point(after);
        let near = cache.messages.iter().enumerate().skip(first);
        let near = near.take_while(|(_, message)| {
            message.conversation == draft.conversation
                && message.place.at <= draft.at.saturating_add(AFTER_MS)
        });
        let sent = near
            .filter(|(_, message)| message.sender.as_deref() == Some(client))
            .find(|(at, message)| !used.contains(at) && says_same(&draft, message));
        match sent.map(|(at, _)| at) {
            Some(at) => {
                used.insert(at);
                let Draft {
                    row,
                    conversation,
                    token,
                    ..
                } = draft;
                let place = (table_of(cache), row);
                cache.leave(place, Some(conversation), Some(token), Reason::SentAfterAll);
            }
            None => cache.drafts.push(draft),
        }
    }
}

const fn table_of(cache: &Cache) -> &'static str {
    match cache.kind {
        Some(crate::Kind::Java) => "messages",
        _ => "message",
    }
}

/// True if the draft and the message say the same. Typed messages are compared in the keys that both have, for
/// some messages were written anew.
fn says_same(draft: &Draft, message: &Message) -> bool {
    match (&draft.payload, &message.payload) {
        (Payload::Text(one), Some(Payload::Text(other))) => {
            let object = |text: &str| match serde_json::from_str(text) {
                Ok(Value::Object(object)) => Some(object),
                _ => None,
            };
            match (object(one), object(other)) {
                (Some(one), Some(other)) => {
                    let is_typed = one.contains_key("_lctype") && other.contains_key("_lctype");
                    is_typed
                        && one
                            .iter()
                            .all(|(key, value)| other.get(key).is_none_or(|it| it == value))
                }
                _ => one == other,
            }
        }
        (Payload::Bytes(one), Some(Payload::Bytes(other))) => one == other,
        _ => false,
    }
}
