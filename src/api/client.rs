//! A client: one identity, its session, its conversations, its outbox.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationKind, ConversationState, EventKind, Json,
    LocalData, NewConversation, OtherDevice, OutboxEntry, OutboxEntryId, SessionState, StoreHealth,
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

/// The answer of a creation.
#[derive(Clone, Debug, uniffi::Record)]
pub struct CreatedConversation {
    /// The conversation, usable at once.
    pub conversation: Arc<Conversation>,
    /// The outbox entry of the creation; none when this device already had the conversation.
    pub entry: Option<OutboxEntryId>,
    /// The commit that holds the conversation.
    pub seq: CommitSeq,
}

/// One identity on one engine.
///
/// A client works without a connection: reads answer from this device, and writes wait in the outbox. Two handles of
/// one client are equal.
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

    /// Makes a write, and answers the commit that holds it.
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

    /// Goes online and stays online over broken connections, until `go_offline`. The call returns at once; the
    /// client's state tells the progress. `SignOut` ends the session of another device with the same tag: use it when
    /// the user signs in here. `Keep` leaves that session, and this session ends with a conflict: use it when the app
    /// comes back by itself. The default is `SignOut`.
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

    /// Goes offline at once and closes the session. Reads and writes still work; nothing is sent. On a good line the
    /// service is told; the call does not wait for it.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    pub fn go_offline(&self) -> Result<(), SampanError> {
        self.runtime.go_offline(&self.core)
    }

    /// Tries to connect now instead of at the planned time, for instance when the user taps a button. The call has no
    /// effect on a client that is offline by `go_offline`.
    pub fn retry_now(&self) {
        self.runtime.retry_now();
    }

    /// Waits until the session is open. The wait has no limit: set one in the app where it needs one.
    ///
    /// # Errors
    ///
    /// `Refused` when the session ended, with the service's code (4111 for a conflict, 4115 when the operator removed
    /// the client); `NotConnected` when the client is offline by `go_offline`; `SignedOut`, `ShutDown`.
    pub async fn wait_online(&self) -> Result<(), SampanError> {
        let online = self.runtime.wait_online(&self.core);
        self.runtime.outside(online).await
    }

    /// The client's present state in one value, for a banner, a badge or a first frame. The call is quick: it reads
    /// memory, and waits at most for a write in progress.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.runtime.client_state(&self.core)
    }

    /// Waits until the state has another version than `have`, and answers the newest state; it skips the states
    /// between. Zero is the version of a caller without a state. Any number of callers may wait, and a cancelled call
    /// loses nothing. None when the client signed out or the engine was shut down.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next_state(&self, have: Version) -> Result<Option<ClientState>, SampanError> {
        let next = self.runtime.next_client_state(&self.core, have);
        Ok(self.runtime.outside(next).await)
    }

    /// The present state of the session.
    #[must_use]
    pub fn session_state(&self) -> SessionState {
        self.core.board.session()
    }

    /// Tells if the store takes writes now.
    #[must_use]
    pub fn store_health(&self) -> StoreHealth {
        self.core.board.health()
    }

    /// The findings of opening the store: damage that was set aside, and data that was saved.
    #[must_use]
    pub fn open_report(&self) -> OpenReport {
        self.core.store.report().into()
    }

    /// Changes the key of the store on this device. Both keys are 64 hexadecimal digits. The change is durable on
    /// return. The data are not written again, because the key only wraps the key of the data. Extensions need the new
    /// key from then on. A store that was made without a key stays without one.
    ///
    /// # Errors
    ///
    /// `WrongKey` when `old` is not the key, or the store has none; `InvalidArgument` for a text that is no key;
    /// `StoreUnavailable` when the new key could not be written: keep both keys then, because one of the two opens the
    /// store. `SignedOut`, `ShutDown`.
    pub async fn change_store_key(&self, old: Secret, new: Secret) -> Result<(), SampanError> {
        let (old, new) = (store_key(old.reveal())?, store_key(new.reveal())?);
        let mailbox = self.runtime.mailbox();
        mailbox.change_key(&self.core.id, old, new).await
    }

    /// The bytes that the client takes on this device's disk, by purpose. The call reads the whole store beside the
    /// engine's work: about a second for a million messages.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn storage_usage(&self) -> Result<StorageUsage, SampanError> {
        self.read(|store| Ok(store.usage()?)).await
    }

    /// Gives disk space back now; by itself the engine does so only when it can give back much. The call writes the
    /// store anew, in small parts beside the engine's work. Reads and writes go on. The disk needs room for both
    /// stores meanwhile. The call returns when the work is done.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the disk has no room for it, while the store takes no writes, or when the app goes to
    /// the background before the end. Nothing is lost in these cases. `SignedOut`, `ShutDown`.
    pub async fn compact(&self) -> Result<(), SampanError> {
        self.runtime.mailbox().compact(&self.core.id).await
    }

    /// Imports the work that extensions of the app left in the inbox folder. Call it when an extension says that it
    /// left work; opening a client and `Engine.resume` import by themselves. Everything that the report counts as
    /// imported is durable on return.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the folder can't be read, or while the store takes no writes: the work stays in the
    /// folder, and is imported when the store takes writes again. `SignedOut`, `ShutDown`.
    pub async fn import_inbox(&self) -> Result<InboxReport, SampanError> {
        self.runtime.mailbox().import(&self.core.id).await
    }

    /// The findings in the inbox folder since the client was opened. `imported` and `damaged` are sums; `locked` and
    /// `left` are the numbers of the last import.
    #[must_use]
    pub fn inbox_report(&self) -> InboxReport {
        self.core.board.inbox()
    }

    /// Signs out: closes the session and the store. Every later call on this client and its conversations fails with
    /// `SignedOut`; `Engine.client` opens the client anew. On a good line the service is told; the call does not wait
    /// for it. A sign-out that has begun is completed, also when the call is cancelled; the same call again waits for
    /// the same sign-out.
    ///
    /// # Errors
    ///
    /// `SignedOut` when the client is signed out already. `Unsent` when `unsent` is `Refuse` and there is unsent work,
    /// and `InvalidArgument` for `KeepIt` with `Wipe`: in both cases the client stays signed in. `StoreUnavailable`
    /// when the data could not be removed.
    pub async fn sign_out(&self, data: LocalData, unsent: UnsentWork) -> Result<(), SampanError> {
        self.runtime.close_client(&self.core, data, unsent).await
    }

    /// Connects, sends the waiting work, fetches the missed messages, and then restores the state from before the
    /// call. Use it for a background fetch of the operating system. It works while the engine is paused, and leaves no
    /// file open then. The call ends when everything is done, when there is no session to be had, after `within`, or
    /// when it is cancelled. It ends no session of another device.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn refresh(&self, within: Duration) -> Result<Refreshed, SampanError> {
        self.runtime.refresh(&self.core, within).await
    }

    /// The conversation of this client with one other client, online or not. The call answers the existing one, or
    /// makes a new one.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when `peer` is this client; the errors of `create_conversation`.
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

    /// Makes a conversation, online or not. Returns when the creation is durable in the outbox; the conversation is
    /// usable at once. A conversation made offline has a local id. The local id stays valid after the service's id has
    /// replaced it.
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

    /// A handle of a conversation. The call reads nothing and does not wait. When the conversation is not on this
    /// device, for instance after a push, its timeline and `fetch_conversation` ask the service for it.
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

    /// Asks the service for a conversation and stores its row.
    ///
    /// # Errors
    ///
    /// `NotFound` when the service does not have it; `NotConnected`, `TimedOut`, `Refused`; `StoreUnavailable`;
    /// `SignedOut`, `ShutDown`.
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

    /// Joins a conversation, which need not be on this device. Returns when the join is durable in the outbox, online
    /// or not; see `Conversation.join`.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.join`; `NotFound` for a local id that this device does not have.
    pub async fn join(&self, id: ConversationId) -> Result<Arc<Conversation>, SampanError> {
        let call = ChangeMembers {
            conversation: id.clone(),
            change: MembersChange::Join,
            members: Vec::new(),
        };
        self.request(call).await?;
        Ok(self.handle(id))
    }

    /// Marks several conversations read, all of them or none. Their unread counts are cleared at once, and the service
    /// is told with the next session. Returns when the marks are durable in the outbox.
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

    /// The live list of conversations. The call reads its first rows from this device before it returns.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter has a condition that can't be used; `StoreUnavailable` when the store can't
    /// be read; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(options = None))]
    pub async fn conversation_list(
        &self,
        options: Option<ListOptions>,
    ) -> Result<Arc<ConversationList>, SampanError> {
        let options = options.unwrap_or_default();
        let live = LiveList::open(&self.runtime, &self.core, options).await?;
        Ok(Arc::new(ConversationList::new(live)))
    }

    /// The newest commit of this client's store. A read that begins after this answer shows that commit and all
    /// commits before it.
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

    /// All entries of the outbox, in the order of enqueueing.
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

    /// The live list of unsent work: for each entry the reason why it waits or failed, and the time of its next try.
    /// The call reads the rows from this device before it returns.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn outbox_list(&self) -> Result<Arc<OutboxList>, SampanError> {
        let live = LiveOutbox::open(&self.runtime, &self.core).await?;
        Ok(Arc::new(OutboxList::new(live)))
    }

    /// The events of this client from now on, numbered and kept until the app takes them. `only` limits the feed to
    /// these kinds; none gives all kinds.
    #[must_use]
    #[uniffi::method(default(only = None))]
    pub fn feed(&self, only: Option<Vec<EventKind>>) -> Arc<EventFeed> {
        let feed = Feed::open(&self.runtime, &self.core, Wanted::of(only));
        Arc::new(EventFeed::new(feed))
    }

    /// Sends an event of the app's own to every subscriber of this client on this device: observers, feeds,
    /// notices. The event is `Event.Emitted` and comes before the events of later calls. The store does not
    /// keep it, and the service does not get it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an empty name; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(data = None))]
    pub fn emit(&self, name: String, data: Option<Json>) -> Result<(), SampanError> {
        self.runtime.emit(&self.core, name, data)
    }

    /// Enqueues a failed entry again, at its old place in the order. Returns when that is durable. The message of an
    /// ambiguous entry may then arrive twice.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotPossible` when the entry has not failed; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn retry(&self, entry: OutboxEntryId) -> Result<CommitSeq, SampanError> {
        self.write(RetryEntry { entry }).await
    }

    /// Discards a failed entry, or cancels an entry that was never sent. Discarding a failed creation also discards
    /// the conversation and all entries that wait for it. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotPossible` when the entry is on its way, or is a read mark; `StoreUnavailable`; `SignedOut`,
    /// `ShutDown`.
    pub async fn discard(&self, entry: OutboxEntryId) -> Result<CommitSeq, SampanError> {
        self.write(DiscardEntry { entry }).await
    }

    /// Calls `observer` with this client's events from now on, in batches, on a thread of Sampan, until the
    /// subscription ends.
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

/// The conversation of a client with one other client, if this device has it.
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
