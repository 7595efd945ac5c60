//! The clients that are online: asked once, or watched by clients of the first generation, which hear when a
//! client goes online or offline (the protocol, sections 4.10 and 4.11).

use sampan::model::{ClientId, Now};
use sampan::wire::generated::{PresenceCommand, SessionCommand, StatusType};
use sampan::wire::signature::SignedAction;
use sampan::wire::{Command, Envelope, Op, ServiceCode};

use crate::core::apps::app::App;
use crate::core::exchange::decision::{Caller, Decision};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::input::{Effect, SessionId};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::exchange::reply::sent;
use crate::core::machine::Core;
use crate::core::state::watches::WatchListFull;
use crate::storage::Storage;

/// Ids that one presence query may ask for; more are ignored (the protocol, section 4.10).
const QUERY_MAX: usize = 20;

impl<S: Storage> Core<S> {
    /// `session/query`: which of these clients are signed in.
    pub(in crate::core) fn query_sessions(
        &self,
        caller: &Caller,
        request: &SessionCommand,
    ) -> Decision {
        let asked = request.session_peer_ids.iter().take(QUERY_MAX);
        let online = asked.filter(|peer| {
            ClientId::new(peer).is_ok_and(|peer| self.registry.is_online(&caller.app, &peer))
        });
        let online_session_peer_ids = online.cloned().collect();
        let body = SessionCommand {
            online_session_peer_ids,
            ..SessionCommand::default()
        };
        Decision::reply(Command::session(Op::QueryResult, body))
    }

    /// `session/add` and `session/remove`: watching clients, or no more. Where a login needs a signature,
    /// watching needs one too, over the ids as sent.
    pub(in crate::core) fn watch(
        &mut self,
        caller: &Caller,
        op: Op,
        request: &SessionCommand,
    ) -> Result<Decision, Failure> {
        let (app, id) = (self.app_of(caller)?, &caller.session);
        let peers = client_ids(&request.session_peer_ids)?;
        self.registry.speaks_first_generation(id);
        if op == Op::Remove {
            self.registry.watches.unwatch(&caller.app, id, &peers);
            let body = SessionCommand {
                session_peer_ids: request.session_peer_ids.clone(),
                ..SessionCommand::default()
            };
            return Ok(Decision::reply(Command::session(Op::Removed, body)));
        }
        self.check_watch(&app, id, &peers, request)?;
        let body = self.watch_all(&app, id, &peers, SessionCommand::default())?;
        Ok(Decision::reply(Command::session(Op::Added, body)))
    }

    /// Checks the signature of a watch list, where the app wants one.
    pub(in crate::core) fn check_watch(
        &mut self,
        app: &App,
        id: &SessionId,
        peers: &[ClientId],
        request: &SessionCommand,
    ) -> Result<bool, Refusal> {
        let action = SignedAction::Watch { peers };
        let signature = (request.t, request.n.as_deref(), request.s.as_deref());
        self.check_signed(app, &id.client, action, signature)
    }

    /// Watches clients; the reply names them, and those of them who are online now.
    pub(in crate::core) fn watch_all(
        &mut self,
        app: &App,
        id: &SessionId,
        peers: &[ClientId],
        reply: SessionCommand,
    ) -> Result<SessionCommand, Refusal> {
        let app = &app.credentials.id;
        let watched = self.registry.watches.watch(app, id, peers);
        watched?;
        let online = peers.iter().filter(|it| self.registry.is_online(app, it));
        Ok(SessionCommand {
            session_peer_ids: peers.iter().map(ToString::to_string).collect(),
            online_session_peer_ids: online.map(ToString::to_string).collect(),
            ..reply
        })
    }

    /// Tells those who watch a client that it came or went in the turn at hand. A client whose session
    /// moved from one connection to another has done neither.
    pub(in crate::core) fn tell_presence(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for ((app, client), was_online) in self.registry.watches.take_noted() {
            let is_online = self.registry.is_online(&app, &client);
            if is_online == was_online {
                continue;
            }
            let status = match is_online {
                true => StatusType::On,
                false => StatusType::Off,
            };
            let told = PresenceCommand {
                status: Some(status.into()),
                session_peer_ids: vec![client.to_string()],
                cid: None,
            };
            for watcher in self.registry.watches.watchers_of(&app, &client) {
                let command = Command::Presence(told.clone());
                let told = Envelope::notification(watcher.client.as_str(), now.wall, command);
                effects.push(sent(watcher.connection, told));
            }
        }
    }
}

impl From<WatchListFull> for Refusal {
    fn from(_: WatchListFull) -> Self {
        let detail = "a session cannot watch so many clients";
        Self::because(ServiceCode::APP_QUOTA_EXCEEDED, detail)
    }
}
