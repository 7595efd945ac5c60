//! The end of a session: closed, displaced, lost, or ended by the app's operator.

use sampan::model::Now;
use sampan::wire::generated::SessionCommand;
use sampan::wire::{CloseCode, Command, Envelope, Op, ServiceCode};

use super::tags::Displacement;
use crate::core::access::Operation;
use crate::core::apps::app::Apps;
use crate::core::exchange::decision::{Caller, Decision, Notice};
use crate::core::exchange::input::{ConnectionId, Effect, SessionId};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::exchange::reply::sent;
use crate::core::hooks::Offline;
use crate::core::machine::Core;
use crate::core::state::registry::Registry;
use crate::core::state::upkeep::RetentionPass;
use crate::storage::{Storage, Write};

/// Why the sessions of an app end that is served no more.
const UNSERVED: &str = "the app is served no more";

impl<S: Storage> Core<S> {
    /// `session/close`: the session ends and its token with it. The will is taken back, and the
    /// chat room left at once.
    pub(in crate::core) fn close_session(&mut self, caller: &Caller) -> Decision {
        let tag = self.tag_of(&caller.session);
        let closed = self.registry.close(&caller.session);
        if closed.is_some() {
            self.tell_offline(&caller.app, caller.client(), tag, Offline::Closed);
        }
        let writes = closed.into_iter().flat_map(|(app, session)| {
            let client = caller.client().clone();
            let unbound = session
                .device
                .map(|device| Write::UnbindInstallation(app.clone(), device, client));
            [Some(Write::DropToken(app, session.token)), unbound]
        });
        Decision {
            writes: writes.flatten().collect(),
            ..Decision::reply(Command::session(Op::Closed, SessionCommand::default()))
        }
    }

    /// Ends a session for the app's operator, and tells the client why: nobody hears its will.
    pub(in crate::core) fn kick(
        &mut self,
        now: Now,
        id: &SessionId,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        let app = self
            .registry
            .link(id.connection)
            .and_then(|it| it.app.clone());
        let tag = self.tag_of(id);
        end_for_operator(&mut self.registry, now, id, reason, effects);
        if let Some(app) = app {
            self.tell_offline(&app, &id.client, tag, Offline::Kicked);
        }
    }

    /// Serves these apps from now on, with these keys and settings. Sessions of an app that is not
    /// among them end.
    pub fn serve_apps(&mut self, now: Now, apps: Apps) -> Vec<Effect> {
        let mut effects = Vec::new();
        for gone in self.apps.iter().map(|app| &app.credentials.id) {
            if apps.find(gone.as_str()).is_some() {
                continue;
            }
            for id in self.registry.sessions_of_app(gone) {
                end_for_operator(&mut self.registry, now, &id, UNSERVED, &mut effects);
            }
        }
        self.retention = RetentionPass::new(&apps);
        self.apps = apps;
        effects
    }

    /// Takes a session away for another one of the same client.
    pub(in crate::core) async fn displace(
        &mut self,
        now: Now,
        id: &SessionId,
        how: Displacement,
        successor: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let connection = id.connection;
        let ended = self.registry.link(connection).and_then(|it| it.app.clone());
        let token = self.registry.session(id).map(|it| it.token.clone());
        match how {
            Displacement::Kicked => {
                // The token stays: by it the device is known to be the one that gave way.
                let command = conflict(&ServiceCode::SESSION_CONFLICT.into());
                let told = Envelope::notification(id.client.as_str(), now.wall, command);
                effects.push(sent(connection, told));
            }
            Displacement::Replaced => {
                if let (Some(app), Some(token)) = (ended, token) {
                    self.forget_token(&app, &token, successor).await?;
                }
            }
        }
        let end = match how {
            Displacement::Kicked => Offline::Conflict,
            Displacement::Replaced => Offline::Lost,
        };
        self.end_session(now, id, end, effects).await?;
        let empty = self
            .registry
            .link(connection)
            .is_some_and(|link| link.sessions.is_empty());
        if how == Displacement::Replaced && empty {
            // Nobody reads from a broken connection of a device that came back on another one.
            effects.push(Effect::Close {
                connection,
                code: CloseCode::NORMAL,
            });
        }
        Ok(())
    }

    /// A connection is gone: its clients go offline, their wills are delivered.
    pub(in crate::core) async fn lose(
        &mut self,
        now: Now,
        connection: ConnectionId,
        effects: &mut Vec<Effect>,
    ) {
        for id in self.registry.sessions_on(connection) {
            if let Err(failure) = self.end_session(now, &id, Offline::Lost, effects).await {
                effects.push(Effect::Report(format!(
                    "a will was not delivered: {failure:?}"
                )));
            }
        }
        self.registry.disconnect(connection);
    }

    /// Ends a session that did not close by itself.
    async fn end_session(
        &mut self,
        now: Now,
        id: &SessionId,
        how: Offline,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let tag = self.tag_of(id);
        let Some((app, session)) = self.registry.close(id) else {
            return Ok(());
        };
        self.tell_offline(&app, &id.client, tag, how);
        if let Some(room) = session.room {
            let until = now
                .elapsed
                .saturating_add(self.settings_of(&app).limits.room_return());
            self.registry
                .depart(&app, &id.client, room, now.elapsed, until);
        }
        let Some(will) = session.will else {
            return Ok(());
        };
        let (own, cid) = ((&app, &id.client), Some(will.conversation.as_str()));
        let conversation = match self.admit(now, own, Operation::DeliverWill, cid).await {
            Ok(admitted) => admitted.conversation,
            Err(Failure::Refused(_)) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let crowd = self.crowd(&app, &conversation).await?;
        let to = crowd.audience_without(id);
        self.tell(
            now,
            id.connection,
            vec![Notice::once(to, will.command)],
            effects,
        )
        .await
    }
}

/// Ends a session and tells its client why; nobody hears its will.
fn end_for_operator(
    registry: &mut Registry,
    now: Now,
    id: &SessionId,
    reason: &str,
    effects: &mut Vec<Effect>,
) {
    let refusal = Refusal::because(ServiceCode::KICKED_BY_APP, reason);
    let told = Envelope::notification(id.client.as_str(), now.wall, closed(&refusal));
    effects.push(sent(id.connection, told));
    registry.close(id);
}

/// `session/closed` with a code: it takes a session away.
fn closed(why: &Refusal) -> Command {
    let body = SessionCommand {
        code: Some(why.code.number()),
        reason: Some(why.code.name().to_owned()),
        detail: why.detail.clone(),
        ..SessionCommand::default()
    };
    Command::session(Op::Closed, body)
}

/// `session/closed` for a session whose tag another device has.
pub(in crate::core) fn conflict(why: &Refusal) -> Command {
    let detail = "another device signed in with the same tag";
    closed(&Refusal::because(why.code, detail))
}
