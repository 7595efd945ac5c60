//! [`Apns`]: Apple's push service.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sampan::model::Timestamp;
use serde_json::{Value, json};

use super::payload::Push;
use super::senders::{PushError, PushSender};
use super::token::SigningKey;
use super::vendor::{Answer, SettingsError, Vendor, read, roots};
use crate::core::app::App;
use crate::core::push_settings::{ApnsSettings, PushSettings};

/// How long a token is used, in milliseconds: Apple takes none that is older than an hour, and wants none
/// younger than 20 minutes replaced.
const TOKEN_MILLIS: i64 = 40 * 60 * 1000;

/// The most teams whose tokens are kept. A sender may name any team in a message, so their number needs a limit.
const TEAMS_MAX: usize = 64;

/// The most bytes of a payload.
const PAYLOAD_BYTES_MAX: usize = 4096;

/// Apple's push service, over HTTP/2 with a token.
pub(super) struct Apns {
    settings: ApnsSettings,
    key: SigningKey,
    production: Vendor,
    development: Vendor,
    /// The token of each team, and the time at which it was made.
    tokens: Mutex<HashMap<String, (i64, String)>>,
}

impl Apns {
    pub(super) fn new(own: &ApnsSettings, settings: &PushSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            key: SigningKey::es256(&read(&own.key_file)?)?,
            production: Vendor::new(&own.url, roots(settings)?),
            development: Vendor::new(&own.dev_url, roots(settings)?),
            settings: own.clone(),
            tokens: Mutex::default(),
        })
    }

    /// The token of a team, made anew when it is old.
    fn token(&self, team: &str, now: Timestamp) -> Result<String, PushError> {
        let now = now.as_millis();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |made: i64| (0..TOKEN_MILLIS).contains(&now.saturating_sub(made));
        if let Some((_, token)) = tokens.get(team).filter(|(made, _)| fresh(*made)) {
            return Ok(token.clone());
        }
        let claims = json!({ "iss": team, "iat": now / 1000 });
        let made = self.key.token(&self.settings.key_id, &claims);
        let token = made.map_err(|error| PushError::Settings(error.to_string()))?;
        if tokens.len() >= TEAMS_MAX {
            // The token of the app's own team stays: Apple refuses tokens that are replaced too often.
            tokens.retain(|team, _| *team == self.settings.team_id);
        }
        tokens.insert(team.to_owned(), (now, token.clone()));
        Ok(token)
    }

    fn headers(&self, push: &Push, now: Timestamp) -> Result<HeaderMap, PushError> {
        let team = push.team.as_deref().unwrap_or(&self.settings.team_id);
        let token = self.token(team, now)?;
        let topic = push.target.topic.as_deref().unwrap_or(&self.settings.topic);
        let (kind, priority) = match push.is_silent() {
            true => ("background", "5"),
            false => ("alert", "10"),
        };
        let expiration = push.expires_at(now).to_string();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (AUTHORIZATION, format!("bearer {token}")),
            (HeaderName::from_static("apns-topic"), topic.to_owned()),
            (HeaderName::from_static("apns-push-type"), kind.to_owned()),
            (
                HeaderName::from_static("apns-priority"),
                priority.to_owned(),
            ),
            (HeaderName::from_static("apns-expiration"), expiration),
        ] {
            let value = HeaderValue::try_from(value);
            let value =
                value.map_err(|_| PushError::Refused("its topic is no topic".to_owned()))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    async fn post(&self, push: &Push, now: Timestamp) -> Result<(), PushError> {
        let token = &push.target.token;
        if token.is_empty() || !token.bytes().all(|it| it.is_ascii_alphanumeric()) {
            return Err(PushError::Unregistered);
        }
        let body = push.for_apns().to_string();
        if body.len() > PAYLOAD_BYTES_MAX {
            return Err(PushError::TooLarge);
        }
        let vendor = match push.profile.as_deref() {
            Some("dev") => &self.development,
            _ => &self.production,
        };
        let headers = self.headers(push, now)?;
        let answer = vendor
            .post(&format!("/3/device/{token}"), headers, body)
            .await?;
        self.judge(&answer)
    }

    fn judge(&self, answer: &Answer) -> Result<(), PushError> {
        let reason = serde_json::from_slice::<Value>(&answer.body).ok();
        let reason = reason.and_then(|it| Some(it.get("reason")?.as_str()?.to_owned()));
        let reason = reason.unwrap_or_else(|| format!("status {}", answer.status));
        match (answer.status, reason.as_str()) {
            (200, _) => Ok(()),
            (410, _) => Err(PushError::Unregistered),
            (403, "ExpiredProviderToken") => {
                self.tokens
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clear();
                Err(PushError::Later(reason))
            }
            (429 | 500..=599, _) => Err(PushError::Later(reason)),
            (413, _) => Err(PushError::TooLarge),
            _ => Err(PushError::Refused(reason)),
        }
    }
}

impl PushSender for Apns {
    fn name(&self) -> &'static str {
        "apns"
    }

    fn send<'a>(
        &'a self,
        _: &'a App,
        push: &'a Push,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), PushError>> {
        Box::pin(self.post(push, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_that_senders_make_up_fill_no_memory_and_push_out_no_token_of_the_own_team() {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("k.p8");
        std::fs::write(
            &key_file,
            rcgen::KeyPair::generate().unwrap().serialize_pem(),
        )
        .unwrap();
        let settings = json!({"apns": {"key_file": key_file, "key_id": "K", "team_id": "T", "topic": "dev.app"}});
        let settings: PushSettings = serde_json::from_value(settings).unwrap();
        let apns = Apns::new(settings.apns.as_ref().unwrap(), &settings).unwrap();
        let now = Timestamp::from_millis(1_000_000);
        let own = apns.token("T", now).unwrap();
        for number in 0..10 * TEAMS_MAX {
            apns.token(&format!("team {number}"), now).unwrap();
        }
        assert!(apns.tokens.lock().unwrap().len() <= TEAMS_MAX);
        assert_eq!(apns.token("T", now).unwrap(), own);
    }
}
