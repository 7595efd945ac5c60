//! Sessions: opening with a name, a signature or a token; tags and conflicts; closing; presence.
//!
//! The order of an opening matters: the token is written, the session registered for live
//! delivery, and only then the unread counts are taken, all in one step of the core. So a message
//! is either in the counts or delivered live, never both and never neither.

use sampan::model::{AppId, ClientId, Now, Tag};
use sampan::wire::generated::SessionCommand;
use sampan::wire::signature::SignedAction;
use sampan::wire::{CloseCode, Command, Envelope, OfflineMode, Op, ServiceCode};

use crate::core::access::Operation;
use crate::core::apps::app::App;
use crate::core::apps::token;
use crate::core::exchange::decision::{Caller, Decision, Notice};
use crate::core::exchange::input::{ConnectionId, Effect, Gap, SessionId};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::core::state::registry::Session;
use crate::storage::{Storage, Token, Write};

/// Sessions on one connection: an SDK has one a client id it was asked to sign in.
const SESSIONS_PER_CONNECTION_MAX: usize = 64;

/// Ids that one presence query may ask for; more are ignored (the protocol, section 4.10).
const QUERY_MAX: usize = 20;

/// The client understands edits and recalls (`configBitmap`, bit 0).
const UNDERSTANDS_PATCHES: i64 = 1;

/// What an opening is decided on.
struct OpenFacts<'a> {
    id: &'a SessionId,
    request: &'a SessionCommand,
    /// The token that came along, with its digest, if it is known, live, and this client's.
    token: Option<(String, Token)>,
    /// The sessions of the same client, anywhere.
    others: Vec<(SessionId, Session)>,
}

/// What an opening leads to.
#[derive(Debug, PartialEq, Eq)]
struct Opening {
    tag: Option<Tag>,
    device: Option<String>,
    displaced: Vec<(SessionId, Displacement)>,
}

/// How a session makes room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Displacement {
    /// It was a broken connection of the same device: nobody is told.
    Replaced,
    /// It was another device with the same tag: it is told.
    Kicked,
}

/// Who may be signed in, by the rules of the protocol, sections 4.4 and 4.5.
fn decide_open(facts: OpenFacts<'_>) -> Result<Opening, Refusal> {
    let OpenFacts {
        id,
        request,
        token,
        others,
    } = facts;
    let named = request.tag.as_deref().filter(|tag| !tag.is_empty());
    let tag = match (named, &token) {
        (Some(tag), _) => {
            let tag = Tag::new(tag);
            Some(tag.map_err(|e| Refusal::because(ServiceCode::INVALID_LOGIN, e.to_string()))?)
        }
        // Clients that come back by token do not repeat their tag.
        (None, Some((_, token))) => token.tag.clone(),
        (None, None) => None,
    };
    let device = request
        .device_token
        .as_ref()
        .or(request.device_id.as_ref())
        .cloned();
    let device = device
        .filter(|device| !device.is_empty())
        .or_else(|| token.as_ref().and_then(|(_, token)| token.device.clone()));
    let digest = token.as_ref().map(|(digest, _)| digest.as_str());
    let mut displaced = Vec::new();
    for (other, session) in others.into_iter().filter(|(other, _)| other != id) {
        let same_token = digest.is_some_and(|digest| digest == session.token);
        let same_device = device.is_some() && device == session.device;
        let same_tag = tag == session.tag;
        if same_token || (same_device && same_tag) {
            displaced.push((other, Displacement::Replaced));
        } else if same_tag && tag.as_ref().is_some_and(Tag::is_exclusive) {
            if request.r == Some(true) {
                return Err(ServiceCode::SESSION_CONFLICT.into());
            }
            displaced.push((other, Displacement::Kicked));
        }
    }
    Ok(Opening {
        tag,
        device,
        displaced,
    })
}

