//! [`Push`]: the push for one device, in the forms of the vendors.

use std::time::Duration;

use sampan::model::Timestamp;
use serde_json::{Map, Value, json};

use crate::core::{PushOrder, PushTarget};

/// Keys of a payload that Apple's service knows, and its names for them.
const APS: [(&str, &str); 7] = [
    ("alert", "alert"),
    ("sound", "sound"),
    ("category", "category"),
    ("content-available", "content-available"),
    ("mutable-content", "mutable-content"),
    ("thread-id", "thread-id"),
    ("interruption-level", "interruption-level"),
];

/// The push for one device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Push {
    pub(super) target: PushTarget,
    /// Without the fields that are for the service alone.
    pub(super) payload: Map<String, Value>,
    /// The certificate that the payload names.
    pub(super) profile: Option<String>,
    /// The team that it names.
    pub(super) team: Option<String>,
    pub(super) expiry: Duration,
    pub(super) sent_at: Timestamp,
}

/// True if a payload lets the number on the icon grow.
pub(super) fn counts(payload: &Map<String, Value>) -> bool {
    let of = |payload: &Map<String, Value>| {
        payload.get("badge").and_then(Value::as_str) == Some("Increment")
    };
    let by_type = payload.values().filter_map(Value::as_object).any(of);
    of(payload) || by_type
}

impl Push {
    /// The push of a message to a device.
    pub(super) fn new(
        order: &PushOrder,
        payload: &Map<String, Value>,
        target: PushTarget,
        expiry: Duration,
    ) -> Self {
        let control = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        let (profile, team) = (control("_profile"), control("_apns_team_id"));
        // A payload may have a part for each type of device.
        let own = payload.get(&target.device_type).and_then(Value::as_object);
        let mut payload = own.unwrap_or(payload).clone();
        payload.retain(|key, _| !key.starts_with('_'));
        if payload.get("badge").and_then(Value::as_str) == Some("Increment") {
            payload.insert("badge".to_owned(), Value::from(target.badge));
        }
        let about = json!({
            "account": target.client.as_str(),
            "conversation": order.conversation.as_str(),
            "message": order.message.as_str(),
            "sender": order.from.as_str(),
            "timestamp": order.sent_at.as_millis(),
        });
        payload.insert("sampan".to_owned(), about);
        Self {
            profile: profile.or_else(|| target.profile.clone()),
            team: team.or_else(|| target.team.clone()),
            target,
            payload,
            expiry,
            sent_at: order.sent_at,
        }
    }

    /// The time at which the vendor is to give it up, in seconds since 1970; zero for at once.
    pub(super) fn expires_at(&self, now: Timestamp) -> i64 {
        match self.expiry.is_zero() {
            true => 0,
            false => now.saturating_add(self.expiry).as_millis() / 1000,
        }
    }

    /// True if the device shows nothing of the push.
    pub(super) fn is_silent(&self) -> bool {
        ["alert", "sound", "badge"]
            .iter()
            .all(|key| !self.payload.contains_key(*key))
    }

    /// The body for Apple's service.
    pub(super) fn for_apns(&self) -> Value {
        let mut aps = Map::new();
        let mut rest = self.payload.clone();
        for (key, name) in APS {
            if let Some(value) = rest.remove(key) {
                aps.insert(name.to_owned(), value);
            }
        }
        if let Some(badge) = rest.remove("badge").filter(Value::is_u64) {
            aps.insert("badge".to_owned(), badge);
        }
        if self.is_silent() {
            aps.entry("content-available")
                .or_insert_with(|| Value::from(1));
        }
        rest.insert("aps".to_owned(), Value::from(aps));
        Value::from(rest)
    }

