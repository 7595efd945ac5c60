//! The service's storage as a target: messages are written as they come; conversations and members are
//! made at the end, out of everything that is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use sampan_service::core::unique_id;
use sampan_service::storage::{
    Body, Conversation, Kind, Member, Message, Place, RedbStorage, Role, Storage as _, Write,
};
use sha2::{Digest as _, Sha256};

use super::LoadError;
use super::ledger::Ledger;
use super::report::{Fate, Report};
use super::rows::{ConversationRow, RoleRow, SubscriberRow};
use crate::core::join::{Claim, ContentRank, Known};
use crate::core::row::Row;

/// Writes that are made durable together.
const BATCH: usize = 50_000;

pub(super) struct Target {
    app: AppId,
    storage: RedbStorage,
    ledger: Ledger,
    pub(super) report: Report,
    /// The facts about conversations that this run learned.
    learned: BTreeMap<String, Known>,
    /// Service conversations, as far as tables tell.
    services: BTreeSet<String>,
    writes: Vec<Write>,
    uncommitted: usize,
}

impl Target {
    pub(super) fn open(data: &Path, app: AppId, report: Report) -> Result<Self, LoadError> {
        let storage = RedbStorage::open_folder(data)?;
        let ledger = Ledger::open(data)?;
        Ok(Self {
            app,
            storage,
            ledger,
            report,
            learned: BTreeMap::new(),
            services: BTreeSet::new(),
            writes: Vec::new(),
            uncommitted: 0,
        })
    }

    /// Takes a row of a table, or the reason why it cannot be read.
    pub(super) async fn table_row(
        &mut self,
        class: &str,
        row: Result<String, (String, String)>,
    ) -> Result<(), LoadError> {
        let row = match row {
            Ok(row) => row,
            Err((reason, text)) => {
                self.report.note(Fate::Quarantined(reason), class, &text);
                return Ok(());
            }
        };
        if class == "_SysMessage" {
            return self.said_to_service(&row).await;
        }
        let learned = match class {
            "_Conversation" => self.conversation_row(&row),
            "_ConversationMemberInfo" => self.role_row(&row),
            "subscribers" => self.subscriber_row(&row),
            _ => Err("the service keeps no such table; the row stays in the archive"),
        };
        if let Err(reason) = learned {
            self.report
                .note(Fate::Quarantined(reason.to_owned()), class, &row);
        }
        Ok(())
    }

    /// Takes a row of `_SysMessage`.
    async fn said_to_service(&mut self, raw: &str) -> Result<(), LoadError> {
        match Row::read_said_to_service(raw) {
            // Nobody edits what was said to a service: it is as of the time when it was said.
            Ok(row) => self.message(&row, row.at, false).await,
            Err(error) => {
                let fate = Fate::Quarantined(error.to_string());
                self.report.note(fate, "_SysMessage", raw);
                Ok(())
            }
        }
    }

