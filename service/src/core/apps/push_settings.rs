//! The settings of push to sleeping devices: the switch, the payload, and the vendors.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::hook_settings::is_url;
use super::range::{Range, range};

/// Pushing to the devices of clients that are offline. By default nothing is pushed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushSettings {
    /// True if the service pushes; devices that announce themselves are kept then. Default false.
    pub enabled: bool,
    /// The push for a message that brings no push data of its own, such as `{"alert": "A message of
    /// ${fromClientId}"}`. Default nothing: such a message is not pushed.
    pub template: Option<Map<String, Value>>,
    /// The time for which a vendor keeps a push for a device that is off, in seconds, 0 to 2419200 (28 days).
    /// Default 604800 (7 days).
    pub expiry_secs: u64,
    /// A URL of the app's own server that is handed each push as JSON, for devices that neither `apns` nor `fcm`
    /// takes. Without all three, pushes are written to the log. Default none.
    pub webhook: Option<String>,
    /// Apple's service, for devices of the type `ios`. Default none.
    pub apns: Option<ApnsSettings>,
    /// Google's service, for devices of the type `android`. Default none.
    pub fcm: Option<FcmSettings>,
    /// A PEM file of the certificates that these are believed by, in place of those that browsers trust.
    pub ca_file: Option<PathBuf>,
}

impl Eq for PushSettings {}

/// The access to Apple's push service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApnsSettings {
    /// The key that Apple gave out: a `.p8` file.
    pub key_file: PathBuf,
    /// The id of that key.
    pub key_id: String,
    /// The team; a push with `_apns_team_id` and a device with a team are sent under theirs.
    pub team_id: String,
    /// The bundle id of the app, for devices that name none.
    pub topic: String,
    /// Apple's address. Default `https://api.push.apple.com`.
    #[serde(default = "apns_url")]
    pub url: String,
    /// Apple's address for apps in development (`_profile` is `dev`). Default
    /// `https://api.sandbox.push.apple.com`.
    #[serde(default = "apns_dev_url")]
    pub dev_url: String,
}

/// The access to Google's push service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmSettings {
    /// The service account's file, as Google gives it out.
    pub account_file: PathBuf,
    /// Google's address. Default `https://fcm.googleapis.com`.
    #[serde(default = "fcm_url")]
    pub url: String,
}

fn apns_url() -> String {
    "https://api.push.apple.com".to_owned()
}

fn apns_dev_url() -> String {
    "https://api.sandbox.push.apple.com".to_owned()
}

fn fcm_url() -> String {
    "https://fcm.googleapis.com".to_owned()
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            template: None,
            expiry_secs: 604_800,
            webhook: None,
            apns: None,
            fcm: None,
            ca_file: None,
        }
    }
}

/// The variables of a message that a template may name.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// `${convId}`
    pub conversation: &'a str,
    /// `${timestamp}`, in milliseconds
    pub sent_at: i64,
    /// `${fromClientId}`
    pub from: &'a str,
}

impl PushSettings {
    /// The time for which a vendor keeps a push for a device that is off.
    #[must_use]
    pub const fn expiry(&self) -> Duration {
        Duration::from_secs(self.expiry_secs)
    }

    pub(super) fn ranges(&self) -> [Range; 1] {
        [range("push.expiry_secs", self.expiry_secs, 0, 2_419_200)]
    }

    /// The fault of the settings, if there is one.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let urls = [
            self.webhook.as_ref(),
            self.apns.as_ref().map(|it| &it.url),
            self.apns.as_ref().map(|it| &it.dev_url),
            self.fcm.as_ref().map(|it| &it.url),
        ];
        match urls.into_iter().flatten().all(|url| is_url(url)) {
            true => None,
            false => Some("a URL of push must look like https://HOST/PATH"),
        }
    }

    /// The payload of a message's push: its own push data if they are a JSON object, else the app's template.
    #[must_use]
    pub fn payload(
        &self,
        push_data: Option<&str>,
        variables: Variables<'_>,
    ) -> Option<Map<String, Value>> {
        let own = push_data.and_then(|text| serde_json::from_str(text).ok());
        own.or_else(|| {
            let mut template = self.template.clone()?;
            template
                .values_mut()
                .for_each(|value| fill_in(value, variables));
            Some(template)
        })
    }
}

/// Puts the variables into all texts of a template.
fn fill_in(value: &mut Value, variables: Variables<'_>) {
    match value {
        Value::String(text) => *text = filled(text, variables),
        Value::Array(list) => list.iter_mut().for_each(|it| fill_in(it, variables)),
        Value::Object(object) => object.values_mut().for_each(|it| fill_in(it, variables)),
        _ => {}
    }
}

/// A text with its variables filled in, from left to right: a filled-in value is not looked through again.
fn filled(text: &str, variables: Variables<'_>) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        made.push_str(before);
        let (name, after) = behind.split_once('}').unwrap_or(("", ""));
        let value = match name {
            "convId" => variables.conversation.to_owned(),
            "timestamp" => variables.sent_at.to_string(),
            "fromClientId" => variables.from.to_owned(),
            _ => {
                made.push_str("${");
                rest = behind;
                continue;
            }
        };
        made.push_str(&value);
        rest = after;
    }
    made.push_str(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OF: Variables<'_> = Variables {
        conversation: "c1",
        sent_at: 1_700_000_000_000,
        from: "${convId}",
    };

    fn settings(template: &Value) -> PushSettings {
        serde_json::from_value(json!({"enabled": true, "template": template})).unwrap()
    }

    // S245, S255, S256
    #[test]
    fn s255_a_template_names_the_conversation_the_time_and_the_sender() {
        let settings = settings(&json!({
            "alert": {"body": "${fromClientId} in ${convId} at ${timestamp}, ${other} ${"},
            "badge": "Increment",
        }));
        let payload = settings.payload(None, OF).unwrap();
        let body = "${convId} in c1 at 1700000000000, ${other} ${";
        assert_eq!(
            Value::from(payload),
            json!({"alert": {"body": body}, "badge": "Increment"})
        );
    }

    #[test]
    fn s248_push_data_of_a_message_go_before_the_template() {
        let settings = settings(&json!({"alert": "static"}));
        let alert = |data| settings.payload(data, OF).unwrap()["alert"].clone();
        assert_eq!(alert(Some(r#"{"alert":"own"}"#)), "own");
        assert_eq!(alert(Some("no object")), "static");
        assert_eq!(alert(None), "static");
        assert_eq!(PushSettings::default().payload(None, OF), None);
    }

    #[test]
    fn settings_of_vendors_are_read_with_their_addresses() {
        let text = r#"{"enabled": true, "apns": {"key_file": "k.p8", "key_id": "K", "team_id": "T", "topic": "dev.app"}}"#;
        let settings: PushSettings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.fault(), None);
        assert_eq!(settings.apns.unwrap().url, "https://api.push.apple.com");
        let settings: PushSettings = serde_json::from_str(r#"{"webhook": "ftp://x"}"#).unwrap();
        assert!(settings.fault().is_some());
    }
}
