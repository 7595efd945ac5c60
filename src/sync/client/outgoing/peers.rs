//! Messages to peers, without a created conversation; first generation.
//!
//! Such messages are kept in a conversation whose id is computed from the peers alone ([`crate::wire::peers`]).
//! Until the service has told of that conversation, a message to it names the receivers, and the first message
//! makes it. The service accepts such a message only from a client that watches the receivers, so the machine
//! watches them.

use crate::model::{ClientId, LocalId, Presence};
use crate::store::{ConversationRow, Freshness, SendIntent, StoreError};
use crate::sync::client::outgoing::requests::direct_command;
use crate::sync::client::{Answered, Client, Turn};
use crate::sync::{Created, OpenPeers, RequestError, Watch};
use crate::wire::generated::DirectCommand;
use crate::wire::peers;

impl Client {
    /// The conversation of these peers and this client, on this device from now on.
    pub(in crate::sync::client) fn open_peers(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: OpenPeers,
    ) -> Answered<Created> {
        let mut all: std::collections::BTreeSet<ClientId> = call.peers.iter().cloned().collect();
        all.remove(self.me());
        let others: Vec<ClientId> = all.iter().cloned().collect();
        all.insert(self.me().clone());
        let id = peers::conversation_of(&all).filter(|_| !others.is_empty());
        let Some(id) = id else {
            let reason = "peers: somebody else, by ids without a colon".to_owned();
            return Ok(Err(RequestError::InvalidArgument { reason }));
        };
        if turn.overlay.snapshot().number(&id)?.is_none() {
            if let Err(error) = self.watch(turn, Watch { clients: others })? {
                return Ok(Err(error));
            }
            let mut row = ConversationRow::unknown(id.clone());
            row.members = all.into_iter().collect();
            row.freshness = Freshness::Stale;
            let number = turn.overlay.create_conversation(row)?;
            turn.overlay.intend();
            self.directory.want(number);
        }
        Ok(Ok(Created {
            conversation: id,
            entry: None,
        }))
    }

    /// The command that sends a message to a conversation, or to the peers whose conversation the service may
    /// not have yet.
    pub(in crate::sync::client) fn direct_to(
        &self,
        row: &ConversationRow,
        intent: &SendIntent,
        token: &LocalId,
    ) -> DirectCommand {
        let body = direct_command(&row.id, intent, token);
        if !is_unmade(row) {
            return body;
        }
        let receivers = row.members.iter().filter(|member| *member != self.me());
        DirectCommand {
            cid: None,
            to_peer_ids: receivers.map(ToString::to_string).collect(),
            ..body
        }
    }

    /// True if a message has to wait until the service has confirmed that the receivers are watched.
    pub(in crate::sync::client) fn awaits_watching(
        &self,
        turn: &Turn<'_, '_>,
        row: &ConversationRow,
    ) -> bool {
        if !is_unmade(row) {
            return false;
        }
        let list = self.watch_list(turn).clients;
        let unconfirmed = list.iter().filter(|it| it.presence == Presence::Unknown);
        let mut unconfirmed = unconfirmed.map(|it| &it.client);
        unconfirmed.any(|client| row.members.contains(client))
    }

    /// A message to peers was taken: the service has their conversation now.
    pub(in crate::sync::client) fn peers_are_reached(
        &mut self,
        turn: &Turn<'_, '_>,
        number: crate::store::ConversationNumber,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        if row.is_some_and(|row| is_unmade(&row)) {
            self.directory.want(number);
        }
        Ok(())
    }
}

/// True if it is a conversation of peers that the service has not told of.
fn is_unmade(row: &ConversationRow) -> bool {
    row.created_at.is_none() && row.members.len() > 1 && peers::is_of_peers(&row.id)
}
