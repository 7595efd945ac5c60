//! Pushes: the reading of their payloads, without a request.

use std::fmt;

use serde_json::{Map, Value};

use super::{ClientId, ConversationId, Count, Json, MessageId, Timestamp};

/// The keys under which a payload may name each value; the first present key wins. The service's template fills
/// in `${convId}`, `${fromClientId}` and `${timestamp}`, so these names come first. Values below `sampan` have
/// precedence.
const CONVERSATION: [&str; 4] = ["convId", "conversationId", "conversation", "cid"];
const SENDER: [&str; 4] = ["fromClientId", "from", "peerId", "sender"];
const TIME: [&str; 2] = ["timestamp", "sentAt"];
const MESSAGE: [&str; 4] = ["messageId", "msgId", "mid", "message"];
const ACCOUNT: [&str; 3] = ["toClientId", "clientId", "account"];

/// The key under which `sampan-service` describes the message of a push.
const ABOUT: &str = "sampan";

/// The most characters of words in a hint.
const WORDS_MAX: usize = 1000;

/// A device that gets pushes.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct PushDevice {
    /// The platform whose push service delivers to the device.
    pub platform: PushPlatform,
    /// The device's name at that push service: the device token of APNs in hexadecimal, or the registration
    /// token of FCM.
    pub token: String,
    /// The topic of APNs: the app's bundle id.
    #[uniffi(default)]
    pub topic: Option<String>,
    /// The team of APNs.
    #[uniffi(default)]
    pub team: Option<String>,
    /// The certificate, such as `dev`; none for production.
    #[uniffi(default)]
    pub profile: Option<String>,
    /// The vendor of an Android device that has a push service of its own.
    #[uniffi(default)]
    pub vendor: Option<String>,
    /// The number on the app's icon now; pushes that increment it count from there.
    #[uniffi(default)]
    pub badge: Option<Count>,
}

impl PushDevice {
    /// A device with a platform and a token only.
    #[must_use]
    pub fn new(platform: PushPlatform, token: impl Into<String>) -> Self {
        Self {
            platform,
            token: token.into(),
            topic: None,
            team: None,
            profile: None,
            vendor: None,
            badge: None,
        }
    }
}

impl fmt::Debug for PushDevice {
    /// Anybody who has the token may push to the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushDevice")
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

/// The platforms with push services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum PushPlatform {
    /// Apple's.
    Ios,
    /// Google's, or that of the device's vendor.
    Android,
}

/// The facts in a push.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct PushHint {
    /// The client that gets the push, where the payload names it.
    pub account: Option<ClientId>,
    /// The conversation.
    pub conversation: ConversationId,
    /// The service's id of the message.
    pub message: Option<MessageId>,
    /// The sender.
    pub sender: Option<ClientId>,
    /// The time of the message, by the service's clock.
    pub sent_at: Option<Timestamp>,
    /// The title for the screen.
    pub title: Option<String>,
    /// The text for the screen, at most 1000 characters.
    pub words: Option<String>,
    /// The number for the app's icon; none where the payload has none, or asks for an increment.
    pub badge: Option<Count>,
}

