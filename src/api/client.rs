//! A client: one identity, its session, its conversations, its outbox.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationKind, ConversationState, EventKind, LocalData,
    NewConversation, OtherDevice, OutboxEntry, OutboxEntryId, SessionState, StoreHealth,
    UnsentWork,
};
use crate::runtime::{
    ClientCore, EventStream, Feed, InboxReport, LiveList, LiveOutbox, Refreshed, Runtime, Scope,
    Wanted,
};
use crate::store::{MembersChange, Snapshot, StorageUsage, Store, StoreError};
use crate::sync::{
    Call, ChangeMembers, CreateConversation, DiscardEntry, Done, FetchConversations, MarkAllRead,
    RetryEntry, SignIn,
};
use crate::views::{ClientState, ListOptions, UnreadSummary, Version};
use crate::{SampanError, Secret, Subject};

use super::client_options::store_key;
use super::conversation::Conversation;
use super::conversation_list::ConversationList;
use super::event_feed::EventFeed;
use super::observer::{EventObserver, EventSubscription};
use super::open_report::OpenReport;
use super::outbox_list::OutboxList;
use super::plugin::Decorators;

/// A conversation that was asked for.
#[derive(Clone, Debug, uniffi::Record)]
pub struct CreatedConversation {
    /// The conversation, usable at once.
    pub conversation: Arc<Conversation>,
    /// The outbox entry that makes it; none when it existed on this device.
    pub entry: Option<OutboxEntryId>,
    /// The commit that holds it.
    pub seq: CommitSeq,
}

/// One identity on one engine.
///
/// It works without a connection: reads answer from this device, writes wait in the outbox. Two handles
/// of one client are equal.
#[derive(uniffi::Object)]
#[uniffi::export(Debug, Eq, Hash)]
pub struct Client {
    pub(super) runtime: Arc<Runtime>,
    pub(super) core: Arc<ClientCore>,
    plugins: Decorators,
}

impl Client {
    pub(super) const fn new(
        runtime: Arc<Runtime>,
        core: Arc<ClientCore>,
        plugins: Decorators,
    ) -> Self {
        Self {
            runtime,
            core,
            plugins,
        }
    }

    /// The runtime and the client, for the other files of the roof.
    #[cfg(feature = "import-legacy")]
    pub(super) const fn parts(&self) -> (&Arc<Runtime>, &Arc<ClientCore>) {
        (&self.runtime, &self.core)
    }

    /// Reads from the store, on a thread for blocking work.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, SampanError> + Send + 'static,
    ) -> Result<T, SampanError> {
        self.runtime.read(&self.core, read).await
    }

    pub(super) async fn request<C: Call>(&self, call: C) -> Result<C::Answer, SampanError> {
        self.runtime.mailbox().request(&self.core.id, call).await
    }

    async fn written<C: Call>(&self, call: C) -> Result<(C::Answer, CommitSeq), SampanError> {
        self.runtime.mailbox().write(&self.core.id, call).await
    }

    /// Makes a write; answers the commit that holds it.
    async fn write<C: Call<Answer = Done>>(&self, call: C) -> Result<CommitSeq, SampanError> {
        let (Done, seq) = self.written(call).await?;
        Ok(seq)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.core.id)
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl Eq for Client {}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.core).hash(state);
    }
}

