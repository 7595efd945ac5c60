//! The service: its real rules over its storage in memory, and a shell that never waits.

pub(crate) mod files;

use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan_service::core::app::{Apps, Credentials};
use sampan_service::core::settings::parse_file;
use sampan_service::core::{Core, Effect, Entropy, Input};
use sampan_service::storage::{
    Conversation, Member, MemoryStorage, Message, Order, Span, Storage, StorageError, Write,
};

use crate::dice::Dice;
use crate::faults::kinds::CommitPart;
use crate::shape::Shape;

/// The app that everybody uses.
pub(crate) const APP: &str = "sim";

/// The time for which a forgetful service remembers the tokens of messages: as long as devices trust in.
const TOKEN_MEMORY: Duration = Duration::from_secs(180);

/// A bound above every count of a run.
const ALL: usize = 1_000_000;

/// A service that runs, or that is down with its storage.
pub(crate) struct Server {
    core: Option<Core<MemoryStorage>>,
    storage: Option<MemoryStorage>,
    apps: Apps,
    /// The lead of its wall clock, in seconds.
    pub(crate) skew: i64,
    /// The part of the next commit that reaches the disk before the power fails, and the time until the service
    /// is back.
    pub(crate) crash_at_commit: Option<(CommitPart, Duration)>,
    /// The time until which it refuses handshakes.
    pub(crate) refuse_until: Duration,
    /// Its disk refuses the next commit.
    pub(crate) disk_full: bool,
    dice: Dice,
}

/// Everything that the service holds: the measure of all other views.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) conversations: BTreeMap<ConversationId, Held>,
}

/// One conversation as the service holds it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) conversation: Conversation,
    pub(crate) members: BTreeMap<ClientId, Member>,
    /// Oldest first.
    pub(crate) messages: Vec<Message>,
}

/// The unread messages of a member: others' messages behind the read mark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnreadTruth {
    pub(crate) count: u32,
    /// The number of recalled messages among them.
    pub(crate) recalled: u32,
    /// True if one of them was edited or recalled: it may have called the member before.
    pub(crate) patched: bool,
    pub(crate) mentioned: bool,
}

/// A fault of the simulator itself.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl From<StorageError> for Broken {
    fn from(error: StorageError) -> Self {
        Self(format!("the service's storage: {error}"))
    }
}

impl Server {
    pub(crate) fn new(seed: u64, shape: &Shape) -> Result<Self, Broken> {
        let memory = match shape.forgets_tokens() {
            true => TOKEN_MEMORY.as_secs().to_string(),
            false => "null".to_owned(),
        };
        let settings = format!(
            r#"{{"{APP}":{{"limits":{{"unread_count":{},"session_token_ttl_secs":{}}},"retention":{{"message_tokens_secs":{memory}}}}}}}"#,
            shape.unread_cap,
            shape.token_ttl.as_secs(),
        );
        let credentials: Credentials = format!("{APP}:key:masterkey")
            .parse()
            .map_err(|_| Broken("the app's keys".to_owned()))?;
        let settings = parse_file(&settings).map_err(|error| Broken(error.to_string()))?;
        let apps = Apps::new([credentials], settings).map_err(|error| Broken(error.to_string()))?;
        let mut server = Self {
            core: None,
            storage: Some(MemoryStorage::empty()?),
            apps,
            skew: 0,
            crash_at_commit: None,
            refuse_until: Duration::ZERO,
            disk_full: false,
            dice: Dice::stream(seed, "service"),
        };
        server.start();
        Ok(server)
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Starts over the committed data.
    pub(crate) fn start(&mut self) {
        if let Some(storage) = self.storage.take() {
            // Another life draws other names.
            let entropy = Box::new(Seeded(Dice::stream(self.dice.number(), "entropy")));
            self.core = Some(Core::new(storage, self.apps.clone(), entropy));
        }
    }

    /// Loses its power: writes that were not committed are gone.
    pub(crate) fn stop(&mut self) {
        if let Some(core) = self.core.take() {
            let mut storage = core.into_storage();
            storage.rollback();
            self.storage = Some(storage);
        }
    }

    /// Handles one input; its writes are not committed yet.
    pub(crate) fn handle(&mut self, now: Now, input: Input) -> Result<Vec<Effect>, Broken> {
        match &mut self.core {
            Some(core) => ready(core.handle(now, input)),
            None => Ok(Vec::new()),
        }
    }

    /// Commits the handled inputs.
    pub(crate) fn commit(&mut self) -> Result<(), Broken> {
        match &mut self.core {
            Some(core) => Ok(ready(core.commit())??),
            None => Ok(()),
        }
    }

    /// The disk refused a commit: returns the effects that are left to do.
    pub(crate) fn abandon(&mut self) -> Vec<Effect> {
        self.core.as_mut().map(Core::abandon).unwrap_or_default()
    }

    /// The time at which the service wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.core.as_ref().map(Core::wake_at)
    }

