//! The conversion of checked texts, numbers and times for Swift, Kotlin and Python.
//!
//! An id is a string there; an invalid id arrives as the call's own error. `uniffi.toml` turns times into each
//! language's own type.

use std::path::PathBuf;

use crate::model::{
    AppId, ClientId, CommitSeq, ConversationId, ConversationKey, Count, DeviceTag, ItemKey, Json,
    LocalId, MessageId, MessageKey, OutboxEntryId, Timestamp,
};
use crate::views::Version;
use crate::{Limits, SampanError, Secret};

/// A text newtype is a string on the other side, and checked on its way back.
macro_rules! text {
    ($($name:ident),*) => {
        $(uniffi::custom_type!($name, String, {
            try_lift: |text| Ok($name::new(text).map_err(SampanError::from)?),
            lower: |value| value.as_str().to_owned(),
        });)*
    };
}

text!(
    AppId,
    ClientId,
    DeviceTag,
    ConversationId,
    MessageId,
    LocalId
);

uniffi::custom_type!(Json, String, {
    try_lift: |text| Ok(Json::parse(text).map_err(SampanError::from)?),
    lower: |json| json.as_str().to_owned(),
});

uniffi::custom_type!(Secret, String, {
    try_lift: |text| Ok(Secret::new(text)),
    lower: |secret| secret.reveal().to_owned(),
});

uniffi::custom_type!(Timestamp, i64, {
    try_lift: |millis| Ok(Timestamp::from_millis(millis)),
    lower: |time| time.as_millis(),
});

uniffi::custom_type!(CommitSeq, u64, {
    try_lift: |number| Ok(CommitSeq(number)),
    lower: |seq| seq.0,
});

uniffi::custom_type!(OutboxEntryId, u64, {
    try_lift: |number| Ok(OutboxEntryId(number)),
    lower: |id| id.0,
});

uniffi::custom_type!(MessageKey, String, {
    try_lift: |text| Ok(MessageKey::parse(&text).map_err(SampanError::from)?),
    lower: |key| key.to_string(),
});

uniffi::custom_type!(ItemKey, String, {
    try_lift: |text| Ok(ItemKey::parse(&text).map_err(SampanError::from)?),
    lower: |key| key.to_string(),
});

uniffi::custom_type!(ConversationKey, u64, {
    try_lift: |number| Ok(ConversationKey(number)),
    lower: |key| key.0,
});

uniffi::custom_type!(Version, u64, {
    try_lift: |number| Ok(Version(number)),
    lower: |version| version.0,
});

uniffi::custom_type!(Count, u64, {
    try_lift: |number| Ok(Count(number)),
    lower: |count| count.0,
});

uniffi::custom_type!(PathBuf, String, {
    remote,
    try_lift: |text| Ok(PathBuf::from(text)),
    lower: |path| path.to_string_lossy().into_owned(),
});

/// The limits of the hosted service: `Limits::default` for other languages.
#[uniffi::export]
fn hosted_limits() -> Limits {
    Limits::default()
}

/// The limits for `sampan-service` with its defaults: `Limits::unthrottled` for other languages.
#[uniffi::export]
fn self_hosted_limits() -> Limits {
    Limits::unthrottled()
}
