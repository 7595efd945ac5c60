//! Content of messages: the typed-message envelope, a JSON object whose own keys start with `_lc`.
//!
//! Reading is total and loses nothing: a key that is not understood, or holds another kind of
//! value than it should, stays in the content's `extra`; an envelope that lacks what its type
//! needs is `Custom`, whole; what is no envelope is plain text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::json::{parse_object, take_if, take_text, whole};
use super::payload::Payload;
use crate::model::{Attachment, Details, Json, MessageContent, without_halves};

type Object = Map<String, Value>;

/// An object whose values are kept as they are spelled: a tree would round their digits.
type Fields = BTreeMap<String, Box<RawValue>>;

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

/// The content as whoever receives it reads it: the sender is shown the same.
#[must_use]
pub fn as_received(content: &MessageContent) -> MessageContent {
    decode(encode(content))
}

/// Writes what a message says.
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
            attachment,
            caption,
            details,
        } => media(kind::IMAGE, attachment, caption.as_ref(), details),
        MessageContent::Audio {
            attachment,
            caption,
            details,
        } => media(kind::AUDIO, attachment, caption.as_ref(), details),
        MessageContent::Video {
            attachment,
            caption,
            details,
        } => media(kind::VIDEO, attachment, caption.as_ref(), details),
        MessageContent::File {
            attachment,
            caption,
            details,
        } => media(kind::FILE, attachment, caption.as_ref(), details),
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

