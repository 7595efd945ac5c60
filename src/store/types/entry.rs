//! Outbox entries: the promises to the app, as the machines work on them.

use std::collections::BTreeMap;

use crate::model::{
    ClientId, ConversationId, ConversationKind, ConversationState, Details, Json, LocalId,
    Mentions, Message, MessageContent, MessageKey, MessageState, Named, OutboxEntry, OutboxEntryId,
    OutboxKind, OutboxState, PendingChange, Priority, SendFailure, Timestamp, UploadTicket,
};
use crate::store::types::conversation::ConversationRow;
use crate::store::types::members::{MemberLists, MembersChange, MembersIntent, put_on};
use crate::store::types::position::ConversationNumber;

/// One piece of unsent work.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the order of enqueueing; never used again.
    pub id: OutboxEntryId,
    /// The conversation it belongs to.
    pub conversation: ConversationNumber,
    /// Its idempotency token; of a send, the message's local id too.
    pub token: LocalId,
    /// The time at which it was enqueued, by this device's clock.
    pub enqueued_at: Timestamp,
    /// The number of times that the entry was sent, or refused before it left.
    pub tries: u32,
    /// The time since which it may have reached the service without an answer, by the service's clock.
    pub in_doubt_since: Option<Timestamp>,
    /// The state of the entry.
    pub state: OutboxState,
    /// The work of the entry.
    pub intent: Intent,
}

/// The work of an outbox entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Makes a conversation.
    Create(CreateIntent),
    /// Sends a message.
    Send(SendIntent),
    /// Edits or recalls a message.
    Patch(PatchIntent),
    /// Adds or removes members, this client among them, or changes their rights.
    Members(MembersIntent),
    /// Changes a conversation's name or attributes.
    Details(DetailsIntent),
    /// Mutes or unmutes a conversation.
    Mute(MuteIntent),
    /// Marks a conversation read.
    Read(ReadIntent),
}

/// Makes a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIntent {
    /// Its kind.
    pub kind: ConversationKind,
    /// Its name.
    pub name: Option<String>,
    /// The members beside this client.
    pub members: Vec<ClientId>,
    /// The app's own attributes: a JSON object.
    pub attributes: Option<Json>,
    /// True if a conversation of the same members is used if there is one.
    pub unique: bool,
    /// The lifetime of a temporary one, in seconds; none for the service's default.
    pub lifetime_seconds: Option<u32>,
}

/// Sends a message.
#[derive(Clone, Debug, PartialEq)]
pub struct SendIntent {
    /// The content of the message.
    pub content: MessageContent,
    /// The clients that the message mentions.
    pub mentions: Mentions,
    /// True if the sender wants to be told when the message is delivered and read.
    pub receipt: bool,
    /// True if the message is for those online only.
    pub transient: bool,
    /// The content of a push notification: a JSON object.
    pub push: Option<Json>,
    /// The urgency of the message.
    pub priority: Option<Priority>,
    /// True if the service sends the message only when this client disappears.
    pub will: bool,
    /// The file that has to be uploaded first; none once it is.
    pub upload: Option<Box<Upload>>,
}

/// A file that a message waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The name of its copy in the spool.
    pub file: String,
    /// Its name for others.
    pub name: String,
    /// Its MIME type.
    pub mime: String,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// The stage of the upload.
    pub stage: UploadStage,
}

/// The stage of an upload. An upload that is begun again goes on with the same ticket, so that it ends in the same
/// file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadStage {
    /// The service was not asked for a ticket, or its answer is not known.
    Waiting,
    /// There is a ticket; the bytes are not surely in the storage.
    Ticketed(UploadTicket),
    /// The bytes are in the storage; the service is not told yet.
    Stored(UploadTicket),
}

/// Edits or recalls an own message.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchIntent {
    /// The message: a sent one, or one whose sending is in progress.
    pub message: MessageKey,
    /// The change of the message.
    pub patch: Patch,
}

