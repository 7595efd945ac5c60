//! Content of messages: the typed-message envelope, a JSON object whose own keys start with `_lc`.
//!
//! Reading is total and loses nothing. A key that is unknown, or has another kind of value than it should,
//! stays in the content's `extra`. An envelope that lacks a key of its type is `Custom`, whole. A payload that
//! is no envelope is plain text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::json::{parse_object, take_if, take_text, whole};
use super::payload::Payload;
use crate::model::{Details, Json, MediaFile, MessageContent, without_halves};

type Object = Map<String, Value>;

/// An object whose values are kept as they are spelled: a tree would round their digits.
type Fields = BTreeMap<String, Box<RawValue>>;

const TYPE: &str = "_lctype";
const TEXT: &str = "_lctext";
const ATTRIBUTES: &str = "_lcattrs";
const FILE: &str = "_lcfile";
const PLACE: &str = "_lcloc";
const METADATA: &str = "metaData";

/// The MIME type has no key in the protocol; other readers keep unknown keys of `metaData`.
const MIME: &str = "mime_type";

/// The type numbers of the envelope that the protocol reserves.
pub mod kind {
    /// Words.
    pub const TEXT: i32 = -1;
    /// A picture.
    pub const IMAGE: i32 = -2;
    /// A sound.
    pub const AUDIO: i32 = -3;
    /// A film.
    pub const VIDEO: i32 = -4;
    /// A place.
    pub const LOCATION: i32 = -5;
    /// Any other file.
    pub const FILE: i32 = -6;
    /// A message that its sender took back.
    pub const RECALLED: i32 = -127;
}

/// The payload that takes the place of a recalled message, so that every client can read it.
pub const RECALLED_PAYLOAD: &str = "{\"_lctype\":-127}";

/// The type number of a payload that is an envelope.
#[must_use]
pub fn kind_of(payload: &Payload) -> Option<i32> {
    match payload {
        Payload::Text(text) => kind_of_object(&parse_object("message", text).ok()?),
        Payload::Binary(_) => None,
    }
}

/// Reads the content of a message.
#[must_use]
pub fn decode(payload: Payload) -> MessageContent {
    let text = match payload {
        Payload::Binary(data) => return MessageContent::Binary { data },
        Payload::Text(text) => text,
    };
    let Ok(mut object) = parse_object("message", &text) else {
        return MessageContent::Plain { text };
    };
    let Some(kind) = kind_of_object(&object) else {
        return MessageContent::Plain { text };
    };
    object.remove(TYPE);
    let spelled = fields(&without_halves(&text));
    typed(kind, object, &spelled).unwrap_or_else(|| match Json::carried(&*text) {
        Ok(envelope) => MessageContent::Custom { kind, envelope },
        Err(_) => MessageContent::Plain { text },
    })
}

/// The content as its receivers read it: the sender is shown the same.
#[must_use]
pub fn as_received(content: &MessageContent) -> MessageContent {
    decode(encode(content))
}

/// Writes the content of a message.
///
/// A coordinate that is not finite is written as null: JSON has no word for it.
#[must_use]
pub fn encode(content: &MessageContent) -> Payload {
    let object = match content {
        MessageContent::Plain { text } => return Payload::Text(text.clone()),
        MessageContent::Binary { data } => return Payload::Binary(data.clone()),
        MessageContent::Custom { kind, envelope } => return Payload::Text(custom(*kind, envelope)),
        MessageContent::Text { text, details } => envelope(kind::TEXT, Some(text), details),
        MessageContent::Recalled { caption, details } => {
            envelope(kind::RECALLED, caption.as_ref(), details)
        }
        MessageContent::Image {
            file,
            caption,
            details,
        } => media(kind::IMAGE, file, caption.as_ref(), details),
        MessageContent::Audio {
            file,
            caption,
            details,
        } => media(kind::AUDIO, file, caption.as_ref(), details),
        MessageContent::Video {
            file,
            caption,
            details,
        } => media(kind::VIDEO, file, caption.as_ref(), details),
        MessageContent::File {
            file,
            caption,
            details,
        } => media(kind::FILE, file, caption.as_ref(), details),
        MessageContent::Location {
            latitude,
            longitude,
            caption,
            details,
        } => {
            let mut object = envelope(kind::LOCATION, caption.as_ref(), details);
            let mut place = Object::new();
            place.insert("longitude".into(), (*longitude).into());
            place.insert("latitude".into(), (*latitude).into());
            merge(&mut object, PLACE, place);
            object
        }
    };
    Payload::Text(written(&object))
}