    /// The body for Google's service: texts in `notification`, everything else as texts in `data`.
    pub(super) fn for_fcm(&self) -> Value {
        let mut rest = self.payload.clone();
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let alert = rest.remove("alert");
        let title = rest.remove("title");
        let mut notification = Map::new();
        match alert {
            Some(Value::Object(alert)) => {
                for key in ["title", "body"] {
                    if let Some(value) = alert.get(key) {
                        notification.insert(key.to_owned(), Value::from(text(value)));
                    }
                }
            }
            Some(alert) => {
                notification.insert("body".to_owned(), Value::from(text(&alert)));
            }
            None => {}
        }
        if let Some(title) = title {
            notification.insert("title".to_owned(), Value::from(text(&title)));
        }
        let data: Map<String, Value> = rest
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(text(value))))
            .collect();
        let mut message = json!({
            "token": self.target.token,
            "data": data,
            "android": { "ttl": format!("{}s", self.expiry.as_secs()), "priority": "HIGH" },
        });
        if let (false, Some(message)) = (notification.is_empty(), message.as_object_mut()) {
            message.insert("notification".to_owned(), Value::from(notification));
        }
        json!({ "message": message })
    }

    /// The body for the app's own server.
    pub(super) fn for_webhook(&self, now: Timestamp) -> Value {
        json!({
            "client": self.target.client.as_str(),
            "objectId": self.target.installation,
            "deviceType": self.target.device_type,
            "deviceToken": self.target.token,
            "apnsTopic": self.target.topic,
            "apnsTeamId": self.team,
            "profile": self.profile,
            "expiresAt": self.expires_at(now),
            "payload": self.payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan::model::{AppId, ClientId, ConversationId, MessageId};

    pub(super) fn push(device_type: &str, payload: &Value) -> Push {
        let order = PushOrder {
            app: AppId::new("app").unwrap(),
            conversation: ConversationId::new("c").unwrap(),
            from: ClientId::new("Tom").unwrap(),
            message: MessageId::new("m").unwrap(),
            sent_at: Timestamp::from_millis(1),
            offline: Vec::new(),
            payload: None,
            hook: None,
        };
        let target = PushTarget {
            client: ClientId::new("Jerry").unwrap(),
            installation: "i".to_owned(),
            device_type: device_type.to_owned(),
            token: "t".to_owned(),
            topic: None,
            team: None,
            profile: None,
            badge: 3,
        };
        let payload = payload.as_object().unwrap();
        Push::new(&order, payload, target, Duration::from_secs(604_800))
    }

    const ABOUT: &str =
        r#"{"account":"Jerry","conversation":"c","message":"m","sender":"Tom","timestamp":1}"#;

    #[test]
    fn s252_s253_s254_control_fields_choose_and_are_not_delivered() {
        let payload = json!({"alert": "Hi", "_profile": "dev", "_apns_team_id": "T2", "badge": "Increment", "k": 1});
        assert!(counts(payload.as_object().unwrap()));
        let push = push("ios", &payload);
        assert_eq!(
            (push.profile.as_deref(), push.team.as_deref()),
            (Some("dev"), Some("T2"))
        );
        let about: Value = serde_json::from_str(ABOUT).unwrap();
        let body = json!({"aps": {"alert": "Hi", "badge": 3}, "k": 1, "sampan": about});
        assert_eq!(push.for_apns(), body);
    }

    #[test]
    fn google_gets_texts() {
        let push = push(
            "android",
            &json!({"alert": {"title": "Tom", "body": "Hi"}, "n": 1, "o": {"a": []}}),
        );
        let about: Value = serde_json::from_str(ABOUT).unwrap();
        let body = json!({"message": {
            "token": "t",
            "notification": {"title": "Tom", "body": "Hi"},
            "data": {"n": "1", "o": "{\"a\":[]}", "sampan": about.to_string()},
            "android": {"ttl": "604800s", "priority": "HIGH"},
        }});
        assert_eq!(push.for_fcm(), body);
    }

    #[test]
    fn a_payload_may_have_a_part_for_each_type() {
        let both = json!({"ios": {"alert": "i"}, "android": {"alert": "a"}});
        assert_eq!(push("ios", &both).payload["alert"], "i");
        assert_eq!(push("android", &both).payload["alert"], "a");
        let silent = push("ios", &json!({"k": 1}));
        assert!(silent.is_silent());
        assert_eq!(silent.for_apns()["aps"], json!({"content-available": 1}));
    }

    // S251
    #[test]
    fn s251_a_push_expires_when_the_settings_say() {
        let mut push = push("ios", &json!({"alert": "Hi"}));
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(push.expires_at(now), 1000 + 604_800);
        push.expiry = Duration::ZERO;
        assert_eq!(push.expires_at(now), 0);
    }
}
