//! Keys of the tree: one tag byte, then big-endian numbers, so the order of bytes is the order of reading.
//!
//! A key holds numbers, times and keyed hashes. Of a message id it holds at most the part that distinguishes
//! two messages of one millisecond. No key holds a text that people wrote or the id of a conversation or
//! client, so the keys of an encrypted store reveal none.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::model::{MessageId, OutboxEntryId, Timestamp};
use crate::store::format::cipher::HashKey;
use crate::store::format::messagepack::BadRecord;
use crate::store::format::pack::Form;
use crate::store::types::position::{ConversationNumber, Position};

/// The kind of record that a key leads to. The numbers are on disk; they are never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Tag {
    /// Counters: schema, commit sequence, next numbers. One record.
    Meta = 1,
    /// Totals of unread counts. One record.
    Totals = 2,
    /// The session between connections. One record.
    Session = 3,
    /// The live bytes of the tree at their last count. One record.
    Census = 4,
    /// The moves of each of the last commits in the list, by slot.
    Moves = 5,
    /// Some neighbouring messages, sealed, by conversation and a lower bound of their positions.
    Pack = b'b',
    /// A conversation with its newest messages, by number.
    Conversation = b'c',
    /// A few of the newer messages, hot, by the same: apart, so that they lie in small pages of the
    /// tree.
    Hot = b'h',
    /// Conversation id to number, by keyed hash.
    Id = b'i',
    /// A page of the list: where some conversations stand, by their numbers.
    ListPage = b'k',
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
    /// Every tag, in byte order.
    pub(crate) const ALL: [Self; 14] = [
        Self::Meta,
        Self::Totals,
        Self::Session,
        Self::Census,
        Self::Moves,
        Self::Pack,
        Self::Conversation,
        Self::Hot,
        Self::Id,
        Self::ListPage,
        Self::Outbox,
        Self::Awaiting,
        Self::Work,
        Self::Local,
    ];

    /// Its name, for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "counters",
            Self::Totals => "unread totals",
            Self::Session => "session",
            Self::Census => "census",
            Self::Moves => "list moves",
            Self::Pack => "packs",
            Self::Hot => "hot packs",
            Self::Conversation => "conversations",
            Self::Id => "conversation ids",
            Self::ListPage => "list",
            Self::Outbox => "outbox",
            Self::Awaiting => "awaiting receipts",
            Self::Work => "work",
            Self::Local => "local ids",
        }
    }

    /// The tag that a key starts with.
    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        let first = *key.first()?;
        Self::ALL.into_iter().find(|tag| *tag as u8 == first)
    }
}

/// The longest key: a message id has at most 64 characters of at most 4 bytes.
pub(crate) const KEY_MAX: usize = 1 + 4 + 8 + 4 * MessageId::MAX_CHARS;

pub(crate) fn meta() -> Vec<u8> {
    vec![Tag::Meta as u8]
}

pub(crate) fn totals() -> Vec<u8> {
    vec![Tag::Totals as u8]
}

pub(crate) fn session() -> Vec<u8> {
    vec![Tag::Session as u8]
}

pub(crate) fn census() -> Vec<u8> {
    vec![Tag::Census as u8]
}

/// `c` · number (4)
pub(crate) fn conversation(number: ConversationNumber) -> Vec<u8> {
    numbered(Tag::Conversation, number)
}

/// `w` · number (4)
pub(crate) fn work(number: ConversationNumber) -> Vec<u8> {
    numbered(Tag::Work, number)
}

/// `05` · slot (1)
pub(crate) fn moves(slot: u8) -> Vec<u8> {
    vec![Tag::Moves as u8, slot]
}

/// `k` · number of the page (4)
pub(crate) fn list_page(page: u32) -> Vec<u8> {
    numbered(Tag::ListPage, ConversationNumber(page))
}

