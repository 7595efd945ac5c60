//! API calls that write: the app's wish becomes an entry, and the call is answered when the entry is durable.
//! Nothing here needs the service.

use std::sync::Arc;

use crate::Obstacle;
use crate::model::{
    ClientId, ConversationId, ConversationKind, ConversationState, Json, LocalId, MessageContent,
    NewConversation, NewMessage, OutboxEntryId, OutboxState, SendFailure, Timestamp, Uniqueness,
};
use crate::store::{
    ConversationNumber, ConversationRow, CreateIntent, Entry, Freshness, HistoryStart, Intent,
    SendIntent, StoreError, Upload,
};
use crate::sync::client::outgoing::replies;
use crate::sync::client::{Answered, Client, Signing, Turn};
use crate::sync::{
    CreateConversation, Created, DiscardEntry, Done, Enqueued, RequestError, RetryEntry,
    SendMessage,
};
use crate::wire::convert;
use crate::wire::frame::TO_SERVICE_BYTES_MAX;
use crate::wire::generated::{ConvCommand, DirectCommand, JsonObjectMessage};
use crate::wire::request::TOKEN_COLUMN;
use crate::wire::{Command, Envelope, Op, Serial};

/// The most members of a temporary conversation, the client that makes it included.
const TEMPORARY_MEMBERS_MAX: usize = 10;

/// How deep attributes of a conversation may nest: the service takes columns of 32 levels.
pub(in crate::sync::client) const ATTRIBUTES_DEPTH_MAX: usize = 31;

/// Bytes that a signature adds to a command: 40 digits, a nonce, a time, and their field numbers.
pub(in crate::sync::client) const SIGNATURE_BYTES: usize = 128;

/// Bytes that a priority adds to a command.
const PRIORITY_BYTES: usize = 2;

/// The conversation of a message, and the intent to send it.
pub(in crate::sync::client) type CheckedMessage =
    (ConversationNumber, Arc<ConversationRow>, SendIntent);