fn kind_of_object(object: &Object) -> Option<i32> {
    object.get(TYPE)?.as_i64()?.try_into().ok()
}

/// Content of a reserved type; none if the envelope lacks a key of the type.
fn typed(kind: i32, mut object: Object, spelled: &Fields) -> Option<MessageContent> {
    Some(match kind {
        kind::TEXT => {
            let text = match object.remove(TEXT) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(_) => return None,
            };
            MessageContent::Text {
                text,
                details: details(object, spelled),
            }
        }
        kind::IMAGE | kind::AUDIO | kind::VIDEO | kind::FILE => {
            let spelling = spelled.get(FILE).map(|file| fields(file.get()));
            let file = media_file(object.remove(FILE)?, &spelling.unwrap_or_default())?;
            let caption = take_text(&mut object, TEXT);
            let details = details(object, spelled);
            match kind {
                kind::IMAGE => MessageContent::Image {
                    file,
                    caption,
                    details,
                },
                kind::AUDIO => MessageContent::Audio {
                    file,
                    caption,
                    details,
                },
                kind::VIDEO => MessageContent::Video {
                    file,
                    caption,
                    details,
                },
                _ => MessageContent::File {
                    file,
                    caption,
                    details,
                },
            }
        }
        kind::LOCATION => {
            let Value::Object(mut place) = object.remove(PLACE)? else {
                return None;
            };
            let longitude = place.remove("longitude")?.as_f64()?;
            let latitude = place.remove("latitude")?.as_f64()?;
            put_rest(&mut object, PLACE, place);
            let caption = take_text(&mut object, TEXT);
            MessageContent::Location {
                latitude,
                longitude,
                caption,
                details: details(object, spelled),
            }
        }
        kind::RECALLED => {
            let caption = take_text(&mut object, TEXT);
            MessageContent::Recalled {
                caption,
                details: details(object, spelled),
            }
        }
        _ => return None,
    })
}

/// The rest of an envelope when its type has taken its keys.
fn details(mut object: Object, spelled: &Fields) -> Details {
    let attributes = take_if(&mut object, ATTRIBUTES, |it| {
        it.is_object().then(|| it.clone())
    });
    let text = spelled.get(ATTRIBUTES).map(|text| text.get());
    Details {
        attributes: attributes.map(|tree| as_spelled(&tree, text)),
        extra: rest(object, spelled),
    }
}

/// A value in the text that it had; one without a text of its own in ours.
fn as_spelled(tree: &Value, text: Option<&str>) -> Json {
    text.and_then(|text| Json::carried(text).ok())
        .unwrap_or_else(|| Json::from_value(tree))
}

/// Reads `_lcfile`. Size and name are in `metaData` or, in some older messages, beside it.
fn media_file(file: Value, spelled: &Fields) -> Option<MediaFile> {
    let Value::Object(mut file) = file else {
        return None;
    };
    let url = take_text(&mut file, "url").filter(|url| !url.is_empty())?;
    let mut data = match file.remove(METADATA) {
        Some(Value::Object(data)) => data,
        None | Some(Value::Null) => Object::new(),
        Some(_) => return None,
    };
    let name = either(&mut file, &mut data, "name", |it| {
        it.as_str().map(str::to_owned)
    });
    if name.is_some() && data.get("name").and_then(Value::as_str) == name.as_deref() {
        data.remove("name");
    }
    let pixels = |value: &Value| whole(value)?.try_into().ok();
    let known = MediaFile {
        object_id: take_text(&mut file, "objId").filter(|id| !id.is_empty()),
        url,
        format: take_text(&mut data, "format"),
        mime: take_text(&mut data, MIME),
        size: either(&mut data, &mut file, "size", whole),
        width: take_if(&mut data, "width", pixels),
        height: take_if(&mut data, "height", pixels),
        duration: take_if(&mut data, "duration", Value::as_f64),
        name,
        extra: None,
    };
    put_rest(&mut file, METADATA, data);
    Some(MediaFile {
        extra: rest(file, spelled),
        ..known
    })
}

