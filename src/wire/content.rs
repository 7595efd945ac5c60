//! Content of messages: the typed-message envelope, a JSON object whose own keys start with `_lc`.
//!
//! Reading is total and loses nothing: a key that is not understood, or holds another kind of
//! value than it should, stays in the content's `extra`; an envelope that lacks what its type
//! needs is `Custom`, whole; what is no envelope is plain text.

use serde_json::{Map, Value};

use super::json::{parse_object, take_if, take_text, whole};
use super::payload::Payload;
use crate::model::{Attachment, Content, Details, Json};

type Object = Map<String, Value>;

const TYPE: &str = "_lctype";
const TEXT: &str = "_lctext";
const ATTRIBUTES: &str = "_lcattrs";
const FILE: &str = "_lcfile";
const PLACE: &str = "_lcloc";
const METADATA: &str = "metaData";

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

/// Reads what a message says.
#[must_use]
pub fn decode(payload: Payload) -> Content {
    let text = match payload {
        Payload::Binary(data) => return Content::Binary { data },
        Payload::Text(text) => text,
    };
    let Ok(mut object) = parse_object("message", &text) else {
        return Content::Plain { text };
    };
    let Some(kind) = kind_of_object(&object) else {
        return Content::Plain { text };
    };
    object.remove(TYPE);
    typed(kind, object).unwrap_or_else(|| match Json::parse(&*text) {
        Ok(envelope) => Content::Custom { kind, envelope },
        Err(_) => Content::Plain { text },
    })
}

