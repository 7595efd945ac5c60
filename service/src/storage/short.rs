//! Ids in few bytes. Most ids are numbers that were written as text: hexadecimal digits, a UUID, base64. Such an
//! id is kept as the number.
//!
//! The first byte names the form. Each text has one short form, so short forms are equal where texts are; their
//! order is another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text as it is.
const PLAIN: u8 = 0;

/// Lower-case hexadecimal digits, two a byte.
const HEX: u8 = 1;

/// A UUID in lower case.
const UUID: u8 = 2;

/// Base64 for URLs, without padding.
const BASE64: u8 = 3;

/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

/// Where a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// Texts below this length stay as they are: a word may look like a number.
const NUMBER_CHARS_MIN: usize = 16;

/// The short form of a text.
pub(super) fn shorten(text: &str) -> Vec<u8> {
    let (form, bytes) = number_in(text).unwrap_or_else(|| (PLAIN, text.as_bytes().to_vec()));
    let mut short = Vec::with_capacity(bytes.len() + 1);
    short.push(form);
    short.extend_from_slice(&bytes);
    debug_assert_eq!(
        lengthen(&short).as_deref(),
        Some(text),
        "a short form is read back"
    );
    short
}

/// The text of a short form; none for bytes that are no short form.
pub(super) fn lengthen(short: &[u8]) -> Option<String> {
    match short.split_first()? {
        (&PLAIN, text) => str::from_utf8(text).ok().map(str::to_owned),
        (&HEX, bytes) => Some(hex(bytes)),
        (&UUID, bytes) if bytes.len() == UUID_BYTES => {
            let mut text = hex(bytes);
            for place in DASHES {
                text.insert(place, '-');
            }
            Some(text)
        }
        (&BASE64, bytes) => Some(URL_SAFE_NO_PAD.encode(bytes)),
        _ => None,
    }
}

/// The form and the bytes of a text that is a number.
fn number_in(text: &str) -> Option<(u8, Vec<u8>)> {
    if text.len() < NUMBER_CHARS_MIN {
        return None;
    }
    if let Some(bytes) = of_hex(text) {
        return Some((HEX, bytes));
    }
    let is_dash = |place: &usize| text.as_bytes().get(*place) == Some(&b'-');
    if text.len() == 2 * UUID_BYTES + DASHES.len() && DASHES.iter().all(is_dash) {
        let bytes = of_hex(&text.replace('-', ""))?;
        return (bytes.len() == UUID_BYTES).then_some((UUID, bytes));
    }
    // The engine refuses digits that a canonical text does not have.
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some((BASE64, bytes))
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_sdks_and_services_take_the_bytes_of_their_number() {
        let lengths = [
            ("5f1d3c7b8a9e4d6c2b1a0f9e", 13),
            ("bb77c559-b666-495c-bc7c-82ca3c01f6a3", 17),
            ("wvIw2lRhQwGn0Zy5sFqeGw", 17),
            ("Tom", 4),
            // One digit is no base64 of whole bytes; capitals are no digits of ours.
            ("5F1D3C7B8A9E4D6C2", 18),
            ("bb77c559-b666-495c-bc7c-82ca3c01f6A3", 37),
        ];
        for (text, length) in lengths {
            assert_eq!(shorten(text).len(), length, "{text}");
            assert_eq!(lengthen(&shorten(text)).as_deref(), Some(text));
        }
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_it_was_written_and_no_two_are_one(
            one in prop_oneof![
                "\\PC{0,40}", "[0-9a-f]{14,34}", "[0-9a-zA-Z_-]{16,30}",
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA]{12}",
            ],
            other in "[0-9a-f]{14,18}",
        ) {
            prop_assert_eq!(lengthen(&shorten(&one)), Some(one.clone()));
            prop_assert_eq!(shorten(&one) == shorten(&other), one == other);
        }

        #[test]
        fn any_bytes_are_a_text_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = lengthen(&bytes);
        }
    }
}
