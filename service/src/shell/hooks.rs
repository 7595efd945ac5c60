//! Carries the questions of the core to the functions of an app's own server, and the answers back.
//!
//! A function before an operation gets one request. A further request follows only when no connection was made,
//! so the function is never asked twice. A function after an operation is called until it answers, at most
//! three times: it may get an event twice, and recognises messages by their ids.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::actor::Letter;
use super::clock::Clock;
use super::feed::{Event, Feed};
use super::metrics::Metrics;
use super::outgoing::{self, CallError};
use super::report::report;
use crate::core::app::App;
use crate::core::{ConnectionId, HookAnswer, HookCall};

/// Calls that are under way at a time.
const CALLS_MAX: usize = 256;

/// How long a function that is told something may take.
const TOLD_TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses before a function is told again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Calls hooks, each in a task of its own.
#[derive(Clone)]
pub(super) struct HookCaller {
    clock: Clock,
    /// The core may end while a call is under way.
    mailbox: mpsc::WeakSender<Letter>,
    calls: Arc<Semaphore>,
    tls: TlsConnector,
    metrics: Arc<Metrics>,
    /// The inspector's feed, if there is an inspector.
    feed: Option<Arc<Feed>>,
}

impl HookCaller {
    pub(super) fn new(
        clock: Clock,
        mailbox: mpsc::WeakSender<Letter>,
        (metrics, feed): (Arc<Metrics>, Option<Arc<Feed>>),
    ) -> Self {
        Self {
            clock,
            mailbox,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            tls: outgoing::tls(outgoing::web_roots()),
            metrics,
            feed,
        }
    }

    /// Calls a hook of an app; where a connection waits, the core is told the answer.
    pub(super) fn call(&self, app: App, waits: Option<ConnectionId>, call: HookCall) {
        let caller = self.clone();
        tokio::spawn(async move {
            match waits {
                None => caller.tell(&app, &call).await,
                Some(connection) => {
                    let answer = caller.ask(&app, &call).await;
                    if let Some(mailbox) = caller.mailbox.upgrade() {
                        // A core that has ended has no connections that wait.
                        let _ = mailbox
                            .send(Letter::HookAnswer { connection, answer })
                            .await;
                    }
                }
            }
        });
    }

    /// Asks a hook; none where it failed or took too long.
    pub(super) async fn ask(&self, app: &App, call: &HookCall) -> HookAnswer {
        let asked = async {
            let _permit = self.calls.acquire().await;
            match self.post(app, call).await {
                Err(CallError::Unreachable(_)) => self.post(app, call).await,
                other => other,
            }
        };
        let answer = timeout(app.settings.hooks.timeout(), asked).await;
        let answer = answer.unwrap_or(Err(CallError::Slow));
        self.note(call, &answer);
        match answer {
            Ok(result) => Some(result),
            Err(error) => {
                failed(call, &error);
                None
            }
        }
    }

    async fn tell(&self, app: &App, call: &HookCall) {
        let Ok(_permit) = self.calls.try_acquire() else {
            let name = call.hook.as_str();
            report(format_args!(
                "hook {name} was not told: too many calls are under way"
            ));
            return;
        };
        let mut pauses = PAUSES.iter();
        loop {
            let told = timeout(TOLD_TIMEOUT, self.post(app, call)).await;
            let told = told.unwrap_or(Err(CallError::Slow));
            self.note(call, &told);
            let Err(error) = told else {
                return;
            };
            let is_refused = matches!(error, CallError::Status(400..=499) | CallError::Url);
            match pauses.next().filter(|_| !is_refused) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return failed(call, &error),
            }
        }
    }

    /// Counts a call, and tells the inspector.
    fn note(&self, call: &HookCall, answer: &Result<Map<String, Value>, CallError>) {
        let word = answer.as_ref().err().map_or("ok", CallError::word);
        let name = call.hook.as_str();
        self.metrics.hook_called(name, word);
        if let Some(feed) = &self.feed {
            feed.tell(Event {
                at: self.clock.now().wall.as_millis(),
                what: "hook",
                details: Some(format!("{name} of {}: {word}", call.app)),
                ..Event::default()
            });
        }
    }

    /// One request.
    async fn post(&self, app: &App, call: &HookCall) -> Result<Map<String, Value>, CallError> {
        let base = app.settings.hooks.url.as_deref().ok_or(CallError::Url)?;
        let name = call.hook.as_str();
        let url = format!("{}/{name}", base.trim_end_matches('/'));
        let body = call.parameters.to_string();
        let headers = outgoing::signed(app, name, self.clock.now().wall, &body);
        let (status, body) = outgoing::post(&self.tls, &url, &headers, body).await?;
        match status {
            200..=299 => result_of(&body),
            _ => Err(CallError::Status(status)),
        }
    }
}

fn failed(call: &HookCall, error: &CallError) {
    let (app, name) = (&call.app, call.hook.as_str());
    report(format_args!("hook {name} of app {app} failed: {error}"));
}

fn result_of(body: &[u8]) -> Result<Map<String, Value>, CallError> {
    let body = match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(body).map_err(|_| CallError::Malformed)?,
    };
    match body {
        Value::Null => Ok(Map::new()),
        Value::Object(mut object) => match object.remove("result") {
            None => Ok(object),
            Some(Value::Object(result)) => Ok(result),
            // A function that has nothing to say.
            Some(_) => Ok(Map::new()),
        },
        _ => Err(CallError::Malformed),
    }
}
