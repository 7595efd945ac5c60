//! One message of the rows that repeat it.

use std::collections::BTreeMap;

use crate::facts::{Before, Message, Payload};

/// Joins the rows of each message. The messages come in the order of conversations and places; beside them is the
/// number of rows that repeated another.
pub(crate) fn joined(messages: Vec<Message>) -> (Vec<Message>, u64) {
    let mut known: BTreeMap<(String, String), Message> = BTreeMap::new();
    let mut repeated = 0;
    for message in messages {
        let key = (message.conversation.clone(), message.place.id.clone());
        let joined = match known.remove(&key) {
            Some(other) => {
                repeated += 1;
                other.joined(message)
            }
            None => message,
        };
        known.insert(key, joined);
    }
    let mut messages: Vec<Message> = known.into_values().collect();
    messages.sort_by(|a, b| (&a.conversation, &a.place).cmp(&(&b.conversation, &b.place)));
    (messages, repeated)
}

impl Message {
    /// Joins two rows of one message, in either order. A time of the service counts more than a device's, then
    /// the smaller time counts.
    fn joined(self, other: Self) -> Self {
        let rank = |message: &Self| {
            let payload = match &message.payload {
                None => (false, Vec::new()),
                Some(Payload::Text(text)) => (false, text.clone().into_bytes()),
                Some(Payload::Bytes(bytes)) => (true, bytes.clone()),
            };
            let edited = message.edited_at.unwrap_or(0);
            (message.payload.is_some(), edited, payload)
        };
        let (mut best, rest) = match rank(&self) >= rank(&other) {
            true => (self, other),
            false => (other, self),
        };
        let time = |message: &Self| (message.is_device_time, message.place.at);
        if time(&rest) < time(&best) {
            best.place.at = rest.place.at;
            best.is_device_time = rest.is_device_time;
        }
        best.row = best.row.min(rest.row);
        best.sender = best.sender.or(rest.sender);
        best.edited_at = best.edited_at.max(rest.edited_at);
        best.is_recalled |= rest.is_recalled;
        best.delivered_at = least(best.delivered_at, rest.delivered_at);
        best.read_at = least(best.read_at, rest.read_at);
        best.mentions = best.mentions.or(rest.mentions);
        best.before = best.before.joined(rest.before);
        best
    }
}

impl Before {
    /// Joins two claims: a row that knows its neighbours has precedence over one that stands alone, and a hole
    /// over none.
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Alone, one) | (one, Self::Alone) => one,
            (Self::Hole, _) | (_, Self::Hole) => Self::Hole,
            (Self::End, _) | (_, Self::End) => Self::End,
            (Self::Joined, Self::Joined) => Self::Joined,
        }
    }
}

fn least(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
