//! The clients that are connected and signed in now. The registry is in memory: after a restart every client
//! signs in again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId, DeviceTag, MessageId, Timestamp};
use sampan::wire::{Command, OfflineMode};

use crate::core::apps::app::App;
use crate::core::exchange::input::{ConnectionId, SessionId};
use crate::core::state::visitors::Visitors;
use crate::core::state::watches::Watches;
use crate::storage::{Place, Token};

/// Messages that one session waits for acknowledgements of; the next login pushes the others.
const PUSHED_MAX: usize = 1000;

/// Messages that a session of the first generation can acknowledge by their ids alone.
const HANDED_MAX: usize = 100;

/// Chat rooms remembered for clients whose connections broke; no more than these come back to one.
const DEPARTED_MAX: usize = 10_000;

/// A connection and the sessions on it.
#[derive(Debug)]
pub(in crate::core) struct Link {
    pub(in crate::core) mode: OfflineMode,
    /// Named by the first session, and the same for all that follow.
    pub(in crate::core) app: Option<AppId>,
    /// The web origin of the page that opened it; none of a program that is no browser.
    pub(in crate::core) origin: Option<String>,
    /// Each in a place of its own: a map sets room aside for several, and a connection has one.
    pub(in crate::core) sessions: BTreeMap<ClientId, Box<Session>>,
}

/// A client that is signed in on a connection.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Session {
    pub(in crate::core) tag: Option<DeviceTag>,
    pub(in crate::core) device: Option<String>,
    /// The proof of the client's identity.
    pub(in crate::core) proof: Proof,
    /// The digest of the token the session was given last.
    pub(in crate::core) token: String,
    /// The message to send when the session is lost, ready to go, and its audience.
    pub(in crate::core) will: Option<Box<Will>>,
    /// The chat room the client is inside.
    pub(in crate::core) room: Option<ConversationId>,
    /// Messages pushed and not acknowledged yet, by the time to push them again.
    pub(in crate::core) pushed: BTreeMap<(Duration, u64), Pushed>,
    /// True if the client spoke a command of the first generation API: it hears such commands too.
    pub(in crate::core) first_generation: bool,
    /// The messages that a session of the first generation was sent last, and their conversations.
    pub(in crate::core) handed: VecDeque<(MessageId, ConversationId)>,
}

/// The proof of a client's identity, with its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct Proof {
    pub(in crate::core) authenticated_at: Timestamp,
    /// True if a signature of the app's own server was the proof.
    pub(in crate::core) signed: bool,
}

impl Proof {
    /// The proof that a token remembers.
    pub(in crate::core) const fn of(token: &Token) -> Self {
        Self {
            authenticated_at: token.authenticated_at,
            signed: token.signed,
        }
    }

    /// The time from which its tokens are no longer renewed; never where the app wants no signatures, because
    /// the name alone is the proof there.
    pub(in crate::core) fn ends_at(&self, app: &App) -> Option<Timestamp> {
        let settings = &app.settings;
        settings.signatures.login.then(|| {
            let longest = settings.limits.session_max();
            self.authenticated_at.saturating_add(longest)
        })
    }
}

/// A message that waits for its sender to vanish.
#[derive(Clone, Debug)]
pub(in crate::core) struct Will {
    pub(in crate::core) conversation: ConversationId,
    pub(in crate::core) command: Command,
}

/// A message that a client in push mode has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) struct Pending {
    pub(in crate::core) conversation: ConversationId,
    pub(in crate::core) place: Place,
}

/// A message that was pushed and may have to be pushed again.
#[derive(Clone, Debug)]
pub(in crate::core) struct Pushed {
    pub(in crate::core) pending: Pending,
    pub(in crate::core) tries_left: u32,
}

/// The place of a client whose connection broke.
#[derive(Debug)]
struct Departed {
    room: ConversationId,
    until: Duration,
}

/// All connections and sessions.
#[derive(Debug, Default)]
pub(in crate::core) struct Registry {
    links: BTreeMap<ConnectionId, Link>,
    online: BTreeMap<AppId, BTreeMap<ClientId, BTreeSet<ConnectionId>>>,
    rooms: BTreeMap<(AppId, ConversationId), BTreeSet<SessionId>>,
    departed: BTreeMap<(AppId, ClientId), Departed>,
    /// The sessions and the clients that they watch.
    pub(in crate::core) watches: Watches,
    /// The clients that signed in today.
    pub(in crate::core) visitors: Visitors,
    /// Sessions that wait to push something again, by the earliest time.
    due: BTreeSet<(Duration, SessionId)>,
    pushes: u64,
    sessions: usize,
}

impl Registry {
    /// The number of sessions that stand on all connections.
    pub(in crate::core) const fn sessions(&self) -> usize {
        self.sessions
    }

    /// The number of clients of each app that are signed in.
    pub(in crate::core) fn online(&self) -> impl Iterator<Item = (&str, usize)> {
        self.online
            .iter()
            .map(|(app, clients)| (app.as_str(), clients.len()))
    }

