//! Keys of the tree: one tag byte, then big-endian numbers, so that byte order is the order read.
//!
//! A key holds numbers, times, message ids and keyed hashes; no text that people wrote and no
//! conversation or client id, so an encrypted store's keys reveal none.

use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

use crate::model::{MessageId, OutboxEntryId, Timestamp};

use super::record::BadRecord;
use super::{ConversationNumber, Position};

/// What a key leads to. The numbers are on disk; they are never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Tag {
    /// Counters: schema, commit sequence, next numbers. One record.
    Meta = 1,
    /// Totals of unread counts. One record.
    Totals = 2,
    /// The session between connections. One record.
    Session = 3,
    /// A conversation, by number.
    Conversation = b'c',
    /// Conversation id to number, by keyed hash.
    Id = b'i',
    /// The list: conversations by activity, newest first.
    List = b'l',
    /// A message, by conversation, time and id.
    Message = b'm',
    /// An outbox entry, by its id.
    Outbox = b'o',
    /// Own message id to place, while its receipts are awaited, by keyed hash.
    Awaiting = b'r',
    /// Conversations with work to do: stale, or behind.
    Work = b'w',
    /// Local id to the message it became, by keyed hash.
    Local = b'x',
}

impl Tag {
    /// Every tag, in byte order. `b'b'` is reserved for sealed blocks of messages.
    pub(super) const ALL: [Self; 11] = [
        Self::Meta,
        Self::Totals,
        Self::Session,
        Self::Conversation,
        Self::Id,
        Self::List,
        Self::Message,
        Self::Outbox,
        Self::Awaiting,
        Self::Work,
        Self::Local,
    ];

    /// The tag that a key starts with.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        let first = *key.first()?;
        Self::ALL.into_iter().find(|tag| *tag as u8 == first)
    }
}

/// The longest key: a message id has at most 64 characters of at most 4 bytes.
pub(super) const KEY_MAX: usize = 1 + 4 + 8 + 4 * MessageId::MAX_CHARS;

/// The secret under which names are hashed; zero for a store without encryption.
pub(super) type HashKey = [u8; 16];

pub(super) fn meta() -> Vec<u8> {
    vec![Tag::Meta as u8]
}

pub(super) fn totals() -> Vec<u8> {
    vec![Tag::Totals as u8]
}

pub(super) fn session() -> Vec<u8> {
    vec![Tag::Session as u8]
}

/// `c` · number (4)
pub(super) fn conversation(number: ConversationNumber) -> Vec<u8> {
    numbered(Tag::Conversation, number)
}

/// `w` · number (4)
pub(super) fn work(number: ConversationNumber) -> Vec<u8> {
    numbered(Tag::Work, number)
}

/// `l` · activity (8, inverted: newest first) · number (4, inverted)
pub(super) fn list(activity: Timestamp, number: ConversationNumber) -> Vec<u8> {
    let mut key = vec![Tag::List as u8];
    key.extend_from_slice(&(!ordered(activity)).to_be_bytes());
    key.extend_from_slice(&(!number.0).to_be_bytes());
    key
}

/// `m` · number (4) · sent at (8) · message id
pub(super) fn message(number: ConversationNumber, position: &Position) -> Vec<u8> {
    let mut key = messages_of(number);
    key.extend_from_slice(&ordered(position.sent_at).to_be_bytes());
    key.extend_from_slice(position.id.as_str().as_bytes());
    key
}

/// What the keys of all messages of a conversation start with.
pub(super) fn messages_of(number: ConversationNumber) -> Vec<u8> {
    numbered(Tag::Message, number)
}

/// `o` · entry id (8)
pub(super) fn outbox(id: OutboxEntryId) -> Vec<u8> {
    let mut key = vec![Tag::Outbox as u8];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// `i`, `x` or `r` · keyed hash of a name (16)
pub(super) fn hashed(tag: Tag, name: &str, secret: &HashKey) -> Vec<u8> {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write_u8(tag as u8);
    hasher.write(name.as_bytes());
    let mut key = vec![tag as u8];
    key.extend_from_slice(&hasher.finish128().as_bytes());
    key
}

/// The first key after all that start with `prefix`; none when there is no such key.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last.saturating_add(1));
            return Some(end);
        }
    }
    None
}

