//! A conversation: its properties, its timeline, and sending to it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use crate::model::{
    CommitSeq, ConversationId, ConversationInfo, Count, Discarded, Draft, EventKind,
    ForeignMessage, LocalId, MessageContent, MessageKey, NewMessage, OutboxEntryId, SessionState,
    Timestamp,
};
use crate::runtime::{ClientCore, Feed, LiveMembers, LiveTimeline, Runtime, Wanted};
use crate::store::{ConversationNumber, Snapshot, Store};
use crate::sync::{
    Call, CountMembers, DiscardMessage, Done, EditMessage, Enqueued, FetchReceipts, KeepFailed,
    KeepForeign, LocalNote, MarkRead, MarkReadMessage, Note, RecallMessage, RemoveMessage,
    RetryMessage, SendMessage, SetTyping,
};
use crate::views::{MemberListOptions, Message, Quote, TimelineOptions};
use crate::{SampanError, Subject};

use super::event_feed::EventFeed;
use super::member_list::MemberList;
use super::timeline::Timeline;

/// A handle of one conversation of one client. Handles are cheap; two handles of the same id are equal.
#[derive(uniffi::Object)]
#[uniffi::export(Debug, Eq, Hash)]
pub struct Conversation {
    pub(super) runtime: Arc<Runtime>,
    pub(super) core: Arc<ClientCore>,
    /// The id that the handle was made with.
    id: ConversationId,
    /// The service's id, after it has replaced a local id.
    named: OnceLock<ConversationId>,
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct SentMessage {
    /// The outbox entry of the message; none for a transient message, and for a message that the service has already.
    pub entry: Option<OutboxEntryId>,
    /// The id of the message on this device; it never changes.
    pub local_id: LocalId,
    /// The present message: pending, or as the service has it.
    pub message: Message,
    /// The commit that holds the message. A view shows the message when its update names this number or a later one.
    pub seq: CommitSeq,
}

/// The answer of `Conversation.message`.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct FoundMessage {
    /// The message; none where this device has no message of that key.
    pub message: Option<Message>,
    /// The commit of this device's store that was read. The answer shows every write whose own commit number is not
    /// greater.
    pub seq: CommitSeq,
}

/// The outcome of discarding unsent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct DiscardedWork {
    /// Tells if others may have it.
    pub discarded: Discarded,
    /// The commit that holds the change.
    pub seq: CommitSeq,
}

impl Conversation {
    pub(super) const fn new(
        runtime: Arc<Runtime>,
        core: Arc<ClientCore>,
        id: ConversationId,
    ) -> Self {
        Self {
            runtime,
            core,
            id,
            named: OnceLock::new(),
        }
    }