/// The change of a message.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are few of them; the large one is the common one"
)]
pub enum Patch {
    /// New content.
    Edit {
        /// The content from then on.
        content: MessageContent,
        /// The mentions from then on.
        mentions: Mentions,
    },
    /// A recall.
    Recall,
}

/// Changes the name of a conversation, or single attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetailsIntent {
    /// The name from then on; none to leave it.
    pub name: Option<String>,
    /// The attributes that change, by key; none removes one.
    pub attributes: BTreeMap<String, Option<Json>>,
}

/// Mutes a conversation for this client, or unmutes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MuteIntent {
    /// True if the conversation is muted from then on.
    pub muted: bool,
}

/// Marks a conversation read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadIntent {
    /// Up to and including this time, by the service's clock.
    pub until: Timestamp,
    /// The newest message that was read, if it is another's.
    pub message: Option<crate::model::MessageId>,
}

impl Intent {
    /// The kind, as an app sees it.
    #[must_use]
    pub const fn kind(&self) -> OutboxKind {
        match self {
            Self::Create(_) => OutboxKind::Create,
            Self::Send(_) => OutboxKind::Send,
            Self::Patch(patch) => match patch.patch {
                Patch::Edit { .. } => OutboxKind::Edit,
                Patch::Recall => OutboxKind::Recall,
            },
            Self::Members(intent) => match intent.change {
                MembersChange::Join => OutboxKind::Join,
                MembersChange::Quit => OutboxKind::Quit,
                MembersChange::Add => OutboxKind::AddMembers,
                MembersChange::Remove => OutboxKind::RemoveMembers,
                MembersChange::Block => OutboxKind::Block,
                MembersChange::Unblock => OutboxKind::Unblock,
                MembersChange::Silence => OutboxKind::Silence,
                MembersChange::Unsilence => OutboxKind::Unsilence,
                MembersChange::Promote | MembersChange::Demote => OutboxKind::SetRole,
            },
            Self::Details(_) => OutboxKind::Details,
            Self::Mute(MuteIntent { muted: true }) => OutboxKind::Mute,
            Self::Mute(MuteIntent { muted: false }) => OutboxKind::Unmute,
            Self::Read(_) => OutboxKind::Read,
        }
    }
}

impl PatchIntent {
    /// True if the entry changes this message.
    #[must_use]
    pub fn is_of(&self, message: &Message) -> bool {
        match self.message.named() {
            Named::Local(id) => message.local_id.as_ref() == Some(id),
            Named::Service { sent_at, id } => {
                message.sent_at == *sent_at && message.id.as_ref() == Some(id)
            }
        }
    }
}

impl Patch {
    /// The message as it is once the service has the change.
    #[must_use]
    pub fn applied_to(&self, message: Message) -> Message {
        match self {
            Self::Edit { content, mentions } => Message {
                content: content.clone(),
                mentions: mentions.clone(),
                ..message
            },
            Self::Recall => Message {
                content: MessageContent::Recalled {
                    caption: None,
                    details: Details::default(),
                },
                mentions: Mentions::default(),
                ..message
            },
        }
    }

    /// The waiting change in the form of a message's field.
    #[must_use]
    pub const fn pending(&self, failure: Option<SendFailure>) -> PendingChange {
        match self {
            Self::Edit { .. } => PendingChange::Edit { failure },
            Self::Recall => PendingChange::Recall { failure },
        }
    }
}

impl DetailsIntent {
    /// Changes a conversation's row as the service does.
    pub fn apply_to(&self, row: &mut ConversationRow) {
        if let Some(name) = &self.name {
            row.name = Some(name.clone());
        }
        if self.attributes.is_empty() {
            return;
        }
        let before = row.attributes.as_ref().map(Json::to_value);
        let mut all = match before {
            Some(serde_json::Value::Object(all)) => all,
            _ => serde_json::Map::new(),
        };
        for (key, value) in &self.attributes {
            match value {
                Some(value) => all.insert(key.clone(), value.to_value()),
                None => all.remove(key),
            };
        }
        row.attributes = Some(Json::from_value(&serde_json::Value::Object(all)));
    }