#[uniffi::export]
impl Client {
    /// The client's id.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        self.core.id.clone()
    }

    /// Goes online, and stays so over broken connections, until `go_offline`. It returns at once: the
    /// client's state tells how it goes. Another device with the same tag is signed out; an app that
    /// comes back by itself, not because its user signed in here, says `Keep`.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    #[uniffi::method(default(other_device = None))]
    pub fn go_online(&self, other_device: Option<OtherDevice>) -> Result<(), SampanError> {
        let mode = match other_device.unwrap_or_default() {
            OtherDevice::SignOut => SignIn::TakeOver,
            OtherDevice::Keep => SignIn::Yield,
        };
        self.runtime.go_online(&self.core, mode)
    }

    /// Goes offline at once: closes the session. Reads and writes go on working; nothing is sent. The
    /// service is told where the line is good, and not waited for.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    pub fn go_offline(&self) -> Result<(), SampanError> {
        self.runtime.go_offline(&self.core)
    }

    /// Tries to connect now, where the next try is planned for later: for a button. It does nothing
    /// else, and nothing for a client that is to be offline.
    pub fn retry_now(&self) {
        self.runtime.retry_now();
    }

    /// Waits until the session is open. It waits as long as there is no connection: set a limit of
    /// your own where you need one.
    ///
    /// # Errors
    ///
    /// `Refused` when the session ended, with the service's code (4111 for a conflict, 4115 when the
    /// operator removed the client); `NotConnected` when the client is to be offline; `SignedOut`, `ShutDown`.
    pub async fn wait_online(&self) -> Result<(), SampanError> {
        let online = self.runtime.wait_online(&self.core);
        self.runtime.outside(online).await
    }

    /// The client's state now, in one value: for a banner, a badge, a first frame. The call is quick: it reads
    /// memory, and waits at most for a write that is under way.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.runtime.client_state(&self.core)
    }

    /// Waits until the state is another one than that of this version, and answers the newest: states between the two
    /// are not told. Zero is the version of a caller that has none yet. Any number may wait, and a call that is
    /// cancelled loses nothing. None when the client signed out or the engine was shut down.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next_state(&self, have: Version) -> Result<Option<ClientState>, SampanError> {
        let next = self.runtime.next_client_state(&self.core, have);
        Ok(self.runtime.outside(next).await)
    }

    /// The session's state now.
    #[must_use]
    pub fn session_state(&self) -> SessionState {
        self.core.board.session()
    }

    /// Whether the store takes writes now.
    #[must_use]
    pub fn store_health(&self) -> StoreHealth {
        self.core.board.health()
    }

    /// The findings of opening the store: damage that was set aside, and data that was saved.
    #[must_use]
    pub fn open_report(&self) -> OpenReport {
        self.core.store.report().into()
    }

    /// Changes the key of the store on this device: both are 64 hexadecimal digits. Durable on
    /// return; the data stay as they are, for the key only wraps theirs. Extensions need the new key
    /// from then on. A store that was made without a key stays without.
    ///
    /// # Errors
    ///
    /// `WrongKey` when `old` is not the key, or the store has none; `InvalidArgument` for a text that is no key;
    /// `StoreUnavailable` when the new key could not be written: keep both keys then, one of the two opens the store.
    /// `SignedOut`, `ShutDown`.
    pub async fn change_store_key(&self, old: Secret, new: Secret) -> Result<(), SampanError> {
        let (old, new) = (store_key(old.reveal())?, store_key(new.reveal())?);
        let mailbox = self.runtime.mailbox();
        mailbox.change_key(&self.core.id, old, new).await
    }

    /// The space that the client takes on this device's disk, by purpose. Everything is looked at, beside the
    /// engine's work: about a second where a million messages are held.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn storage_usage(&self) -> Result<StorageUsage, SampanError> {
        self.read(|store| Ok(store.usage()?)).await
    }

    /// Gives disk space back now, where the engine by itself would wait until much can be given
    /// back: the store is written anew, in small parts beside its work. Reads and writes go on; the
    /// device needs room for both meanwhile. Returns when it is done.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when there is no room for it, while the store takes no writes, or when the
    /// app goes to the background before it is done: nothing is lost then. `SignedOut`, `ShutDown`.
    pub async fn compact(&self) -> Result<(), SampanError> {
        self.runtime.mailbox().compact(&self.core.id).await
    }

    /// Takes the work that extensions of the app left in the inbox folder: call this when an extension says that
    /// there is some. Opening a client and resuming do the same by themselves. Everything that is reported as
    /// imported is durable.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the folder can't be read, or while the store takes no writes: the work stays in the
    /// folder, and is taken when the store takes writes again. `SignedOut`, `ShutDown`.
    pub async fn import_inbox(&self) -> Result<InboxReport, SampanError> {
        self.runtime.mailbox().import(&self.core.id).await
    }

    /// The findings in the inbox folder since the client was opened: `imported` and `damaged` are sums, `locked` and
    /// `left` are as the last look found them.
    #[must_use]
    pub fn inbox_report(&self) -> InboxReport {
        self.core.board.inbox()
    }

    /// Signs out: closes the session and the store. Every later call on this client and its
    /// conversations fails with `SignedOut`; `Engine.client` opens it anew. The service is told where the
    /// line is good, and not waited for. Once begun it is carried to its end, also when the call is
    /// cancelled; the same call again joins it.
    ///
    /// # Errors
    ///
    /// `SignedOut` when it is signed out already; `Unsent` when `unsent` is `Refuse` and there is unsent work, and
    /// `InvalidArgument` for `KeepIt` with `Wipe`: the client stays signed in then. `StoreUnavailable` when its data
    /// could not be removed.
    pub async fn sign_out(&self, data: LocalData, unsent: UnsentWork) -> Result<(), SampanError> {
        self.runtime.close_client(&self.core, data, unsent).await
    }

    /// Connects, sends what waits, takes what was missed, and leaves everything as it was: for a background fetch
    /// of the operating system. It works while the engine is paused, and no file is open when it returns then. It
    /// ends when all is done, when the session can't be had, when `within` is over, or when the call is
    /// cancelled. It takes no other device's place.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn refresh(&self, within: Duration) -> Result<Refreshed, SampanError> {
        self.runtime.refresh(&self.core, within).await
    }

    /// The conversation of this client with one other, online or not: the one that there is, else a new one.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for this client itself; those of `create_conversation`.
    pub async fn direct(&self, peer: ClientId) -> Result<Arc<Conversation>, SampanError> {
        if peer == self.core.id {
            return Err(SampanError::InvalidArgument {
                reason: "the peer must be somebody else".to_owned(),
            });
        }
        let other = peer.clone();
        let held = self.read(move |store| Ok(direct(&store.snapshot(), &other)?));
        if let Some(id) = held.await? {
            return Ok(self.handle(id));
        }
        let wanted = NewConversation {
            members: vec![peer],
            ..NewConversation::default()
        };
        Ok(self.create_conversation(wanted).await?.conversation)
    }

    /// Makes a conversation, online or not. It can be used at once; made offline it has a local id
    /// that keeps resolving when the service's takes over.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a conversation that the service would refuse; `TooLarge`; `OutboxFull`;
    /// `StoreUnavailable` when the creation can't be made durable now; `SignedOut`, `ShutDown`.
    pub async fn create_conversation(
        &self,
        conversation: NewConversation,
    ) -> Result<CreatedConversation, SampanError> {
        let call = CreateConversation { conversation };
        let (created, seq) = self.written(call).await?;
        Ok(CreatedConversation {
            conversation: self.handle(created.conversation),
            entry: created.entry,
            seq,
        })
    }

    /// A handle of a conversation. It waits for nothing and reads nothing: a conversation that is not on this
    /// device, such as one that a push named, is asked for by its timeline, and by `fetch_conversation`.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    pub fn conversation(&self, id: ConversationId) -> Result<Arc<Conversation>, SampanError> {
        if self.core.store.is_closed() {
            return Err(self.runtime.board().ended());
        }
        Ok(self.handle(id))
    }

    /// Asks the service for a conversation and stores it.
    ///
    /// # Errors
    ///
    /// `NotFound` when the service does not know it either; `NotConnected`, `TimedOut`, `Refused`;
    /// `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn fetch_conversation(
        &self,
        id: ConversationId,
    ) -> Result<Arc<Conversation>, SampanError> {
        let conversations = vec![id];
        let fetched = self.request(FetchConversations { conversations }).await?;
        let found = fetched.found.into_iter().next();
        let id = found.ok_or(SampanError::NotFound {
            what: Subject::Conversation,
        })?;
        Ok(self.handle(id))
    }

    /// Joins a conversation, which this device need not know. Returns when that is durable in the outbox,
    /// online or not; see `Conversation.join`.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.join`; `NotFound` for a local id that this device does not know.
    pub async fn join(&self, id: ConversationId) -> Result<Arc<Conversation>, SampanError> {
        let call = ChangeMembers {
            conversation: id.clone(),
            change: MembersChange::Join,
            members: Vec::new(),
        };
        self.request(call).await?;
        Ok(self.handle(id))
    }

    /// Marks several conversations read, all of them or none: their unread counts are cleared at once, and
    /// the service is told when it can be. Returns when that is durable in the outbox.
    ///
    /// # Errors
    ///
    /// `NotFound` when one of them is not on this device; `OutboxFull`; `StoreUnavailable` when the marks can't be
    /// made durable now; `SignedOut`; `ShutDown`.
    pub async fn mark_all_read(
        &self,
        conversations: Vec<ConversationId>,
    ) -> Result<CommitSeq, SampanError> {
        self.write(MarkAllRead { conversations }).await
    }

    /// The list of conversations, live: its first rows are read on return, from this device.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter has a condition that can't be used; `StoreUnavailable` when the store can't be
    /// read; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(options = None))]
    pub async fn conversation_list(
        &self,
        options: Option<ListOptions>,
    ) -> Result<Arc<ConversationList>, SampanError> {
        let options = options.unwrap_or_default();
        let live = LiveList::open(&self.runtime, &self.core, options).await?;
        Ok(Arc::new(ConversationList::new(live)))
    }

    /// The newest commit of this client's store: a read that begins after this answer shows it, and all before it.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn commit_seq(&self) -> Result<CommitSeq, SampanError> {
        self.read(|store| Ok(store.snapshot().seq())).await
    }

    /// The unread counts of all conversations together.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    pub async fn unread_totals(&self) -> Result<UnreadSummary, SampanError> {
        self.read(|store| Ok(store.snapshot().unread_totals().into()))
            .await
    }

    /// Everything unsent, in the order of enqueueing.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn outbox(&self) -> Result<Vec<OutboxEntry>, SampanError> {
        self.read(|store| {
            let snapshot = store.snapshot();
            let mut entries = Vec::new();
            for entry in snapshot.outbox() {
                if let Some(row) = snapshot.conversation(entry.conversation)? {
                    entries.push(entry.view(row.id));
                }
            }
            Ok(entries)
        })
        .await
    }

    /// Everything unsent, live: why each piece waits or failed, and when it is tried next. The rows are read
    /// on return, from this device.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn outbox_list(&self) -> Result<Arc<OutboxList>, SampanError> {
        let live = LiveOutbox::open(&self.runtime, &self.core).await?;
        Ok(Arc::new(OutboxList::new(live)))
    }

    /// Every event of this client from now on, numbered and kept until it is taken; or those of some sorts alone.
    #[must_use]
    #[uniffi::method(default(only = None))]
    pub fn feed(&self, only: Option<Vec<EventKind>>) -> Arc<EventFeed> {
        let feed = Feed::open(&self.runtime, &self.core, Wanted::of(only));
        Arc::new(EventFeed::new(feed))
    }

    /// Enqueues a failed entry again, at its old place. The message of an ambiguous entry may arrive twice then.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotPossible` when the entry has not failed; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn retry(&self, entry: OutboxEntryId) -> Result<CommitSeq, SampanError> {
        self.write(RetryEntry { entry }).await
    }

    /// Gives up a failed entry, or cancels one that was never sent. A failed creation takes the conversation and all
    /// that waits for it along.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotPossible` when the entry is on its way, or is a read mark; `StoreUnavailable`; `SignedOut`,
    /// `ShutDown`.
    pub async fn discard(&self, entry: OutboxEntryId) -> Result<CommitSeq, SampanError> {
        self.write(DiscardEntry { entry }).await
    }

    /// Calls `observer` with this client's events from now on, in batches, on a thread of its own,
    /// until the subscription ends.
    ///
    /// # Errors
    ///
    /// `NoResources` when the system gives no thread.
    pub fn observe(
        &self,
        observer: Arc<dyn EventObserver>,
    ) -> Result<Arc<EventSubscription>, SampanError> {
        let scope = Scope::Client(self.core.id.clone());
        EventSubscription::start(self.runtime.subscribe(scope), observer)
    }
}

impl Client {
    /// This client's events from now on, as a stream that ends when the engine does.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::new(self.runtime.subscribe(Scope::Client(self.core.id.clone())))
    }

    pub(super) fn handle(&self, id: ConversationId) -> Arc<Conversation> {
        let (runtime, core) = (Arc::clone(&self.runtime), Arc::clone(&self.core));
        let handle = Arc::new(Conversation::new(runtime, core, id));
        self.plugins.conversation(&handle);
        handle
    }
}

/// The conversation of a client with one other, if this device has it.
fn direct(snapshot: &Snapshot<'_>, peer: &ClientId) -> Result<Option<ConversationId>, StoreError> {
    for number in snapshot.listed() {
        let Some(row) = snapshot.conversation(number)? else {
            continue;
        };
        let is_usual = row.unique && row.kind == ConversationKind::Normal;
        let are_two = row.members.len() == 2 && row.members.contains(peer);
        if is_usual && are_two && row.state != ConversationState::Left {
            return Ok(Some(row.id.clone()));
        }
    }
    Ok(None)
}
