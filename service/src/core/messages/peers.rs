//! Messages to peers, without a created conversation; first generation API. They are kept in the conversation
//! whose id the peers' ids give, so current clients can read and answer them too.

use std::collections::BTreeSet;

use sampan::model::{ClientId, ConversationId, Now};
use sampan::wire::generated::{AckCommand, DirectCommand};
use sampan::wire::{ServiceCode, peers};
use serde_json::Map;

use crate::core::exchange::decision::{Caller, Decision};
use crate::core::exchange::fields::{client_ids, message_id};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Member, Storage, Write};

impl<S: Storage> Core<S> {
    /// `direct` with receivers in place of a conversation. A refusal is an acknowledgement with a code.
    pub(in crate::core) async fn send_to_peers(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<Decision, Failure> {
        self.registry.speaks_first_generation(&caller.session);
        match self.conversation_of_peers(now, caller, body).await {
            Ok(id) => {
                let body = DirectCommand {
                    cid: Some(id.to_string()),
                    ..body.clone()
                };
                self.send(now, caller, &body).await
            }
            Err(Failure::Refused(refusal)) => Ok(self.refuse_send(now, body, &refusal)?),
            Err(failure) => Err(failure),
        }
    }

    /// `direct` to a group: the group's id is the conversation's.
    pub(in crate::core) async fn send_to_group(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<Decision, Failure> {
        self.registry.speaks_first_generation(&caller.session);
        let body = DirectCommand {
            cid: body.room_id.clone(),
            ..body.clone()
        };
        self.send(now, caller, &body).await
    }

    /// The conversation of the sender and the receivers; the first message makes it. The sender must watch
    /// every receiver; a receiver need not watch the sender.
    async fn conversation_of_peers(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<ConversationId, Failure> {
        let app = &caller.app;
        let receivers = client_ids(&body.to_peer_ids)?;
        let own = caller.client();
        let is_watched =
            |it: &ClientId| it == own || self.registry.watches.is_watching(&caller.session, it);
        if !receivers.iter().all(is_watched) {
            let detail = "a receiver is not watched by the sender";
            return Err(Refusal::because(ServiceCode::INVALID_MESSAGING_TARGET, detail).into());
        }
        let mut all: BTreeSet<ClientId> = receivers.into_iter().collect();
        all.insert(own.clone());
        if all.len() > self.settings_of(app).limits.members {
            return Err(ServiceCode::CONVERSATION_FULL.into());
        }
        let id = peers::conversation_of(&all).ok_or_else(|| {
            let detail = "ids of peers must have no colon";
            Refusal::because(ServiceCode::INVALID_MESSAGING_TARGET, detail)
        })?;
        let mut writes = Vec::new();
        if self.storage.conversation(app, &id).await?.is_none() {
            let made = Conversation {
                id: id.clone(),
                kind: Kind::Normal,
                creator: own.clone(),
                columns: Map::new(),
                unique_id: None,
                created_at: now.wall,
                updated_at: now.wall,
                expires_at: None,
            };
            writes.push(Write::PutConversation(app.clone(), made));
        }
        for client in all {
            if self.storage.member(app, &id, &client).await?.is_none() {
                let member = Member {
                    queued: self.keeps_queue(app, &client).await?,
                    ..Member::joined(&client, now.wall)
                };
                writes.push(Write::PutMember(app.clone(), id.clone(), member));
            }
        }
        self.storage.apply(writes).await?;
        Ok(id)
    }

    /// `ack` that names messages and no conversation, as clients of the first generation send it: each of
    /// them that this session was sent is acknowledged. Ids of push and live query are none of them.
    pub(in crate::core) async fn acknowledge_by_ids(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &AckCommand,
    ) -> Result<Decision, Failure> {
        let mut all = Decision::silent();
        for id in &body.ids {
            let Some(id) = message_id(Some(id)) else {
                continue;
            };
            let Some(cid) = self.registry.take_handed(&caller.session, &id) else {
                continue;
            };
            let ack = AckCommand {
                cid: Some(cid.to_string()),
                mid: Some(id.to_string()),
                ..AckCommand::default()
            };
            let one = self.acknowledge(now, caller, &ack).await?;
            // The next one may be of the same conversation, and has to see this one's marks.
            self.storage.apply(one.writes).await?;
            all.notices.extend(one.notices);
        }
        Ok(all)
    }
}