/// `b` or `h` · number (4) · a lower bound of the pack's positions, see [`separator`]; empty for the
/// first pack of a conversation.
pub(crate) fn pack(section: Form, number: ConversationNumber, bound: &[u8]) -> Vec<u8> {
    numbered_with(section_tag(section), number, bound)
}

/// The start of the keys of a conversation's sealed, or hot, packs.
pub(crate) fn packs_of(section: Form, number: ConversationNumber) -> Vec<u8> {
    numbered(section_tag(section), number)
}

/// The tag of the keys of sealed, or hot, packs.
pub(crate) const fn section_tag(section: Form) -> Tag {
    match section {
        Form::Sealed => Tag::Pack,
        Form::Hot => Tag::Hot,
    }
}

/// The section that the key of a pack is in.
pub(crate) fn section_of(key: &[u8]) -> Form {
    match Tag::of(key) {
        Some(Tag::Hot) => Form::Hot,
        _ => Form::Sealed,
    }
}

/// The same place in another section.
pub(crate) fn in_section(section: Form, key: &[u8]) -> Vec<u8> {
    let mut key = key.to_vec();
    if let Some(tag) = key.first_mut() {
        *tag = section_tag(section) as u8;
    }
    key
}

/// The conversation and bound of a pack's key, without the tag, so hot packs come after the sealed ones in one
/// order.
pub(crate) fn range_of(key: &[u8]) -> &[u8] {
    key.get(1..).unwrap_or_default()
}

/// The bound of a pack's key.
pub(crate) fn bound_of(key: &[u8]) -> &[u8] {
    key.get(5..).unwrap_or_default()
}

/// The key that places a position among the packs of a conversation: the last pack whose range is not greater
/// has the position, if any has.
pub(crate) fn among_packs(number: ConversationNumber, position: &Position) -> Vec<u8> {
    pack(Form::Sealed, number, &ordered_bytes(position))
}

/// The fewest bytes that are greater than the place of `before` and not greater than that of
/// `first`, which comes later: so short that they seldom hold more than a rough time.
pub(crate) fn separator(before: &Position, first: &Position) -> Vec<u8> {
    let (before, mut bound) = (ordered_bytes(before), ordered_bytes(first));
    let same = before.iter().zip(&bound).take_while(|(a, b)| a == b);
    bound.truncate(same.count().saturating_add(1));
    bound
}

/// A position as bytes whose order is the order of positions.
fn ordered_bytes(position: &Position) -> Vec<u8> {
    let id = position.id.as_str().as_bytes();
    let mut place = Vec::with_capacity(id.len().saturating_add(8));
    place.extend_from_slice(&ordered(position.sent_at).to_be_bytes());
    place.extend_from_slice(id);
    place
}

/// `o` · entry id (8)
pub(crate) fn outbox(id: OutboxEntryId) -> Vec<u8> {
    let mut key = vec![Tag::Outbox as u8];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// `i`, `x` or `r` · keyed hash of a name (16)
pub(crate) fn hashed(tag: Tag, name: &str, secret: &HashKey) -> Vec<u8> {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write_u8(tag as u8);
    hasher.write(name.as_bytes());
    let mut key = vec![tag as u8];
    key.extend_from_slice(&hasher.finish128().as_bytes());
    key
}

/// The first key after all that start with `prefix`; none when there is no such key.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last.saturating_add(1));
            return Some(end);
        }
    }
    None
}

/// The conversation that the key of a pack names.
pub(crate) fn parse_pack(key: &[u8]) -> Result<ConversationNumber, BadRecord> {
    let sections = [Form::Sealed, Form::Hot].map(section_tag);
    let tag = Tag::of(key).filter(|tag| sections.contains(tag));
    let rest = key.strip_prefix(&[tag.ok_or(BadRecord)? as u8]);
    let (number, _) = rest
        .ok_or(BadRecord)?
        .split_first_chunk::<4>()
        .ok_or(BadRecord)?;
    Ok(ConversationNumber(u32::from_be_bytes(*number)))
}

