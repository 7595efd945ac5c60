//! The bytes of a record: one byte of version, then MessagePack with named fields.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StorageError;

/// The version of all records written by this build.
const VERSION: u8 = 1;

/// Turns a record into bytes.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StorageError> {
    let mut out = vec![VERSION];
    rmp_serde::encode::write_named(&mut out, record).map_err(|_| StorageError::Damaged {
        what: "a record could not be encoded",
    })?;
    Ok(out)
}

/// Turns bytes into a record; total over damaged bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => rmp_serde::from_slice(rest).map_err(|_| StorageError::Damaged {
            what: "a record could not be decoded",
        }),
        _ => Err(StorageError::Damaged {
            what: "a record has an unknown version",
        }),
    }
}

/// Ids as text; a text that is no legal id fails the record.
pub(super) mod text {
    use std::fmt::Display;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::storage) fn serialize<T, S>(id: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: AsRef<str>,
        S: Serializer,
    {
        serializer.serialize_str(id.as_ref())
    }

    pub(in crate::storage) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        T::try_from(text.as_str()).map_err(D::Error::custom)
    }
}

/// Ids that may be absent.
pub(super) mod text_opt {
    use std::fmt::Display;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::storage) fn serialize<T, S>(
        id: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        T: AsRef<str>,
        S: Serializer,
    {
        id.as_ref().map(AsRef::as_ref).serialize(serializer)
    }

    pub(in crate::storage) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error: Display>,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(deserializer)?
            .map(|text| T::try_from(text.as_str()).map_err(D::Error::custom))
            .transpose()
    }
}

/// Texts in their short form.
pub(super) mod short {
    use std::fmt::Display;

    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use crate::storage::short::{lengthen, shorten};

    pub(in crate::storage) fn serialize<T, S>(id: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: AsRef<str>,
        S: Serializer,
    {
        serializer.serialize_bytes(&shorten(id.as_ref()))
    }

    pub(in crate::storage) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error: Display>,
        D: Deserializer<'de>,
    {
        let short = super::bytes::deserialize(deserializer)?;
        let text = lengthen(&short).ok_or_else(|| D::Error::custom("no short form of a text"))?;
        T::try_from(text.as_str()).map_err(D::Error::custom)
    }
}

/// Texts in their short form that may be absent.
pub(super) mod short_opt {
    use serde::de::Error;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Bytes;
    use crate::storage::short::{lengthen, shorten};

    pub(in crate::storage) fn serialize<S: Serializer>(
        text: &Option<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let short = text.as_deref().map(shorten).map(Bytes);
        short.serialize(serializer)
    }

    pub(in crate::storage) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        let text = |Bytes(short)| {
            lengthen(&short).ok_or_else(|| D::Error::custom("no short form of a text"))
        };
        Option::<Bytes>::deserialize(deserializer)?
            .map(text)
            .transpose()
    }
}

/// Lists of ids in their short form.
pub(super) mod short_list {
    use std::fmt::Display;

    use serde::de::Error;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Bytes;
    use crate::storage::short::{lengthen, shorten};

    pub(in crate::storage) fn serialize<T, S>(ids: &[T], serializer: S) -> Result<S::Ok, S::Error>
    where
        T: AsRef<str>,
        S: Serializer,
    {
        serializer.collect_seq(ids.iter().map(|id| Bytes(shorten(id.as_ref()))))
    }

    pub(in crate::storage) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error: Display>,
        D: Deserializer<'de>,
    {
        let id = |Bytes(short): Bytes| {
            let text =
                lengthen(&short).ok_or_else(|| D::Error::custom("no short form of a text"))?;
            T::try_from(text.as_str()).map_err(D::Error::custom)
        };
        let all = Vec::<Bytes>::deserialize(deserializer)?;
        all.into_iter().map(id).collect()
    }
}

/// Bytes that may be absent.
pub(super) mod bytes_opt {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Bytes;

    pub(in crate::storage) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.clone().map(Bytes).serialize(serializer)
    }

    pub(in crate::storage) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<Bytes>::deserialize(deserializer)?.map(|Bytes(bytes)| bytes))
    }
}

/// Bytes inside other values.
#[derive(Serialize, Deserialize)]
struct Bytes(#[serde(with = "bytes")] Vec<u8>);

/// Lists of ids.
pub(super) mod text_list {
    use std::fmt::Display;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::storage) fn serialize<T, S>(ids: &[T], serializer: S) -> Result<S::Ok, S::Error>
    where
        T: AsRef<str>,
        S: Serializer,
    {
        serializer.collect_seq(ids.iter().map(AsRef::as_ref))
    }

    pub(in crate::storage) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error: Display>,
        D: Deserializer<'de>,
    {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| T::try_from(text.as_str()).map_err(D::Error::custom))
            .collect()
    }
}

/// Times as milliseconds.
pub(super) mod millis {
    use sampan::model::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::storage) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    pub(in crate::storage) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

/// Times that may be absent.
pub(super) mod millis_opt {
    use sampan::model::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::storage) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_millis).serialize(serializer)
    }

    pub(in crate::storage) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_millis))
    }
}

/// Bytes as bytes: serde's own way for a `Vec<u8>` is a list of numbers, twice as long.
pub(super) mod bytes {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(in crate::storage) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(in crate::storage) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
