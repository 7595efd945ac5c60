//! [`FileRecord`]: the record of a file.

use sampan::model::Timestamp;
use sampan::wire::iso;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::name::FileId;

/// The record of a file. It is stored as JSON, and a later build may add fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The id.
    pub id: FileId,
    /// The name that the file had on the device.
    pub name: String,
    /// The last part of its URL: safe characters alone.
    pub key: String,
    /// The content type that its sender named.
    pub mime_type: String,
    /// Bytes; zero where the bytes are elsewhere.
    #[serde(default)]
    pub size: u64,
    /// The SHA-256 over the bytes in hexadecimal; none where they are elsewhere.
    #[serde(default)]
    pub digest: Option<String>,
    /// The number of its bytes in the store.
    #[serde(default)]
    pub blob: Option<u64>,
    /// The URL of the bytes, if they are stored elsewhere.
    #[serde(default)]
    pub url: Option<String>,
    /// The data that the app gives with the file.
    #[serde(default)]
    pub meta: Map<String, Value>,
    /// The time at which it was uploaded, in milliseconds.
    pub created_at: i64,
}

impl FileRecord {
    /// The file in the form of the HTTP interface; `url` is the URL of its bytes.
    #[must_use]
    pub fn to_json(&self, url: &str) -> Value {
        let created = iso::format(Timestamp::from_millis(self.created_at));
        let mut meta = self.meta.clone();
        if self.blob.is_some() {
            meta.insert("size".to_owned(), Value::from(self.size));
        }
        json!({
            "objectId": self.id.to_string(),
            "name": self.name,
            "key": self.key,
            "url": url,
            "mime_type": self.mime_type,
            "metaData": meta,
            "size": self.size,
            "createdAt": created,
            "updatedAt": created,
        })
    }
}
