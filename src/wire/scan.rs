//! A scan of a frame before it is decoded: it counts the fields and checks the fields that the schema requires.
//!
//! The decoder makes a struct of some hundred bytes out of an empty sub-message of two, and gives a missing
//! required field its default. A frame is therefore walked first, without allocating: a bound on the fields is
//! a bound on the memory that decoding may allocate.

use super::error::WireError;

/// The most fields in a frame that is decoded: the largest answers of the hosted service (pages of
/// 100 messages, 500 members) have less than a tenth of it.
pub const FIELDS_MAX: usize = 16_384;

/// A message of the schema, as the walk knows it.
struct Shape {
    /// The numbers of required fields, each with its name.
    required: &'static [(u64, &'static str)],
    /// The numbers of fields to walk into.
    children: &'static [(u64, &'static Self)],
}

const JSON: Shape = Shape {
    required: &[(1, "JsonObjectMessage.data")],
    children: &[],
};
const ERROR: Shape = Shape {
    required: &[(1, "ErrorCommand.code"), (2, "ErrorCommand.reason")],
    children: &[],
};
const UNREAD_TUPLE: Shape = Shape {
    required: &[(1, "UnreadTuple.cid"), (2, "UnreadTuple.unread")],
    children: &[],
};
const READ_TUPLE: Shape = Shape {
    required: &[(1, "ReadTuple.cid")],
    children: &[],
};
/// A message of which only the fields are counted.
const PLAIN: Shape = with_children(&[]);
const DATA: Shape = with_children(&[(2, &JSON)]);
const UNREAD: Shape = with_children(&[(1, &UNREAD_TUPLE)]);
const READ: Shape = with_children(&[(3, &READ_TUPLE)]);
const PUBSUB: Shape = with_children(&[(7, &JSON)]);
const BLACKLIST: Shape = with_children(&[(11, &ERROR)]);
const CONV: Shape = with_children(&[
    (31, &ERROR),
    (100, &JSON),
    (101, &JSON),
    (103, &JSON),
    (104, &JSON),
]);
const GENERIC: Shape = with_children(&[
    (100, &PLAIN),
    (101, &DATA),
    (102, &PLAIN),
    (103, &ERROR),
    (104, &PLAIN),
    (105, &PLAIN),
    (106, &UNREAD),
    (107, &READ),
    (108, &PLAIN),
    (109, &PLAIN),
    (110, &CONV),
    (111, &PLAIN),
    (112, &PLAIN),
    (113, &PLAIN),
    (114, &PLAIN),
    (115, &PUBSUB),
    (116, &BLACKLIST),
    (117, &PLAIN),
]);

const fn with_children(children: &'static [(u64, &'static Shape)]) -> Shape {
    Shape {
        required: &[],
        children,
    }
}

/// The findings of a walk.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The first required field that is missing.
    pub(super) missing: Option<&'static str>,
    fields: usize,
}

/// Walks a serialized `GenericCommand`.
///
/// # Errors
///
/// [`WireError::Malformed`] and [`WireError::TooManyFields`].
pub(super) fn scan(frame: &[u8]) -> Result<Scan, WireError> {
    let mut scan = Scan::default();
    scan.walk(frame, &GENERIC)?;
    Ok(scan)
}

impl Scan {
    /// Walks one message. It recurses as deep as the shapes do: three levels.
    fn walk(&mut self, mut bytes: &[u8], shape: &Shape) -> Result<(), WireError> {
        let mut found = 0_u32;
        while !bytes.is_empty() {
            self.fields += 1;
            if self.fields > FIELDS_MAX {
                return Err(WireError::TooManyFields { limit: FIELDS_MAX });
            }
            let field = take_field(&mut bytes).ok_or_else(broken)?;
            for (place, (number, _)) in shape.required.iter().enumerate() {
                if *number == field.number {
                    found |= 1 << place;
                }
            }
            let child = shape.children.iter().find(|it| it.0 == field.number);
            if let (Some((_, child)), Some(inner)) = (child, field.inner) {
                self.walk(inner, child)?;
            }
        }
        for (place, (_, name)) in shape.required.iter().enumerate() {
            if found & (1 << place) == 0 {
                self.missing.get_or_insert(name);
            }
        }
        Ok(())
    }
}

fn broken() -> WireError {
    WireError::Malformed {
        reason: "a field breaks off or has no legal wire type".to_owned(),
    }
}

/// One field: its number, and its bytes if it is delimited by a length.
struct Field<'a> {
    number: u64,
    inner: Option<&'a [u8]>,
}

/// Takes the next field off the front. A group's marks count as fields without contents.
fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<Field<'a>> {
    let key = take_varint(bytes)?;
    let mut inner = None;
    match key & 7 {
        0 => {
            take_varint(bytes)?;
        }
        1 => {
            take(bytes, 8)?;
        }
        2 => {
            let length = take_varint(bytes)?;
            inner = Some(take(bytes, length)?);
        }
        3 | 4 => {}
        5 => {
            take(bytes, 4)?;
        }
        _ => return None,
    }
    Some(Field {
        number: key >> 3,
        inner,
    })
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(front)
}

/// Takes a varint of at most ten bytes; bits beyond the 64th are dropped.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::wire::generated::{ConvCommand, ErrorCommand, GenericCommand, UnreadCommand};

    #[test]
    fn a_required_field_is_missed_where_it_is_missing_and_only_there() {
        let whole = GenericCommand {
            conv_message: Some(ConvCommand {
                failed_pids: vec![ErrorCommand::default(); 2],
                ..ConvCommand::default()
            }),
            unread_message: Some(UnreadCommand::default()),
            ..GenericCommand::default()
        };
        assert_eq!(scan(&whole.encode_to_vec()).unwrap().missing, None);
        // errorMessage { reason: "" }
        let broken = [0xba, 0x06, 2, 0x12, 0];
        assert_eq!(
            scan(&broken).unwrap().missing,
            Some("ErrorCommand.code"),
            "its reason is there, its code is not"
        );
    }

    #[test]
    fn a_crowd_of_empty_messages_is_refused_before_they_are_made() {
        // logsMessage with as many empty items as fit: two bytes each.
        let items = [0xca, 0x06, 0].repeat(FIELDS_MAX);
        let mut frame = vec![0xea, 0x06];
        prost::encoding::encode_varint(items.len() as u64, &mut frame);
        frame.extend(items);
        assert_eq!(
            scan(&frame).unwrap_err(),
            WireError::TooManyFields { limit: FIELDS_MAX }
        );
    }
}
