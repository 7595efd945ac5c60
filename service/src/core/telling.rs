//! Notices on their way: to the sessions that get them, and to the storage for clients that miss them.

use sampan::model::{AppId, ClientId, ConversationId, Now, Priority, Timestamp};
use sampan::wire::{Command, Envelope, OfflineMode};

use super::exchange::decision::{Audience, Keeping, Notice};
use super::exchange::fields::message_id;
use super::exchange::input::{ConnectionId, Effect, SessionId};
use super::exchange::refusal::Failure;
use super::exchange::reply::sent;
use super::machine::Core;
use super::state::registry::Pending;
use super::state::replay;
use crate::storage::{Kind, Notification, Place, Readers, Storage, Write};

impl<S: Storage> Core<S> {
    /// Sends notices to the sessions they are for, and keeps those that can be read again.
    pub(super) async fn tell(
        &mut self,
        now: Now,
        connection: ConnectionId,
        notices: Vec<Notice>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let Some(app) = self
            .registry
            .link(connection)
            .and_then(|link| link.app.clone())
        else {
            return Ok(());
        };
        self.tell_all(now, &app, notices, effects).await
    }

    /// Sends notices of an app.
    pub(super) async fn tell_all(
        &mut self,
        now: Now,
        app: &AppId,
        notices: Vec<Notice>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        for notice in notices {
            let at = self.notice_time(now, &notice);
            if notice.keeping.is_kept() {
                let writes = self.replays(app, at, &notice).await?;
                self.storage.apply(writes).await?;
            }
            for session in self.audience(app, &notice.to) {
                let (command, in_group_words) = self.in_words_of(&session, &notice.command);
                let mut envelope = Envelope::notification(session.client.as_str(), at, command);
                self.note_if_pushed(now, app, &session, &notice.command);
                envelope.notification_type =
                    notice.keeping.is_kept().then_some(Envelope::PERMANENT);
                envelope.priority = notice.spare.then_some(Priority::Low.number());
                let connection = session.connection;
                let envelope = Box::new(envelope);
                effects.push(Effect::Send {
                    connection,
                    envelope,
                    gap: notice.gap,
                });
                if let Some(command) = in_group_words {
                    let told = Envelope::notification(session.client.as_str(), at, command);
                    effects.push(sent(connection, told));
                }
            }
        }
        Ok(())
    }

    /// A message that went out on a connection in push mode is pushed again until acknowledged.
    fn note_if_pushed(&mut self, now: Now, app: &AppId, session: &SessionId, command: &Command) {
        let pushes = self
            .registry
            .link(session.connection)
            .is_some_and(|it| it.mode == OfflineMode::Push);
        let Command::Direct(body) = command else {
            return;
        };
        let own = body.from_peer_id.as_deref() == Some(session.client.as_str());
        let kept = body.transient != Some(true) && body.conv_type != Some(Kind::Room.number());
        if !pushes || own || !kept {
            return;
        }
        let conversation = body
            .cid
            .as_deref()
            .and_then(|cid| ConversationId::new(cid).ok());
        if let (Some(conversation), Some(id), Some(at)) =
            (conversation, message_id(body.id.as_deref()), body.timestamp)
        {
            let place = Place {
                sent_at: Timestamp::from_millis(at),
                id,
            };
            let pending = Pending {
                conversation,
                place,
            };
            self.note_push(now, app, session, pending);
        }
    }

    fn notice_time(&mut self, now: Now, notice: &Notice) -> Timestamp {
        match notice.keeping {
            Keeping::Once => now.wall,
            // Clients ask for "everything after" such a time: no two may be the same.
            _ => self.stamps.next(),
        }
    }

    /// The record of a notification for clients that miss it. The record is written once, for any number of
    /// readers. A client that never signed in is not named: it could have missed nothing, and invented ids cost
    /// nothing.
    async fn replays(
        &mut self,
        app: &AppId,
        at: Timestamp,
        notice: &Notice,
    ) -> Result<Vec<Write>, Failure> {
        let (Audience::Clients(clients) | Audience::Others(clients, _)) = &notice.to else {
            return Ok(Vec::new());
        };
        let Some(item) = replay::item(&notice.command, at) else {
            return Ok(Vec::new());
        };
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let (readers, item) = match &notice.keeping {
            Keeping::Once => return Ok(Vec::new()),
            Keeping::Members(id) => (Readers::Members(id.clone()), Some(item)),
            Keeping::TooLarge(id) => (Readers::Members(id.clone()), None),
            Keeping::Named => (
                Readers::Clients(self.known(app, clients).await?),
                Some(item),
            ),
            Keeping::Each => {
                let known = self.known(app, clients).await?;
                let kept = known.into_iter().map(|client| Notification {
                    client,
                    at,
                    sequence,
                    item: item.clone(),
                });
                let put = |kept| Write::PutNotification(app.clone(), kept);
                return Ok(kept.map(put).collect());
            }
        };
        if readers == Readers::Clients(Vec::new()) {
            return Ok(Vec::new());
        }
        let kept = crate::storage::Notice {
            readers,
            at,
            sequence,
            item,
        };
        Ok(vec![Write::PutNotice(app.clone(), kept)])
    }

    /// Those of the clients that ever signed in.
    async fn known(&self, app: &AppId, clients: &[ClientId]) -> Result<Vec<ClientId>, Failure> {
        let mut known = Vec::new();
        for client in clients {
            if self.storage.client(app, client).await?.is_some() {
                known.push(client.clone());
            }
        }
        Ok(known)
    }

    fn audience(&self, app: &AppId, audience: &Audience) -> Vec<SessionId> {
        let of_all = |clients: &[ClientId]| -> Vec<SessionId> {
            clients
                .iter()
                .flat_map(|client| self.registry.sessions_of(app, client))
                .collect()
        };
        match audience {
            Audience::Clients(clients) => of_all(clients),
            Audience::Others(clients, except) => {
                let mut sessions = of_all(clients);
                sessions.retain(|session| session != except);
                sessions
            }
            Audience::Counting(client) => {
                let mut sessions = self.registry.sessions_of(app, client);
                sessions.retain(|session| {
                    let link = self.registry.link(session.connection);
                    link.is_some_and(|link| link.mode == OfflineMode::Unread)
                });
                sessions
            }
            Audience::Session(session) => vec![session.clone()],
            Audience::Sessions(sessions) => sessions.clone(),
        }
    }
}