/// The conversation and position that a message key names.
pub(super) fn parse_message(key: &[u8]) -> Result<(ConversationNumber, Position), BadRecord> {
    let rest = key.strip_prefix(&[Tag::Message as u8]).ok_or(BadRecord)?;
    let (number, rest) = rest.split_first_chunk::<4>().ok_or(BadRecord)?;
    let (time, id) = rest.split_first_chunk::<8>().ok_or(BadRecord)?;
    let id = std::str::from_utf8(id).map_err(|_| BadRecord)?;
    let position = Position {
        sent_at: from_ordered(u64::from_be_bytes(*time)),
        id: MessageId::new(id)?,
    };
    Ok((ConversationNumber(u32::from_be_bytes(*number)), position))
}

/// The number that a conversation or work key names.
pub(super) fn parse_number(key: &[u8]) -> Result<ConversationNumber, BadRecord> {
    let (_, rest) = key.split_first().ok_or(BadRecord)?;
    let number = <[u8; 4]>::try_from(rest).map_err(|_| BadRecord)?;
    Ok(ConversationNumber(u32::from_be_bytes(number)))
}

/// The activity and number that a list key names.
pub(super) fn parse_list(key: &[u8]) -> Result<(Timestamp, ConversationNumber), BadRecord> {
    let rest = key.strip_prefix(&[Tag::List as u8]).ok_or(BadRecord)?;
    let (time, rest) = rest.split_first_chunk::<8>().ok_or(BadRecord)?;
    let number = <[u8; 4]>::try_from(rest).map_err(|_| BadRecord)?;
    let activity = from_ordered(!u64::from_be_bytes(*time));
    Ok((activity, ConversationNumber(!u32::from_be_bytes(number))))
}

/// The entry that an outbox key names.
pub(super) fn parse_outbox(key: &[u8]) -> Result<OutboxEntryId, BadRecord> {
    let rest = key.strip_prefix(&[Tag::Outbox as u8]).ok_or(BadRecord)?;
    let id = <[u8; 8]>::try_from(rest).map_err(|_| BadRecord)?;
    Ok(OutboxEntryId(u64::from_be_bytes(id)))
}

fn numbered(tag: Tag, number: ConversationNumber) -> Vec<u8> {
    let mut key = vec![tag as u8];
    key.extend_from_slice(&number.0.to_be_bytes());
    key
}

/// A time as a number whose unsigned order is the order of time.
const fn ordered(time: Timestamp) -> u64 {
    (time.as_millis() as u64) ^ (1 << 63)
}

const fn from_ordered(number: u64) -> Timestamp {
    Timestamp::from_millis((number ^ (1 << 63)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position() -> impl Strategy<Value = Position> {
        (any::<i64>(), "[a-zA-Z0-9_-]{1,22}").prop_map(|(ms, id)| Position {
            sent_at: Timestamp::from_millis(ms),
            id: MessageId::new(id).unwrap(),
        })
    }

    proptest! {
        #[test]
        fn message_keys_come_back_and_sort_as_their_positions(
            a in position(), b in position(), n in any::<u32>(), m in any::<u32>()
        ) {
            let (n, m) = (ConversationNumber(n), ConversationNumber(m));
            let (key_a, key_b) = (message(n, &a), message(m, &b));
            prop_assert_eq!(parse_message(&key_a).unwrap(), (n, a.clone()));
            prop_assert_eq!(key_a.cmp(&key_b), (n, a.clone()).cmp(&(m, b)));
            prop_assert!(key_a.starts_with(&messages_of(n)));
            prop_assert!(key_a.len() <= KEY_MAX);
        }

        #[test]
        fn list_keys_sort_newest_first(a in any::<i64>(), b in any::<i64>(), n in any::<u32>()) {
            let (a, b) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            let number = ConversationNumber(n);
            prop_assert_eq!(parse_list(&list(a, number)).unwrap(), (a, number));
            prop_assert_eq!(list(a, number).cmp(&list(b, number)), b.cmp(&a));
        }

        #[test]
        fn entry_keys_sort_as_their_numbers(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (OutboxEntryId(a), OutboxEntryId(b));
            prop_assert_eq!(parse_outbox(&outbox(a)).unwrap(), a);
            prop_assert_eq!(outbox(a).cmp(&outbox(b)), a.cmp(&b));
        }

        #[test]
        fn no_key_makes_a_parser_panic(key in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (parse_message(&key), parse_number(&key), parse_list(&key), parse_outbox(&key));
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_after_every_key_that_starts_with_it() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255]), None);
    }

    #[test]
    fn hashed_names_depend_on_the_tag_and_the_secret() {
        let plain = hashed(Tag::Id, "a", &[0; 16]);
        assert_ne!(plain[1..], hashed(Tag::Local, "a", &[0; 16])[1..]);
        assert_ne!(plain, hashed(Tag::Id, "a", &[1; 16]));
    }
}
