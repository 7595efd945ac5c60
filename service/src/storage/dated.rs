//! Ids of messages that tell the time of their message: such a message is found by its id without a row for it.
//!
//! The first eight characters are the time in milliseconds, in digits of six bits, the highest first. Ids of other
//! services, which a history may bring along, tell nothing and have a row.

use sampan::model::{InvalidId, MessageId, Timestamp};

/// The characters of URL-safe base64 in the order in which texts are compared.
const IN_ORDER: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// Digits of a time: 48 bits.
const TIME_DIGITS: u32 = 8;

/// Characters of a message's id.
const ID_CHARS: usize = 22;

/// Digits of a count of ids.
const COUNT_DIGITS: u32 = 4;

/// The lowest digits of a number, the highest of them first: greater numbers give greater texts.
fn digits(number: u64, count: u32) -> impl Iterator<Item = char> {
    (0..count).rev().map(move |place| {
        let digit = usize::try_from(number >> (6 * place) & 63).unwrap_or_default();
        char::from(IN_ORDER.get(digit).copied().unwrap_or(b'-'))
    })
}

/// An id for a message with this time, in 22 characters: the form of message ids in the protocol, section 6.10.
/// The first eight tell the time; the next four are a count, so that of two messages with one time the later one has
/// the greater id; the others are the first ten of `random`.
///
/// # Errors
///
/// [`InvalidId`] where `random` has characters that are in no id.
pub fn message_id(at: Timestamp, count: u64, random: &str) -> Result<MessageId, InvalidId> {
    // A time before 1970, or after the year 10889, is written as another one, and its message has a row.
    let time = u64::try_from(at.as_millis()).unwrap_or_default();
    let ordered = digits(time, TIME_DIGITS).chain(digits(count, COUNT_DIGITS));
    let left = ID_CHARS - (TIME_DIGITS + COUNT_DIGITS) as usize;
    MessageId::new(ordered.chain(random.chars().take(left)).collect::<String>())
}

/// The time that an id tells; of an id that tells none, any time or none.
pub(super) fn time_in(id: &MessageId) -> Option<Timestamp> {
    let bytes = id.as_str().as_bytes();
    let date = bytes.get(..TIME_DIGITS as usize)?;
    if bytes.len() != ID_CHARS {
        return None;
    }
    let digit = |byte: &u8| IN_ORDER.binary_search(byte).ok();
    let number = date.iter().try_fold(0_i64, |number, byte| {
        Some(number << 6 | i64::try_from(digit(byte)?).ok()?)
    })?;
    Some(Timestamp::from_millis(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(at: i64) -> MessageId {
        message_id(Timestamp::from_millis(at), 7, "0123456789").unwrap()
    }

    #[test]
    fn an_id_tells_its_time_and_a_later_one_is_greater() {
        let times = [
            0,
            1,
            63,
            64,
            1_700_000_000_000,
            1_700_000_000_001,
            (1 << 48) - 1,
        ];
        for at in times {
            assert_eq!(time_in(&id(at)), Some(Timestamp::from_millis(at)));
        }
        for pair in times.windows(2) {
            assert!(id(pair[0]) < id(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn times_that_do_not_fit_and_other_ids_tell_no_time_of_theirs() {
        for at in [-1, i64::MIN, 1 << 48, i64::MAX] {
            assert_ne!(time_in(&id(at)), Some(Timestamp::from_millis(at)));
        }
        for text in ["m1", "0123456789012345678901", "é"] {
            let id = MessageId::new(text).unwrap();
            assert_eq!(time_in(&id).is_some(), text.len() == 22, "{text}");
        }
    }
}
