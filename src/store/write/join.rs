//! Joins several reports of one message: from caches of older SDKs, and from the service.
//!
//! Each field is a maximum or a minimum over a total order. The order of imports therefore does not matter,
//! and a cache that is imported twice changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{ClientId, Mentions, MessageContent, Timestamp};
use crate::store::format::messagepack::encode_compact;
use crate::store::format::record_message::ContentRecord;
use crate::store::types::message::StoredMessage;
use crate::store::types::origin::{Origin, Teller, Word};

/// The message that both tell together. The place of both is the same, and the link to the older neighbour is
/// that of the held message.
pub(crate) fn join(held: &StoredMessage, told: &StoredMessage) -> StoredMessage {
    let (held_origin, told_origin) = (origin_of(held), origin_of(told));
    let (content, content_word) = content_of(
        (&held.content, held_origin.content),
        (&told.content, told_origin.content),
    );
    let (mentions, mentions_word) = mentions_of(
        (&held.mentions, held_origin.mentions),
        (&told.mentions, told_origin.mentions),
    );
    let origin = Origin {
        content: content_word,
        mentions: mentions_word,
        has_sender: held_origin.has_sender || told_origin.has_sender,
    };
    let mut joined = StoredMessage {
        sender: sender_of(
            (&held.sender, held_origin.has_sender),
            (&told.sender, told_origin.has_sender),
        )
        .clone(),
        local_id: held.local_id.clone().or_else(|| told.local_id.clone()),
        content: content.clone(),
        mentions: mentions.clone(),
        delivered_at: earlier(held.delivered_at, told.delivered_at),
        read_at: earlier(held.read_at, told.read_at),
        edited_at: held.edited_at.max(told.edited_at),
        older: held.older.clone(),
        origin: None,
    };
    // A message that shows its own origin needs no stored one.
    if origin_of(&joined) != origin {
        joined.origin = Some(Box::new(origin));
    }
    joined
}

/// The origin of a message. The service knows every field.
fn origin_of(message: &StoredMessage) -> Origin {
    if let Some(origin) = &message.origin {
        return (**origin).clone();
    }
    let as_of = message.edited_at.unwrap_or_default();
    let is_final = message.content.is_recalled() && message.edited_at.is_none();
    let word = |as_of| Word {
        as_of,
        by: Teller::Service,
    };
    Origin {
        content: word(if is_final { Word::FINAL } else { as_of }),
        mentions: Some(word(as_of)),
        has_sender: true,
    }
}

/// A content and its word.
type Said<'a> = (&'a MessageContent, Word);

fn content_of<'a>(one: Said<'a>, other: Said<'a>) -> Said<'a> {
    let word = one.1.max(other.1);
    if is_text_of(one, other) {
        return (other.0, word);
    }
    if is_text_of(other, one) {
        return (one.0, word);
    }
    let rank = |said: Said<'_>| (said.1, bytes_of(said.0));
    match one.1.cmp(&other.1) {
        std::cmp::Ordering::Less => other,
        std::cmp::Ordering::Greater => one,
        std::cmp::Ordering::Equal if rank(one) >= rank(other) => one,
        std::cmp::Ordering::Equal => other,
    }
}

/// True if one is the text that the Objective-C SDK stored in the place of the other's bytes: that SDK has no
/// mark of binary messages, and keeps their base64.
fn is_text_of(one: Said<'_>, other: Said<'_>) -> bool {
    match (one.0, other.0) {
        (MessageContent::Plain { text }, MessageContent::Binary { data }) => {
            one.1.by == Teller::ObjectiveC && *text == STANDARD.encode(data)
        }
        _ => false,
    }
}

/// A form of a content that orders contents: which order is of no matter, but it is always the same.
fn bytes_of(content: &MessageContent) -> Vec<u8> {
    encode_compact(&ContentRecord::of(content)).unwrap_or_default()
}

/// Mentions and their word; none where nobody said anything about them.
type Calls<'a> = (&'a Mentions, Option<Word>);