impl fmt::Debug for PushHint {
    /// People's words never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushHint")
            .field("conversation", &self.conversation)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl PushHint {
    /// Reads a payload; none for a payload that names no conversation.
    #[must_use]
    pub fn read(payload: &Json) -> Option<Self> {
        let Value::Object(all) = payload.to_value() else {
            return None;
        };
        let empty = Map::new();
        let inner = |key: &str| all.get(key).and_then(Value::as_object).unwrap_or(&empty);
        // FCM puts an app's own keys below `data`; APNs puts the texts for the screen below `aps`.
        let (aps, data) = (inner("aps"), inner("data"));
        let about = all
            .get(ABOUT)
            .or_else(|| data.get(ABOUT))
            .and_then(object)
            .unwrap_or_default();
        let own = |keys: &[&str]| {
            let places = [&about, &all, data];
            let mut found = places
                .into_iter()
                .flat_map(|place| keys.iter().filter_map(|key| place.get(*key)));
            found.find_map(text)
        };
        let conversation = ConversationId::new(own(&CONVERSATION)?).ok()?;
        let alert = [aps.get("alert"), all.get("alert"), data.get("alert")];
        let alert = alert.into_iter().flatten().next();
        let notification = inner("notification");
        let (title, words) = match alert {
            Some(Value::Object(alert)) => (alert.get("title"), alert.get("body")),
            words => (None, words),
        };
        let title = title
            .or_else(|| all.get("title"))
            .or_else(|| notification.get("title"));
        let words = words.or_else(|| notification.get("body"));
        let badge = [aps.get("badge"), all.get("badge")].into_iter().flatten();
        Some(Self {
            account: own(&ACCOUNT).and_then(|id| ClientId::new(id).ok()),
            conversation,
            message: own(&MESSAGE).and_then(|id| MessageId::new(id).ok()),
            sender: own(&SENDER).and_then(|id| ClientId::new(id).ok()),
            sent_at: own(&TIME)
                .and_then(|millis| Some(Timestamp::from_millis(millis.parse().ok()?))),
            title: title.and_then(text).map(cut),
            words: words.and_then(text).map(cut),
            badge: badge.filter_map(Value::as_u64).next().map(Count),
        })
    }
}

/// An object, or an object in a text, because FCM delivers only texts.
fn object(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

/// A text, or a number as a text, because templates may give either.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<PushHint> {
        PushHint::read(&Json::parse(text).unwrap())
    }

    #[test]
    fn each_platforms_payload_tells_the_same() {
        let apns = r#"{"aps":{"alert":{"title":"Tea","body":"at noon?"},"badge":7},
            "convId":"5f2a9b1c2d3e4f5061728394","fromClientId":"ben","timestamp":"1700000000001","messageId":"m1"}"#;
        let fcm = r#"{"data":{"convId":"5f2a9b1c2d3e4f5061728394","fromClientId":"ben","timestamp":1700000000001,
            "msgId":"m1"},"notification":{"title":"Tea","body":"at noon?"},"badge":7}"#;
        let plain = r#"{"alert":"at noon?","title":"Tea","badge":7,"convId":"5f2a9b1c2d3e4f5061728394",
            "from":"ben","timestamp":1700000000001,"mid":"m1"}"#;
        let expected = read(apns).unwrap();
        assert_eq!(expected.sender.as_ref().map(ClientId::as_str), Some("ben"));
        assert_eq!(
            expected.sent_at.map(Timestamp::as_millis),
            Some(1_700_000_000_001)
        );
        assert_eq!(expected.words.as_deref(), Some("at noon?"));
        assert_eq!(expected.badge, Some(Count(7)));
        assert_eq!(read(fcm), Some(expected.clone()));
        let about = r#"{"account":"ann","conversation":"5f2a9b1c2d3e4f5061728394","message":"m1","sender":"ben",
            "timestamp":1700000000001}"#;
        let service = format!(r#"{{"aps":{{"alert":"hi"}},"convId":"other","sampan":{about}}}"#);
        let text = serde_json::to_string(about).unwrap();
        let google = format!(r#"{{"data":{{"alert":"hi","sampan":{text}}}}}"#);
        assert_eq!(read(&service).unwrap().conversation, expected.conversation);
        assert_eq!(
            read(&service)
                .unwrap()
                .account
                .as_ref()
                .map(ClientId::as_str),
            Some("ann")
        );
        assert_eq!(read(&google), read(&service));
        assert_eq!(read(plain), Some(expected.clone()));
        assert!(!format!("{expected:?}").contains("noon"));
    }

    #[test]
    fn a_payload_of_somebody_elses_is_none_and_odd_values_are_left_out() {
        for text in [
            "{}",
            "[]",
            "7",
            r#"{"aps":{"alert":"sale!"}}"#,
            r#"{"convId":["x"]}"#,
            r#"{"convId":""}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let odd = read(
            r#"{"convId":"c","badge":"Increment","timestamp":"soon","fromClientId":{},"alert":[1]}"#,
        );
        let odd = odd.unwrap();
        assert_eq!(
            (odd.badge, odd.sent_at, odd.sender, odd.words),
            (None, None, None, None)
        );
        let long = format!(r#"{{"convId":"c","alert":"{}"}}"#, "ñ".repeat(5000));
        assert_eq!(
            read(&long).unwrap().words.unwrap().chars().count(),
            WORDS_MAX
        );
    }
}
