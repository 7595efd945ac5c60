//! A checksum of our own behind each row on disk, over its key and its value.
//!
//! The database has checksums for its pages, and checks them only when it repairs itself. It would read a page
//! that the disk changed or misplaced without an error. The checksum covers the number of the commit too, so the
//! newest of several copies of a row in a damaged file is known.

use super::StorageError;

/// Bytes of the number of a commit: enough for thirty years at a thousand commits a second.
const COMMIT_BYTES: usize = 5;

/// Bytes behind a value.
const SEAL_BYTES: usize = COMMIT_BYTES + 4;

/// The error for a row without its checksum.
const BROKEN: StorageError = StorageError::Damaged {
    what: "a row does not have its checksum",
};

/// The value as it is written.
pub(super) fn seal(key: &[u8], value: &[u8], commit: u64) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(value.len() + SEAL_BYTES);
    sealed.extend_from_slice(value);
    sealed.extend(commit.to_le_bytes().iter().take(COMMIT_BYTES));
    let sum = sum(key, &sealed);
    sealed.extend_from_slice(&sum.to_le_bytes());
    sealed
}

/// The value of a row that was read, and the number of the commit that wrote it.
pub(super) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Result<(&'a [u8], u64), StorageError> {
    let (rest, found) = sealed.split_last_chunk::<4>().ok_or(BROKEN)?;
    let (value, commit) = rest.split_last_chunk::<COMMIT_BYTES>().ok_or(BROKEN)?;
    if sum(key, rest).to_le_bytes() != *found {
        return Err(BROKEN);
    }
    let bytes = commit.iter().rev();
    let commit = bytes.fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok((value, commit))
}

fn sum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    // The length too: a byte must not pass from the key into the value.
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written_and_no_changed_bit_passes(
            key in prop::collection::vec(any::<u8>(), 0..20),
            value in prop::collection::vec(any::<u8>(), 0..40),
            commit in 0u64..1 << 40,
            flip in any::<prop::sample::Index>(),
        ) {
            let sealed = seal(&key, &value, commit);
            prop_assert_eq!(unseal(&key, &sealed).unwrap(), (&value[..], commit));
            let mut bytes = [&key[..], &sealed[..]].concat();
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (key, sealed) = bytes.split_at(key.len());
            prop_assert!(unseal(key, sealed).is_err());
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(unseal(b"key", &bytes).is_err());
        }
    }

    #[test]
    fn a_value_under_another_key_is_noticed() {
        let sealed = seal(b"one", b"value", 7);
        assert!(unseal(b"two", &sealed).is_err());
        assert!(unseal(b"onev", &sealed[1..]).is_err());
    }
}
