//! Opening a session with a name, a signature or a token.
//!
//! The order of an opening matters: the token is written, the session is registered for live delivery, and only
//! then the unread counts are taken, all in one step of the core. A message is therefore either in the counts
//! or delivered live, never both and never neither.

use sampan::model::{AppId, ClientId, Now};
use sampan::wire::generated::SessionCommand;
use sampan::wire::{Command, Envelope, OfflineMode, Op, ServiceCode};

use super::end::conflict;
use super::tags::{OpenFacts, Opening, decide_open};
use super::tokens::{Identity, Issue};
use crate::core::access::Operation;
use crate::core::apps::app::App;
use crate::core::apps::rates::Counted;
use crate::core::exchange::decision::Caller;
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::input::{ConnectionId, Effect, SessionId};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::exchange::reply::sent;
use crate::core::machine::Core;
use crate::core::state::watches::{WATCHED_MAX, WatchListFull};
use crate::storage::{Client, Storage, Write};

/// Sessions on one connection: an SDK has one a client id it was asked to sign in.
const SESSIONS_PER_CONNECTION_MAX: usize = 64;

/// An opening that was decided on.
struct Entry<'a> {
    envelope: &'a Envelope,
    request: &'a SessionCommand,
    identity: Identity,
    opening: Opening,
    /// The clients that the session is to watch; first generation API.
    watched: Vec<ClientId>,
}

impl<S: Storage> Core<S> {
    /// `session/open`: answers by itself, for its reply must precede the messages that its notices count.
    pub(in crate::core) async fn open_session(
        &mut self,
        now: Now,
        connection: ConnectionId,
        envelope: &Envelope,
        request: &SessionCommand,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let app = self.app_named(connection, envelope)?;
        let identity = self
            .identify(now, connection, &app, envelope, request)
            .await?;
        let client = identity.client.clone();
        let id = SessionId { connection, client };
        self.check_entry(now, &app, &id).await?;
        self.check_room_for(&id)?;
        let watched = client_ids(&request.session_peer_ids)?;
        if watched.len() > WATCHED_MAX {
            return Err(Refusal::from(WatchListFull).into());
        }
        if identity.token.is_some() && !watched.is_empty() {
            // A token proves who the client is, and not whom it may watch.
            self.check_watch(&app, &id, &watched, request)?;
        }
        let opening = match decide_open(self.open_facts(&app, &id, request, &identity)) {
            Err(refusal) if refusal.code == ServiceCode::SESSION_CONFLICT => {
                let reply = envelope.reply(conflict(&refusal));
                effects.push(sent(connection, reply.with_peer(id.client.as_str())));
                return Ok(());
            }
            other => other?,
        };
        let entry = Entry {
            envelope,
            request,
            identity,
            opening,
            watched,
        };
        self.enter_session(now, &app, &id, entry, effects).await
    }

    /// Refuses a client that is barred from the app, or that opens sessions too often.
    async fn check_entry(&mut self, now: Now, app: &App, id: &SessionId) -> Result<(), Failure> {
        let (own, client) = (&app.credentials.id, &id.client);
        let revocation = self.storage.revocation(own, Some(client)).await?;
        let barred_until = revocation.and_then(|it| it.barred_until);
        if barred_until.is_some_and(|until| until > now.wall) {
            return Err(ServiceCode::BLACKLISTED.into());
        }
        let (whose, elapsed) = ((own, Some(client)), now.elapsed);
        let rates = &app.settings.rates;
        self.pace.count(rates, whose, Counted::Opening, elapsed)?;
        Ok(())
    }

    /// The app that an opening is for: the one it names, or the one of its connection.
    fn app_named(&self, connection: ConnectionId, envelope: &Envelope) -> Result<App, Refusal> {
        let link = self.registry.link(connection);
        let link = link.ok_or(ServiceCode::INVALID_LOGIN)?;
        let named = envelope
            .app_id
            .as_deref()
            .and_then(|app| AppId::new(app).ok());
        let id = match (named, &link.app) {
            (Some(named), Some(known)) if named != *known => None,
            (Some(named), _) => Some(named),
            (None, known) => known.clone(),
        };
        let app = id.and_then(|id| self.apps.find(id.as_str()).cloned());
        let app = app.ok_or(ServiceCode::APP_NOT_AVAILABLE)?;
        if !app.settings.admits_origin(link.origin.as_deref()) {
            let detail = "pages of this web origin may not connect";
            return Err(Refusal::because(ServiceCode::INVALID_ORIGIN, detail));
        }
        Ok(app)
    }