/// Writes what a message says.
///
/// A coordinate that is not finite is written as null: JSON has no word for it.
#[must_use]
pub fn encode(content: &Content) -> Payload {
    let object = match content {
        Content::Plain { text } => return Payload::Text(text.clone()),
        Content::Binary { data } => return Payload::Binary(data.clone()),
        Content::Custom { kind, envelope } => return Payload::Text(custom(*kind, envelope)),
        Content::Text { text, details } => envelope(kind::TEXT, Some(text), details),
        Content::Recalled { caption, details } => {
            envelope(kind::RECALLED, caption.as_ref(), details)
        }
        Content::Image {
            attachment,
            caption,
            details,
        } => media(kind::IMAGE, attachment, caption.as_ref(), details),
        Content::Audio {
            attachment,
            caption,
            details,
        } => media(kind::AUDIO, attachment, caption.as_ref(), details),
        Content::Video {
            attachment,
            caption,
            details,
        } => media(kind::VIDEO, attachment, caption.as_ref(), details),
        Content::File {
            attachment,
            caption,
            details,
        } => media(kind::FILE, attachment, caption.as_ref(), details),
        Content::Location {
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
    Payload::Text(Value::Object(object).to_string())
}

fn kind_of_object(object: &Object) -> Option<i32> {
    object.get(TYPE)?.as_i64()?.try_into().ok()
}

/// Content of a reserved type; none if the envelope lacks what the type needs.
fn typed(kind: i32, mut object: Object) -> Option<Content> {
    Some(match kind {
        kind::TEXT => {
            let text = match object.remove(TEXT) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(_) => return None,
            };
            Content::Text {
                text,
                details: details(object),
            }
        }
        kind::IMAGE | kind::AUDIO | kind::VIDEO | kind::FILE => {
            let attachment = attachment(object.remove(FILE)?)?;
            let caption = take_text(&mut object, TEXT);
            let details = details(object);
            match kind {
                kind::IMAGE => Content::Image {
                    attachment,
                    caption,
                    details,
                },
                kind::AUDIO => Content::Audio {
                    attachment,
                    caption,
                    details,
                },
                kind::VIDEO => Content::Video {
                    attachment,
                    caption,
                    details,
                },
                _ => Content::File {
                    attachment,
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
            Content::Location {
                latitude,
                longitude,
                caption,
                details: details(object),
            }
        }
        kind::RECALLED => {
            let caption = take_text(&mut object, TEXT);
            Content::Recalled {
                caption,
                details: details(object),
            }
        }
        _ => return None,
    })
}

/// What is left of an envelope when its type has taken its keys.
fn details(mut object: Object) -> Details {
    let attributes = take_if(&mut object, ATTRIBUTES, |it| {
        it.is_object().then(|| it.clone())
    });
    Details {
        attributes: attributes.as_ref().map(Json::from_value),
        extra: rest(object),
    }
}

/// Reads `_lcfile`. Size and name stand in `metaData` or, in some older messages, beside it.
fn attachment(file: Value) -> Option<Attachment> {
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
    let attachment = Attachment {
        object_id: take_text(&mut file, "objId").filter(|id| !id.is_empty()),
        url,
        format: take_text(&mut data, "format"),
        size: either(&mut data, &mut file, "size", whole),
        width: take_if(&mut data, "width", pixels),
        height: take_if(&mut data, "height", pixels),
        duration: take_if(&mut data, "duration", Value::as_f64),
        name,
        extra: None,
    };
    put_rest(&mut file, METADATA, data);
    Some(Attachment {
        extra: rest(file),
        ..attachment
    })
}

/// The envelope of content that is not custom: the extra keys, and the known ones over them.
fn envelope(kind: i32, text: Option<&String>, details: &Details) -> Object {
    let mut object = object_of(details.extra.as_ref());
    object.insert(TYPE.into(), kind.into());
    if let Some(text) = text {
        object.insert(TEXT.into(), text.as_str().into());
    }
    if let Some(attributes) = &details.attributes {
        object.insert(ATTRIBUTES.into(), attributes.to_value());
    }
    object
}

fn media(
    kind: i32,
    attachment: &Attachment,
    caption: Option<&String>,
    details: &Details,
) -> Object {
    let mut file = object_of(attachment.extra.as_ref());
    file.insert("url".into(), attachment.url.as_str().into());
    put(&mut file, "objId", attachment.object_id.as_deref());
    put(&mut file, "name", attachment.name.as_deref());
    let mut data = Object::new();
    // A name there that differs from the file's own was kept in `extra`, and stays.
    if file.get(METADATA).and_then(|it| it.get("name")).is_none() {
        put(&mut data, "name", attachment.name.as_deref());
    }
    put(&mut data, "format", attachment.format.as_deref());
    put(&mut data, "size", attachment.size);
    put(&mut data, "width", attachment.width);
    put(&mut data, "height", attachment.height);
    put(
        &mut data,
        "duration",
        attachment.duration.filter(|it| it.is_finite()),
    );
    if !data.is_empty() {
        merge(&mut file, METADATA, data);
    }
    let mut object = envelope(kind, caption, details);
    object.insert(FILE.into(), Value::Object(file));
    object
}

/// A custom envelope goes out as it came; only a missing or another type number is set right.
fn custom(kind: i32, envelope: &Json) -> String {
    match parse_object("message", envelope.as_str()) {
        Ok(mut object) if kind_of_object(&object) != Some(kind) => {
            object.insert(TYPE.into(), kind.into());
            Value::Object(object).to_string()
        }
        _ => envelope.as_str().to_owned(),
    }
}

fn put(object: &mut Object, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

/// Writes known keys over the object under a key; what is there and is no object makes way.
fn merge(object: &mut Object, key: &str, known: Object) {
    let mut merged = match object.remove(key) {
        Some(Value::Object(rest)) => rest,
        _ => Object::new(),
    };
    merged.extend(known);
    object.insert(key.to_owned(), Value::Object(merged));
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

fn rest(object: Object) -> Option<Json> {
    (!object.is_empty()).then(|| Json::from_value(&Value::Object(object)))
}

fn object_of(json: Option<&Json>) -> Object {
    match json.map(Json::to_value) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Content {
        decode(Payload::Text(text.to_owned()))
    }

    fn written(content: &Content) -> Value {
        match encode(content) {
            Payload::Text(text) => serde_json::from_str(&text).unwrap(),
            Payload::Binary(_) => panic!("an envelope is text"),
        }
    }

    #[test]
    fn a_text_with_attributes_is_read_and_written() {
        let text = r#"{"_lcattrs":{"a":1},"_lctext":"hi","_lctype":-1}"#;
        let details = Details {
            attributes: Some(Json::parse(r#"{"a":1}"#).unwrap()),
            extra: None,
        };
        let content = Content::Text {
            text: "hi".into(),
            details,
        };
        assert_eq!(read(text), content);
        assert_eq!(encode(&content), Payload::Text(text.into()));
    }

    #[test]
    fn a_picture_keeps_what_nobody_here_knows() {
        let envelope = json!({
            "_lctype": -2,
            "_lctext": "cap",
            "_lcfile": {
                "objId": "5f0c0e3a9d1f2b0006a1b2c3",
                "url": "https://files.example/x.png",
                "name": "x.png",
                "bucket": "b",
                "metaData": {
                    "name": "x", "format": "png", "width": 640, "height": 480, "size": 18032,
                    "camera": "c",
                },
            },
            "_lcnew": [1],
        });
        let content = read(&envelope.to_string());
        let Content::Image {
            attachment,
            caption,
            details,
        } = &content
        else {
            panic!("a picture, not {content:?}");
        };
        assert_eq!(caption.as_deref(), Some("cap"));
        assert_eq!(
            (attachment.width, attachment.size),
            (Some(640), Some(18032))
        );
        assert_eq!(attachment.name.as_deref(), Some("x.png"));
        assert_eq!(details.extra, Json::parse(r#"{"_lcnew":[1]}"#).ok());
        assert_eq!(written(&content), envelope);
    }

    fn attachment_of(content: &Content) -> &Attachment {
        match content {
            Content::Image { attachment, .. }
            | Content::Audio { attachment, .. }
            | Content::Video { attachment, .. }
            | Content::File { attachment, .. } => attachment,
            _ => panic!("a file, not {content:?}"),
        }
    }

    // S156, S157, S158, S160, S164, S168: a link, and what is known about the bytes behind it.
    #[test]
    fn each_kind_of_media_has_its_number_and_tells_size_dimensions_and_duration() {
        for (number, name) in [(-2, "image"), (-3, "audio"), (-4, "video"), (-6, "file")] {
            let envelope = json!({
                "_lctype": number,
                "_lcfile": {
                    "url": "https://files.example/x",
                    "metaData": {"size": 9000, "width": 640, "height": 480, "duration": 12.3},
                },
            });
            let content = read(&envelope.to_string());
            assert_eq!(content.kind_name(), name);
            let attachment = attachment_of(&content);
            assert_eq!(attachment.url, "https://files.example/x");
            assert_eq!(
                (attachment.size, attachment.duration),
                (Some(9000), Some(12.3))
            );
            assert_eq!(
                (attachment.width, attachment.height),
                (Some(640), Some(480))
            );
            assert_eq!(written(&content), envelope);
        }
    }

    // S155, S159, S161, S162, S163: any typed message may have words and attributes.
    #[test]
    fn words_and_attributes_are_read_of_every_kind() {
        for (number, name) in [(-1, "text"), (-5, "location"), (-127, "recalled")] {
            let envelope = json!({
                "_lctype": number,
                "_lctext": "here",
                "_lcattrs": {"a": {"b": 1}},
                "_lcloc": {"longitude": 116.5, "latitude": 39.9},
            });
            let content = read(&envelope.to_string());
            assert_eq!((content.kind_name(), content.words()), (name, Some("here")));
            assert_eq!(written(&content), envelope);
        }
    }

    #[test]
    fn size_and_name_are_read_where_older_messages_have_them() {
        let content = read(
            r#"{"_lctype":-6,"_lcfile":{"url":"u","size":1000.0,"metaData":{"name":"a.zip"}}}"#,
        );
        let Content::File { attachment, .. } = content else {
            panic!("a file, not {content:?}");
        };
        assert_eq!(attachment.size, Some(1000));
        assert_eq!(attachment.name.as_deref(), Some("a.zip"));
        assert_eq!(attachment.extra, None);
    }

    // S170: what this build does not know reaches the app whole.
    #[test]
    fn an_unknown_type_or_an_envelope_that_lacks_its_file_is_custom_and_unchanged() {
        for text in [
            r#"{ "_lctype": 7, "score": 1e3 }"#,
            r#"{"_lctype":-101,"timestamp":5}"#,
            r#"{"_lctype":-2,"_lctext":"no file"}"#,
            r#"{"_lctype":-5,"_lcloc":{"longitude":1}}"#,
        ] {
            let content = read(text);
            assert!(matches!(content, Content::Custom { .. }), "{text}");
            assert_eq!(encode(&content), Payload::Text(text.into()));
        }
    }

    #[test]
    fn what_is_no_envelope_is_plain_text() {
        for text in [
            "hello",
            "{}",
            "[1]",
            "{\"_lctype\":\"x\"}",
            "{\"_lctype\":1e99}",
            "",
        ] {
            assert_eq!(read(text), Content::Plain { text: text.into() });
        }
    }

    #[test]
    fn a_custom_envelope_gets_its_type_number_if_the_app_left_it_out() {
        let envelope = Json::parse(r#"{"score":1}"#).unwrap();
        let content = Content::Custom { kind: 3, envelope };
        assert_eq!(written(&content), json!({"_lctype": 3, "score": 1}));
    }

    #[test]
    fn the_payload_of_a_recalled_message_is_read_as_one() {
        assert!(read(RECALLED_PAYLOAD).is_recalled());
        let recalled = Content::Recalled {
            caption: None,
            details: Details::default(),
        };
        assert_eq!(encode(&recalled), Payload::Text(RECALLED_PAYLOAD.into()));
    }

    /// JSON made of the envelope's own keys, often with the wrong values.
    fn any_envelope() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "_lctype",
            "_lctext",
            "_lcattrs",
            "_lcfile",
            "_lcloc",
            "metaData",
            "name",
            "url",
            "objId",
            "size",
            "width",
            "duration",
            "longitude",
            "latitude",
            "other",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-7_i64..3).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 8, move |inner| {
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|entries| {
                let entries = entries
                    .into_iter()
                    .map(|(key, value): (&str, Value)| (key.to_owned(), value));
                Value::Object(entries.collect())
            })
        })
    }

    proptest! {
        #[test]
        fn any_envelope_says_the_same_after_a_round(mut value in any_envelope(), kind in -7_i32..3) {
            if let Value::Object(object) = &mut value {
                object.insert(TYPE.into(), kind.into());
            }
            let content = read(&value.to_string());
            prop_assert_eq!(decode(encode(&content)), content);
        }

        #[test]
        fn any_text_is_content_and_comes_back(text in ".{0,200}") {
            let content = read(&text);
            prop_assert_eq!(decode(encode(&content)), content);
        }
    }
}