fn mentions_of<'a>(one: Calls<'a>, other: Calls<'a>) -> Calls<'a> {
    let rank = |calls: Calls<'a>| {
        let names = calls.0.clients.iter().map(ClientId::as_str);
        (calls.1, calls.0.all, names.collect::<Vec<_>>())
    };
    if rank(one) >= rank(other) { one } else { other }
}

fn sender_of<'a>(one: (&'a ClientId, bool), other: (&'a ClientId, bool)) -> &'a ClientId {
    match (one.1, other.1) {
        (true, false) => one.0,
        (false, true) => other.0,
        _ => one.0.min(other.0),
    }
}

/// The first of the times that are known.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Details, Mentions};
    use crate::store::types::link::Older;

    fn contents() -> Vec<MessageContent> {
        vec![
            MessageContent::text("one"),
            MessageContent::text("two"),
            MessageContent::Plain {
                text: String::new(),
            },
            MessageContent::Recalled {
                caption: None,
                details: Details::default(),
            },
        ]
    }

    fn word() -> impl Strategy<Value = Word> {
        let by = prop_oneof![
            Just(Teller::Java),
            Just(Teller::ObjectiveC),
            Just(Teller::Swift),
            Just(Teller::Service)
        ];
        (0_i64..3, by).prop_map(|(as_of, by)| Word {
            as_of: Timestamp::from_millis(as_of),
            by,
        })
    }

    fn message() -> impl Strategy<Value = StoredMessage> {
        let time = || prop::option::of((1_i64..4).prop_map(Timestamp::from_millis));
        let said = (
            0_usize..4,
            word(),
            prop::option::of((word(), any::<bool>())),
        );
        (said, time(), time(), time(), prop::option::of("[ab]")).prop_map(
            |((content, word, calls), delivered_at, read_at, edited_at, sender)| StoredMessage {
                sender: ClientId::new(sender.as_deref().unwrap_or("?")).unwrap(),
                local_id: None,
                content: contents().remove(content),
                mentions: Mentions {
                    all: calls.is_some_and(|(_, all)| all),
                    clients: Vec::new(),
                },
                delivered_at,
                read_at,
                edited_at,
                older: Older::None,
                origin: Some(Box::new(Origin {
                    content: word,
                    mentions: calls.map(|(word, _)| word),
                    has_sender: sender.is_some(),
                })),
            },
        )
    }

    /// The message as it is compared: a message that rests on the service alone has no origin.
    fn settled(message: StoredMessage) -> StoredMessage {
        join(&message, &message)
    }

    proptest! {
        #[test]
        fn messages_join_in_any_order_and_number(a in message(), b in message(), c in message()) {
            let (a, b, c) = (settled(a), settled(b), settled(c));
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a);
        }
    }

    fn said(by: Teller, content: MessageContent) -> StoredMessage {
        StoredMessage {
            sender: ClientId::new("ann").unwrap(),
            local_id: None,
            content,
            mentions: Mentions::default(),
            delivered_at: None,
            read_at: None,
            edited_at: None,
            older: Older::None,
            origin: Some(Box::new(Origin {
                content: Word {
                    as_of: Timestamp::ZERO,
                    by,
                },
                mentions: None,
                has_sender: true,
            })),
        }
    }

    #[test]
    fn bytes_that_one_sdk_kept_as_text_are_bytes_when_another_says_so() {
        let text = said(
            Teller::ObjectiveC,
            MessageContent::Plain {
                text: "AP8=".into(),
            },
        );
        let bytes = said(Teller::Java, MessageContent::Binary { data: vec![0, 255] });
        let other = said(Teller::Java, MessageContent::Binary { data: vec![7] });
        assert_eq!(join(&text, &bytes).content, bytes.content);
        assert_eq!(join(&bytes, &text).content, bytes.content);
        assert_eq!(join(&text, &other).content, text.content);
    }

    #[test]
    fn a_recall_without_a_time_is_final() {
        let mut edited = said(Teller::Swift, MessageContent::text("edited"));
        edited.origin.as_mut().unwrap().content.as_of = Timestamp::from_millis(99);
        let recalled = StoredMessage {
            origin: None,
            ..said(Teller::Swift, contents().remove(3))
        };
        assert!(join(&edited, &recalled).content.is_recalled());
        assert!(join(&recalled, &edited).content.is_recalled());
    }
}