/// Content of a reserved type; none if the envelope lacks what the type needs.
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
            let file = spelled.get(FILE).map(|file| fields(file.get()));
            let attachment = attachment(object.remove(FILE)?, &file.unwrap_or_default())?;
            let caption = take_text(&mut object, TEXT);
            let details = details(object, spelled);
            match kind {
                kind::IMAGE => MessageContent::Image {
                    attachment,
                    caption,
                    details,
                },
                kind::AUDIO => MessageContent::Audio {
                    attachment,
                    caption,
                    details,
                },
                kind::VIDEO => MessageContent::Video {
                    attachment,
                    caption,
                    details,
                },
                _ => MessageContent::File {
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

/// What is left of an envelope when its type has taken its keys.
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

/// Reads `_lcfile`. Size and name stand in `metaData` or, in some older messages, beside it.
fn attachment(file: Value, spelled: &Fields) -> Option<Attachment> {
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
        extra: rest(file, spelled),
        ..attachment
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

fn media(
    kind: i32,
    attachment: &Attachment,
    caption: Option<&String>,
    details: &Details,
) -> Fields {
    let mut file = fields_of(attachment.extra.as_ref());
    file.insert("url".into(), raw(&attachment.url));
    let mut own = Object::new();
    put(&mut own, "objId", attachment.object_id.as_deref());
    put(&mut own, "name", attachment.name.as_deref());
    let mut data = Object::new();
    // A name there that differs from the file's own was kept in `extra`, and stays.
    if tree(&file, METADATA).get("name").is_none() {
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
    for (key, value) in own {
        file.insert(key, raw(&value));
    }
    if !data.is_empty() {
        merge(&mut file, METADATA, data);
    }
    let mut object = envelope(kind, caption, details);
    object.insert(FILE.into(), raw(&file));
    object
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

/// A value as text. What is written here always has one.
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

/// Writes known keys over the object under a key; what is there and is no object makes way.
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

/// What is left of an object, in the text that it had. What lost some of its own keys to a type is
/// written anew.
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
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> MessageContent {
        decode(Payload::Text(text.to_owned()))
    }

    fn value_of(content: &MessageContent) -> Value {
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
        let content = MessageContent::Text {
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
        let MessageContent::Image {
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
        assert_eq!(value_of(&content), envelope);
    }

    fn attachment_of(content: &MessageContent) -> &Attachment {
        match content {
            MessageContent::Image { attachment, .. }
            | MessageContent::Audio { attachment, .. }
            | MessageContent::Video { attachment, .. }
            | MessageContent::File { attachment, .. } => attachment,
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
            assert_eq!(value_of(&content), envelope);
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
            assert_eq!(value_of(&content), envelope);
        }
    }

    #[test]
    fn size_and_name_are_read_where_older_messages_have_them() {
        let content = read(
            r#"{"_lctype":-6,"_lcfile":{"url":"u","size":1000.0,"metaData":{"name":"a.zip"}}}"#,
        );
        let MessageContent::File { attachment, .. } = content else {
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
            assert!(matches!(content, MessageContent::Custom { .. }), "{text}");
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
            assert_eq!(read(text), MessageContent::Plain { text: text.into() });
        }
    }

    #[test]
    fn a_custom_envelope_gets_its_type_number_if_the_app_left_it_out() {
        let envelope = Json::parse(r#"{"score":1}"#).unwrap();
        let content = MessageContent::Custom { kind: 3, envelope };
        assert_eq!(value_of(&content), json!({"_lctype": 3, "score": 1}));
    }

    #[test]
    fn the_payload_of_a_recalled_message_is_read_as_one() {
        assert!(read(RECALLED_PAYLOAD).is_recalled());
        let recalled = MessageContent::Recalled {
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

    /// A text of the JavaScript SDK that ends in the middle of an emoji.
    #[test]
    fn a_cut_emoji_is_shown_as_the_replacement_character_and_the_envelope_is_kept() {
        let content =
            read(r#"{"_lctype":-1,"_lctext":"so happy \ud83d","_lcattrs":{"n":"\udc00"}}"#);
        assert_eq!(content.words(), Some("so happy \u{fffd}"));
        let MessageContent::Text { details, .. } = &content else {
            panic!("a text, not {content:?}");
        };
        assert_eq!(details.attributes, Json::parse(r#"{"n":"\ufffd"}"#).ok());
        let custom = read(r#"{"_lctype":7,"t":"\ud83d"}"#);
        assert!(matches!(custom, MessageContent::Custom { kind: 7, .. }));
        // Words that only look like an escape stay as they are.
        let words = r"a backslash and ud83d: \ud83d";
        assert_eq!(read(words), MessageContent::Plain { text: words.into() });
    }

    #[test]
    fn attributes_and_unknown_keys_keep_every_digit() {
        let number = "123456789012345678901234567890.10";
        let json = |text: String| Json::parse(text).ok();
        let details = Details {
            attributes: json(format!("{{\"n\": {number}}}")),
            extra: json(format!("{{\"_lcnew\":[{number}]}}")),
        };
        let attachment = Attachment {
            url: "u".into(),
            extra: json(format!("{{\"bucket\":{number}}}")),
            ..Attachment::default()
        };
        let caption = None;
        let content = MessageContent::Image {
            attachment,
            caption,
            details,
        };
        assert_eq!(as_received(&content), content);
        let envelope = json(format!("{{\"n\":{number}}}")).unwrap();
        let Payload::Text(text) = encode(&MessageContent::Custom { kind: 3, envelope }) else {
            panic!("an envelope is text");
        };
        assert_eq!(text, format!("{{\"_lctype\":3,\"n\":{number}}}"));
    }

    /// Texts that may be JSON, with all that parsers differ in.
    fn any_json_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            r#""[a-z]{0,3}""#,
            r#""(\\u[dD][89aAbB][0-9a-f]{2}|\\u[dD][c-fC-F][0-9a-f]{2}|\\n|é){0,4}""#,
        ];
        leaf.prop_recursive(6, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec(("[a-c]{1,2}", inner), 0..4).prop_map(|fields| {
                    let fields: Vec<_> = fields
                        .into_iter()
                        .map(|(key, value)| format!("\"{key}\" :{value}"))
                        .collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        /// Attributes that are accepted are read by the receiver as the sender wrote them.
        #[test]
        fn sender_and_receiver_see_the_same_attributes(text in any_json_text()) {
            let text = format!("{{\"a\":{text}}}");
            let Ok(attributes) = Json::parse(&*text) else {
                return Ok(());
            };
            let details = Details { attributes: Some(attributes.clone()), extra: Some(attributes) };
            let content = MessageContent::Text { text: "words".into(), details };
            let MessageContent::Text { details: received, .. } = as_received(&content) else {
                return Err(TestCaseError::fail("it is not a text any more"));
            };
            let MessageContent::Text { details, .. } = content else { unreachable!() };
            prop_assert_eq!(received.attributes, details.attributes);
            let values = |extra: Option<Json>| extra.map(|extra| extra.to_value());
            prop_assert_eq!(values(received.extra), values(details.extra));
        }

        /// Whatever an app sends is read in one way, and stays so.
        #[test]
        fn what_was_received_once_is_received_so_for_ever(text in any_json_text(), kind in -7_i32..3) {
            let Ok(envelope) = Json::parse(&*text) else {
                return Ok(());
            };
            let received = as_received(&MessageContent::Custom { kind, envelope });
            prop_assert_eq!(as_received(&received), received);
            let received = as_received(&MessageContent::Plain { text });
            prop_assert_eq!(as_received(&received), received);
        }

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
