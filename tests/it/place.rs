//! A service with devices around it.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::StreamExt;
use sampan::model::{AppId, ClientId, ConversationId, Event, Message, NewConversation, Uniqueness};
use sampan::{
    Client, ClientOptions, Config, Conversation, Engine, EventStream, Limits, SampanError,
    ServerAddress,
};
use sampan_service::core::app::{Apps, Credentials};
use sampan_service::{RunningService, Service, ServiceOptions};
use tokio::time::timeout;

use crate::support::{raw::RawConnection, socket_url};

/// The longest that anything may take before the test fails: a machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come. A test that waits otherwise would hang where it should fail.
pub(crate) async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let waited = timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits for a word from another thread; none when nobody is left to say one.
pub(crate) fn heard<T>(words: &mpsc::Receiver<T>, what: &str) -> Option<T> {
    match words.recv_timeout(PATIENCE) {
        Ok(word) => Some(word),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("waited in vain for {what}"),
    }
}

const APP: &str = "it";

/// The app's id, key and master key.
const CREDENTIALS: &str = "it:it-key:it-master-key";

/// A service and a folder for the stores of its clients.
pub(crate) struct Place {
    pub(crate) service: RunningService,
    pub(crate) folder: tempfile::TempDir,
}

/// An engine with one client.
pub(crate) struct Device {
    pub(crate) engine: Arc<Engine>,
    pub(crate) client: Arc<Client>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A service with some options changed.
    pub(crate) async fn with(change: impl FnOnce(&mut ServiceOptions)) -> Self {
        let mut options = ServiceOptions::in_memory(CREDENTIALS.parse().unwrap());
        change(&mut options);
        let service = Service::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { service, folder }
    }

    /// A service whose app has settings of its own.
    pub(crate) async fn with_settings(settings: &str) -> Self {
        let credentials: Credentials = CREDENTIALS.parse().unwrap();
        let settings = [(APP.to_owned(), serde_json::from_str(settings).unwrap())];
        let apps = Apps::new([credentials], settings.into()).unwrap();
        Self::with(|options| options.apps = apps).await
    }

    /// The configuration of a device, which has a folder of its own.
    pub(crate) fn config(&self, device: &str) -> Config {
        let server = ServerAddress::Router {
            url: format!("http://{}", self.service.addr()),
        };
        config(server, &self.folder.path().join(device))
    }

    /// A device that is not connected yet.
    pub(crate) async fn device(&self, device: &str, client: &str) -> Device {
        Device::open(self.config(device), client).await
    }

    /// A device with an open session.
    pub(crate) async fn online(&self, device: &str, client: &str) -> Device {
        let device = self.device(device, client).await;
        device.go_online().await;
        device
    }

    /// The address of the service's socket, where no router is asked.
    pub(crate) async fn socket_url(&self) -> String {
        socket_url(&self.service, APP).await.unwrap()
    }

    /// A raw connection on which `client` is signed in.
    pub(crate) async fn raw(&self, client: &str) -> (RawConnection, ClientId) {
        let url = self.socket_url().await;
        let raw = RawConnection::open(&url, app()).await.unwrap();
        let client = id(client);
        raw.sign_in(&client).await.unwrap();
        (raw, client)
    }
}

/// The state that a test saw last; it is printed if the test fails meanwhile.
#[derive(Default)]
pub(crate) struct Shown(std::cell::RefCell<String>);

impl Shown {
    pub(crate) fn keep(&self, state: String) {
        self.0.replace(state);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("shown last: {}", self.0.borrow());
        }
    }
}

impl Device {
    pub(crate) async fn open(config: Config, client: &str) -> Self {
        let engine = Engine::open(config).unwrap();
        let client = engine.client(id(client), ClientOptions::default()).await;
        Self {
            engine,
            client: client.unwrap(),
        }
    }

    pub(crate) async fn go_online(&self) {
        self.client.go_online(None).unwrap();
        self.is_online().await;
    }

    /// Waits until the session is open.
    pub(crate) async fn is_online(&self) {
        in_time("an open session", self.client.wait_online())
            .await
            .unwrap();
    }