    /// Puts facts there before the run begins.
    pub(crate) fn import(&mut self, writes: Vec<Write>) -> Result<(), Broken> {
        self.stop();
        if let Some(storage) = &mut self.storage {
            ready(storage.apply(writes))??;
            ready(storage.commit())??;
        }
        self.start();
        Ok(())
    }

    /// Everything the service holds.
    pub(crate) fn truth(&self) -> Result<Truth, Broken> {
        self.truth_with(ALL)
    }

    /// The same, with the newest message of each conversation alone.
    pub(crate) fn newest_truth(&self) -> Result<Truth, Broken> {
        self.truth_with(1)
    }

    /// The same, without messages.
    pub(crate) fn places(&self) -> Result<Truth, Broken> {
        self.truth_with(0)
    }

    /// Everything, with so many of the newest messages of each conversation.
    fn truth_with(&self, most: usize) -> Result<Truth, Broken> {
        let Some(storage) = self
            .core
            .as_ref()
            .map(Core::storage)
            .or(self.storage.as_ref())
        else {
            return Ok(Truth::default());
        };
        let app = app()?;
        let mut truth = Truth::default();
        for conversation in ready(storage.conversations(&app, None, ALL))?? {
            let id = conversation.id.clone();
            let members = ready(storage.members(&app, &id, ALL))??;
            let span = Span::default();
            let mut messages = match most {
                0 => Vec::new(),
                most => ready(storage.messages(&app, &id, &span, Order::NewestFirst, most))??,
            };
            messages.reverse();
            let members = members.into_iter().map(|it| (it.client.clone(), it));
            let held = Held {
                members: members.collect(),
                conversation,
                messages,
            };
            truth.conversations.insert(id, held);
        }
        Ok(truth)
    }
}

impl Truth {
    /// The conversations of a client, in the order of their ids.
    pub(crate) fn of<'a>(&'a self, client: &ClientId) -> Vec<&'a Held> {
        let all = self.conversations.values();
        all.filter(|held| held.members.contains_key(client))
            .collect()
    }
}

impl Held {
    /// The unread messages of a member.
    pub(crate) fn unread(&self, client: &ClientId) -> Option<UnreadTruth> {
        let mark = self.members.get(client)?.read_until;
        let mut unread = UnreadTruth::default();
        for message in &self.messages {
            if message.from == *client || message.sent_at <= mark {
                continue;
            }
            unread.count += 1;
            unread.recalled += u32::from(message.recalled);
            unread.patched |= message.patched_at.is_some();
            unread.mentioned |= message.mentions(client);
        }
        Some(unread)
    }

    /// The newest time of a message.
    pub(crate) fn newest(&self) -> Timestamp {
        self.messages
            .last()
            .map_or(Timestamp::ZERO, |message| message.sent_at)
    }
}

pub(crate) fn app() -> Result<AppId, Broken> {
    AppId::new(APP).map_err(|error| Broken(error.to_string()))
}

struct Seeded(Dice);

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.0.number().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(word) {
                *byte = random;
            }
        }
    }
}

/// The result of a future that never waits, for everything below it is in memory.
fn ready<T>(future: impl Future<Output = T>) -> Result<T, Broken> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(Broken("the service waited for something".to_owned())),
    }
}
