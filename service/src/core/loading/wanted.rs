//! A conversation with its members, made of all known facts. No IO.

use std::collections::{BTreeMap, BTreeSet};

use sampan::model::{ClientId, ConversationId, Timestamp};

use super::row::ConversationRow;
use crate::core::conversations::start::unique_id;
use crate::storage::{Conversation, Kind, Known, Role};

/// A conversation with its members, as everything that is known makes it.
pub(super) struct Wanted {
    pub(super) conversation: Conversation,
    pub(super) members: BTreeMap<ClientId, WantedMember>,
    pub(super) newest: Option<Timestamp>,
}

#[derive(Clone, Copy)]
pub(super) struct WantedMember {
    pub(super) role: Role,
    pub(super) is_muted: bool,
    /// True if the client did not subscribe, and sees only messages for this client alone.
    pub(super) is_guest: bool,
}

/// None if only roles are known.
pub(super) fn wanted(id: &ConversationId, known: &Known) -> Option<Wanted> {
    let row = known
        .row
        .as_ref()
        .and_then(|(_, row)| ConversationRow::read(row).ok());
    let is_service = known.is_service();
    let (first, newest) = match is_service {
        true => (known.first_private.as_ref(), known.newest_private),
        false => (known.first.as_ref(), known.newest),
    };
    let first_sender = first.and_then(|(_, _, from)| ClientId::new(from).ok());
    let created = first.map(|(at, _, _)| Timestamp::from_millis(*at));
    let is_temporary = id.as_str().starts_with(ConversationId::TEMPORARY_PREFIX);
    let mut row = match row {
        Some(row) => row,
        // No source describes the conversation: its row is made of the facts that its messages tell.
        None => ConversationRow {
            id: id.clone(),
            kind: match is_temporary {
                true => Kind::Temporary,
                false => Kind::Normal,
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
    if is_service {
        row.kind = Kind::System;
    }
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
        newest: newest.map(Timestamp::from_millis),
    })
}
