//! The cache of an older SDK, joined with the store's content, in any order and any number of times.
//!
//! Nothing of the cache is counted as unread, acknowledged or sent. A cache claims that nothing is missing
//! between two messages; only the service proves that claim. A message that was never sent waits as a failed
//! entry until the app retries or discards it.

use std::collections::BTreeMap;

use crate::model::{
    ClientId, ConversationId, ConversationInfo, ConversationKind, MessageId, OutboxState,
    SendFailure, Timestamp, UploadFailure,
};
use crate::store::{
    ConversationNumber, ConversationRow, Dropped, Freshness, HistoryStart, Intent, Position, Put,
    SendIntent, StoreError, Teller,
};
use crate::sync::ImportLegacy;
use crate::sync::client::history::pages::fall_behind;
use crate::sync::client::outgoing::extension::ImportOutcome;
use crate::sync::client::{Answered, Client, Turn};
use crate::sync::legacy::{LegacyDraft, LegacyTaken};

/// The message that a token of a discarded draft leads to: there is none of this id.
const NO_MESSAGE: &str = "legacy-draft";

impl Client {
    /// Stores a part. The last part makes everything before it durable.
    pub(in crate::sync::client) fn import_legacy(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: ImportLegacy,
    ) -> Answered<LegacyTaken> {
        let part = call.part;
        let mut taken = LegacyTaken::default();
        for conversation in part.conversations {
            let put = take_conversation(turn, part.teller, &conversation.info)?;
            if conversation.has_row {
                taken.conversations.note(put);
            }
        }
        let mut numbers = BTreeMap::new();
        for imported in &part.messages {
            let id = &imported.message.conversation;
            let number = match numbers.get(id) {
                Some(number) => *number,
                None => {
                    let number = known_or_behind(turn, id)?.0;
                    numbers.insert(id.clone(), number);
                    number
                }
            };
            taken
                .messages
                .note(turn.overlay.put_imported(number, imported)?);
        }
        for (conversation, run) in part.runs {
            let number = known_or_behind(turn, &conversation)?.0;
            turn.overlay
                .update_conversation(number, |row| row.history.claim(run.from, run.to))?;
        }
        for draft in part.drafts {
            let token = draft.token.clone();
            match self.take_draft(turn, draft)? {
                Some(put) => taken.drafts.note(put),
                None => taken.no_room.push(token),
            }
        }
        if part.is_last {
            turn.overlay.update_session(|session| {
                session.imports += 1;
            });
            turn.overlay.intend();
        }
        Ok(Ok(taken))
    }

    /// Puts a draft into the outbox as a failed entry; none where there is no room. A draft that was imported
    /// before, and may have been retried or discarded since, does not come back.
    fn take_draft(
        &mut self,
        turn: &mut Turn<'_, '_>,
        draft: LegacyDraft,
    ) -> Result<Option<Put>, StoreError> {
        let token = draft.token;
        if turn.overlay.snapshot().knows_token(&token)? {
            return Ok(Some(Put::Unchanged));
        }
        let (number, _) = known_or_behind(turn, &draft.conversation)?;
        let intent = SendIntent {
            content: draft.content,
            mentions: draft.mentions,
            receipt: false,
            transient: false,
            push: None,
            priority: None,
            will: false,
            upload: draft.upload,
        };
        let work = Dropped {
            conversation: draft.conversation,
            token: token.clone(),
            dropped_at: draft.at,
            intent: Intent::Send(intent.clone()),
        };
        if !matches!(
            self.import_send(turn, number, &work, intent)?,
            ImportOutcome::Taken
        ) {
            return Ok(None);
        }
        let waiting = turn.overlay.snapshot().outbox_of(number);
        let entry = waiting.into_iter().find(|entry| entry.token == token);
        if let Some(entry) = entry.filter(|entry| entry.state == OutboxState::Queued) {
            if let Some(upload) = entry.upload() {
                self.uploads.add(entry.id, &upload.file);
            }
            let failure = match draft.lost_file {
                Some(reason) => SendFailure::NotUploaded {
                    failure: UploadFailure::CopyLost { reason },
                },
                // The draft may have arrived years ago, and its service is gone.
                None => SendFailure::Ambiguous,
            };
            self.fail_entry(turn, &entry, failure)?;
        }
        if let Ok(id) = MessageId::new(NO_MESSAGE) {
            let place = Position {
                sent_at: draft.at,
                id,
            };
            turn.overlay.remember_token(number, token, place);
        }
        Ok(Some(Put::Added))
    }
}

