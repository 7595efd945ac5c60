//! The frame around every value, in the tree and in the journal.
//!
//! | bytes | content |
//! |---|---|
//! | 0–3 | magic `53 70 F5 A7` |
//! | 4 | frame version, 1 |
//! | 5 | flags: bit 0, the payload is encrypted |
//! | 6 | record version, 1 |
//! | 7 | zero |
//! | 8–9 | length of the key |
//! | 10–13 | length of the payload |
//! | 14–21 | commit sequence |
//! | 22–29 | the store's own random number |
//! | 30–33 | CRC32 (IEEE) of everything but this field |
//! | 34– | the key, then the payload |
//!
//! All numbers are little-endian. A frame names its own key. A raw scan of damaged files therefore finds
//! whole records and the key of each, and a reader recognises a value under a wrong key. The store's number
//! identifies a file of another store, and bytes in a message that look like a frame. An encrypted payload is
//! a nonce of 24 bytes, then the output of XChaCha20-Poly1305, which authenticates header and key too.

use std::borrow::Cow;

use crate::store::error::StoreError;
use crate::store::format::cipher::Cipher;

/// The first bytes of every frame.
pub(crate) const MAGIC: [u8; 4] = [0x53, 0x70, 0xF5, 0xA7];

/// Bytes before the key.
pub(crate) const HEADER: usize = 34;

/// The largest value that goes into the tree, in bytes; above a quarter of a segment the embedded
/// database would write a file of its own for it.
pub(crate) const VALUE_MAX: usize = 64 * 1024;

const VERSION: u8 = 1;
const RECORD_VERSION: u8 = 1;
const ENCRYPTED: u8 = 1;
const SEQ_AT: usize = 14;
const CRC_AT: usize = 30;

/// The context that the frames of one store share.
#[derive(Clone, Copy)]
pub(crate) struct FrameContext<'a> {
    /// The store's own random number.
    pub(crate) store: u64,
    /// The cipher of an encrypted store.
    pub(crate) cipher: Option<&'a Cipher>,
}

/// A whole frame, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenedFrame {
    pub(crate) seq: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// The reason why a frame cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFrame {
    /// The bytes are no frame, or not the ones that were written.
    Damaged,
    /// The frame is whole and belongs to another store.
    Foreign,
    /// The frame is whole and encrypted under another key, or no key was given.
    Locked,
}

/// Puts a payload into a frame.
pub(crate) fn build(
    key: &[u8],
    payload: &[u8],
    seq: u64,
    context: FrameContext<'_>,
) -> Result<Vec<u8>, StoreError> {
    let cipher = context.cipher;
    let flags = if cipher.is_some() { ENCRYPTED } else { 0 };
    let length = payload
        .len()
        .saturating_add(cipher.map_or(0, |_| Cipher::OVERHEAD));
    let mut frame = Vec::with_capacity(HEADER.saturating_add(key.len()).saturating_add(length));
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[VERSION, flags, RECORD_VERSION, 0]);
    frame.extend_from_slice(
        &u16::try_from(key.len())
            .map_err(|_| oversize(key))?
            .to_le_bytes(),
    );
    frame.extend_from_slice(
        &u32::try_from(length)
            .map_err(|_| oversize(payload))?
            .to_le_bytes(),
    );
    frame.extend_from_slice(&seq.to_le_bytes());
    frame.extend_from_slice(&context.store.to_le_bytes());
    let sealed = cipher
        .map(|cipher| cipher.encrypt(payload, &frame, key))
        .transpose()?;
    let payload = sealed.as_deref().unwrap_or(payload);
    let crc = checksum(&frame, key, payload);
    frame.extend_from_slice(&crc.to_le_bytes());
    frame.extend_from_slice(key);
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// A whole frame, its payload as it lies there.
#[derive(Clone, Copy)]
pub(crate) struct WholeFrame<'a> {
    fields: &'a [u8],
    pub(crate) key: &'a [u8],
    payload: &'a [u8],
    pub(crate) seq: u64,
    /// The number of the store that it belongs to.
    pub(crate) store: u64,
    pub(crate) is_encrypted: bool,
}