    /// Adds later changes, which win.
    pub fn merge(&mut self, later: Self) {
        self.name = later.name.or_else(|| self.name.take());
        self.attributes.extend(later.attributes);
    }

    /// Leaves out everything that later changes set, too.
    pub fn leave_out(&mut self, later: &Self) {
        if later.name.is_some() {
            self.name = None;
        }
        self.attributes
            .retain(|key, _| !later.attributes.contains_key(key));
    }
}

impl MembersIntent {
    /// Changes a conversation's row as the service does, for the client that asked.
    pub fn apply_to(&self, row: &mut ConversationRow, me: &ClientId) {
        self.apply_to_lists(&mut row.lists);
        let takes_out = self.change.takes_out() || self.change == MembersChange::Block;
        if !self.change.adds() && !takes_out {
            return;
        }
        if !row.kind.has_member_list() {
            // There is no list, and the state says whether this client is inside, or subscribed.
            row.members.clear();
        } else if self.change.adds() {
            for member in &self.members {
                if !row.members.contains(member) {
                    row.members.push(member.clone());
                }
            }
        } else {
            row.members.retain(|member| !self.members.contains(member));
        }
        if self.members.contains(me) {
            row.state = match (self.change.adds(), &row.state) {
                (true, ConversationState::Left) => ConversationState::Live,
                (true, state) => state.clone(),
                (false, _) => ConversationState::Left,
            };
        }
    }

    fn apply_to_lists(&self, lists: &mut MemberLists) {
        let (list, listed) = match self.change {
            MembersChange::Block => (&mut lists.blocked, true),
            MembersChange::Unblock => (&mut lists.blocked, false),
            MembersChange::Silence => (&mut lists.silenced, true),
            MembersChange::Unsilence => (&mut lists.silenced, false),
            MembersChange::Promote => (&mut lists.managers, true),
            MembersChange::Demote => (&mut lists.managers, false),
            MembersChange::Join
            | MembersChange::Quit
            | MembersChange::Add
            | MembersChange::Remove => return,
        };
        put_on(list, &self.members, listed);
    }
}

impl Entry {
    /// True if the conversation looks different while the entry waits.
    #[must_use]
    pub const fn changes_row(&self) -> bool {
        matches!(
            self.intent,
            Intent::Members(_) | Intent::Details(_) | Intent::Mute(_)
        )
    }

    /// Makes a conversation look as if the service had done this, while the entry waits.
    pub fn show_on_row(&self, row: &mut ConversationRow, me: &ClientId) {
        if self.failure().is_some() {
            return;
        }
        match &self.intent {
            Intent::Members(intent) => intent.apply_to(row, me),
            Intent::Details(intent) => intent.apply_to(row),
            Intent::Mute(intent) => row.muted = intent.muted,
            Intent::Create(_) | Intent::Send(_) | Intent::Patch(_) | Intent::Read(_) => {}
        }
    }

    /// The edit or recall that it is.
    #[must_use]
    pub const fn patch(&self) -> Option<&PatchIntent> {
        match &self.intent {
            Intent::Patch(patch) => Some(patch),
            _ => None,
        }
    }

    /// The local id of the message that it edits or recalls, if this device made it.
    #[must_use]
    pub fn changed_message(&self) -> Option<&LocalId> {
        match self.patch()?.message.named() {
            Named::Local(id) => Some(id),
            Named::Service { .. } => None,
        }
    }