    pub(in crate::core) fn connect(&mut self, connection: ConnectionId, mode: OfflineMode) {
        let link = Link {
            mode,
            app: None,
            origin: None,
            sessions: BTreeMap::new(),
        };
        self.links.insert(connection, link);
    }

    /// Notes the web origin of a connection.
    pub(in crate::core) fn came_from(&mut self, connection: ConnectionId, origin: String) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.origin = Some(origin);
        }
    }

    pub(in crate::core) fn link(&self, connection: ConnectionId) -> Option<&Link> {
        self.links.get(&connection)
    }

    pub(in crate::core) fn connections(&self) -> Vec<ConnectionId> {
        self.links.keys().copied().collect()
    }

    /// The sessions on a connection.
    pub(in crate::core) fn sessions_on(&self, connection: ConnectionId) -> Vec<SessionId> {
        let clients = self
            .links
            .get(&connection)
            .into_iter()
            .flat_map(|link| link.sessions.keys());
        clients
            .map(|client| SessionId {
                connection,
                client: client.clone(),
            })
            .collect()
    }

    /// Forgets a connection that has no sessions any more.
    pub(in crate::core) fn disconnect(&mut self, connection: ConnectionId) {
        self.links.remove(&connection);
    }

    pub(in crate::core) fn session(&self, id: &SessionId) -> Option<&Session> {
        let session = self.links.get(&id.connection)?.sessions.get(&id.client)?;
        Some(session)
    }

    pub(in crate::core) fn session_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        let link = self.links.get_mut(&id.connection)?;
        let session = link.sessions.get_mut(&id.client)?;
        Some(session)
    }

    /// The app that a connection names before its first session; the first name stays.
    pub(in crate::core) fn name_app(&mut self, connection: ConnectionId, app: AppId) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.app.get_or_insert(app);
        }
    }

    /// Signs a client in; an earlier session of it on the connection gives way.
    pub(in crate::core) fn open(&mut self, app: &AppId, id: &SessionId, session: Session) {
        let Some(link) = self.links.get_mut(&id.connection) else {
            return;
        };
        link.app = Some(app.clone());
        let before = link.sessions.insert(id.client.clone(), Box::new(session));
        self.sessions += usize::from(before.is_none());
        let was_online = self.is_online(app, &id.client);
        self.watches.note(app, &id.client, was_online);
        let clients = self.online.entry(app.clone()).or_default();
        clients
            .entry(id.client.clone())
            .or_default()
            .insert(id.connection);
    }

    /// Signs a client out and gives back everything that its session held.
    pub(in crate::core) fn close(&mut self, id: &SessionId) -> Option<(AppId, Session)> {
        let link = self.links.get_mut(&id.connection)?;
        let app = link.app.clone()?;
        let session = link.sessions.remove(&id.client)?;
        self.sessions -= 1;
        self.watches.note(&app, &id.client, true);
        self.watches.forget(&app, id);
        if let Some(clients) = self.online.get_mut(&app)
            && let Some(connections) = clients.get_mut(&id.client)
        {
            connections.remove(&id.connection);
            if connections.is_empty() {
                clients.remove(&id.client);
            }
        }
        if let Some(room) = &session.room {
            self.leave(&app, room, id);
        }
        Some((app, *session))
    }

    pub(in crate::core) fn is_online(&self, app: &AppId, client: &ClientId) -> bool {
        self.online
            .get(app)
            .is_some_and(|clients| clients.contains_key(client))
    }

    /// The number of clients of an app that are signed in.
    pub(in crate::core) fn clients_online(&self, app: &AppId) -> usize {
        self.online.get(app).map_or(0, BTreeMap::len)
    }

    /// The clients of an app that are signed in, in the order of their ids.
    pub(in crate::core) fn online_of(&self, app: &AppId) -> impl Iterator<Item = &ClientId> {
        self.online.get(app).into_iter().flat_map(BTreeMap::keys)
    }

    /// The sessions of a client, on all connections.
    pub(in crate::core) fn sessions_of(&self, app: &AppId, client: &ClientId) -> Vec<SessionId> {
        let connections = self.online.get(app).and_then(|clients| clients.get(client));
        connections
            .into_iter()
            .flatten()
            .map(|connection| SessionId {
                connection: *connection,
                client: client.clone(),
            })
            .collect()
    }

    /// All sessions of an app.
    pub(in crate::core) fn sessions_of_app(&self, app: &AppId) -> Vec<SessionId> {
        let clients = self.online.get(app).into_iter().flatten();
        let sessions = clients.flat_map(|(client, connections)| {
            connections.iter().map(|connection| SessionId {
                connection: *connection,
                client: client.clone(),
            })
        });
        sessions.collect()
    }

    /// Notes that a client speaks the first generation API.
    pub(in crate::core) fn speaks_first_generation(&mut self, id: &SessionId) {
        if let Some(session) = self.session_mut(id) {
            session.first_generation = true;
        }
    }

    /// True if a client speaks the first generation API.
    pub(in crate::core) fn is_first_generation(&self, id: &SessionId) -> bool {
        self.session(id).is_some_and(|it| it.first_generation)
    }

    /// Notes that a session was sent a message, which it may acknowledge by its id alone.
    pub(in crate::core) fn hand(
        &mut self,
        id: &SessionId,
        message: MessageId,
        conversation: ConversationId,
    ) {
        if let Some(session) = self.session_mut(id) {
            if session.handed.len() >= HANDED_MAX {
                session.handed.pop_front();
            }
            session.handed.push_back((message, conversation));
        }
    }

    /// The conversation of a message that a session was sent; it is forgotten with that.
    pub(in crate::core) fn take_handed(
        &mut self,
        id: &SessionId,
        message: &MessageId,
    ) -> Option<ConversationId> {
        let handed = &mut self.session_mut(id)?.handed;
        let at = handed.iter().position(|(it, _)| it == message)?;
        handed.remove(at).map(|(_, conversation)| conversation)
    }

    fn leave(&mut self, app: &AppId, room: &ConversationId, id: &SessionId) {
        let key = (app.clone(), room.clone());
        if let Some(inside) = self.rooms.get_mut(&key) {
            inside.remove(id);
            if inside.is_empty() {
                self.rooms.remove(&key);
            }
        }
    }

    /// Puts a session into a chat room, out of the one it was in: a client is in one at most.
    pub(in crate::core) fn enter_room(
        &mut self,
        app: &AppId,
        room: &ConversationId,
        id: &SessionId,
    ) {
        self.leave_room(app, id);
        let Some(session) = self.session_mut(id) else {
            return;
        };
        session.room = Some(room.clone());
        self.rooms
            .entry((app.clone(), room.clone()))
            .or_default()
            .insert(id.clone());
    }

    /// Takes a session out of its chat room.
    pub(in crate::core) fn leave_room(&mut self, app: &AppId, id: &SessionId) {
        if let Some(room) = self.session_mut(id).and_then(|session| session.room.take()) {
            self.leave(app, &room, id);
        }
    }

    /// The chat room that a session is inside.
    pub(in crate::core) fn room_of(&self, id: &SessionId) -> Option<&ConversationId> {
        self.session(id)?.room.as_ref()
    }

    /// True if a session of a client is inside a chat room.
    pub(in crate::core) fn is_inside(
        &self,
        app: &AppId,
        room: &ConversationId,
        client: &ClientId,
    ) -> bool {
        let sessions = self.sessions_of(app, client);
        sessions.iter().any(|id| self.room_of(id) == Some(room))
    }

    /// The sessions inside a chat room.
    pub(in crate::core) fn inside(&self, app: &AppId, room: &ConversationId) -> Vec<SessionId> {
        let key = (app.clone(), room.clone());
        self.rooms
            .get(&key)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Keeps the place of a client whose connection broke.
    pub(in crate::core) fn depart(
        &mut self,
        app: &AppId,
        client: &ClientId,
        room: ConversationId,
        now: Duration,
        until: Duration,
    ) {
        if self.departed.len() >= DEPARTED_MAX {
            self.departed.retain(|_, departed| departed.until > now);
        }
        if self.departed.len() < DEPARTED_MAX {
            self.departed
                .insert((app.clone(), client.clone()), Departed { room, until });
        }
    }

    /// The chat room that a client comes back to.
    pub(in crate::core) fn come_back(
        &mut self,
        app: &AppId,
        client: &ClientId,
        now: Duration,
    ) -> Option<ConversationId> {
        let departed = self.departed.remove(&(app.clone(), client.clone()))?;
        (departed.until > now).then_some(departed.room)
    }

    /// Notes that a message has to be pushed again at `at` unless it is acknowledged before.
    pub(in crate::core) fn await_ack(&mut self, id: &SessionId, at: Duration, pushed: Pushed) {
        self.pushes += 1;
        let number = self.pushes;
        if let Some(session) = self.session_mut(id)
            && session.pushed.len() < PUSHED_MAX
        {
            session.pushed.insert((at, number), pushed);
            self.due.insert((at, id.clone()));
        }
    }

    /// A message reached a client: none of its sessions pushes it again.
    pub(in crate::core) fn acknowledged(
        &mut self,
        app: &AppId,
        client: &ClientId,
        conversation: &ConversationId,
        place: &Place,
    ) {
        for id in self.sessions_of(app, client) {
            if let Some(session) = self.session_mut(&id) {
                session.pushed.retain(|_, pushed| {
                    let pending = &pushed.pending;
                    pending.conversation != *conversation || pending.place != *place
                });
            }
        }
    }

    /// The time of the next repeated push.
    pub(in crate::core) fn next_push(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the messages that have to be pushed again by now.
    pub(in crate::core) fn take_due(&mut self, now: Duration) -> Vec<(SessionId, Pushed)> {
        let mut taken = Vec::new();
        while let Some((at, id)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id.clone()));
            let Some(session) = self.session_mut(&id) else {
                continue;
            };
            let later = session
                .pushed
                .split_off(&(at.saturating_add(Duration::from_nanos(1)), 0));
            let due = std::mem::replace(&mut session.pushed, later);
            taken.extend(due.into_values().map(|pushed| (id.clone(), pushed)));
        }
        taken
    }
}
