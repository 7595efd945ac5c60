//! Contents as they are read and written.

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
        file,
        caption,
        details,
    } = &content
    else {
        panic!("a picture, not {content:?}");
    };
    assert_eq!(caption.as_deref(), Some("cap"));
    assert_eq!((file.width, file.size), (Some(640), Some(18032)));
    assert_eq!(file.name.as_deref(), Some("x.png"));
    assert_eq!(details.extra, Json::parse(r#"{"_lcnew":[1]}"#).ok());
    assert_eq!(value_of(&content), envelope);
}

fn attachment_of(content: &MessageContent) -> &MediaFile {
    match content {
        MessageContent::Image { file, .. }
        | MessageContent::Audio { file, .. }
        | MessageContent::Video { file, .. }
        | MessageContent::File { file, .. } => file,
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
        let file = attachment_of(&content);
        assert_eq!(file.url, "https://files.example/x");
        assert_eq!((file.size, file.duration), (Some(9000), Some(12.3)));
        assert_eq!((file.width, file.height), (Some(640), Some(480)));
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
    let content =
        read(r#"{"_lctype":-6,"_lcfile":{"url":"u","size":1000.0,"metaData":{"name":"a.zip"}}}"#);
    let MessageContent::File { file, .. } = content else {
        panic!("a file, not {content:?}");
    };
    assert_eq!(file.size, Some(1000));
    assert_eq!(file.name.as_deref(), Some("a.zip"));
    assert_eq!(file.extra, None);
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
    let content = read(r#"{"_lctype":-1,"_lctext":"so happy \ud83d","_lcattrs":{"n":"\udc00"}}"#);
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
    let file = MediaFile {
        url: "u".into(),
        extra: json(format!("{{\"bucket\":{number}}}")),
        ..MediaFile::default()
    };
    let caption = None;
    let content = MessageContent::Image {
        file,
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

    /// Any JSON of an app is read in one way, and stays so.
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