impl<S: Storage> Core<S> {
    /// `session/open`: answers by itself, for its reply must precede what its notices count.
    pub(in crate::core) async fn open_session(
        &mut self,
        now: Now,
        connection: ConnectionId,
        envelope: &Envelope,
        request: &SessionCommand,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let link = self
            .registry
            .link(connection)
            .ok_or(ServiceCode::INVALID_LOGIN)?;
        let named = envelope
            .app_id
            .as_deref()
            .and_then(|app| AppId::new(app).ok());
        let app_id = match (named, &link.app) {
            (Some(named), Some(known)) if named != *known => {
                return Err(ServiceCode::APP_NOT_AVAILABLE.into());
            }
            (Some(named), _) => named,
            (None, Some(known)) => known.clone(),
            (None, None) => return Err(ServiceCode::APP_NOT_AVAILABLE.into()),
        };
        let crowded = link.sessions.len() >= SESSIONS_PER_CONNECTION_MAX;
        let Some(app) = self.apps.find(app_id.as_str()).cloned() else {
            return Err(ServiceCode::APP_NOT_AVAILABLE.into());
        };
        let (client, token) = self.identify(now, &app_id, &app, envelope, request).await?;
        let id = SessionId { connection, client };
        if crowded && self.registry.session(&id).is_none() {
            let detail = "too many sessions on one connection";
            return Err(Refusal::because(ServiceCode::APP_QUOTA_EXCEEDED, detail).into());
        }
        let others = self.registry.sessions_of(&app_id, &id.client);
        let others = others
            .into_iter()
            .filter_map(|other| Some((other.clone(), self.registry.session(&other)?.clone())))
            .collect();
        let facts = OpenFacts {
            id: &id,
            request,
            token: token.clone(),
            others,
        };
        let opening = match decide_open(facts) {
            Err(refusal) if refusal.code == ServiceCode::SESSION_CONFLICT => {
                let reply = closed(Some(&refusal));
                let envelope = Box::new(envelope.reply(reply).with_peer(id.client.as_str()));
                effects.push(Effect::Send {
                    connection,
                    envelope,
                    gap: Gap::None,
                });
                return Ok(());
            }
            other => other?,
        };
        let already = self.registry.session(&id).cloned();
        let (text, ttl, digest) = self
            .issue(now, &app, &id.client, &opening, request, token)
            .await?;
        for (other, how) in opening.displaced {
            self.displace(now, &other, how, effects).await?;
        }
        let mut session = already.clone().unwrap_or_default();
        session.tag = opening.tag;
        session.device = opening.device;
        session.token = digest;
        self.registry.open(&app_id, &id, session);
        self.return_to_room(now, &app_id, &id).await?;
        let body = SessionCommand {
            st: Some(text),
            st_ttl: Some(ttl),
            ..SessionCommand::default()
        };
        let reply = Command::session(Op::Opened, body);
        let mut reply = Box::new(envelope.reply(reply).with_peer(id.client.as_str()));
        // Clients ask for what came after this: it must come after it by its time too.
        reply.server_ts = Some(self.stamps.opening());
        effects.push(Effect::Send {
            connection,
            envelope: reply,
            gap: Gap::None,
        });
        let repeated = already.is_some();
        self.welcome(now, &app_id, &id, request, repeated, effects)
            .await
    }

