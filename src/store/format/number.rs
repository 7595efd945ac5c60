//! Numbers of seven bits a byte.

use bytes::Buf;

use crate::store::format::messagepack::BadRecord;

/// Writes a number, seven bits a byte, the lowest first.
pub(crate) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Reads a number that [`put_number`] wrote.
pub(crate) fn take_number(from: &mut impl Buf) -> Result<u64, BadRecord> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = from.try_get_u8().map_err(|_| BadRecord)?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(BadRecord)
}

pub(crate) fn take_length(from: &mut impl Buf) -> Result<usize, BadRecord> {
    usize::try_from(take_number(from)?).map_err(|_| BadRecord)
}

/// A number that is small for small differences of either sign.
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The number that [`zigzag`] made small.
pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
