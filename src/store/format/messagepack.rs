//! MessagePack: the encoding and decoding of records, and the fields that many records share.

use serde::{Deserialize, Serialize};

use crate::model::{ClientId, InvalidId, InvalidJson, InvalidKey, Json, Timestamp};
use crate::store::error::StoreError;

/// The bytes of a record are whole, yet they spell no value: a bug, or damage that the checksum
/// missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRecord;

impl From<InvalidId> for BadRecord {
    fn from(_: InvalidId) -> Self {
        Self
    }
}

impl From<InvalidKey> for BadRecord {
    fn from(_: InvalidKey) -> Self {
        Self
    }
}

impl From<InvalidJson> for BadRecord {
    fn from(_: InvalidJson) -> Self {
        Self
    }
}

/// Encodes a rare record: by name.
pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(record).map_err(|_| StoreError::damaged("a record cannot be encoded"))
}

/// Encodes a frequent record: as an array.
pub(crate) fn encode_compact<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    // Most have a few hundred bytes: room for them at once spares growing from nothing.
    let mut bytes = Vec::with_capacity(512);
    encode_onto(record, &mut bytes)?;
    Ok(bytes)
}

/// Encodes a frequent record at the end of `bytes`.
pub(crate) fn encode_onto<T: Serialize>(record: &T, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
    rmp_serde::encode::write(bytes, record)
        .map_err(|_| StoreError::damaged("a record cannot be encoded"))
}

/// Decodes either form. A record may borrow its texts from the bytes.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BadRecord> {
    rmp_serde::from_slice(bytes).map_err(|_| BadRecord)
}

/// Milliseconds of a time that may be unknown.
pub(crate) fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}

/// A time that may be unknown, out of milliseconds.
pub(crate) fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// The texts of client ids.
pub(crate) fn texts(ids: &[ClientId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Client ids out of a record.
pub(crate) fn clients(texts: &[impl AsRef<str>]) -> Result<Vec<ClientId>, BadRecord> {
    texts.iter().map(|text| Ok(ClientId::new(text)?)).collect()
}

/// JSON out of a record.
pub(crate) fn json(text: Option<impl Into<String>>) -> Result<Option<Json>, BadRecord> {
    Ok(text.map(Json::carried).transpose()?)
}