/// The envelope of content that is not custom: the extra keys, and the known ones over them.
fn envelope(kind: i32, text: Option<&String>, details: &Details) -> Fields {
    let mut object = fields_of(details.extra.as_ref());
    object.insert(TYPE.into(), raw(&kind));
    if let Some(text) = text {
        object.insert(TEXT.into(), raw(text));
    }
    if let Some(attributes) = &details.attributes {
        object.insert(ATTRIBUTES.into(), raw_json(attributes));
    }
    object
}

fn media(kind: i32, file: &MediaFile, caption: Option<&String>, details: &Details) -> Fields {
    let mut object = fields_of(file.extra.as_ref());
    object.insert("url".into(), raw(&file.url));
    let mut own = Object::new();
    put(&mut own, "objId", file.object_id.as_deref());
    put(&mut own, "name", file.name.as_deref());
    let mut data = Object::new();
    // A name there that differs from the file's own was kept in `extra`, and stays.
    if tree(&object, METADATA).get("name").is_none() {
        put(&mut data, "name", file.name.as_deref());
    }
    put(&mut data, "format", file.format.as_deref());
    put(&mut data, MIME, file.mime.as_deref());
    put(&mut data, "size", file.size);
    put(&mut data, "width", file.width);
    put(&mut data, "height", file.height);
    put(
        &mut data,
        "duration",
        file.duration.filter(|it| it.is_finite()),
    );
    for (key, value) in own {
        object.insert(key, raw(&value));
    }
    if !data.is_empty() {
        merge(&mut object, METADATA, data);
    }
    let mut whole = envelope(kind, caption, details);
    whole.insert(FILE.into(), raw(&object));
    whole
}

/// A custom envelope goes out as it came; only a missing or another type number is set right.
fn custom(kind: i32, envelope: &Json) -> String {
    match parse_object("message", envelope.as_str()) {
        Ok(object) if kind_of_object(&object) != Some(kind) => {
            let mut object = fields(envelope.as_str());
            object.insert(TYPE.into(), raw(&kind));
            written(&object)
        }
        _ => envelope.as_str().to_owned(),
    }
}

/// A value as text. Every value that is written here has one.
fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// JSON in its own text.
fn raw_json(json: &Json) -> Box<RawValue> {
    let text = RawValue::from_string(json.as_str().to_owned());
    text.unwrap_or_else(|_| raw(&json.to_value()))
}

fn written(object: &Fields) -> String {
    serde_json::to_string(object).unwrap_or_default()
}

/// The fields of an object; none for anything else.
fn fields(text: &str) -> Fields {
    serde_json::from_str(text).unwrap_or_default()
}

/// The object under a key; an empty one for anything else.
fn tree(object: &Fields, key: &str) -> Object {
    let text = object.get(key).map(|text| text.get());
    text.and_then(|text| parse_object("message", text).ok())
        .unwrap_or_default()
}

fn put(object: &mut Object, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

/// Writes known keys over the object under a key; a value there that is no object makes way.
fn merge(object: &mut Fields, key: &str, known: Object) {
    let mut merged = tree(object, key);
    merged.extend(known);
    object.insert(key.to_owned(), raw(&merged));
}

/// Takes a value from the first object, or from the second if the first has no such key.
fn either<T>(
    first: &mut Object,
    second: &mut Object,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let holder = if first.contains_key(key) {
        first
    } else {
        second
    };
    take_if(holder, key, read)
}

fn put_rest(object: &mut Object, key: &str, rest: Object) {
    if !rest.is_empty() {
        object.insert(key.to_owned(), Value::Object(rest));
    }
}

/// The rest of an object, in the text that it had. A value that lost some of its own keys to a type is written anew.
fn rest(object: Object, spelled: &Fields) -> Option<Json> {
    if object.is_empty() {
        return None;
    }
    let whole = |key: &str| ![FILE, PLACE, METADATA].contains(&key);
    let fields = object.into_iter().map(|(key, value)| {
        let text = spelled.get(&key).filter(|_| whole(&key));
        let text = text.cloned().unwrap_or_else(|| raw(&value));
        (key, text)
    });
    Json::carried(written(&fields.collect())).ok()
}

fn fields_of(json: Option<&Json>) -> Fields {
    json.map(|json| fields(json.as_str())).unwrap_or_default()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
