//! The registration of a device for pushes.

use serde_json::{Map, Value, json};

use crate::model::{ClientId, PushDevice, PushPlatform};

/// Where a device announces itself, below the service's address.
pub const INSTALLATIONS_PATH: &str = "/1.1/installations";

/// A device, and for whom it gets pushes.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// For whom.
    pub client: &'a ClientId,
    /// The device.
    pub device: &'a PushDevice,
    /// The device's id in sessions: a session that opens with it gets pushes until it closes.
    pub installation_id: &'a str,
}

impl Installation<'_> {
    /// The body that announces it.
    #[must_use]
    pub fn encode(&self) -> String {
        let PushDevice {
            platform,
            token,
            topic,
            team,
            profile,
            vendor,
            badge,
        } = self.device;
        let mut body = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        let text = |it: &Option<String>| it.clone().map(Value::String);
        put(
            "deviceType",
            Some(json!(match platform {
                PushPlatform::Ios => "ios",
                PushPlatform::Android => "android",
            })),
        );
        put("deviceToken", Some(json!(token)));
        put("installationId", Some(json!(self.installation_id)));
        put("channels", Some(json!([self.client.as_str()])));
        put("apnsTopic", text(topic));
        put("apnsTeamId", text(team));
        put("deviceProfile", text(profile));
        put("vendor", text(vendor));
        put("badge", badge.map(|badge| json!(badge.0)));
        Value::Object(body).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Count;

    #[test]
    fn a_device_announces_what_its_vendor_needs_and_nothing_else() {
        let client = ClientId::new("ann").unwrap();
        let mut device = PushDevice::new(PushPlatform::Ios, "a0b1");
        let of = |device: &PushDevice| -> Value {
            let installation = Installation {
                client: &client,
                device,
                installation_id: "i1",
            };
            serde_json::from_str(&installation.encode()).unwrap()
        };
        let least = json!({"deviceType": "ios", "deviceToken": "a0b1", "installationId": "i1", "channels": ["ann"]});
        assert_eq!(of(&device), least);
        device.topic = Some("com.example.chat".to_owned());
        device.badge = Some(Count(0));
        assert_eq!(of(&device)["apnsTopic"], "com.example.chat");
        assert_eq!(of(&device)["badge"], 0);
    }
}
