//! [`Fcm`]: Google's push service (Firebase Cloud Messaging, HTTP v1).

use futures_util::future::BoxFuture;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use sampan::model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::payload::Push;
use super::senders::{PushError, PushSender};
use super::token::SigningKey;
use super::vendor::{Answer, SettingsError, Vendor, read, roots};
use crate::core::app::App;
use crate::core::push_settings::{FcmSettings, PushSettings};
use crate::shell::outgoing::{self, tls};

/// The scope that the service's token is asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// The time before its end at which a token is replaced, in milliseconds.
const MARGIN_MILLIS: i64 = 5 * 60 * 1000;

/// The most bytes of a payload.
const PAYLOAD_BYTES_MAX: usize = 4096;

/// A service account, as Google gives it out.
#[derive(Deserialize)]
struct Account {
    project_id: String,
    client_email: String,
    private_key_id: String,
    private_key: String,
    token_uri: String,
}

/// Google's push service, with the token of a service account.
pub(super) struct Fcm {
    account: Account,
    key: SigningKey,
    vendor: Vendor,
    tls: TlsConnector,
    /// The token, and the time until which it is used.
    token: Mutex<Option<(i64, String)>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
}

impl Fcm {
    pub(super) fn new(own: &FcmSettings, settings: &PushSettings) -> Result<Self, SettingsError> {
        let json = read(&own.account_file)?;
        let account: Account = serde_json::from_slice(&json)
            .map_err(|_| SettingsError::Malformed(own.account_file.display().to_string()))?;
        Ok(Self {
            key: SigningKey::rs256(account.private_key.as_bytes())?,
            account,
            vendor: Vendor::new(&own.url, roots(settings)?),
            tls: tls(roots(settings)?),
            token: Mutex::default(),
        })
    }

    /// The token, asked for anew when it ends soon.
    async fn token(&self, now: Timestamp) -> Result<String, PushError> {
        let now = now.as_millis();
        let mut token = self.token.lock().await;
        if let Some((_, token)) = token.as_ref().filter(|(until, _)| now < *until) {
            return Ok(token.clone());
        }
        let Account {
            token_uri,
            client_email,
            private_key_id,
            ..
        } = &self.account;
        let at = now / 1000;
        let claims = json!({ "iss": client_email, "scope": SCOPE, "aud": token_uri, "iat": at, "exp": at + 3600 });
        let made = self.key.token(private_key_id, &claims);
        let made = made.map_err(|error| PushError::Settings(error.to_string()))?;
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        let body = format!("grant_type={grant}&assertion={made}");
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let (status, answer) = outgoing::post(&self.tls, token_uri, &headers, body).await?;
        let granted: Granted = match (status, serde_json::from_slice(&answer)) {
            (200, Ok(granted)) => granted,
            (429 | 500..=599, _) => {
                return Err(PushError::Later(format!("the token's status is {status}")));
            }
            _ => {
                return Err(PushError::Refused(format!(
                    "no token was given: status {status}"
                )));
            }
        };
        let lives = granted.expires_in.clamp(0, 86_400) * 1000 - MARGIN_MILLIS;
        *token = Some((now.saturating_add(lives), granted.access_token.clone()));
        Ok(granted.access_token)
    }

    async fn post(&self, push: &Push, now: Timestamp) -> Result<(), PushError> {
        let body = push.for_fcm().to_string();
        if body.len() > PAYLOAD_BYTES_MAX {
            return Err(PushError::TooLarge);
        }
        let token = self.token(now).await?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let bearer = bearer.map_err(|_| PushError::Refused("its token is no header".to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let path = format!("/v1/projects/{}/messages:send", self.account.project_id);
        let answer = self.vendor.post(&path, headers, body).await?;
        if answer.status == 401 {
            *self.token.lock().await = None;
        }
        judge(&answer)
    }
}

fn judge(answer: &Answer) -> Result<(), PushError> {
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let code = details
        .into_iter()
        .flatten()
        .find_map(|it| it.get("errorCode")?.as_str());
    let status = body.pointer("/error/status").and_then(Value::as_str);
    let reason = code
        .or(status)
        .map_or_else(|| format!("status {}", answer.status), str::to_owned);
    match (answer.status, reason.as_str()) {
        (200, _) => Ok(()),
        (_, "UNREGISTERED") => Err(PushError::Unregistered),
        (401 | 429 | 500..=599, _) => Err(PushError::Later(reason)),
        _ => Err(PushError::Refused(reason)),
    }
}

impl PushSender for Fcm {
    fn name(&self) -> &'static str {
        "fcm"
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