    /// Waits for the first event of the client that `pick` makes something of.
    pub(crate) async fn is_told<T>(
        events: &mut EventStream,
        what: &str,
        mut pick: impl FnMut(Event) -> Option<T>,
    ) -> T {
        let told = async {
            loop {
                let event = events.next().await.expect("the engine runs");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        in_time(what, told).await
    }

    /// The messages of a conversation, without gaps, oldest first.
    pub(crate) async fn messages(&self, conversation: &ConversationId) -> Vec<Message> {
        let conversation = self.client.conversation(conversation.clone()).unwrap();
        let page = conversation.page(None, 500).await.unwrap();
        page.items
            .iter()
            .filter_map(|item| item.message())
            .cloned()
            .collect()
    }

    /// A conversation that is on this device.
    pub(crate) fn handle(&self, conversation: &ConversationId) -> Arc<Conversation> {
        self.client.conversation(conversation.clone()).unwrap()
    }

    /// A conversation with several others; a new one every time.
    pub(crate) async fn talk_to_all(&self, others: &[&str]) -> Arc<Conversation> {
        let wanted = NewConversation {
            members: others.iter().copied().map(id).collect(),
            uniqueness: Uniqueness::Separate,
            ..NewConversation::default()
        };
        let created = self.client.create_conversation(wanted).await.unwrap();
        created.conversation
    }

    /// A conversation with one other client.
    pub(crate) async fn talk_to(&self, other: &str) -> Arc<Conversation> {
        let wanted = NewConversation {
            members: vec![id(other)],
            ..NewConversation::default()
        };
        let created = self.client.create_conversation(wanted).await.unwrap();
        created.conversation
    }

    /// Waits until a conversation shows exactly these lines on this device.
    pub(crate) async fn sees(&self, conversation: &ConversationId, lines: &[&str]) {
        let shown = Shown::default();
        self.until(&format!("{lines:?} in the timeline"), || async {
            let now = self.lines(conversation).await;
            let same = now.as_deref().is_ok_and(|now| now == lines);
            shown.keep(format!("{now:?}"));
            same.then_some(())
        })
        .await;
    }

    /// The timeline as text, oldest first: `sender: words`, with the state of unsent ones.
    pub(crate) async fn lines(
        &self,
        conversation: &ConversationId,
    ) -> Result<Vec<String>, SampanError> {
        let conversation = self.client.conversation(conversation.clone())?;
        let page = conversation.page(None, 100).await?;
        let lines = page.items.iter().map(|item| match item.message() {
            Some(message) => line(message),
            None => "(gap)".to_owned(),
        });
        Ok(lines.collect())
    }

    /// Asks again after each event until there is an answer.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        ask: impl Fn() -> F,
    ) -> T {
        let mut events = self.engine.events();
        let search = async {
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                // Some state changes without an event; then asking again now and then will do.
                let _ = timeout(Duration::from_millis(100), events.next()).await;
            }
        };
        in_time(what, search).await
    }

    /// Waits until nothing is unsent.
    pub(crate) async fn has_sent_everything(&self) {
        self.until("an empty outbox", || async {
            self.client.outbox().await.unwrap().is_empty().then_some(())
        })
        .await;
    }

    /// The service's id of a conversation, once it has one.
    pub(crate) async fn service_id(&self, conversation: &Conversation) -> ConversationId {
        self.until("the service's id", || async {
            let id = conversation.info().await.ok()?.id;
            (!id.is_local()).then_some(id)
        })
        .await
    }
}

/// A message as a line: `ann: hello`.
pub(crate) fn line(message: &Message) -> String {
    use sampan::model::MessageState;
    let words = match message.content.words() {
        Some(words) => words,
        None => message.content.kind_name(),
    };
    let state = match &message.state {
        MessageState::Pending => " (pending)",
        MessageState::Failed { .. } => " (failed)",
        _ => "",
    };
    format!("{}: {words}{state}", message.sender)
}

pub(crate) fn config(server: ServerAddress, store: &Path) -> Config {
    let mut config = Config::new(app(), "it-key", server, store);
    config.limits = Limits::unthrottled();
    config
}

pub(crate) fn app() -> AppId {
    AppId::new(APP).unwrap()
}

/// The clients whose data are on the device, as far as they are named.
pub(crate) async fn accounts(engine: &Engine) -> Vec<ClientId> {
    let accounts = engine.accounts().await.unwrap().into_iter();
    accounts.filter_map(|it| it.client).collect()
}

pub(crate) fn id(client: &str) -> ClientId {
    ClientId::new(client).unwrap()
}