/// The number of a conversation, and a flag that is true for a new one. The newest history of a new one is not
/// known.
fn known_or_behind(
    turn: &mut Turn<'_, '_>,
    id: &ConversationId,
) -> Result<(ConversationNumber, bool), StoreError> {
    let is_new = turn.overlay.snapshot().number(id)?.is_none();
    let number = turn.overlay.conversation_or_unknown(id)?;
    if is_new {
        turn.overlay.update_conversation(number, |row| {
            if row.kind != ConversationKind::ChatRoom {
                fall_behind(&mut row.history);
            }
        })?;
    }
    Ok((number, is_new))
}

/// Takes over a cache's facts about a conversation, unless the service told of it, or a cache of higher rank.
fn take_conversation(
    turn: &mut Turn<'_, '_>,
    teller: Teller,
    info: &ConversationInfo,
) -> Result<Put, StoreError> {
    let (number, is_new) = known_or_behind(turn, &info.id)?;
    let Some(row) = turn.overlay.snapshot().conversation(number)? else {
        return Ok(Put::Unchanged);
    };
    let is_news = match row.told_by {
        Some(other) => Rank::of_info(info, teller) > Rank::of_row(&row, other),
        None => is_unknown(&row),
    };
    if !is_news {
        return Ok(Put::Unchanged);
    }
    let info = info.clone();
    turn.overlay.update_conversation(number, |row| {
        row.kind = info.kind;
        row.name = info.name;
        row.creator = info.creator;
        row.members = info.members;
        row.attributes = info.attributes;
        row.columns = info.columns;
        row.unique = info.unique;
        row.muted = info.muted;
        row.created_at = info.created_at;
        row.updated_at = info.updated_at;
        row.told_by = Some(teller);
    })?;
    Ok(if is_new { Put::Added } else { Put::Changed })
}

/// True if nobody told anything of a conversation but its id.
fn is_unknown(row: &ConversationRow) -> bool {
    let has_history =
        row.history.start() == HistoryStart::Reached || !row.history.spans().is_empty();
    row.freshness == Freshness::Stale
        && row.created_at.is_none()
        && row.updated_at.is_none()
        && !has_history
        && !row.id.is_local()
}

/// The rank of an account of a conversation: a later change wins, then a source of higher rank, then either,
/// but always the same.
#[derive(PartialEq, PartialOrd)]
struct Rank<'a> {
    updated_at: Option<Timestamp>,
    teller: Teller,
    created_at: Option<Timestamp>,
    marks: (ConversationKind, bool, bool),
    name: Option<&'a str>,
    creator: Option<&'a ClientId>,
    members: &'a [ClientId],
    attributes: Option<&'a str>,
    columns: Option<&'a str>,
}

impl<'a> Rank<'a> {
    fn of_info(info: &'a ConversationInfo, teller: Teller) -> Self {
        Self {
            updated_at: info.updated_at,
            teller,
            created_at: info.created_at,
            marks: (info.kind, info.unique, info.muted),
            name: info.name.as_deref(),
            creator: info.creator.as_ref(),
            members: &info.members,
            attributes: info.attributes.as_ref().map(crate::model::Json::as_str),
            columns: info.columns.as_ref().map(crate::model::Json::as_str),
        }
    }

    fn of_row(row: &'a ConversationRow, teller: Teller) -> Self {
        Self {
            updated_at: row.updated_at,
            teller,
            created_at: row.created_at,
            marks: (row.kind, row.unique, row.muted),
            name: row.name.as_deref(),
            creator: row.creator.as_ref(),
            members: &row.members,
            attributes: row.attributes.as_ref().map(crate::model::Json::as_str),
            columns: row.columns.as_ref().map(crate::model::Json::as_str),
        }
    }
}