    fn subscriber_row(&mut self, row: &str) -> Result<(), &'static str> {
        let read = SubscriberRow::read(row)?;
        let known = Known {
            subscribers: BTreeSet::from([read.client]),
            ..Known::default()
        };
        self.learn("subscribers", read.service, known);
        Ok(())
    }

    fn conversation_row(&mut self, row: &str) -> Result<(), &'static str> {
        let read = ConversationRow::read(row)?;
        let id = read.id.as_str().to_owned();
        if read.kind == Kind::System {
            self.services.insert(id.clone());
        }
        let known = Known {
            row: Some((read.updated_at.as_millis(), row.to_owned())),
            ..Known::default()
        };
        self.learn("_Conversation", id, known);
        Ok(())
    }

    fn role_row(&mut self, row: &str) -> Result<(), &'static str> {
        let read = RoleRow::read(row)?;
        let roles = BTreeMap::from([(read.client, (read.updated_at, read.role))]);
        self.learn(
            "_ConversationMemberInfo",
            read.conversation,
            Known {
                roles,
                ..Known::default()
            },
        );
        Ok(())
    }

    /// Joins the facts of a row. The row's fate is counted against earlier rows of this run only.
    fn learn(&mut self, kind: &str, conversation: String, known: Known) {
        let before = self.learned.remove(&conversation);
        let after = before.clone().unwrap_or_default().join(known);
        let fate = match &before {
            None => Fate::Stored,
            Some(before) if *before == after => Fate::Known,
            Some(_) => Fate::Merged,
        };
        self.report.note(fate, kind, "");
        self.learned.insert(conversation, after);
    }

    /// Takes a message as it was at a time.
    pub(super) async fn message(
        &mut self,
        row: &Row,
        as_of: i64,
        is_gone: bool,
    ) -> Result<(), LoadError> {
        match self.storable(row) {
            Err(reason) => {
                self.report
                    .note(Fate::Quarantined(reason.to_owned()), "message", &row.raw)
            }
            Ok((conversation, message)) => {
                let fate = self
                    .join(row, &conversation, message, as_of, is_gone)
                    .await?;
                self.report.note(fate, "message", &row.raw);
            }
        }
        if self.writes.len() >= 1000 {
            self.flush().await?;
        }
        Ok(())
    }

    /// The message as the service keeps it, or why it cannot be kept.
    fn storable(&self, row: &Row) -> Result<(ConversationId, Message), &'static str> {
        if row.is_legacy {
            return Err("the message is of the first generation of conversations");
        }
        if row.reader.is_none() && self.services.contains(&row.conversation) {
            return Err("the message is a service conversation's, and the row does not say whose");
        }
        let conversation =
            ConversationId::new(&row.conversation).map_err(|_| "the conversation's id is none")?;
        let from = row.from.as_deref().ok_or("the message has no sender")?;
        let data = row.data.as_deref().ok_or("the message has no content")?;
        let is_recalled = row.is_recalled();
        let body = match row.is_binary {
            false => Body::Text(data.to_owned()),
            true => Body::Binary(
                STANDARD
                    .decode(data)
                    .map_err(|_| "the binary content is no base64")?,
            ),
        };
        let message = Message {
            id: MessageId::new(&row.id).map_err(|_| "the message's id is none")?,
            sent_at: Timestamp::from_millis(row.at),
            from: ClientId::new(from).map_err(|_| "the sender's id is none")?,
            body,
            wants_receipt: false,
            mention_all: false,
            mentions: Vec::new(),
            patched_at: None,
            recalled: is_recalled,
            delivered_at: row.delivered_at.map(Timestamp::from_millis),
            read_at: None,
            token: None,
            // The readers of all sources are put in when they are joined.
            only_for: Vec::new(),
        };
        Ok((conversation, message))
    }

    async fn join(
        &mut self,
        row: &Row,
        conversation: &ConversationId,
        mut message: Message,
        as_of: i64,
        is_gone: bool,
    ) -> Result<Fate, LoadError> {
        let content = ContentRank {
            as_of,
            is_gone,
            digest: digest(row),
        };
        let claim = Claim {
            at: row.at,
            content,
            delivered_at: row.delivered_at,
        };
        let (id, from) = (row.id.as_str(), message.from.as_str());
        let before = self.ledger.claim(&self.app, &row.conversation, id)?;
        let joined = before
            .as_ref()
            .map_or_else(|| claim.clone(), |before| before.join(&claim));
        if !self.learned.contains_key(&row.conversation) {
            self.learned
                .insert(row.conversation.clone(), Known::default());
        }
        if let Some(known) = self.learned.get_mut(&row.conversation) {
            known.note(joined.at, id, from);
            known.readers.extend(row.reader.clone());
        }
        let is_new_reader = self.add_reader(row, &mut message)?;
        if before.as_ref() == Some(&joined) && !is_new_reader {
            return Ok(Fate::Known);
        }
        self.ledger
            .put_claim(&self.app, &row.conversation, id, &joined);
        self.uncommitted += 1;
        message.sent_at = Timestamp::from_millis(joined.at);
        message.delivered_at = joined.delivered_at.map(Timestamp::from_millis);
        let Some(before) = before else {
            if is_gone {
                return Ok(Fate::Quarantined(
                    "the message was deleted in the old service".to_owned(),
                ));
            }
            self.writes.push(Write::PutMessage(
                self.app.clone(),
                conversation.clone(),
                message,
            ));
            return Ok(Fate::Stored);
        };
        // The waiting writes are applied first: the message may be among them.
        self.flush().await?;
        let place = Place {
            sent_at: Timestamp::from_millis(before.at),
            id: message.id.clone(),
        };
        self.replace(conversation, &place, message, &before, &joined)
            .await?;
        Ok(Fate::Merged)
    }

    /// Writes down who sees a message, if not every member does. True if a new client sees the message.
    fn add_reader(&mut self, row: &Row, message: &mut Message) -> Result<bool, LoadError> {
        let Some(reader) = &row.reader else {
            return Ok(false);
        };
        let mut readers = self.ledger.readers(&self.app, &row.conversation, &row.id)?;
        let is_new = readers.insert(reader.clone());
        message.only_for = readers
            .iter()
            .filter_map(|client| ClientId::new(client).ok())
            .collect();
        if is_new {
            self.ledger
                .put_readers(&self.app, &row.conversation, &row.id, &readers)?;
        }
        Ok(is_new)
    }

    async fn replace(
        &mut self,
        conversation: &ConversationId,
        place: &Place,
        mut message: Message,
        before: &Claim,
        joined: &Claim,
    ) -> Result<(), LoadError> {
        let there = self.storage.message(&self.app, conversation, place).await?;
        let is_new_content = joined.content != before.content;
        match &there {
            // The message was deleted in the new service since, and stays deleted.
            None if !before.content.is_gone => return Ok(()),
            // The message was edited or recalled in the new service since: that counts more.
            Some(there) if there.patched_at.is_some() => {
                if there.only_for != message.only_for {
                    let only_for = message.only_for;
                    let message = Message {
                        only_for,
                        ..there.clone()
                    };
                    let (app, conversation) = (self.app.clone(), conversation.clone());
                    self.writes
                        .push(Write::PutMessage(app, conversation, message));
                }
                return Ok(());
            }
            Some(there) if !is_new_content => {
                message.body = there.body.clone();
                message.recalled = there.recalled;
            }
            _ => {}
        }
        let (app, conversation) = (self.app.clone(), conversation.clone());
        if there.is_some() && (joined.content.is_gone || *place != message.place()) {
            self.writes.push(Write::DropMessage(
                app.clone(),
                conversation.clone(),
                place.clone(),
            ));
        }
        if !joined.content.is_gone {
            self.writes
                .push(Write::PutMessage(app, conversation, message));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), LoadError> {
        self.storage.apply(std::mem::take(&mut self.writes)).await?;
        if self.uncommitted >= BATCH {
            self.commit().await?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), LoadError> {
        self.storage.apply(std::mem::take(&mut self.writes)).await?;
        self.storage.commit().await?;
        self.ledger.commit()?;
        self.uncommitted = 0;
        Ok(())
    }

    /// Makes conversations and members out of what is known, and everything durable.
    pub(super) async fn finish(mut self) -> Result<Report, LoadError> {
        for (id, learned) in std::mem::take(&mut self.learned) {
            let before = self.ledger.known(&self.app, &id)?;
            let after = before.clone().unwrap_or_default().join(learned);
            if before.as_ref() == Some(&after) {
                continue;
            }
            self.ledger.put_known(&self.app, &id, &after)?;
            self.conversation(&id, before.as_ref(), &after).await?;
            self.uncommitted += 1;
            self.flush().await?;
        }
        self.commit().await?;
        self.report.close().map_err(LoadError::Report)?;
        Ok(self.report)
    }

    async fn conversation(
        &mut self,
        id: &str,
        before: Option<&Known>,
        known: &Known,
    ) -> Result<(), LoadError> {
        let Ok(id) = ConversationId::new(id) else {
            return Ok(());
        };
        let Some(wanted) = wanted(&id, known) else {
            let reason =
                "roles of a conversation that no source describes; they count when one does";
            self.report.note(
                Fate::Quarantined(reason.to_owned()),
                "_ConversationMemberInfo",
                id.as_str(),
            );
            return Ok(());
        };
        let there = self.storage.conversation(&self.app, &id).await?;
        // The conversation was changed in the new service since it was loaded: that counts more.
        let is_live = match (&there, before) {
            (Some(there), before) => {
                let loaded = before.and_then(|before| self::wanted(&id, before));
                loaded.is_none_or(|loaded| there.updated_at > loaded.conversation.updated_at)
            }
            (None, _) => false,
        };
        if !is_live {
            let unique = self.unique(&wanted).await?;
            let conversation = Conversation {
                unique_id: unique,
                ..wanted.conversation.clone()
            };
            self.writes
                .push(Write::PutConversation(self.app.clone(), conversation));
            self.members(&id, before, &wanted).await?;
        }
        self.storage.apply(std::mem::take(&mut self.writes)).await?;
        Ok(())
    }

    /// The unique id, if this conversation has it: of several with the same members, the oldest.
    async fn unique(&mut self, wanted: &Wanted) -> Result<Option<String>, LoadError> {
        let Some(unique) = wanted.conversation.unique_id.clone() else {
            return Ok(None);
        };
        let holder = self.storage.unique_conversation(&self.app, &unique).await?;
        let Some(holder) = holder.filter(|holder| *holder != wanted.conversation.id) else {
            return Ok(Some(unique));
        };
        let Some(mut holder) = self.storage.conversation(&self.app, &holder).await? else {
            return Ok(Some(unique));
        };
        let age = |one: &Conversation| (one.created_at, one.id.clone());
        if age(&holder) < age(&wanted.conversation) {
            return Ok(None);
        }
        holder.unique_id = None;
        self.writes
            .push(Write::PutConversation(self.app.clone(), holder));
        Ok(Some(unique))
    }

    async fn members(
        &mut self,
        id: &ConversationId,
        before: Option<&Known>,
        wanted: &Wanted,
    ) -> Result<(), LoadError> {
        let loaded = before.and_then(|before| self::wanted(id, before));
        let loaded: BTreeSet<&ClientId> = loaded
            .iter()
            .flat_map(|loaded| loaded.members.keys())
            .collect();
        for gone in loaded
            .iter()
            .filter(|client| !wanted.members.contains_key(**client))
        {
            self.writes.push(Write::DropMember(
                self.app.clone(),
                id.clone(),
                (*gone).clone(),
            ));
        }
        for (client, one) in &wanted.members {
            let there = self.storage.member(&self.app, id, client).await?;
            let at = wanted.conversation.created_at;
            let mut member = there.unwrap_or_else(|| Member {
                guest: one.is_guest,
                ..Member::joined(client, at)
            });
            if loaded.contains(client) {
                // A conversation that was made of its messages alone began later than its row says.
                member.joined_at = at;
            }
            // Everything that was loaded counts as received and read.
            let read = wanted.newest.map_or(at, |newest| newest.max(at));
            if member.read_marked_at <= read {
                member.role = one.role;
                member.muted = one.is_muted;
                member.guest &= one.is_guest;
                member.read_until = member.read_until.max(read);
                member.read_marked_at = member.read_marked_at.max(read);
                // A client whose messages are pushed must not be pushed all of its history.
                member.received_until = member.received_until.max(read);
            }
            self.writes
                .push(Write::PutMember(self.app.clone(), id.clone(), member));
        }
        Ok(())
    }
}

/// A conversation with its members, as everything that is known makes it.
struct Wanted {
    conversation: Conversation,
    members: BTreeMap<ClientId, WantedMember>,
    newest: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct WantedMember {
    role: Role,
    is_muted: bool,
    /// True if the client did not subscribe, and sees only messages for this client alone.
    is_guest: bool,
}

/// None if only roles are known.
fn wanted(id: &ConversationId, known: &Known) -> Option<Wanted> {
    let row = known
        .row
        .as_ref()
        .and_then(|(_, row)| ConversationRow::read(row).ok());
    let first = known.first.as_ref();
    let first_sender = first.and_then(|(_, _, from)| ClientId::new(from).ok());
    let created = first.map(|(at, _, _)| Timestamp::from_millis(*at));
    let is_temporary = id.as_str().starts_with(ConversationId::TEMPORARY_PREFIX);
    let row = match row {
        Some(row) => row,
        // No source describes the conversation: its row is made of the facts that its messages tell.
        None => ConversationRow {
            id: id.clone(),
            kind: match (is_temporary, known.readers.is_empty()) {
                (true, _) => Kind::Temporary,
                // Only service conversations have messages that one client alone sees.
                (false, false) => Kind::System,
                (false, true) => Kind::Normal,
            },
            creator: first_sender.clone(),
            members: known
                .senders
                .iter()
                .filter_map(|sender| ClientId::new(sender).ok())
                .collect(),
            muted: Vec::new(),
            unique_id: None,
            created_at: created?,
            updated_at: created?,
            columns: serde_json::Map::new(),
        },
    };
    let named = |clients: &BTreeSet<String>| -> Vec<ClientId> {
        let ids = clients.iter().map(ClientId::new);
        ids.filter_map(Result::ok).collect()
    };
    // The row of a room or a service conversation does not list its members.
    let members = match row.kind {
        Kind::Room => Vec::new(),
        Kind::System => [named(&known.subscribers), named(&known.readers)].concat(),
        _ => row.members,
    };
    let members: BTreeSet<ClientId> = members.into_iter().collect();
    let is_service = row.kind == Kind::System;
    let is_guest = |client: &ClientId| is_service && !known.subscribers.contains(client.as_str());
    let role = |client: &ClientId| match known.roles.get(client.as_str()) {
        Some((_, role)) if role == "Manager" => Role::Manager,
        _ => Role::Member,
    };
    // A client that asks for the conversation of these members must find this one.
    let unique = row.unique_id.map(|_| unique_id(row.kind, &members));
    Some(Wanted {
        conversation: Conversation {
            id: id.clone(),
            kind: row.kind,
            creator: row
                .creator
                .or(first_sender)
                .or_else(|| members.first().cloned())
                .or_else(|| ClientId::new("system").ok())?,
            columns: row.columns,
            unique_id: unique,
            created_at: row.created_at,
            updated_at: row.updated_at,
            expires_at: None,
        },
        members: members
            .iter()
            .map(|one| {
                let member = WantedMember {
                    role: role(one),
                    is_muted: row.muted.contains(one),
                    is_guest: is_guest(one),
                };
                (one.clone(), member)
            })
            .collect(),
        newest: known.newest.map(Timestamp::from_millis),
    })
}

/// The start of the hash of everything that a message's content is made of.
fn digest(row: &Row) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update([u8::from(row.is_binary)]);
    hash.update(row.data.as_deref().unwrap_or_default());
    let whole: [u8; 32] = hash.finalize().into();
    let mut start = [0; 16];
    start.copy_from_slice(whole.first_chunk::<16>().unwrap_or(&[0; 16]));
    start
}