    /// The reason why it failed for good, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<&SendFailure> {
        match &self.state {
            OutboxState::Failed { failure } => Some(failure),
            OutboxState::Queued | OutboxState::InFlight => None,
        }
    }

    /// A message as it looks with this edit or recall: changed while the entry waits, as it was once
    /// the entry failed. Any other entry leaves it alone.
    #[must_use]
    pub fn shown_on(&self, message: Message) -> Message {
        let Some(intent) = self.patch().filter(|intent| intent.is_of(&message)) else {
            return message;
        };
        let failure = self.failure().cloned();
        let change = Some(intent.patch.pending(failure.clone()));
        let shown = match failure {
            None => intent.patch.applied_to(message),
            Some(_) => message,
        };
        Message { change, ..shown }
    }

    /// The file that has to be uploaded before it is sent.
    #[must_use]
    pub fn upload(&self) -> Option<&Upload> {
        match &self.intent {
            Intent::Send(send) => send.upload.as_deref(),
            _ => None,
        }
    }

    /// The local id of the message it makes, if it makes one.
    #[must_use]
    pub fn local_id(&self) -> Option<&LocalId> {
        matches!(self.intent, Intent::Send(_)).then_some(&self.token)
    }

    /// True if a timeline shows the entry: sends that are kept are shown, transient ones are not.
    #[must_use]
    pub const fn has_echo(&self) -> bool {
        matches!(&self.intent, Intent::Send(send) if !send.transient && !send.will)
    }

    /// The entry as an app sees it.
    #[must_use]
    pub fn view(&self, conversation: ConversationId) -> OutboxEntry {
        OutboxEntry {
            id: self.id,
            conversation,
            kind: self.intent.kind(),
            local_id: self.local_id().cloned(),
            enqueued_at: self.enqueued_at,
            tries: self.tries,
            state: self.state.clone(),
        }
    }

    /// The local echo of a send: the message as a timeline shows it until it is acknowledged.
    /// A transient message has none: it is in no timeline.
    #[must_use]
    pub fn echo(&self, conversation: ConversationId, sender: ClientId) -> Option<Message> {
        let message = self.message(conversation, sender)?;
        self.has_echo().then_some(message)
    }

    /// The message that a send makes, whether or not a timeline shows it.
    #[must_use]
    pub fn message(&self, conversation: ConversationId, sender: ClientId) -> Option<Message> {
        let Intent::Send(send) = &self.intent else {
            return None;
        };
        Some(Message {
            conversation,
            id: None,
            local_id: Some(self.token.clone()),
            sender,
            sent_at: self.enqueued_at,
            content: send.content.clone(),
            mentions: send.mentions.clone(),
            state: match &self.state {
                OutboxState::Queued | OutboxState::InFlight => MessageState::Pending,
                OutboxState::Failed { failure } => MessageState::Failed {
                    failure: failure.clone(),
                },
            },
            edited_at: None,
            transient: send.transient,
            change: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_a_member_out_and_an_unblock_does_not_bring_it_back() {
        let clients = |names: &[&str]| -> Vec<ClientId> {
            let ids = names.iter().map(ClientId::new);
            ids.collect::<Result<_, _>>().unwrap()
        };
        let mut row = ConversationRow::unknown(ConversationId::new("c").unwrap());
        row.members = clients(&["ann", "ben", "cat"]);
        let me = ClientId::new("ann").unwrap();
        let mut apply = |change| {
            let members = clients(&["ben"]);
            MembersIntent { change, members }.apply_to(&mut row, &me);
            (
                row.members.len(),
                row.lists.managers.len(),
                row.lists.silenced.len(),
                row.lists.blocked.len(),
            )
        };
        assert_eq!(apply(MembersChange::Promote), (3, 1, 0, 0));
        assert_eq!(apply(MembersChange::Demote), (3, 0, 0, 0));
        assert_eq!(apply(MembersChange::Silence), (3, 0, 1, 0));
        assert_eq!(apply(MembersChange::Unsilence), (3, 0, 0, 0));
        assert_eq!(apply(MembersChange::Block), (2, 0, 0, 1));
        assert_eq!(apply(MembersChange::Unblock), (2, 0, 0, 0));
        assert_eq!(row.state, ConversationState::Live);
    }
}