/// About the time of the messages at a pack's bound; none of a conversation's first pack, which has
/// an empty one.
pub(crate) fn pack_time(key: &[u8]) -> Option<Timestamp> {
    let bound = Some(bound_of(key)).filter(|bound| !bound.is_empty())?;
    let mut time = [0; 8];
    for (to, from) in time.iter_mut().zip(bound) {
        *to = *from;
    }
    Some(from_ordered(u64::from_be_bytes(time)))
}

/// The number that a conversation or work key names.
pub(crate) fn parse_number(key: &[u8]) -> Result<ConversationNumber, BadRecord> {
    let (_, rest) = key.split_first().ok_or(BadRecord)?;
    let number = <[u8; 4]>::try_from(rest).map_err(|_| BadRecord)?;
    Ok(ConversationNumber(u32::from_be_bytes(number)))
}

/// The slot that the key of a record of moves names.
pub(crate) fn parse_moves(key: &[u8]) -> Result<u8, BadRecord> {
    let slot = key.strip_prefix(&[Tag::Moves as u8]).ok_or(BadRecord)?;
    let [slot] = <[u8; 1]>::try_from(slot).map_err(|_| BadRecord)?;
    Ok(slot)
}

/// The entry that an outbox key names.
pub(crate) fn parse_outbox(key: &[u8]) -> Result<OutboxEntryId, BadRecord> {
    let rest = key.strip_prefix(&[Tag::Outbox as u8]).ok_or(BadRecord)?;
    let id = <[u8; 8]>::try_from(rest).map_err(|_| BadRecord)?;
    Ok(OutboxEntryId(u64::from_be_bytes(id)))
}

fn numbered(tag: Tag, number: ConversationNumber) -> Vec<u8> {
    numbered_with(tag, number, &[])
}

/// Room for all of it at once: a key that grows bit by bit is allocated three times.
fn numbered_with(tag: Tag, number: ConversationNumber, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len().saturating_add(5));
    key.push(tag as u8);
    key.extend_from_slice(&number.0.to_be_bytes());
    key.extend_from_slice(rest);
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
        fn places_among_packs_sort_as_their_positions(
            a in position(), b in position(), n in any::<u32>(), m in any::<u32>()
        ) {
            let (n, m) = (ConversationNumber(n), ConversationNumber(m));
            let (key_a, key_b) = (among_packs(n, &a), among_packs(m, &b));
            prop_assert_eq!(parse_pack(&key_a), Ok(n));
            prop_assert!(key_a.starts_with(&packs_of(Form::Sealed, n)));
            prop_assert!(key_a.len() <= KEY_MAX);
            prop_assert_eq!(key_a.cmp(&key_b), (n, a).cmp(&(m, b)));
        }

        #[test]
        fn a_separator_lies_behind_the_one_and_not_behind_the_other(
            a in position(), b in position(), same_time in any::<bool>()
        ) {
            let b = if same_time { Position { sent_at: a.sent_at, ..b } } else { b };
            prop_assume!(a != b);
            let (a, b) = if a < b { (a, b) } else { (b, a) };
            let bound = separator(&a, &b);
            prop_assert!(ordered_bytes(&a) < bound && bound <= ordered_bytes(&b));
        }

        #[test]
        fn keys_of_moves_name_their_slots(slot in any::<u8>()) {
            prop_assert_eq!(parse_moves(&moves(slot)).unwrap(), slot);
        }

        #[test]
        fn entry_keys_sort_as_their_numbers(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (OutboxEntryId(a), OutboxEntryId(b));
            prop_assert_eq!(parse_outbox(&outbox(a)).unwrap(), a);
            prop_assert_eq!(outbox(a).cmp(&outbox(b)), a.cmp(&b));
        }

        #[test]
        fn no_key_makes_a_parser_panic(key in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (parse_pack(&key), parse_number(&key), parse_moves(&key), parse_outbox(&key));
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