    /// Puts a client back into the chat room that its broken connection was inside, unless it was
    /// blocked there meanwhile.
    async fn return_to_room(
        &mut self,
        now: Now,
        app: &AppId,
        id: &SessionId,
    ) -> Result<(), Failure> {
        let Some(room) = self.registry.come_back(app, &id.client, now.elapsed) else {
            return Ok(());
        };
        let (own, cid) = ((app, &id.client), Some(room.as_str()));
        match self.admit(now, own, Operation::ReturnToRoom, cid).await {
            Ok(_) => self.registry.enter_room(app, &room, id),
            Err(Failure::Refused(_)) => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Checks who signs in: by a token, else by name and, where the app asks for it, signature.
    async fn identify(
        &mut self,
        now: Now,
        app_id: &AppId,
        app: &App,
        envelope: &Envelope,
        request: &SessionCommand,
    ) -> Result<(ClientId, Option<(String, Token)>), Failure> {
        let named = match envelope.peer_id.as_deref() {
            None => None,
            Some(peer) => Some(ClientId::new(peer).map_err(|error| {
                Refusal::because(ServiceCode::INVALID_LOGIN, error.to_string())
            })?),
        };
        if let Some(text) = request.st.as_deref().filter(|text| !text.is_empty()) {
            let digest = token::digest(app, text);
            let token = self.storage.token(app_id, &digest).await?;
            let token = token.filter(|token| {
                token.expires_at > now.wall && named.as_ref().is_none_or(|it| *it == token.client)
            });
            let token = token.ok_or(ServiceCode::SESSION_TOKEN_EXPIRED)?;
            return Ok((token.client.clone(), Some((digest, token))));
        }
        let client = match named {
            Some(client) => client,
            None => self
                .names
                .client()
                .map_err(|_| ServiceCode::INVALID_LOGIN)?,
        };
        let sent = (request.t, request.n.as_deref(), request.s.as_deref());
        crate::core::apps::signature_check::check(
            app,
            self.stamps.wall(),
            &client,
            SignedAction::Login,
            sent,
        )?;
        Ok((client, None))
    }

    /// The token for the reply: the one that came along while it is young, else a new one.
    async fn issue(
        &mut self,
        now: Now,
        app: &App,
        client: &ClientId,
        opening: &Opening,
        request: &SessionCommand,
        token: Option<(String, Token)>,
    ) -> Result<(String, i32, String), Failure> {
        if let (Some((digest, token)), Some(text)) = (token, &request.st) {
            let left = token.expires_at.saturating_since(now.wall);
            if left > app.settings.limits.session_token_ttl() / 2 {
                return Ok((text.clone(), token::seconds(left), digest));
            }
        }
        let text = self.names.token();
        let digest = token::digest(app, &text);
        let ttl = app.settings.limits.session_token_ttl();
        let token = Token {
            client: client.clone(),
            tag: opening.tag.clone(),
            device: opening.device.clone(),
            expires_at: now.wall.saturating_add(ttl),
        };
        let write = Write::PutToken(app.credentials.id.clone(), digest.clone(), token);
        self.storage.apply(vec![write]).await?;
        Ok((text, token::seconds(ttl), digest))
    }

    /// Takes a session away for another one of the same client.
    async fn displace(
        &mut self,
        now: Now,
        id: &SessionId,
        how: Displacement,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let connection = id.connection;
        if how == Displacement::Kicked {
            let command = closed(Some(&ServiceCode::SESSION_CONFLICT.into()));
            let command = Envelope::notification(id.client.as_str(), now.wall, command);
            let envelope = Box::new(command);
            effects.push(Effect::Send {
                connection,
                envelope,
                gap: Gap::None,
            });
        }
        self.end_session(now, id, effects).await?;
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

    /// What a client hears right after it signed in: what it missed.
    async fn welcome(
        &mut self,
        now: Now,
        app: &AppId,
        id: &SessionId,
        request: &SessionCommand,
        repeated: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let since = request.last_unread_notif_time.filter(|at| *at > 0);
        // A client that was never told a count has counted by itself what came while it was online.
        let seen = request.last_patch_time.filter(|at| *at > 0 && request.r());
        let mode = self.registry.link(id.connection).map(|link| link.mode);
        let mut notices: Vec<Notice> = match mode.unwrap_or(OfflineMode::Unread) {
            OfflineMode::Unread => {
                self.unread_snapshot(now, app, id, since, since.or(seen))
                    .await?
            }
            OfflineMode::Push if repeated => Vec::new(),
            OfflineMode::Push => self.push_offline(now, app, id).await?,
        };
        let understands = request
            .config_bitmap
            .is_none_or(|bits| bits & UNDERSTANDS_PATCHES != 0);
        if let Some(since) = request.last_patch_time.filter(|at| *at > 0 && understands) {
            notices.extend(self.missed_patches(app, id, since).await?);
        }
        if let Some(first) = notices.first_mut() {
            first.gap = Gap::Moment;
        }
        self.forget_notifications(now, app, &id.client).await?;
        self.tell(now, id.connection, notices, effects).await
    }

    pub(in crate::core) fn close_session(&mut self, caller: &Caller) -> Decision {
        // An explicit close takes the will back and leaves the chat room at once.
        self.registry.close(&caller.session);
        Decision::reply(closed(None))
    }

    /// `session/refresh`: the open session itself is the authority.
    pub(in crate::core) async fn refresh_session(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &SessionCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let session = self
            .registry
            .session(&caller.session)
            .cloned()
            .unwrap_or_default();
        let opening = Opening {
            tag: session.tag,
            device: session.device,
            displaced: Vec::new(),
        };
        let client = caller.client();
        let (text, ttl, digest) = self
            .issue(now, &app, client, &opening, request, None)
            .await?;
        if let Some(session) = self.registry.session_mut(&caller.session) {
            session.token = digest;
        }
        let body = SessionCommand {
            st: Some(text),
            st_ttl: Some(ttl),
            ..SessionCommand::default()
        };
        Ok(Decision::reply(Command::session(Op::Refreshed, body)))
    }

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

    /// A connection is gone: its clients go offline, their wills are delivered.
    pub(in crate::core) async fn lose(
        &mut self,
        now: Now,
        connection: ConnectionId,
        effects: &mut Vec<Effect>,
    ) {
        for id in self.registry.sessions_on(connection) {
            if let Err(failure) = self.end_session(now, &id, effects).await {
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
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let Some((app, session)) = self.registry.close(id) else {
            return Ok(());
        };
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

/// `session/closed`: without a code it answers a close, with one it takes a session away.
fn closed(why: Option<&Refusal>) -> Command {
    let body = SessionCommand {
        code: why.map(|why| why.code.number()),
        reason: why.map(|why| why.code.name().to_owned()),
        detail: why.map(|_| "another device signed in with the same tag".to_owned()),
        ..SessionCommand::default()
    };
    Command::session(Op::Closed, body)
}

#[cfg(test)]
mod tests {
    use sampan::model::Timestamp;

    use super::*;

    fn id(connection: u64) -> SessionId {
        let client = ClientId::new("Tom").unwrap();
        SessionId {
            connection: ConnectionId(connection),
            client,
        }
    }

    fn tag(tag: &str) -> Option<Tag> {
        Some(Tag::new(tag).unwrap())
    }

    fn request(tag: Option<&str>, device: Option<&str>, reconnect: bool) -> SessionCommand {
        SessionCommand {
            tag: tag.map(str::to_owned),
            device_id: device.map(str::to_owned),
            r: Some(reconnect),
            ..SessionCommand::default()
        }
    }

    fn open(
        request: &SessionCommand,
        token: Option<(&str, Option<Tag>)>,
        other: Session,
    ) -> Result<Vec<Displacement>, ServiceCode> {
        let token = token.map(|(digest, tag)| {
            let client = ClientId::new("Tom").unwrap();
            let token = Token {
                client,
                tag,
                device: None,
                expires_at: Timestamp::ZERO,
            };
            (digest.to_owned(), token)
        });
        let (displaced_id, id) = (id(1), id(2));
        let others = vec![(displaced_id, other)];
        let facts = OpenFacts {
            id: &id,
            request,
            token,
            others,
        };
        let displaced = |opening: Opening| opening.displaced.into_iter().map(|it| it.1).collect();
        decide_open(facts)
            .map(displaced)
            .map_err(|refusal| refusal.code)
    }

    fn other(tag: Option<Tag>, device: &str, token: &str) -> Session {
        let (device, token) = (Some(device.to_owned()), token.to_owned());
        Session {
            tag,
            device,
            token,
            ..Session::default()
        }
    }

    /// S305
    #[test]
    fn a_login_throws_out_the_earlier_device_of_its_tag() {
        let request = request(Some("phone"), Some("b"), false);
        let earlier = other(tag("phone"), "a", "t1");
        assert_eq!(
            open(&request, None, earlier),
            Ok(vec![Displacement::Kicked])
        );
    }

    #[test]
    fn a_reconnect_does_not_throw_out_the_later_device_of_its_tag() {
        let request = request(Some("phone"), Some("b"), true);
        let active = other(tag("phone"), "a", "t1");
        assert_eq!(
            open(&request, None, active),
            Err(ServiceCode::SESSION_CONFLICT)
        );
    }

    #[test]
    fn a_reconnect_by_token_has_the_tag_of_its_token() {
        let request = request(None, None, true);
        let active = other(tag("phone"), "a", "t1");
        let answer = open(&request, Some(("t2", tag("phone"))), active);
        assert_eq!(answer, Err(ServiceCode::SESSION_CONFLICT));
    }

    #[test]
    fn the_same_device_replaces_its_broken_connection() {
        let request = request(Some("phone"), Some("a"), true);
        let zombie = other(tag("phone"), "a", "t1");
        assert_eq!(
            open(&request, None, zombie),
            Ok(vec![Displacement::Replaced])
        );
    }

    #[test]
    fn the_same_token_replaces_its_broken_connection() {
        let request = request(None, None, true);
        let zombie = other(None, "a", "t1");
        assert_eq!(
            open(&request, Some(("t1", None)), zombie),
            Ok(vec![Displacement::Replaced])
        );
    }

    #[test]
    fn devices_without_a_tag_or_with_the_reserved_one_stay_together() {
        for reserved in [None, Some("default"), Some("")] {
            let request = request(reserved, Some("b"), false);
            let mate = other(
                reserved.filter(|it| !it.is_empty()).and_then(tag),
                "a",
                "t1",
            );
            assert_eq!(open(&request, None, mate), Ok(vec![]));
        }
    }
}