impl<'a> WholeFrame<'a> {
    /// The frame at the start of `bytes`, of any store; more bytes may follow.
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Self, BadFrame> {
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or(BadFrame::Damaged)?;
        let (fields, crc) = header.split_at_checked(CRC_AT).ok_or(BadFrame::Damaged)?;
        if !fields.starts_with(&MAGIC) || byte(fields, 4)? != VERSION {
            return Err(BadFrame::Damaged);
        }
        let key_length = usize::from(u16::from_le_bytes(array(fields, 8)?));
        let length = u32::from_le_bytes(array(fields, 10)?);
        let length = usize::try_from(length).map_err(|_| BadFrame::Damaged)?;
        let (key, rest) = rest.split_at_checked(key_length).ok_or(BadFrame::Damaged)?;
        let payload = rest.get(..length).ok_or(BadFrame::Damaged)?;
        if checksum(fields, key, payload).to_le_bytes() != *crc {
            return Err(BadFrame::Damaged);
        }
        Ok(Self {
            fields,
            key,
            payload,
            seq: u64::from_le_bytes(array(fields, 14)?),
            store: u64::from_le_bytes(array(fields, 22)?),
            is_encrypted: byte(fields, 5)? & ENCRYPTED != 0,
        })
    }

    /// Its length in bytes.
    pub(crate) const fn length(&self) -> usize {
        HEADER
            .saturating_add(self.key.len())
            .saturating_add(self.payload.len())
    }

    /// The content of the frame, if the frame is of the given store.
    fn open(&self, context: FrameContext<'_>) -> Result<OpenedFrame, BadFrame> {
        Ok(OpenedFrame {
            seq: self.seq,
            key: self.key.to_vec(),
            payload: self.payload(context)?.into_owned(),
        })
    }

    /// The payload, if it is of the given store; as it lies there, if it is not encrypted.
    fn payload(&self, context: FrameContext<'_>) -> Result<Cow<'a, [u8]>, BadFrame> {
        if self.store != context.store {
            return Err(BadFrame::Foreign);
        }
        match (self.is_encrypted, context.cipher) {
            (false, None) => Ok(Cow::Borrowed(self.payload)),
            (true, Some(cipher)) => {
                let opened = cipher.decrypt(self.payload, self.fields, self.key);
                opened.map(Cow::Owned).ok_or(BadFrame::Locked)
            }
            _ => Err(BadFrame::Locked),
        }
    }
}

/// Opens the frame at the start of `bytes`, and answers its length too, because more bytes may follow.
pub(crate) fn open_first(
    bytes: &[u8],
    context: FrameContext<'_>,
) -> Result<(OpenedFrame, usize), BadFrame> {
    let whole = WholeFrame::first(bytes)?;
    Ok((whole.open(context)?, whole.length()))
}

/// Opens the value stored under `key`: it must be that key's, and nothing behind it.
pub(crate) fn open(
    key: &[u8],
    value: &[u8],
    context: FrameContext<'_>,
) -> Result<OpenedFrame, BadFrame> {
    let (opened, length) = open_first(value, context)?;
    if opened.key == key && length == value.len() {
        Ok(opened)
    } else {
        Err(BadFrame::Damaged)
    }
}

/// The commit that a value was written in, or behind, by its header; none when it is too short.
pub(crate) fn seq_of(value: &[u8]) -> Option<u64> {
    let (_, from) = value.split_at_checked(SEQ_AT)?;
    let (seq, _) = from.split_first_chunk::<8>()?;
    Some(u64::from_le_bytes(*seq))
}

/// The payload of the value stored under `key`, as [`open`] finds it: most reads want nothing else.
pub(crate) fn payload<'a>(
    key: &[u8],
    value: &'a [u8],
    context: FrameContext<'_>,
) -> Result<Cow<'a, [u8]>, BadFrame> {
    let whole = WholeFrame::first(value)?;
    let payload = whole.payload(context)?;
    if whole.key == key && whole.length() == value.len() {
        Ok(payload)
    } else {
        Err(BadFrame::Damaged)
    }
}

/// The store's number in the whole frame at the start of `bytes`; none for a frame that belongs to no store.
pub(crate) fn store_of(bytes: &[u8]) -> Option<u64> {
    let whole = WholeFrame::first(bytes).ok();
    whole.map(|whole| whole.store).filter(|store| *store != 0)
}