    /// Reads data of the conversation, under its present id.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot<'_>, ConversationNumber) -> Result<T, SampanError> + Send + 'static,
    ) -> Result<T, SampanError> {
        let id = self.id.clone();
        let work = move |store: &Store| {
            let snapshot = store.snapshot();
            let number = snapshot.number(&id)?.ok_or_else(gone)?;
            read(&snapshot, number)
        };
        self.runtime.read(&self.core, work).await
    }

    /// The service's id, if it has replaced a local id. None while the store is closed, because the app is in the
    /// background.
    fn taken_over(&self) -> Option<ConversationId> {
        let access = self.core.store.read().ok()?;
        let snapshot = access.store().snapshot();
        let number = snapshot.number(&self.id).ok().flatten()?;
        let row = snapshot.conversation(number).ok().flatten()?;
        (!row.id.is_local()).then(|| self.named.get_or_init(|| row.id.clone()).clone())
    }

    pub(super) async fn request<C: Call>(&self, call: C) -> Result<C::Answer, SampanError> {
        self.runtime.mailbox().request(&self.core.id, call).await
    }

    /// The id by which the machine finds the conversation.
    pub(super) fn name(&self) -> ConversationId {
        self.id.clone()
    }

    /// Makes a write, and answers the commit that holds it.
    pub(super) async fn write<C: Call<Answer = Done>>(
        &self,
        call: C,
    ) -> Result<CommitSeq, SampanError> {
        let (Done, seq) = self.written(call).await?;
        Ok(seq)
    }

    async fn enqueue<C: Call<Answer = Enqueued>>(
        &self,
        call: C,
    ) -> Result<SentMessage, SampanError> {
        let enqueued = self.written(call).await?;
        self.shown(enqueued).await
    }

    /// An accepted message, as an app sees it.
    pub(super) async fn shown(
        &self,
        (enqueued, seq): (Enqueued, CommitSeq),
    ) -> Result<SentMessage, SampanError> {
        let Enqueued {
            entry,
            local_id,
            message,
            tries,
        } = enqueued;
        let quote = match Quote::told(&message.content) {
            Some(told) => {
                // The key that this device has for the answered message. Where the store can't be read now, the content
                // alone tells the quote.
                let content = message.content.clone();
                let held = self.read(move |snapshot, number| {
                    let row = snapshot.conversation(number)?.ok_or_else(gone)?;
                    Ok(Quote::of(snapshot, &row, &content))
                });
                held.await.ok().flatten().or(Some(told))
            }
            None => None,
        };
        let (me, reach) = (&self.core.id, self.core.reach());
        let message = Message::enqueued(message, me, entry, tries, reach, quote);
        let message = message.ok_or_else(|| SampanError::Internal {
            reason: "a message without an id".to_owned(),
        })?;
        Ok(SentMessage {
            entry,
            local_id,
            message,
            seq,
        })
    }

    async fn written<C: Call>(&self, call: C) -> Result<(C::Answer, CommitSeq), SampanError> {
        self.runtime.mailbox().write(&self.core.id, call).await
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conversation({})", self.id)
    }
}

impl PartialEq for Conversation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core) && self.id == other.id
    }
}

impl Eq for Conversation {}

impl Hash for Conversation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.core).hash(state);
        self.id.hash(state);
    }
}

#[uniffi::export]
impl Conversation {
    /// The conversation's present id. A conversation made offline has a local id until the service has made it, then
    /// the service's id; messages and events have the same id. Both ids stay valid. The call reads memory only.
    #[must_use]
    pub fn conversation_id(&self) -> ConversationId {
        if !self.id.is_local() {
            return self.id.clone();
        }
        let named = self.named.get().cloned().or_else(|| self.taken_over());
        named.unwrap_or_else(|| self.id.clone())
    }

