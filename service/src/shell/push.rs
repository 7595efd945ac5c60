//! Push: asks the app's hook, looks the devices up, and passes each push to a sender.
//!
//! Pushes do not delay messages: they are made in tasks of their own, and the number of tasks is bounded. A
//! push over that number is dropped and counted; the message itself is kept anyway.

mod apns;
mod fcm;
mod payload;
mod senders;
mod token;
mod vendor;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use sampan::model::{AppId, ClientId};
use serde_json::{Map, Value};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc, oneshot};

use self::payload::Push;
use self::senders::{PushError, Senders};
use super::actor::Letter;
use super::clock::Clock;
use super::feed::{Event, Feed};
use super::hooks::HookCaller;
use super::metrics::Metrics;
use super::report::report;
use crate::core::app::App;
use crate::core::{PushOrder, PushQuestion, PushTarget};

/// Messages whose pushes are under way at a time.
const ORDERS_MAX: usize = 256;

/// Pushes of one message that are under way at a time.
const PUSHES_MAX: usize = 16;

/// The pauses before a push is tried again that its vendor could not take.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Makes pushes of messages, each message in a task of its own.
#[derive(Clone)]
pub(super) struct Pusher {
    clock: Clock,
    /// The core may end while pushes are under way.
    mailbox: mpsc::WeakSender<Letter>,
    hooks: HookCaller,
    orders: Arc<Semaphore>,
    /// One question at a time: clients that sign in and send go before.
    question: Arc<AsyncMutex<()>>,
    senders: Arc<Mutex<HashMap<AppId, Arc<Senders>>>>,
    metrics: Arc<Metrics>,
    feed: Option<Arc<Feed>>,
}

/// The payload and the clients of a push, after the app's hook was asked.
struct Decided {
    clients: Vec<ClientId>,
    payload: Map<String, Value>,
    force: bool,
}

impl Pusher {
    pub(super) fn new(
        clock: Clock,
        mailbox: mpsc::WeakSender<Letter>,
        hooks: HookCaller,
        (metrics, feed): (Arc<Metrics>, Option<Arc<Feed>>),
    ) -> Self {
        Self {
            clock,
            mailbox,
            hooks,
            orders: Arc::new(Semaphore::new(ORDERS_MAX)),
            question: Arc::default(),
            senders: Arc::default(),
            metrics,
            feed,
        }
    }

    /// Pushes a message to the devices of offline clients.
    pub(super) fn push(&self, app: App, order: PushOrder) {
        let Ok(permit) = Arc::clone(&self.orders).try_acquire_owned() else {
            self.metrics.pushed("none", "dropped");
            return report(format_args!(
                "a message was not pushed: too many are under way"
            ));
        };
        let pusher = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            pusher.carry_out(&app, order).await;
        });
    }

    async fn carry_out(&self, app: &App, order: PushOrder) {
        let answer = match &order.hook {
            None => None,
            Some(call) => self.hooks.ask(app, call).await,
        };
        let Some(decided) = decide(&order, answer) else {
            return;
        };
        let senders = self.senders_of(app);
        for clients in decided.clients.chunks(PushQuestion::CLIENTS_MAX) {
            let question = PushQuestion {
                app: order.app.clone(),
                conversation: order.conversation.clone(),
                clients: clients.to_vec(),
                force: decided.force,
                counts: payload::counts(&decided.payload),
            };
            let targets = self.targets(question).await;
            let pushes = stream::iter(targets).map(|target| {
                let push = Push::new(&order, &decided.payload, target, app.settings.push.expiry());
                self.deliver(app, &senders, push)
            });
            pushes
                .buffer_unordered(PUSHES_MAX)
                .for_each(async |()| {})
                .await;
        }
    }

    /// The devices of clients; none where the core has ended.
    async fn targets(&self, question: PushQuestion) -> Vec<PushTarget> {
        let _turn = self.question.lock().await;
        let Some(mailbox) = self.mailbox.upgrade() else {
            return Vec::new();
        };
        let (answer, answered) = oneshot::channel();
        let question = Box::new(question);
        if mailbox
            .send(Letter::PushTargets { question, answer })
            .await
            .is_err()
        {
            return Vec::new();
        }
        drop(mailbox);
        answered.await.unwrap_or_default()
    }

    /// The senders of an app. They are made again when the settings of the app change.
    fn senders_of(&self, app: &App) -> Arc<Senders> {
        let mut all = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let id = &app.credentials.id;
        match all.get(id).filter(|it| it.are_of(&app.settings.push)) {
            Some(senders) => Arc::clone(senders),
            None => {
                let senders = Arc::new(Senders::new(&app.settings.push));
                all.insert(id.clone(), Arc::clone(&senders));
                senders
            }
        }
    }

    /// The settings were read again. The senders are made anew, because the key files may have new content.
    pub(super) fn forget_senders(&self) {
        let mut all = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }

    async fn deliver(&self, app: &App, senders: &Senders, push: Push) {
        let sender = senders.name_for(&push.target);
        let mut pauses = PAUSES.iter();
        let result = loop {
            let now = self.clock.now().wall;
            let result = senders.send(app, &push, now).await;
            match (&result, pauses.next()) {
                (Err(PushError::Later(_)), Some(pause)) => tokio::time::sleep(*pause).await,
                _ => break result,
            }
        };
        let word = result.as_ref().err().map_or("ok", PushError::word);
        self.metrics.pushed(sender, word);
        if let Some(feed) = &self.feed {
            feed.tell(Event {
                at: self.clock.now().wall.as_millis(),
                what: "push",
                details: Some(format!("{sender} of {}: {word}", app.credentials.id)),
                ..Event::default()
            });
        }
        let Err(error) = result else {
            return;
        };
        let installation = push.target.installation;
        if let PushError::Unregistered = error
            && let Some(mailbox) = self.mailbox.upgrade()
        {
            let (app, token) = (app.credentials.id.clone(), push.target.token);
            let letter = Letter::PushRefused {
                app,
                installation,
                token,
            };
            // If the core has ended, the device is removed when the vendor refuses it the next time.
            let _ = mailbox.send(letter).await;
            return;
        }
        report(format_args!(
            "a push by {sender} to installation {installation} failed: {error}"
        ));
    }
}

