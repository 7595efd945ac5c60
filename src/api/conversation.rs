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

/// A handle of one conversation of one client. Handles are cheap; two that were made by the same id are
/// equal.
#[derive(uniffi::Object)]
#[uniffi::export(Debug, Eq, Hash)]
pub struct Conversation {
    pub(super) runtime: Arc<Runtime>,
    pub(super) core: Arc<ClientCore>,
    /// The id by which it was made.
    id: ConversationId,
    /// The service's id, once that took over from a local one.
    named: OnceLock<ConversationId>,
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct SentMessage {
    /// Its outbox entry; none of a transient message, and of one that the service has already.
    pub entry: Option<OutboxEntryId>,
    /// The id by which this device knows the message for ever.
    pub local_id: LocalId,
    /// The message as it is now: pending, or as the service has it already.
    pub message: Message,
    /// The commit that holds it: a view whose update names this number or a later one shows it.
    pub seq: CommitSeq,
}

/// The answer to a question for one message.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct FoundMessage {
    /// The message; none where this device has none of that key.
    pub message: Option<Message>,
    /// The commit of this device's store at which it was read: it shows every write that answered this number or a
    /// smaller one.
    pub seq: CommitSeq,
}

/// The outcome of giving up unsent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct DiscardedWork {
    /// Whether others may have it.
    pub discarded: Discarded,
    /// The commit that holds it.
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

    /// Reads what belongs to the conversation, under whichever id it has by now.
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

    /// The service's id, if that took over. A store that is shut, because the app is in the background, does
    /// not tell.
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

    /// Makes a write; answers the commit that holds it.
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

    /// A message that was accepted, as an app sees it.
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
    /// The conversation's id now. One that was made offline has an id of this device until the service has
    /// made it, then the service's: messages and events carry the same. Both keep resolving. Quick: it reads
    /// what is in memory.
    #[must_use]
    pub fn conversation_id(&self) -> ConversationId {
        if !self.id.is_local() {
            return self.id.clone();
        }
        let named = self.named.get().cloned().or_else(|| self.taken_over());
        named.unwrap_or_else(|| self.id.clone())
    }

    /// The conversation as this device knows it.
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

    /// Sends words, as an answer to another message of the conversation where one is named. Returns when the message
    /// is durable in the outbox, online or not.
    ///
    /// # Errors
    ///
    /// `TooLarge`; `OutboxFull`; `NotPossible` when the client left the conversation;
    /// `StoreUnavailable` when it can't be made durable now; `NotFound` for a conversation, or an answered message,
    /// that is not on this device; `SignedOut`, `ShutDown`.
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

    /// Sends a message. Returns when it is durable in the outbox, online or not. `SendOptions` tells what is
    /// different for transient messages and wills, and how a repeated call sends once.
    ///
    /// # Errors
    ///
    /// Those of `send_text`; `InvalidArgument` for content or options that can't be sent; of a transient message also
    /// `NotConnected`, `TimedOut` and `Refused`.
    pub async fn send(&self, message: NewMessage) -> Result<SentMessage, SampanError> {
        let conversation = self.id.clone();
        let call = SendMessage {
            conversation,
            message,
        };
        self.enqueue(call).await
    }

    /// Keeps a message that the app could not make ready to be sent: it shows as failed, with `reason`, survives
    /// restarts, and goes out when `retry` is called; `remove` takes it out. With `SendOptions.local_id` it is
    /// kept once. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// Those of `send_text`; `InvalidArgument` too for a transient message and a will.
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

    /// Stores a message that the app got by another way, such as from a push. It stands between gaps until
    /// history is read around it, and is recognized when the service sends it too. Returns when it is durable.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` in a chat room, and where the service does not have the conversation yet; `NotFound`
    /// when the message's conversation is not on this device; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn keep(&self, message: ForeignMessage) -> Result<CommitSeq, SampanError> {
        self.write(KeepForeign { message }).await
    }

    /// Removes a message, and the changes that wait for it, from this device alone. A message that the service has
    /// comes back when history is read there again. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// `NotPossible` for a message on its way; `NotFound` when this device has no such message;
    /// `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn remove(&self, message: MessageKey) -> Result<CommitSeq, SampanError> {
        let conversation = self.id.clone();
        let call = RemoveMessage {
            conversation,
            message,
        };
        self.write(call).await
    }

    /// Changes the content of an own message; its mentions stay. Returns when the change is durable in the outbox,
    /// online or not; it shows at once, in lists and timelines too.
    ///
    /// A message that never left this device is changed in the outbox. Any other change is told to the
    /// service behind the message, in the order of enqueueing, and may be told twice: the service does
    /// the same again. `Message.change` says that it waits; if the service refuses it for good, the
    /// message has its old content again, and `Message.change` says why.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for content that can't be sent; `NotFound` when this device has no such message;
    /// `NotPossible` when it is somebody else's or was recalled, or when this client left the conversation;
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

    /// Takes an own message back. Returns when that is durable in the outbox, online or not; it shows at
    /// once, in lists and timelines too.
    ///
    /// A message that never left this device is gone. Any other one shows as recalled, and the service is
    /// told behind the message, in the order of enqueueing. If the service refuses it for good, the message
    /// has its old content again, and `Message.change` says why.
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

    /// Tries a failed message again, or its failed edits and recalls. Returns when that is durable. The
    /// same message is sent, at its old place in the order: it arrives once, unless it failed as
    /// `Ambiguous`, when it may arrive twice.
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

    /// Gives up an unsent message, or the edits and recalls of a sent one that wait or failed. Returns when
    /// that is durable, and tells whether others may have it.
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

    /// A live window over the conversation: its first page is read on return, from this device. A conversation
    /// that is not on this device is asked for with the next session: until then the window is empty and its
    /// anchor `Searching`, and `Absent` where the service does not have it either.
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

    /// Every event of this conversation from now on, numbered and kept until it is taken; or those of some sorts
    /// alone. It goes on when the service's id takes over from a local one.
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

    /// The draft of the conversation; none where nothing is written.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is gone from this device; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn draft(&self) -> Result<Option<Draft>, SampanError> {
        if let Some(draft) = self.runtime.unsaved_draft(&self.core, &self.id) {
            return Ok(draft.filter(|draft| !draft.is_empty()));
        }
        self.read(|snapshot, number| Ok(snapshot.conversation(number)?.and_then(|row| row.draft)))
            .await
    }

    /// Keeps a draft, or forgets it. Call this at each letter: the call does no work itself. The draft is on disk
    /// within a second, and when `Engine.pause`, `Engine.shutdown` or a sign-out that keeps the data has returned. It
    /// stays on this device; lists show its first words.
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

    /// Tells the others that the user writes, or stopped: call it at each letter. At most one transient message
    /// goes out in three seconds, and only with a session; the others forget it after six. It does no work
    /// itself.
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

    /// Pins the conversation: in lists on this device it stands above those that are not pinned. Durable on return.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when it can't be made durable now; `NotFound`; `SignedOut`; `ShutDown`.
    pub async fn set_pinned(&self, pinned: bool) -> Result<CommitSeq, SampanError> {
        self.note(LocalNote::Pinned(pinned)).await
    }

    /// Hides the conversation: lists on this device leave it out until something newer happens in it, unless their
    /// filter names hidden conversations. Nothing of it is removed. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of `set_pinned`.
    pub async fn set_hidden(&self, hidden: bool) -> Result<CommitSeq, SampanError> {
        self.note(LocalNote::Hidden(hidden)).await
    }

    /// Marks the conversation read up to and including a message, or up to the newest message that is known where
    /// none is named: the unread count is cleared here at once. An unsent message stands for the newest one. Returns
    /// when the mark is durable in the outbox, online or not. The service is told when it can be, and may be told
    /// twice: a mark never goes back.
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

    /// Marks the conversation read up to and including a message of that time. A time after the newest message that
    /// is known stands for that message.
    ///
    /// # Errors
    ///
    /// Those of `mark_read`.
    pub async fn mark_read_until(&self, until: Timestamp) -> Result<CommitSeq, SampanError> {
        self.mark(Some(until)).await
    }

    /// The members, live, or the managers, silenced or blocked clients: the first rows are read on return, from
    /// this device.
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

    /// Asks the service how many members there are: of a chat room, how many are inside and online; of a service
    /// conversation, how many subscribed.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `SignedOut`, `ShutDown`.
    pub async fn count_members(&self) -> Result<Count, SampanError> {
        let conversation = self.id.clone();
        let counted = self.request(CountMembers { conversation }).await?;
        Ok(Count::from(counted.count))
    }

    /// Asks the service how far the others received and read the conversation, and stores the marks.
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