fn checksum(fields: &[u8], key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, BadFrame> {
    bytes.get(at).copied().ok_or(BadFrame::Damaged)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], BadFrame> {
    let rest = bytes.get(at..).ok_or(BadFrame::Damaged)?;
    rest.first_chunk::<N>().copied().ok_or(BadFrame::Damaged)
}

fn oversize(bytes: &[u8]) -> StoreError {
    StoreError::TooLarge {
        kind: "framed",
        actual: bytes.len(),
        limit: VALUE_MAX,
    }
}

/// The number of bytes that are looked at together for the first byte of a frame.
const STRIDE: usize = 4096;

/// The offset at which the next frame may begin.
pub(crate) fn find_magic(bytes: &[u8]) -> Option<usize> {
    let [first, ..] = MAGIC;
    let mut from = 0_usize;
    loop {
        let mut rest = bytes.get(from..)?;
        // Files are made of zeros mostly: a look at many bytes at once passes over them.
        let strides = rest.chunks(STRIDE).take_while(|it| !it.contains(&first));
        from += strides.map(<[u8]>::len).sum::<usize>();
        rest = bytes.get(from..)?;
        let at = rest.iter().position(|byte| *byte == first)?;
        from += at;
        if bytes.get(from..)?.starts_with(&MAGIC) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: FrameContext<'static> = FrameContext {
        store: 5,
        cipher: None,
    };

    fn under(cipher: &Cipher) -> FrameContext<'_> {
        FrameContext {
            store: 5,
            cipher: Some(cipher),
        }
    }

    fn cipher(byte: u8) -> Cipher {
        Cipher::new(&[byte; 32])
    }

    #[test]
    fn a_frame_of_another_store_is_refused() {
        let value = build(
            b"m1",
            b"payload",
            7,
            FrameContext {
                store: 6,
                cipher: None,
            },
        )
        .unwrap();
        assert_eq!(open(b"m1", &value, PLAIN), Err(BadFrame::Foreign));
        assert_eq!(store_of(&value), Some(6));
    }

    #[test]
    fn a_frame_under_another_key_is_refused() {
        let value = build(b"m1", b"payload", 7, PLAIN).unwrap();
        assert_eq!(open(b"m1", &value, PLAIN).unwrap().payload, b"payload");
        assert_eq!(open(b"m2", &value, PLAIN), Err(BadFrame::Damaged));
        assert_eq!(payload(b"m2", &value, PLAIN), Err(BadFrame::Damaged));
        let longer = [value.as_slice(), b"x"].concat();
        assert_eq!(payload(b"m1", &longer, PLAIN), Err(BadFrame::Damaged));
    }

    #[test]
    fn an_encrypted_frame_shows_nothing_and_opens_only_with_its_key() {
        let value = build(b"m1", b"a secret plan", 7, under(&cipher(1))).unwrap();
        assert!(!value.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(
            open(b"m1", &value, under(&cipher(1))).unwrap().payload,
            b"a secret plan"
        );
        assert_eq!(
            open(b"m1", &value, under(&cipher(2))),
            Err(BadFrame::Locked)
        );
        assert_eq!(open(b"m1", &value, PLAIN), Err(BadFrame::Locked));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_seen(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            at in any::<proptest::sample::Index>(),
            bit in 0u8..8,
            encrypted in any::<bool>(),
        ) {
            let cipher = encrypted.then(|| cipher(3));
            let in_use = FrameContext { store: 5, cipher: cipher.as_ref() };
            let mut value = build(b"key", &bytes, 1, in_use).unwrap();
            let was = payload(b"key", &value, in_use).map(Cow::into_owned);
            prop_assert_eq!(was.as_ref(), Ok(&bytes));
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            prop_assert!(open(b"key", &value, in_use).is_err());
            prop_assert!(payload(b"key", &value, in_use).is_err());
        }

        #[test]
        fn any_bytes_open_or_err(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut framed = MAGIC.to_vec();
            framed.extend_from_slice(&bytes);
            let _ = (open_first(&bytes, PLAIN), open_first(&framed, PLAIN));
            let opened = open(b"key", &framed, PLAIN).map(|opened| opened.payload);
            prop_assert_eq!(payload(b"key", &framed, PLAIN).map(Cow::into_owned), opened);
        }
    }
}