/// Decides on the payload and the clients: the app's hook goes before the message's push data and the app's
/// template.
fn decide(order: &PushOrder, answer: Option<Map<String, Value>>) -> Option<Decided> {
    let answer = answer.unwrap_or_default();
    let is = |key: &str| answer.get(key).and_then(Value::as_bool) == Some(true);
    if is("skip") {
        return None;
    }
    let mut clients = order.offline.clone();
    if let Some(Value::Array(named)) = answer.get("offlinePeers") {
        clients.retain(|client| named.iter().any(|it| it.as_str() == Some(client.as_str())));
    }
    let own = match answer.get("pushMessage") {
        Some(Value::Object(own)) => Some(own.clone()),
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        _ => None,
    };
    Some(Decided {
        clients,
        payload: own.or_else(|| order.payload.clone())?,
        force: is("force"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan::model::{ConversationId, MessageId, Timestamp};
    use serde_json::json;

    fn order(payload: Option<Value>) -> PushOrder {
        let payload = payload.map(|it| it.as_object().unwrap().clone());
        PushOrder {
            app: AppId::new("app").unwrap(),
            conversation: ConversationId::new("c").unwrap(),
            from: ClientId::new("Tom").unwrap(),
            message: MessageId::new("m").unwrap(),
            sent_at: Timestamp::from_millis(1),
            offline: ["Jerry", "Spike"]
                .map(|it| ClientId::new(it).unwrap())
                .to_vec(),
            payload,
            hook: None,
        }
    }

    fn decided(payload: Option<Value>, answer: Value) -> Option<(Value, Vec<String>, bool)> {
        let answer = answer.as_object().cloned();
        let decided = decide(&order(payload), answer)?;
        let clients = decided.clients.iter().map(ToString::to_string).collect();
        Some((Value::from(decided.payload), clients, decided.force))
    }

    #[tokio::test]
    async fn a_key_that_was_put_right_is_used_once_the_settings_are_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("k.p8");
        let apns = json!({"key_file": key_file, "key_id": "K", "team_id": "T", "topic": "dev.app", "url": "https://["});
        let settings = json!({"app": {"push": {"enabled": true, "apns": apns}}}).to_string();
        let settings = crate::core::settings::parse_file(&settings).unwrap();
        let apps = crate::core::app::Apps::new(["app:key:master".parse().unwrap()], settings);
        let apps = apps.unwrap();
        let app = apps.find("app").unwrap();
        let (clock, metrics) = (Clock::start(), Arc::new(Metrics::new(None)));
        let mailbox = mpsc::channel(1).0.downgrade();
        let told = || (Arc::clone(&metrics), None);
        let hooks = HookCaller::new(clock.clone(), mailbox.clone(), told());
        let pusher = Pusher::new(clock.clone(), mailbox, hooks, told());
        let target = PushTarget {
            client: ClientId::new("Jerry").unwrap(),
            installation: "i".to_owned(),
            device_type: "ios".to_owned(),
            token: "t".to_owned(),
            topic: None,
            team: None,
            profile: None,
            badge: 0,
        };
        let push = Push::new(&order(None), &Map::new(), target, Duration::ZERO);
        let why = async || {
            let senders = pusher.senders_of(app);
            let refused = senders.send(app, &push, clock.now().wall).await;
            refused.unwrap_err().to_string()
        };
        assert!(why().await.contains("k.p8"), "{}", why().await);
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(&key_file, pem).unwrap();
        assert!(why().await.contains("k.p8"));
        pusher.forget_senders();
        assert!(!why().await.contains("k.p8"), "{}", why().await);
    }

    #[test]
    fn s247_s248_the_hook_goes_before_what_the_message_brings() {
        let own = || Some(json!({"alert": "own"}));
        let both = || vec!["Jerry".to_owned(), "Spike".to_owned()];
        let hooked = json!({"alert": "hook"});
        assert_eq!(
            decided(own(), json!(null)),
            Some((json!({"alert": "own"}), both(), false))
        );
        let text = json!({"pushMessage": "{\"alert\":\"hook\"}", "force": true});
        assert_eq!(decided(own(), text), Some((hooked.clone(), both(), true)));
        let some = json!({"pushMessage": {"alert": "hook"}, "offlinePeers": ["Spike", "Nobody"]});
        assert_eq!(
            decided(None, some),
            Some((hooked, vec!["Spike".to_owned()], false))
        );
        assert_eq!(decided(own(), json!({"skip": true})), None);
        assert_eq!(decided(None, json!({})), None);
    }
}
