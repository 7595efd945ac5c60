//! Changes of the store, as events for observers.

use crate::model::{ClientId, CommitSeq, Event, MembersNotice};
use crate::store::StoreChange;

/// The event of one change of a commit.
pub(super) fn of(client: &ClientId, seq: CommitSeq, change: StoreChange) -> Event {
    let client = client.clone();
    match change {
        StoreChange::ConversationIdAssigned { local, id } => Event::ConversationIdAssigned {
            client,
            seq,
            local,
            id,
        },
        StoreChange::ConversationRemoved { conversation } => Event::ConversationRemoved {
            client,
            seq,
            conversation,
        },
        StoreChange::ConversationChanged { conversation } => Event::ConversationChanged {
            client,
            seq,
            conversation,
        },
        StoreChange::MessageAdded { message } => Event::MessageAdded {
            client,
            seq,
            message,
        },
        StoreChange::MessageChanged { message } => Event::MessageChanged {
            client,
            seq,
            message,
        },
        StoreChange::MessageRemoved {
            conversation,
            id,
            local_id,
        } => Event::MessageRemoved {
            client,
            seq,
            conversation,
            id,
            local_id,
        },
        StoreChange::OutboxChanged { entry } => Event::OutboxChanged { client, seq, entry },
        StoreChange::OutboxSettled { entry } => Event::OutboxSettled { client, seq, entry },
    }
}

/// The event of a change of members.
pub(super) fn of_members(client: &ClientId, seq: CommitSeq, notice: MembersNotice) -> Event {
    Event::MembersChanged {
        client: client.clone(),
        seq,
        notice,
    }
}
