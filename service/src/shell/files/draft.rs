//! [`Draft`]: a client's description of a file that it wants to upload or to name.

use serde_json::{Map, Value};

use super::kinds;
use crate::core::RestAnswer;
use crate::files::{FileId, FileRecord};

/// Characters of a file's name.
const NAME_MAX: usize = 255;

/// Characters of the last part of a URL.
const KEY_MAX: usize = 120;

/// Bytes of an app's data about a file, as JSON.
const META_BYTES_MAX: usize = 2048;

/// Characters of the URL of a file that is elsewhere.
const URL_MAX: usize = 2048;

/// A file as a client describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) id: FileId,
    pub(super) name: String,
    pub(super) key: String,
    pub(super) mime_type: String,
    pub(super) meta: Map<String, Value>,
}

impl Draft {
    /// Reads a description; `name` is the one in the path, where there is one.
    pub(super) fn read(id: FileId, body: &Value, name: Option<&str>) -> Result<Self, RestAnswer> {
        let text = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(bad(&format!("{key} is not a text"))),
        };
        if !body.is_object() {
            return Err(bad("the body is not a JSON object"));
        }
        let name = text("name")?.or(name).unwrap_or_default();
        if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(bad(
                "name has at most 255 characters, none of them a control character",
            ));
        }
        let meta = match body.get("metaData") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(meta)) => meta.clone(),
            Some(_) => return Err(bad("metaData is not an object")),
        };
        if Value::from(meta.clone()).to_string().len() > META_BYTES_MAX {
            return Err(bad("metaData has at most 2048 bytes of JSON"));
        }
        let key = safe(text("key")?.unwrap_or_default());
        let key = match key.is_empty() {
            true => format!("{id}{}", ending(name)),
            false => key,
        };
        let mime_type = kinds::kind_of(text("mime_type")?, name);
        let name = name.to_owned();
        Ok(Self {
            id,
            name,
            key,
            mime_type,
            meta,
        })
    }

    /// The record of the file, before its bytes are known.
    pub(super) fn into_record(self, at: i64) -> FileRecord {
        FileRecord {
            id: self.id,
            name: self.name,
            key: self.key,
            mime_type: self.mime_type,
            size: 0,
            digest: None,
            blob: None,
            url: None,
            meta: self.meta,
            created_at: at,
        }
    }
}

/// The URL of a file that is elsewhere.
pub(super) fn link(body: &Value) -> Result<String, RestAnswer> {
    let url = body.get("url").and_then(Value::as_str).unwrap_or_default();
    let is_web = ["http://", "https://"].iter().any(|it| url.starts_with(it));
    let is_plain = url
        .chars()
        .all(|c| c.is_ascii_graphic() || c.is_alphanumeric());
    match is_web && is_plain && url.len() <= URL_MAX {
        true => Ok(url.to_owned()),
        false => Err(bad(
            "url is an http or https URL of at most 2048 characters",
        )),
    }
}

/// The characters of a text that mean nothing else in a URL or a header.
fn safe(text: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let kept: String = text.chars().filter(allowed).take(KEY_MAX).collect();
    kept.trim_start_matches('.').to_owned()
}

/// The ending of a name, with its dot, if it is an ordinary one.
fn ending(name: &str) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| safe(ending));
    let ending = ending.filter(|it| (1..=10).contains(&it.len()));
    ending.map(|it| format!(".{it}")).unwrap_or_default()
}

pub(super) fn bad(why: &str) -> RestAnswer {
    RestAnswer::refused(400, 1, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Result<Draft, RestAnswer> {
        Draft::read(FileId::from_random([7; 12]), body, None)
    }

    #[test]
    fn no_name_or_key_leads_out_of_a_url() {
        let draft =
            read(&json!({"name": "../a/b.p\u{202e}ng", "key": "../../x?y#z%2f/e.png"})).unwrap();
        assert_eq!(draft.key, "xyz2fe.png");
        let draft = read(&json!({"name": "photo.jpg"})).unwrap();
        assert_eq!(draft.key, format!("{}.jpg", draft.id));
        assert_eq!(draft.mime_type, "image/jpeg");
        assert_eq!(
            read(&json!({"key": "/.."})).unwrap().key,
            draft.id.to_string()
        );
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let long = "x".repeat(3000);
        for body in [
            json!([]),
            json!({"name": 7}),
            json!({"name": "a\nb"}),
            json!({"name": long}),
            json!({"metaData": 1}),
            json!({"metaData": {"a": long}}),
            json!({"mime_type": {}}),
        ] {
            assert_eq!(read(&body).unwrap_err().status, 400, "{body}");
        }
    }

    #[test]
    fn only_addresses_of_the_web_are_links() {
        assert_eq!(
            link(&json!({"url": "https://example.com/ä.png?a=b"})).unwrap(),
            "https://example.com/ä.png?a=b"
        );
        for url in [
            "",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://a b",
            "http://a\r\nb",
        ] {
            assert_eq!(
                link(&json!({ "url": url })).unwrap_err().status,
                400,
                "{url}"
            );
        }
    }
}