impl Client {
    pub(in crate::sync::client) fn create_conversation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: CreateConversation,
    ) -> Answered<Created> {
        let intent = match self.check_creation(call.conversation) {
            Ok(intent) => intent,
            Err(error) => return Ok(Err(error)),
        };
        if self.outbox_is_full(turn) {
            return Ok(Err(self.outbox_full()));
        }
        if let Some(existing) = self.waiting_twin(turn, &intent)? {
            return Ok(Ok(existing));
        }
        let id = self.randomness.local_conversation_id();
        let mut row = ConversationRow::unknown(id.clone());
        row.kind = intent.kind;
        row.name.clone_from(&intent.name);
        row.creator = Some(self.me().clone());
        row.members = self.members_of(&intent);
        row.attributes.clone_from(&intent.attributes);
        row.unique = intent.unique;
        row.state = ConversationState::Creating;
        row.freshness = Freshness::Fresh;
        row.history.set_start(HistoryStart::Reached);
        let number = turn.overlay.create_conversation(row)?;
        let entry = self.enqueue(turn, number, Intent::Create(intent))?;
        Ok(Ok(Created {
            conversation: id,
            entry: Some(entry.0),
        }))
    }

    fn check_creation(&mut self, wanted: NewConversation) -> Result<CreateIntent, RequestError> {
        let invalid = |reason: &str| {
            Err(RequestError::InvalidArgument {
                reason: reason.to_owned(),
            })
        };
        match wanted.kind {
            ConversationKind::Service => {
                return invalid("kind: service conversations are made by the app's server");
            }
            ConversationKind::ChatRoom if !wanted.members.is_empty() => {
                return invalid("members: a chat room has no member list");
            }
            ConversationKind::Temporary if wanted.members.len() >= TEMPORARY_MEMBERS_MAX => {
                return invalid("members: a temporary conversation has at most ten");
            }
            _ => {}
        }
        let unfit = |json: &Json| !json.fits_columns(ATTRIBUTES_DEPTH_MAX);
        if wanted.attributes.as_ref().is_some_and(unfit) {
            return invalid(
                "attributes: nested deeper than 31 levels, or an integer of over 64 bits",
            );
        }
        let lifetime = wanted.lifetime.map(|life| u32::try_from(life.as_secs()));
        let Ok(lifetime_seconds) = lifetime.transpose() else {
            return invalid("lifetime: too long");
        };
        let intent = CreateIntent {
            kind: wanted.kind,
            name: wanted.name,
            members: wanted.members,
            attributes: wanted.attributes,
            // Temporary conversations of the same members are the same one while they live.
            unique: wanted.uniqueness == Uniqueness::Unique
                && wanted.kind != ConversationKind::ChatRoom,
            lifetime_seconds,
        };
        // A token is as long as every other, so this one measures the command.
        let measure = self.randomness.local_id();
        let command = self.start_command(&intent, &measure);
        let extra = match self.settings.signing {
            Signing::Signed | Signing::SignedEachTime => SIGNATURE_BYTES,
            Signing::Unsigned | Signing::SignIns => 0,
        };
        self.check_size(command, extra)?;
        Ok(intent)
    }

    /// A unique conversation of the same members that waits to be made already.
    fn waiting_twin(
        &self,
        turn: &Turn<'_, '_>,
        wanted: &CreateIntent,
    ) -> Result<Option<Created>, StoreError> {
        if !wanted.unique {
            return Ok(None);
        }
        let members = self.members_of(wanted);
        for entry in self.sender.creations(turn) {
            let Intent::Create(intent) = &entry.intent else {
                continue;
            };
            let twin =
                intent.unique && intent.kind == wanted.kind && self.members_of(intent) == members;
            if !twin {
                continue;
            }
            if let Some(row) = turn.overlay.snapshot().conversation(entry.conversation)? {
                return Ok(Some(Created {
                    conversation: row.id,
                    entry: Some(entry.id),
                }));
            }
        }
        Ok(None)
    }

    /// The members as they are sent: sorted, each once, with the one who makes it; none for a
    /// chat room.
    pub(in crate::sync::client) fn members_of(&self, intent: &CreateIntent) -> Vec<ClientId> {
        if intent.kind == ConversationKind::ChatRoom {
            return Vec::new();
        }
        let mut members = intent.members.clone();
        members.push(self.me().clone());
        members.sort();
        members.dedup();
        members
    }

    /// The command that makes a conversation, unsigned. One that could be made twice carries the
    /// entry's token as a column, by which it is found again.
    pub(in crate::sync::client) fn start_command(
        &self,
        intent: &CreateIntent,
        token: &LocalId,
    ) -> ConvCommand {
        let mut attributes = serde_json::Map::new();
        if !is_one_per_members(intent) {
            attributes.insert(TOKEN_COLUMN.to_owned(), token.as_str().into());
        }
        if let Some(name) = &intent.name {
            attributes.insert("name".to_owned(), name.as_str().into());
        }
        if let Some(json) = &intent.attributes {
            attributes.insert("attr".to_owned(), json.to_value());
        }
        let data =
            (!attributes.is_empty()).then(|| serde_json::Value::Object(attributes).to_string());
        let temporary = intent.kind == ConversationKind::Temporary;
        let seconds = intent.lifetime_seconds;
        ConvCommand {
            m: self
                .members_of(intent)
                .iter()
                .map(ToString::to_string)
                .collect(),
            transient: (intent.kind == ConversationKind::ChatRoom).then_some(true),
            unique: intent.unique.then_some(true),
            attr: data.map(|data| JsonObjectMessage { data }),
            temp_conv: temporary.then_some(true),
            temp_conv_ttl: seconds
                .filter(|_| temporary)
                .and_then(|it| i32::try_from(it).ok()),
            ..ConvCommand::default()
        }
    }

    fn check_size(&self, body: ConvCommand, extra: usize) -> Result<(), RequestError> {
        let actual = self
            .size_of(Command::conv(Op::Start, body))
            .saturating_add(extra);
        fits(actual)
    }

    /// The number of bytes that a command will have with all that the link adds.
    pub(in crate::sync::client) fn size_of(&self, command: Command) -> usize {
        let envelope = Envelope::new(command)
            .with_peer(self.me().as_str())
            .with_serial(Serial(i32::MAX));
        envelope.to_bytes().len()
    }

    /// Enqueues a message, once per local id of the app.
    pub(in crate::sync::client) fn send_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SendMessage,
    ) -> Answered<Enqueued> {
        self.send_message_with(turn, call, None)
    }

    /// The same of a message that may wait for a file.
    pub(in crate::sync::client) fn send_message_with(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SendMessage,
        upload: Option<Box<Upload>>,
    ) -> Answered<Enqueued> {
        if let Some(id) = &call.message.options.local_id
            && let Some(known) = self.message_of_local_id(turn, id)?
        {
            return Ok(Ok(known));
        }
        let (number, row, intent) = match self.check_message(turn, &call)? {
            Ok(checked) => checked,
            Err(error) => return Ok(Err(error)),
        };
        if intent.will {
            self.forget_earlier_wills(turn);
        }
        if self.outbox_is_full(turn) {
            return Ok(Err(self.outbox_full()));
        }
        let token = call.message.options.local_id;
        let token = token.unwrap_or_else(|| self.randomness.local_id());
        let message = Intent::Send(SendIntent { upload, ..intent });
        let entry = self.enqueue_as(turn, number, token.clone(), turn.now.wall, message)?;
        let enqueued = turn.overlay.snapshot().entry(entry);
        let Some(message) = enqueued.and_then(|it| it.message(row.id.clone(), self.me().clone()))
        else {
            return Ok(Err(RequestError::UnknownEntry));
        };
        Ok(Ok(Enqueued {
            entry: Some(entry),
            local_id: token,
            message,
            tries: 0,
        }))
    }

    /// The message that an app gave a local id before, unsent or sent.
    fn message_of_local_id(
        &self,
        turn: &Turn<'_, '_>,
        id: &LocalId,
    ) -> Result<Option<Enqueued>, StoreError> {
        let snapshot = turn.overlay.snapshot();
        let entries = snapshot.outbox();
        let unsent = entries.iter().find(|entry| entry.local_id() == Some(id));
        let message = match unsent {
            Some(entry) => {
                let row = snapshot.row(entry.conversation)?;
                row.and_then(|row| entry.message(row.id.clone(), self.me().clone()))
            }
            None => snapshot.message_by_local_id(id)?,
        };
        Ok(message.map(|message| Enqueued {
            entry: unsent.map(|entry| entry.id),
            local_id: id.clone(),
            message,
            tries: unsent.map_or(0, |entry| entry.tries),
        }))
    }

    /// The message to be sent, if it can be sent where the app wants it.
    pub(in crate::sync::client) fn check_message(
        &mut self,
        turn: &Turn<'_, '_>,
        call: &SendMessage,
    ) -> Result<Result<CheckedMessage, RequestError>, StoreError> {
        let snapshot = turn.overlay.snapshot();
        let Some(number) = snapshot.number(&call.conversation)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        // While this client waits to join, its messages wait behind the join.
        let Some(row) = snapshot.shown_row(number)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        // A client that is not inside a chat room may speak there all the same.
        if row.is_closed() {
            return Ok(Err(RequestError::NotPossible {
                obstacle: Obstacle::ConversationLeft,
            }));
        }
        let (message, options) = (&call.message, &call.message.options);
        if let Err(error) = check_parts(message) {
            return Ok(Err(error));
        }
        let said = match replies::said(&snapshot, number, message)? {
            Ok(said) => said,
            Err(error) => return Ok(Err(error)),
        };
        let intent = SendIntent {
            content: said.content,
            mentions: message.mentions.clone(),
            receipt: options.receipt.unwrap_or_else(|| wants_receipt(&row))
                && !options.transient
                && !options.will,
            transient: options.transient,
            push: message.push.clone(),
            priority: options.priority,
            will: options.will,
            upload: None,
        };
        // A token of the engine's is as long as every other, so this one measures the command.
        let measure = match &options.local_id {
            Some(id) => id.clone(),
            None => self.randomness.local_id(),
        };
        let longest = said.longest.map(|content| SendIntent {
            content,
            ..intent.clone()
        });
        let longest = longest.as_ref().unwrap_or(&intent);
        let fits = self.measure_send(&row, longest, &measure);
        Ok(fits.map(|()| (number, row, intent)))
    }

    /// True if the command of a message fits a frame, for any serial of the link.
    pub(in crate::sync::client) fn measure_send(
        &self,
        row: &ConversationRow,
        intent: &SendIntent,
        token: &LocalId,
    ) -> Result<(), RequestError> {
        let body = self.direct_to(row, intent, token);
        let size = self.size_of(Command::direct(body));
        fits(size.saturating_add(intent.priority.map_or(0, |_| PRIORITY_BYTES)))
    }

    /// Puts work into the outbox, durably, and into its conversation's lane.
    pub(in crate::sync::client) fn enqueue(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        intent: Intent,
    ) -> Result<(OutboxEntryId, LocalId), StoreError> {
        let token = self.randomness.local_id();
        let enqueued_at = turn.now.wall;
        let entry = self.enqueue_as(turn, number, token.clone(), enqueued_at, intent)?;
        Ok((entry, token))
    }

    /// Does the same as `enqueue`, under a given token and time.
    pub(in crate::sync::client) fn enqueue_as(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        token: LocalId,
        enqueued_at: Timestamp,
        intent: Intent,
    ) -> Result<OutboxEntryId, StoreError> {
        let id = turn.overlay.enqueue(number, token, enqueued_at, intent)?;
        if let Some(entry) = turn.overlay.snapshot().entry(id) {
            self.sender.add(&entry);
        }
        Ok(id)
    }

    pub(in crate::sync::client) fn outbox_is_full(&self, turn: &Turn<'_, '_>) -> bool {
        let entries = turn.overlay.snapshot().outbox_len();
        u32::try_from(entries).unwrap_or(u32::MAX) >= self.settings.limits.outbox_max
    }

    pub(in crate::sync::client) const fn outbox_full(&self) -> RequestError {
        RequestError::OutboxFull {
            max: self.settings.limits.outbox_max,
        }
    }

    /// Enqueues a failed entry again, at its old place. The caller accepts the risk of an ambiguous one: it is
    /// sent again without a search.
    pub(in crate::sync::client) fn retry_entry(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: RetryEntry,
    ) -> Answered<Done> {
        let id = call.entry;
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(Err(RequestError::UnknownEntry));
        };
        if !matches!(entry.state, OutboxState::Failed { .. }) {
            return Ok(Err(RequestError::NotPossible {
                obstacle: Obstacle::HasNotFailed,
            }));
        }
        let ambiguous = OutboxState::Failed {
            failure: SendFailure::Ambiguous,
        };
        let entry_was_ambiguous = entry.state == ambiguous;
        turn.overlay.update_entry(id, |entry| {
            entry.state = OutboxState::Queued;
            entry.tries = 0;
            if entry_was_ambiguous {
                entry.in_doubt_since = None;
            }
        });
        turn.overlay.intend();
        match entry.intent {
            Intent::Create(_) => {
                let state = ConversationState::Creating;
                turn.overlay
                    .update_conversation(entry.conversation, |row| row.state = state)?;
                self.sender.add(&entry);
            }
            Intent::Send(_) => {
                self.sender.add(&entry);
                self.uploads.retry(id);
                self.resume_patches(turn, &entry)?;
            }
            Intent::Patch(_) | Intent::Members(_) | Intent::Details(_) | Intent::Mute(_) => {
                self.sender.add(&entry);
            }
            Intent::Read(_) => self.reads.add(id),
        }
        Ok(Ok(Done))
    }

    /// Gives up a failed entry, or cancels one that never left this device. A read mark that waits cannot
    /// be cancelled: the count that it cleared is gone.
    pub(in crate::sync::client) fn discard_entry(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: DiscardEntry,
    ) -> Answered<Done> {
        let id = call.entry;
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(Err(RequestError::UnknownEntry));
        };
        let failed = matches!(entry.state, OutboxState::Failed { .. });
        if matches!(entry.intent, Intent::Read(_)) && !failed {
            return Ok(Err(RequestError::NotPossible {
                obstacle: Obstacle::ReadMark,
            }));
        }
        let never_sent = entry.state == OutboxState::Queued && entry.in_doubt_since.is_none();
        if !failed && (!never_sent || self.sender.is_busy_with(id)) {
            return Ok(Err(RequestError::NotPossible {
                obstacle: Obstacle::OnItsWay,
            }));
        }
        turn.overlay.intend();
        if let Intent::Create(_) = entry.intent {
            // The entries that wait for the conversation have nowhere to go.
            self.sender.remove_lanes(entry.conversation);
            turn.overlay.remove_conversation(entry.conversation)?;
        } else {
            self.sender.remove(&entry);
            turn.overlay.settle(id);
            self.drop_patches(turn, &entry)?;
        }
        Ok(Ok(Done))
    }

    /// Fails an entry that can't be sent as it is. It counts as tried, for another try would end the same.
    pub(in crate::sync::client) fn fail_unsendable(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        reason: String,
    ) -> Result<(), StoreError> {
        turn.overlay
            .update_entry(entry.id, |it| it.tries = it.tries.max(1));
        self.fail_entry(turn, entry, SendFailure::Unsendable { reason })
    }

    /// Fails an entry for good: it waits for the app, and blocks nothing behind it.
    pub(in crate::sync::client) fn fail_entry(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        failure: SendFailure,
    ) -> Result<(), StoreError> {
        turn.overlay.update_entry(entry.id, |it| {
            it.state = OutboxState::Failed {
                failure: failure.clone(),
            };
        });
        turn.overlay.intend();
        self.sender.remove(entry);
        match entry.intent {
            Intent::Create(_) => turn.overlay.update_conversation(entry.conversation, |row| {
                row.state = ConversationState::CreationFailed { failure };
            }),
            Intent::Send(_) => {
                let send = turn.overlay.snapshot().entry(entry.id);
                match send.filter(|send| send.in_doubt_since.is_none()) {
                    Some(send) => self.fold_patches(turn, &send),
                    None => Ok(()),
                }
            }
            Intent::Read(_) => {
                self.reads.remove(entry.id);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// True if the service makes such a conversation once per set of members, however often it is asked.
pub(in crate::sync::client) fn is_one_per_members(intent: &CreateIntent) -> bool {
    intent.unique || intent.kind == ConversationKind::Temporary
}

/// Receipts are for conversations of two: the service sends none for larger ones.
pub(in crate::sync::client) fn wants_receipt(row: &ConversationRow) -> bool {
    let kind = matches!(
        row.kind,
        ConversationKind::Normal | ConversationKind::Temporary
    );
    kind && row.members.len() == 2
}

/// Checks that each part of a message can be sent.
fn check_parts(message: &NewMessage) -> Result<(), RequestError> {
    let invalid = |reason: &str| {
        Err(RequestError::InvalidArgument {
            reason: reason.to_owned(),
        })
    };
    check_content(&message.content)?;
    if message.options.transient && message.options.will {
        return invalid("options: a will is not transient");
    }
    let is_unkept = message.options.transient || message.options.will;
    if is_unkept && message.options.receipt == Some(true) {
        return invalid("options: a transient message and a will have no receipt");
    }
    if message.push.as_ref().is_some_and(|push| !push.is_object()) {
        return invalid("push: no JSON object");
    }
    Ok(())
}

/// Checks that a content can be sent.
pub(in crate::sync::client) fn check_content(content: &MessageContent) -> Result<(), RequestError> {
    content
        .check()
        .map_err(|fault| RequestError::InvalidArgument {
            reason: fault.to_string(),
        })
}

pub(in crate::sync::client) fn fits(actual: usize) -> Result<(), RequestError> {
    let limit = TO_SERVICE_BYTES_MAX;
    if actual > limit {
        return Err(RequestError::TooLarge { limit, actual });
    }
    Ok(())
}

/// The command that sends a message.
pub(in crate::sync::client) fn direct_command(
    conversation: &ConversationId,
    intent: &SendIntent,
    token: &LocalId,
) -> DirectCommand {
    DirectCommand {
        r: intent.receipt.then_some(true),
        transient: intent.transient.then_some(true),
        will: intent.will.then_some(true),
        dt: Some(token.as_str().to_owned()),
        push_data: intent.push.as_ref().map(|json| json.as_str().to_owned()),
        ..convert::direct(conversation, &intent.content, &intent.mentions)
    }
}
