//! [`Senders`]: the senders that the pushes of an app go over.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sampan::model::Timestamp;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::info;

use super::apns::Apns;
use super::fcm::Fcm;
use super::payload::Push;
use super::vendor::SettingsError;
use crate::core::PushTarget;
use crate::core::app::App;
use crate::core::push_settings::PushSettings;
use crate::shell::outgoing::{self, CallError, tls};
use crate::shell::report::report;

/// How long one push may take.
pub(super) const PUSH: Duration = Duration::from_secs(15);

/// The reason why a push did not reach its vendor.
#[derive(Debug, thiserror::Error)]
pub(super) enum PushError {
    #[error("the device has this token no more")]
    Unregistered,
    #[error("the vendor refused it: {0}")]
    Refused(String),
    #[error("the vendor can't take it now: {0}")]
    Later(String),
    #[error("it is larger than the vendor allows")]
    TooLarge,
    #[error("it took too long")]
    Slow,
    #[error("the settings of push can't be used: {0}")]
    Settings(String),
}

impl PushError {
    /// The word for this error in the metrics.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::Refused(_) => "refused",
            Self::Later(_) => "unavailable",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Settings(_) => "settings",
        }
    }
}

impl From<CallError> for PushError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Slow => Self::Slow,
            CallError::Url => Self::Settings(error.to_string()),
            other => Self::Later(other.to_string()),
        }
    }
}

/// Sends pushes to devices, through a vendor or the app's own server.
pub(super) trait PushSender: Send + Sync {
    /// The word for this sender in the metrics.
    fn name(&self) -> &'static str;

    /// Hands a push on; when this answers, the vendor has taken it.
    fn send<'a>(
        &'a self,
        app: &'a App,
        push: &'a Push,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), PushError>>;
}

/// The senders of one app.
pub(super) struct Senders {
    settings: PushSettings,
    ios: Box<dyn PushSender>,
    android: Box<dyn PushSender>,
    others: Box<dyn PushSender>,
}

impl Senders {
    /// The senders that the settings name. One whose files cannot be read refuses each push with the reason.
    pub(super) fn new(settings: &PushSettings) -> Self {
        let own = || -> Box<dyn PushSender> {
            match &settings.webhook {
                Some(url) => usable("webhook", Webhook::new(url, settings)),
                None => Box::new(Log),
            }
        };
        let ios = settings.apns.as_ref();
        let android = settings.fcm.as_ref();
        Self {
            ios: ios.map_or_else(own, |it| usable("apns", Apns::new(it, settings))),
            android: android.map_or_else(own, |it| usable("fcm", Fcm::new(it, settings))),
            others: own(),
            settings: settings.clone(),
        }
    }

    /// True if these settings made the senders.
    pub(super) fn are_of(&self, settings: &PushSettings) -> bool {
        self.settings == *settings
    }

    fn sender_for(&self, target: &PushTarget) -> &dyn PushSender {
        match target.device_type.as_str() {
            "ios" => &*self.ios,
            "android" => &*self.android,
            _ => &*self.others,
        }
    }

    /// The word in the metrics for the sender that serves a device.
    pub(super) fn name_for(&self, target: &PushTarget) -> &'static str {
        self.sender_for(target).name()
    }

    /// Hands a push to the sender of its device.
    pub(super) async fn send(
        &self,
        app: &App,
        push: &Push,
        now: Timestamp,
    ) -> Result<(), PushError> {
        let sent = self.sender_for(&push.target).send(app, push, now);
        timeout(PUSH, sent).await.unwrap_or(Err(PushError::Slow))
    }
}

fn usable<T: PushSender + 'static>(
    name: &'static str,
    made: Result<T, SettingsError>,
) -> Box<dyn PushSender> {
    match made {
        Ok(sender) => Box::new(sender),
        Err(error) => {
            report(format_args!("push by {name} can't be used: {error}"));
            let why = error.to_string();
            Box::new(Unusable { name, why })
        }
    }
}

/// A sender whose settings cannot be used.
struct Unusable {
    name: &'static str,
    why: String,
}

impl PushSender for Unusable {
    fn name(&self) -> &'static str {
        self.name
    }

    fn send<'a>(
        &'a self,
        _: &'a App,
        _: &'a Push,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<(), PushError>> {
        let error = PushError::Settings(self.why.clone());
        Box::pin(async { Err(error) })
    }
}

/// Writes into the log that a push would be sent: the device, and nothing of the content.
struct Log;

impl PushSender for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn send<'a>(
        &'a self,
        app: &'a App,
        push: &'a Push,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<(), PushError>> {
        let (app, installation) = (&app.credentials.id, &push.target.installation);
        info!(%app, installation, client = %push.target.client, "push");
        Box::pin(async { Ok(()) })
    }
}

/// Hands pushes to the app's own server, signed as hooks are.
struct Webhook {
    url: String,
    tls: TlsConnector,
}

impl Webhook {
    fn new(url: &str, settings: &PushSettings) -> Result<Self, SettingsError> {
        let tls = tls(super::vendor::roots(settings)?);
        let url = url.to_owned();
        Ok(Self { url, tls })
    }
}

impl PushSender for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn send<'a>(
        &'a self,
        app: &'a App,
        push: &'a Push,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), PushError>> {
        Box::pin(async move {
            let body = push.for_webhook(now).to_string();
            let headers = outgoing::signed(app, "push", now, &body);
            let (status, _) = outgoing::post(&self.tls, &self.url, &headers, body).await?;
            match status {
                200..=299 => Ok(()),
                410 => Err(PushError::Unregistered),
                429 | 500..=599 => Err(PushError::Later(format!("status {status}"))),
                _ => Err(PushError::Refused(format!("status {status}"))),
            }
        })
    }
}
