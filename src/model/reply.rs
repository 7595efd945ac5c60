//! Replies: messages that answer another message.
//!
//! The protocol has no replies. A reply has an attribute of its own. Clients that do not know the convention
//! keep the attribute and may show it: `docs/wire.md`, "Replies".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ClientId, Json, LocalId, Message, MessageContent, MessageId, Timestamp};

/// The attributes of a message, each value as its text.
type Fields = BTreeMap<String, Box<RawValue>>;

/// The attribute that makes a message a reply.
pub const ATTRIBUTE: &str = "sampanReply";

/// The most characters of the answered message that a reply repeats.
pub const EXCERPT_MAX: usize = 100;

/// As long as an id of the service, to measure a reply whose message has none yet.
const SOME_ID: &str = "fptKnuYYQMGdiSt_Zs7zDA";

/// As long as a time of the service.
const SOME_TIME: i64 = 1_700_000_000_000;

/// A reply's data about the message that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answered message; none where the reply does not name it.
    pub target: Option<Target>,
    /// The sender of that message.
    pub sender: ClientId,
    /// The first words of that message, at most [`EXCERPT_MAX`] characters; they may be empty.
    pub excerpt: String,
}

/// The message that a reply answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A message that the service has.
    Sent {
        /// The service's id.
        id: MessageId,
        /// The service's time.
        sent_at: Timestamp,
    },
    /// A message that this device has not sent yet. No command names it.
    Unsent(LocalId),
}

/// The attribute's value.
#[derive(Serialize, Deserialize)]
struct Word {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    from: String,
    #[serde(default)]
    text: String,
}

impl Reply {
    /// A reply to a message; none to one without any id.
    #[must_use]
    pub fn to(message: &Message) -> Option<Self> {
        let target = match (&message.id, &message.local_id) {
            (Some(id), _) => Target::Sent {
                id: id.clone(),
                sent_at: message.sent_at,
            },
            (None, Some(id)) => Target::Unsent(id.clone()),
            (None, None) => return None,
        };
        Some(Self {
            target: Some(target),
            sender: message.sender.clone(),
            excerpt: excerpt(message.content.words().unwrap_or_default()),
        })
    }

    /// The reply in a content; none for other content.
    #[must_use]
    pub fn of(content: &MessageContent) -> Option<Self> {
        let attributes = content.details()?.attributes.as_ref()?;
        // Most attributes are no replies, so they are not parsed.
        if !attributes.as_str().contains(ATTRIBUTE) {
            return None;
        }
        let attributes = fields(attributes);
        let word: Word = serde_json::from_str(attributes.get(ATTRIBUTE)?.get()).ok()?;
        let sent = word.id.zip(word.t.filter(|it| *it > 0));
        let sent = sent.and_then(|(id, millis)| {
            Some(Target::Sent {
                id: MessageId::new(id).ok()?,
                sent_at: Timestamp::from_millis(millis),
            })
        });
        let unsent = || Some(Target::Unsent(LocalId::new(word.local?).ok()?));
        Some(Self {
            target: sent.or_else(unsent),
            sender: ClientId::new(word.from).ok()?,
            excerpt: excerpt(&word.text),
        })
    }

    /// The content as this reply; none for a kind that has no attributes.
    #[must_use]
    pub fn put_into(&self, mut content: MessageContent) -> Option<MessageContent> {
        let details = content.details_mut()?;
        let attributes = details.attributes.as_ref();
        let mut all: Fields = attributes.map(fields).unwrap_or_default();
        all.insert(ATTRIBUTE.to_owned(), self.word());
        details.attributes = serde_json::to_string(&all)
            .ok()
            .and_then(|it| Json::carried(it).ok());
        Some(content)
    }

    /// The reply at the length that it will have once its message is sent.
    #[must_use]
    pub fn at_its_longest(&self) -> Self {
        let sent = MessageId::new(SOME_ID).ok().map(|id| Target::Sent {
            id,
            sent_at: Timestamp::from_millis(SOME_TIME),
        });
        match self.target {
            Some(Target::Unsent(_)) => Self {
                target: sent,
                ..self.clone()
            },
            _ => self.clone(),
        }
    }