    /// The conversation as this device has it.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is gone from this device; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn info(&self) -> Result<ConversationInfo, SampanError> {
        self.read(|snapshot, number| {
            let info = snapshot.info(number)?.ok_or_else(gone)?;
            Ok(info.as_of(snapshot.seq()))
        })
        .await
    }

    /// Sends a text; `reply_to` names the message of the conversation that the text answers. Returns when the message
    /// is durable in the outbox, online or not.
    ///
    /// # Errors
    ///
    /// `TooLarge`; `OutboxFull`; `NotPossible` when the client left the conversation; `StoreUnavailable` when the
    /// message can't be made durable now; `NotFound` for a conversation, or an answered message, that is not on this
    /// device; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(reply_to = None))]
    pub async fn send_text(
        &self,
        text: String,
        reply_to: Option<MessageKey>,
    ) -> Result<SentMessage, SampanError> {
        let message = NewMessage {
            reply_to,
            ..NewMessage::text(text)
        };
        self.send(message).await
    }

    /// Sends a message. Returns when the message is durable in the outbox, online or not. `SendOptions` describes the
    /// exceptions for transient messages and wills, and sends that are repeated under one local id.
    ///
    /// # Errors
    ///
    /// Those of `send_text`; `InvalidArgument` for content or options that can't be sent; for a transient message also
    /// `NotConnected`, `TimedOut` and `Refused`.
    pub async fn send(&self, message: NewMessage) -> Result<SentMessage, SampanError> {
        let conversation = self.id.clone();
        let call = SendMessage {
            conversation,
            message,
        };
        self.enqueue(call).await
    }

    /// Keeps a message that the app could not prepare for sending. It shows as failed, with `reason`, and survives
    /// restarts. `retry` sends it, `remove` removes it. With `SendOptions.local_id` it is kept once. Returns when the
    /// message is durable.
    ///
    /// # Errors
    ///
    /// Those of `send_text`; also `InvalidArgument` for a transient message and a will.
    pub async fn keep_failed(
        &self,
        message: NewMessage,
        reason: String,
    ) -> Result<SentMessage, SampanError> {
        let conversation = self.id.clone();
        let call = KeepFailed {
            conversation,
            message,
            reason,
        };
        self.enqueue(call).await
    }

    /// Stores a message that the app got in another way, such as from a push. The message stands between gaps until
    /// history is read around it, and stays one message when the service sends it too. Returns when it is durable.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` in a chat room, and where the service does not have the conversation yet; `NotFound` when the
    /// message's conversation is not on this device; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn keep(&self, message: ForeignMessage) -> Result<CommitSeq, SampanError> {
        self.write(KeepForeign { message }).await
    }

    /// Removes a message, and the changes that wait for it, from this device only. A message that the service has
    /// comes back when its part of the history is read again. Returns when the removal is durable.
    ///
    /// # Errors
    ///
    /// `NotPossible` for a message on its way; `NotFound` when this device has no such message; `StoreUnavailable`;
    /// `SignedOut`; `ShutDown`.
    pub async fn remove(&self, message: MessageKey) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        let call = RemoveMessage {
            conversation,
            message,
        };
        self.write(call).await
    }

    /// Changes the content of an own message; its mentions stay. Returns when the change is durable in the outbox,
    /// online or not. Lists and timelines show the change at once.
    ///
    /// A message that never left this device is changed in the outbox. Any other change goes to the service after the
    /// message, in the order of enqueueing; a repeated change does no harm. `Message.change` shows that the change
    /// waits. If the service refuses it for good, the message has its old content again, and `Message.change` gives
    /// the reason.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for content that can't be sent; `NotFound` when this device has no such message;
    /// `NotPossible` when it is another client's or was recalled, or when this client left the conversation;
    /// `TooLarge`; `OutboxFull`; `StoreUnavailable` when the change can't be made durable now; `SignedOut`;
    /// `ShutDown`.
    pub async fn edit(
        &self,
        message: MessageKey,
        content: MessageContent,
    ) -> Result<CommitSeq, SampanError> {
        let call = EditMessage {
            conversation: self.id.clone(),
            message,
            content,
        };
        self.write(call).await
    }

    /// Recalls an own message. Returns when the recall is durable in the outbox, online or not. Lists and timelines
    /// show the recall at once.
    ///
    /// A message that never left this device is removed. Any other message shows as recalled, and the recall goes to
    /// the service after the message, in the order of enqueueing. If the service refuses it for good, the message has
    /// its old content again, and `Message.change` gives the reason.
    ///
    /// # Errors
    ///
    /// Those of `edit`.
    pub async fn recall(&self, message: MessageKey) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        let call = RecallMessage {
            conversation,
            message,
        };
        self.write(call).await
    }

    /// Tries a failed message again, or its failed edits and recalls. Returns when that is durable. The message is
    /// sent at its old place in the order and arrives once; only a message that failed as `Ambiguous` may arrive
    /// twice.
    ///
    /// # Errors
    ///
    /// `NotFound` when this device has no such message; `NotPossible` when nothing of it has failed;
    /// `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn retry(&self, message: MessageKey) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        let call = RetryMessage {
            conversation,
            message,
        };
        self.write(call).await
    }

    /// Discards an unsent message, or the edits and recalls of a sent message that wait or failed. Returns when that
    /// is durable, and tells if others may have the message.
    ///
    /// # Errors
    ///
    /// `NotFound` when this device has no such message; `NotPossible` when nothing of it is unsent;
    /// `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn discard(&self, message: MessageKey) -> Result<DiscardedWork, SampanError> {
        let conversation = self.id.clone();
        let call = DiscardMessage {
            conversation,
            message,
        };
        let (answer, seq) = self.written(call).await?;
        Ok(DiscardedWork {
            discarded: answer.discarded,
            seq,
        })
    }

    /// A message of the conversation by its key, sent or not, and the commit at which it was read.
    ///
    /// # Errors
    ///
    /// `NotFound` when the conversation is gone from this device; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn message(&self, key: MessageKey) -> Result<FoundMessage, SampanError> {
        let reach = self.core.reach();
        self.read(move |snapshot, number| {
            Ok(FoundMessage {
                message: Message::by_key(snapshot, number, &key, reach)?,
                seq: snapshot.seq(),
            })
        })
        .await
    }

    /// A live window over the conversation. The call reads its first page from this device before it returns. The next
    /// session asks the service for a conversation that is not on this device: until then the window is empty with the
    /// anchor `Searching`, and `Absent` where the service does not have the conversation.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable`; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(options = None))]
    pub async fn timeline(
        &self,
        options: Option<TimelineOptions>,
    ) -> Result<Arc<Timeline>, SampanError> {
        let (id, options) = (self.id.clone(), options.unwrap_or_default());
        let live = LiveTimeline::open(&self.runtime, &self.core, id, options).await?;
        Ok(Arc::new(Timeline::new(live)))
    }

    /// The events of this conversation from now on, numbered and kept until the app takes them. `only` limits the feed
    /// to these kinds; none gives all kinds. The feed goes on when the service's id replaces a local id.
    #[must_use]
    #[uniffi::method(default(only = None))]
    pub fn feed(&self, only: Option<Vec<EventKind>>) -> Arc<EventFeed> {
        let ids = [self.id.clone(), self.conversation_id()];
        let wanted = Wanted::of(only).within(ids);
        Arc::new(EventFeed::new(Feed::open(
            &self.runtime,
            &self.core,
            wanted,
        )))
    }

    /// The draft of the conversation; none where there is no draft.
    ///
    /// # Errors
    ///
    /// `NotFound` when the conversation is gone from this device; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn draft(&self) -> Result<Option<Draft>, SampanError> {
        if let Some(draft) = self.runtime.unsaved_draft(&self.core, &self.id) {
            return Ok(draft.filter(|draft| !draft.is_empty()));
        }
        self.read(|snapshot, number| Ok(snapshot.conversation(number)?.and_then(|row| row.draft)))
            .await
    }

    /// Keeps a draft, or forgets it. Call it at each letter: the call only notes the draft in memory. The draft is
    /// durable within a second, and when `Engine.pause`, `Engine.shutdown` or a sign-out that keeps the data has
    /// returned. It stays on this device; lists show its first words.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a text of more than 64 KiB; `SignedOut`; `ShutDown`.
    pub fn set_draft(&self, draft: Option<Draft>) -> Result<(), SampanError> {
        let bytes = draft.as_ref().map_or(0, |draft| draft.text.len());
        if bytes > Draft::TEXT_MAX {
            return Err(SampanError::TooLarge {
                limit: Count::from(Draft::TEXT_MAX),
                actual: Count::from(bytes),
            });
        }
        if self.core.store.is_closed() {
            return Err(self.runtime.board().ended());
        }
        self.runtime.set_draft(&self.core, self.id.clone(), draft);
        Ok(())
    }

    /// Tells the others that the user types, or stopped typing. Call it at each letter: the call does not wait. At
    /// most one transient message goes out in three seconds, and only with an open session. The others forget it after
    /// six seconds.
    pub fn set_typing(&self, typing: bool) {
        let is_seen = self.core.board.session() == SessionState::Open;
        if is_seen && !self.runtime.board().is_away() {
            let conversation = self.id.clone();
            let call = SetTyping {
                conversation,
                typing,
            };
            self.runtime.mailbox().mention(&self.core.id, call);
        }
    }

    /// Pins or unpins the conversation. Lists on this device show pinned conversations above the others. Durable on
    /// return.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when it can't be made durable now; `NotFound`; `SignedOut`; `ShutDown`.
    pub async fn set_pinned(&self, pinned: bool) -> Result<CommitSeq, SampanError> {
        self.note(LocalNote::Pinned(pinned)).await
    }

    /// Hides the conversation, or shows it again. Lists on this device leave a hidden conversation out until it has
    /// newer activity, unless their filter names hidden conversations. No data are removed. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of `set_pinned`.
    pub async fn set_hidden(&self, hidden: bool) -> Result<CommitSeq, SampanError> {
        self.note(LocalNote::Hidden(hidden)).await
    }

    /// Marks the conversation read up to and including a message, or up to the newest known message where `until` is
    /// none. The unread count is cleared here at once. For an unsent message the mark reaches to the newest known
    /// message. Returns when the mark is durable in the outbox, online or not; the service is told with the next
    /// session. A mark never goes back.
    ///
    /// # Errors
    ///
    /// `NotFound` for a conversation, or a local id of a message, that is not on this device; `OutboxFull`;
    /// `StoreUnavailable` when the mark can't be made durable now; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(until = None))]
    pub async fn mark_read(&self, until: Option<MessageKey>) -> Result<CommitSeq, SampanError> {
        let Some(message) = until else {
            return self.mark(None).await;
        };
        let conversation = self.id.clone();
        let call = MarkReadMessage {
            conversation,
            message,
        };
        self.write(call).await
    }

    /// Marks the conversation read up to and including that time of the service. A later time than that of the newest
    /// known message stands for that message.
    ///
    /// # Errors
    ///
    /// Those of `mark_read`.
    pub async fn mark_read_until(&self, until: Timestamp) -> Result<CommitSeq, SampanError> {
        self.mark(Some(until)).await
    }

    /// A live list of the members, or of the managers, silenced or blocked clients. The call reads its first rows from
    /// this device before it returns.
    ///
    /// # Errors
    ///
    /// `NotFound` when the conversation is gone from this device; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    #[uniffi::method(default(options = None))]
    pub async fn members(
        &self,
        options: Option<MemberListOptions>,
    ) -> Result<Arc<MemberList>, SampanError> {
        let (id, options) = (self.id.clone(), options.unwrap_or_default());
        let live = LiveMembers::open(&self.runtime, &self.core, id, options).await?;
        Ok(Arc::new(MemberList::new(live)))
    }

    /// Asks the service for the number of members: for a chat room those inside and online, for a service conversation
    /// the subscribers.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `SignedOut`, `ShutDown`.
    pub async fn count_members(&self) -> Result<Count, SampanError> {
        let conversation = self.id.clone();
        let counted = self.request(CountMembers { conversation }).await?;
        Ok(Count::from(counted.count))
    }

    /// Asks the service up to which message the others received and read the conversation, and stores these marks.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn fetch_receipts(&self) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        self.write(FetchReceipts { conversation }).await
    }
}

impl Conversation {
    async fn note(&self, note: LocalNote) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        self.write(Note { conversation, note }).await
    }

    async fn mark(&self, until: Option<Timestamp>) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        let call = MarkRead {
            conversation,
            until,
        };
        self.write(call).await
    }
}

pub(super) fn gone() -> SampanError {
    SampanError::NotFound {
        what: Subject::Conversation,
    }
}