    fn check_room_for(&self, id: &SessionId) -> Result<(), Refusal> {
        let link = self.registry.link(id.connection);
        let crowded = link.is_some_and(|it| it.sessions.len() >= SESSIONS_PER_CONNECTION_MAX);
        if crowded && self.registry.session(id).is_none() {
            let detail = "too many sessions on one connection";
            return Err(Refusal::because(ServiceCode::APP_QUOTA_EXCEEDED, detail));
        }
        Ok(())
    }

    fn open_facts<'a>(
        &self,
        app: &App,
        id: &'a SessionId,
        request: &'a SessionCommand,
        identity: &Identity,
    ) -> OpenFacts<'a> {
        let others = self.registry.sessions_of(&app.credentials.id, &id.client);
        let others = others
            .into_iter()
            .filter_map(|other| Some((other.clone(), self.registry.session(&other)?.clone())));
        OpenFacts {
            id,
            request,
            token: identity.token.clone(),
            others: others.collect(),
        }
    }

    /// Makes the session that was decided on, and tells the client everything that it missed.
    async fn enter_session(
        &mut self,
        now: Now,
        app: &App,
        id: &SessionId,
        entry: Entry<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let Entry {
            envelope,
            request,
            identity,
            opening,
            watched,
        } = entry;
        let app_id = &app.credentials.id;
        let already = self.registry.session(id).cloned();
        let issued = self
            .issue(
                now,
                app,
                Issue {
                    client: &id.client,
                    tag: opening.tag.clone(),
                    device: opening.device.clone(),
                    proof: identity.proof,
                    before: identity.token.zip(request.st.clone()),
                },
            )
            .await?;
        for (other, how) in opening.displaced {
            self.displace(now, &other, how, &issued.digest, effects)
                .await?;
        }
        let repeated = already.is_some();
        let mut session = already.unwrap_or_default();
        self.forget_token(app_id, &session.token, &issued.digest)
            .await?;
        session.tag = opening.tag;
        session.device = opening.device;
        session.proof = identity.proof;
        session.token = issued.digest.clone();
        self.registry.visitors.note(app_id, &id.client, now.wall);
        session.first_generation |= !watched.is_empty();
        let bound = self.bound(app_id, &id.client, session.device.as_deref());
        self.storage.apply(bound.into_iter().collect()).await?;
        self.registry.open(app_id, id, session);
        self.return_to_room(now, app_id, id).await?;
        let body = match watched.is_empty() {
            true => issued.body(),
            false => {
                self.registry.watches.forget(app_id, id);
                self.watch_all(app, id, &watched, issued.body())?
            }
        };
        let reply = envelope.reply(Command::session(Op::Opened, body));
        let mut reply = reply.with_peer(id.client.as_str());
        // Clients ask for everything after this reply: later messages must have later times.
        reply.server_ts = Some(self.stamps.opening());
        effects.push(sent(id.connection, reply));
        self.note_client(app_id, id).await?;
        if !repeated {
            self.tell_online(app_id, id, request.r == Some(true));
        }
        let caller = Caller {
            app: app_id.clone(),
            session: id.clone(),
        };
        self.begin_job(now, &caller, envelope, repeated, effects)
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

    /// Notes that there is such a client: from now on its notifications are kept while it is away.
    async fn note_client(&mut self, app: &AppId, id: &SessionId) -> Result<(), Failure> {
        let link = self.registry.link(id.connection);
        let pushes = link.is_some_and(|link| link.mode == OfflineMode::Push);
        let known = self.storage.client(app, &id.client).await?;
        let push_mode = pushes || known.as_ref().is_some_and(|known| known.push_mode);
        let client = Client {
            push_mode,
            ..known.clone().unwrap_or_default()
        };
        if known.as_ref() != Some(&client) {
            let write = Write::PutClient(app.clone(), id.client.clone(), client);
            self.storage.apply(vec![write]).await?;
        }
        Ok(())
    }
}