    fn word(&self) -> Box<RawValue> {
        let (id, t, local) = match &self.target {
            Some(Target::Sent { id, sent_at }) => {
                (Some(id.to_string()), Some(sent_at.as_millis()), None)
            }
            Some(Target::Unsent(local)) => (None, None, Some(local.to_string())),
            None => (None, None, None),
        };
        let word = serde_json::value::to_raw_value(&Word {
            id,
            t,
            local,
            from: self.sender.to_string(),
            text: self.excerpt.clone(),
        });
        word.unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// The attributes by their names; none for a value that is no object.
fn fields(attributes: &Json) -> Fields {
    serde_json::from_str(attributes.as_str()).unwrap_or_default()
}

/// The new content of an edited message: a reply stays a reply.
#[must_use]
pub fn kept(before: &MessageContent, after: MessageContent) -> MessageContent {
    match Reply::of(before) {
        Some(reply) if Reply::of(&after).is_none() => {
            reply.put_into(after.clone()).unwrap_or(after)
        }
        _ => after,
    }
}

/// The first words of a text, on one line.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * EXCERPT_MAX {
            break;
        }
    }
    let cut: String = line.chars().take(EXCERPT_MAX).collect();
    cut.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply() -> Reply {
        Reply {
            target: Some(Target::Sent {
                id: MessageId::new(SOME_ID).unwrap(),
                sent_at: Timestamp::from_millis(SOME_TIME),
            }),
            sender: ClientId::new("ben").unwrap(),
            excerpt: "is the kettle on?".to_owned(),
        }
    }

    #[test]
    fn a_reply_is_one_attribute_beside_those_of_the_app() {
        let own = Json::parse(r#"{"n":1.50}"#).unwrap();
        let content = MessageContent::text("it is").with_attributes(own);
        let content = reply().put_into(content).unwrap();
        let attributes = content.details().unwrap().attributes.clone().unwrap();
        let expected = r#"{"n":1.50,"sampanReply":{"id":"fptKnuYYQMGdiSt_Zs7zDA","t":1700000000000,"from":"ben","text":"is the kettle on?"}}"#;
        assert_eq!(attributes.as_str(), expected);
        assert_eq!(Reply::of(&content), Some(reply()));
        assert_eq!(
            Reply::of(&crate::wire::content::as_received(&content)),
            Some(reply())
        );
    }

    #[test]
    fn an_edit_leaves_a_reply_a_reply_and_another_target_counts() {
        let before = reply().put_into(MessageContent::text("it si")).unwrap();
        let after = kept(&before, MessageContent::text("it is"));
        assert_eq!(
            (Reply::of(&after), after.words()),
            (Some(reply()), Some("it is"))
        );
        let other = Reply {
            target: None,
            ..reply()
        };
        let after = other.put_into(MessageContent::text("it is")).unwrap();
        assert_eq!(kept(&before, after.clone()), after);
        let plain = MessageContent::Plain { text: "x".into() };
        assert_eq!(kept(&before, plain.clone()), plain);
    }

    #[test]
    fn kinds_without_attributes_are_no_replies() {
        let plain = MessageContent::Plain { text: "x".into() };
        let binary = MessageContent::Binary { data: vec![1] };
        for content in [plain, binary] {
            assert_eq!(reply().put_into(content.clone()), None);
            assert_eq!(Reply::of(&content), None);
        }
    }

    #[test]
    fn a_reply_that_waits_is_measured_as_it_will_be_sent() {
        let waits = Reply {
            target: Some(Target::Unsent(LocalId::new("x").unwrap())),
            ..reply()
        };
        assert_eq!(waits.at_its_longest(), reply());
        assert_eq!(reply().at_its_longest(), reply());
    }

    proptest! {
        /// Attributes of others are hostile until they are read.
        #[test]
        fn any_attribute_is_a_reply_within_its_limits_or_none(
            id in prop::option::of(".{0,30}"),
            time in any::<i64>(),
            from in ".{0,70}",
            text in ".{0,400}",
        ) {
            let value = serde_json::json!({ATTRIBUTE: {"id": id, "t": time, "from": from, "text": text}});
            let attributes = Json::carried(value.to_string()).unwrap();
            let content = MessageContent::text("x").with_attributes(attributes);
            if let Some(reply) = Reply::of(&content) {
                prop_assert!(reply.excerpt.chars().count() <= EXCERPT_MAX);
                prop_assert_eq!(reply.sender.as_str(), from);
                let again = reply.put_into(MessageContent::text("y")).unwrap();
                prop_assert_eq!(Reply::of(&again), Some(reply));
            }
        }
    }
}
