//! [`Core`]: one input in, effects out; the rule of each command; the receivers of each notice.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::model::{ClientId, Now, Timestamp};
use sampan::wire::generated::{ReportCommand, SessionCommand};
use sampan::wire::{CloseCode, Command, Envelope, Op, ServiceCode};

use super::access::{Operation, Who};
use super::apps::app::Apps;
use super::exchange::decision::{Caller, Decision};
use super::exchange::input::{ConnectionId, Effect, Gap, Input, SessionId, Ticket};
use super::exchange::refusal::{Failure, Refusal};
use super::exchange::reply::address_device;
use super::exchange::request::RestCall;
use super::http::reading::RecordsReading;
use super::job::{Job, refuse};
use super::state::badges::Badges;
use super::state::clock::Stamps;
use super::state::cost::Meter;
use super::state::entropy::{Entropy, Names};
use super::state::hook_turn::HookTurn;
use super::state::pace::Pace;
use super::state::registry::Registry;
use super::state::upkeep::{RetentionPass, Swept};
use super::state::used_signatures::UsedSignatures;
use crate::storage::{Storage, StorageError, Write};

/// The wait before ended things are looked for again after a failed sweep.
const SWEEP_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The rules over a storage. Deterministic: the same inputs, storage and entropy give the same
/// effects; it asks no clock and does no IO but the storage's.
///
/// The caller hands in inputs one by one, calls [`Core::commit`] once for as many as were waiting, and carries
/// out their effects only after that. When a commit fails, [`Core::abandon`] answers the effects that are left.
pub struct Core<S> {
    pub(super) storage: S,
    pub(super) apps: Apps,
    pub(super) registry: Registry,
    pub(super) names: Names,
    pub(super) stamps: Stamps,
    pub(super) used: UsedSignatures,
    pub(super) pace: Pace,
    pub(super) retention: RetentionPass,
    /// The numbers on icons that are not kept yet.
    pub(super) badges: Badges,
    /// The progress of the last sweep of notifications.
    pub(super) swept: Swept,
    /// The questions and answers of hooks for the command at hand.
    pub(super) hook_turn: HookTurn,
    /// The work for the input at hand, counted.
    pub(super) meter: Meter,
    /// The reading of the meter when the part at hand began.
    pub(super) part_began: u64,
    /// The commands that are not finished, each the only one of its connection.
    pub(super) jobs: BTreeMap<ConnectionId, Job>,
    /// The requests for records that are not answered yet.
    pub(super) readings: BTreeMap<Ticket, RecordsReading>,
    sweep_at: Duration,
    /// Numbers notifications of one time.
    pub(super) sequence: u32,
}

impl<S: Storage> Core<S> {
    /// A service without connections.
    pub fn new(storage: S, apps: Apps, entropy: Box<dyn Entropy>) -> Self {
        Self {
            storage,
            retention: RetentionPass::new(&apps),
            apps,
            registry: Registry::default(),
            names: Names::new(entropy),
            stamps: Stamps::default(),
            used: UsedSignatures::default(),
            pace: Pace::default(),
            badges: Badges::default(),
            swept: Swept::default(),
            hook_turn: HookTurn::default(),
            meter: Meter::default(),
            part_began: 0,
            jobs: BTreeMap::new(),
            readings: BTreeMap::new(),
            sweep_at: Duration::ZERO,
            sequence: 0,
        }
    }

    /// Handles one input to its end. Its writes join the current batch; its effects wait for the
    /// commit.
    pub async fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let (connection, ticket) = match &input {
            Input::Received { connection, .. } => (Some(*connection), None),
            Input::Asked { ticket, .. } => (None, Some(*ticket)),
            _ => (None, None),
        };
        let mut effects = self.begin(now, input).await;
        while let Some(ticket) = ticket.filter(|it| self.is_reading(*it)) {
            effects.extend(self.read_on(now, ticket).await);
        }
        if let Some(connection) = connection {
            while self.is_busy(connection) && !self.is_asking(connection) {
                effects.extend(self.go_on(now, connection).await);
            }
        }
        effects
    }

    /// Handles one input, or a bounded part of it: where [`Core::is_busy`] says afterwards that
    /// the connection's command is not finished, [`Core::go_on`] takes it further, and no other
    /// input of that connection may come before its end. Where [`Core::is_reading`] says that a request is not
    /// answered, [`Core::read_on`] takes it further.
    pub async fn begin(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.begin_turn(now, &mut effects).await;
        match input {
            Input::Connected { connection, mode } => self.registry.connect(connection, mode),
            Input::CameFrom { connection, origin } => {
                self.registry.came_from(connection, origin);
            }
            Input::Received {
                connection,
                envelope,
            } => {
                self.receive(now, connection, &envelope, &mut effects).await;
            }
            Input::Lost { connection } => {
                self.jobs.remove(&connection);
                self.lose(now, connection, &mut effects).await;
            }
            Input::Asked { ticket, request } => {
                if let RestCall::Records(call) = &request.call {
                    self.begin_reading(now, ticket, &request.app, call, &mut effects)
                        .await;
                    self.meter.storage(self.storage.work());
                    return effects;
                }
                let answer = self.answer_rest(now, &request, &mut effects).await;
                let answer = Box::new(answer);
                effects.push(Effect::Answer { ticket, answer });
            }
            Input::Woke => self.wake(now, &mut effects).await,
            Input::Leaving => {
                if let Err(error) = self.keep_badges().await {
                    effects.push(Effect::Report(error.to_string()));
                }
                effects.extend(self.farewells(now));
            }
        }
        self.tell_presence(now, &mut effects);
        self.tell_hooks(&mut effects);
        self.meter.storage(self.storage.work());
        effects
    }

    /// Sends the calls of hooks about events; they leave after all notifications to clients.
    pub(super) fn tell_hooks(&mut self, effects: &mut Vec<Effect>) {
        let told = self.hook_turn.take_told().into_iter().map(Box::new);
        effects.extend(told.map(Effect::Tell));
        let pushed = std::mem::take(&mut self.hook_turn.push)
            .into_iter()
            .map(Box::new);
        effects.extend(pushed.map(Effect::Push));
        self.hook_turn = HookTurn::default();
    }

    /// The cost of the work since the last call, in units of about a microsecond. The cost is counted and not
    /// timed: the same inputs cost the same everywhere.
    pub fn take_cost(&mut self) -> u64 {
        self.meter.take()
    }

    /// True if a client has signed in on the connection, or named its app.
    #[must_use]
    pub fn is_signed_in(&self, connection: ConnectionId) -> bool {
        let link = self.registry.link(connection);
        link.is_some_and(|link| link.app.is_some())
    }

    /// The number of sessions that stand: a client counts once for each connection that it is signed in on.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.registry.sessions()
    }

    /// The number of clients of each app that have a session.
    pub fn online(&self) -> impl Iterator<Item = (&str, usize)> {
        self.registry.online()
    }

    /// True if the storage can keep new data, as far as is known.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.storage.is_sound()
    }

    /// Makes a storage that failed work again, if it can.
    ///
    /// # Errors
    ///
    /// [`StorageError`]: it still cannot. Nothing but this may be called until it could.
    pub async fn recover(&mut self) -> Result<(), StorageError> {
        self.storage.recover().await
    }

    /// Makes the current batch durable.
    ///
    /// # Errors
    ///
    /// [`StorageError`]: nothing of the batch is kept, its effects must be thrown away, and
    /// [`Core::abandon`] is due.
    pub async fn commit(&mut self) -> Result<(), StorageError> {
        let clock = self.stamps.to_keep(self.storage.has_changes());
        if let Some(clock) = clock {
            self.storage.apply(vec![Write::PutClock(clock)]).await?;
        }
        self.storage.commit().await?;
        if let Some(clock) = clock {
            self.stamps.is_kept(clock);
        }
        Ok(())
    }

    /// Something is done for a client: its cost is counted from here.
    pub(super) async fn begin_turn(&mut self, now: Now, effects: &mut Vec<Effect>) -> Now {
        self.meter.input();
        self.part_began = self.meter.sum();
        self.read_clock(now, effects).await
    }

    /// The time by the service's own clock, which goes on from where it was before a restart.
    async fn read_clock(&mut self, now: Now, effects: &mut Vec<Effect>) -> Now {
        if self.stamps.is_unread() {
            match self.storage.clock().await {
                Ok(clock) => self
                    .stamps
                    .go_on_from(clock.unwrap_or_default(), now.elapsed),
                Err(error) => effects.push(Effect::Report(error.to_string())),
            }
        }
        self.stamps.read(now)
    }

    /// After a failed commit: forgets the batch and everybody who is connected. A change that was promised to
    /// nobody is undone; clients come back and send again every message without an acknowledgement.
    pub fn abandon(&mut self) -> Vec<Effect> {
        self.storage.rollback();
        self.jobs.clear();
        let mut effects = self.give_up_readings();
        let connections = std::mem::take(&mut self.registry).connections();
        let code = CloseCode::READ_TIMEOUT;
        let closes = connections.into_iter();
        effects.extend(closes.map(|connection| Effect::Close { connection, code }));
        effects
    }

    /// The time at which [`Input::Woke`] is due, in elapsed time.
    #[must_use]
    pub fn wake_at(&self) -> Duration {
        let next = [self.registry.next_push(), self.retention.due()];
        next.into_iter()
            .flatten()
            .fold(self.sweep_at, Duration::min)
    }

    /// The storage, to read the committed data.
    pub const fn storage(&self) -> &S {
        &self.storage
    }

    /// Ends, and gives the storage back; uncommitted writes are still in its batch.
    pub fn into_storage(self) -> S {
        self.storage
    }

    async fn receive(
        &mut self,
        now: Now,
        connection: ConnectionId,
        envelope: &Envelope,
        effects: &mut Vec<Effect>,
    ) {
        let command = &envelope.command;
        let result = match Operation::of(command, None).map(Operation::who) {
            Some(Who::Anyone) => {
                self.without_session(now, connection, envelope, effects)
                    .await
            }
            _ => match self.caller(connection, envelope) {
                Ok(caller) => match self.command(now, &caller, envelope, effects).await {
                    Err(Failure::Asks(call)) => {
                        self.await_hook(&caller, envelope, call, effects);
                        Ok(())
                    }
                    other => other,
                },
                Err(refusal) => Err(refusal.into()),
            },
        };
        if let Err(failure) = result {
            refuse(connection, envelope, failure, effects);
        }
    }

    /// Commands without a session: opening one, heartbeats, and the logins of devices, of which this service
    /// takes only the app (the protocol, sections 2.4 and 4.12, appendix D).
    async fn without_session(
        &mut self,
        now: Now,
        connection: ConnectionId,
        envelope: &Envelope,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let decision = match &envelope.command {
            Command::Session { body, .. } => {
                return self
                    .open_session(now, connection, envelope, body, effects)
                    .await;
            }
            Command::Echo => Decision::reply(Command::Echo),
            Command::Login(_) => self.login(connection, envelope)?,
            Command::Logout => Decision::reply(Command::Loggedout),
            Command::Report { .. } => {
                let body = ReportCommand::default();
                let op = Op::Uploaded;
                Decision::reply(Command::Report { op, body })
            }
            Command::Ack(body) => match self.caller(connection, envelope) {
                Ok(caller) => self.acknowledge_by_ids(now, &caller, body).await?,
                Err(_) => Decision::silent(),
            },
            _ => Decision::silent(),
        };
        self.carry_out(now, connection, envelope, decision, effects)
            .await
    }

    /// Whose command it is: without a peer id, that of the connection's only session.
    fn caller(&self, connection: ConnectionId, envelope: &Envelope) -> Result<Caller, Refusal> {
        let link = self
            .registry
            .link(connection)
            .ok_or(ServiceCode::SESSION_REQUIRED)?;
        let client = match envelope.peer_id.as_deref() {
            Some(peer) if !peer.is_empty() => ClientId::new(peer)
                .ok()
                .filter(|client| link.sessions.contains_key(client)),
            _ => match link.sessions.len() {
                1 => link.sessions.keys().next().cloned(),
                _ => None,
            },
        };
        match (client, &link.app) {
            (Some(client), Some(app)) => Ok(Caller {
                app: app.clone(),
                session: SessionId { connection, client },
            }),
            _ => Err(ServiceCode::SESSION_REQUIRED.into()),
        }
    }

    pub(super) async fn command(
        &mut self,
        now: Now,
        caller: &Caller,
        envelope: &Envelope,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let command = &envelope.command;
        let Some(operation) = Operation::of(command, Some(caller.client())) else {
            return Err(unsupported(command).into());
        };
        if let Err(refusal) = self.keep_pace(now, caller, operation) {
            let Command::Direct(body) = command else {
                return Err(refusal.into());
            };
            let decision = self.refuse_send(now, body, &refusal)?;
            let connection = caller.session.connection;
            return self
                .carry_out(now, connection, envelope, decision, effects)
                .await;
        }
        let decision = match command {
            Command::Conv { op: Op::Query, .. } | Command::Read(_) | Command::Logs(_) => {
                return self.begin_job(now, caller, envelope, false, effects).await;
            }
            Command::Session { op, body } => {
                self.session(now, caller, operation, *op, body).await?
            }
            Command::Conv { op, body } => {
                self.conversation(now, caller, operation, *op, body).await?
            }
            Command::Blacklist { op, body } => {
                self.blacklist(now, caller, operation, *op, body).await?
            }
            Command::Direct(body) => match operation {
                Operation::SendToPeers => self.send_to_peers(now, caller, body).await?,
                _ if body.cid.is_none() && body.room_id.is_some() => {
                    self.send_to_group(now, caller, body).await?
                }
                _ => {
                    let decision = self.send(now, caller, body).await?;
                    decision.with_priority(envelope.priority)
                }
            },
            Command::Ack(body) => self.acknowledge(now, caller, body).await?,
            Command::Room { op, body } => self.group(now, caller, operation, *op, body).await?,
            Command::Patch { body, .. } => self.patch(now, caller, body).await?,
            other => return Err(unsupported(other).into()),
        };
        self.carry_out(now, caller.session.connection, envelope, decision, effects)
            .await
    }

    async fn session(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        op: Op,
        body: &SessionCommand,
    ) -> Result<Decision, Failure> {
        match operation {
            Operation::Watch => self.watch(caller, op, body),
            Operation::CloseSession => Ok(self.close_session(caller)),
            Operation::RefreshSession => self.refresh_session(now, caller, body).await,
            _ => Ok(self.query_sessions(caller, body)),
        }
    }

    /// Applies the writes of a decision, then turns its reply and notices into effects.
    pub(super) async fn carry_out(
        &mut self,
        now: Now,
        connection: ConnectionId,
        request: &Envelope,
        decision: Decision,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let Decision {
            writes,
            reply,
            notices,
        } = decision;
        self.storage.apply(writes).await?;
        if let Some(command) = reply {
            let mut envelope = Box::new(request.reply(command));
            envelope.server_ts = server_time_of(&envelope.command, now);
            address_device(request, &mut envelope);
            effects.push(Effect::Send {
                connection,
                envelope,
                gap: Gap::None,
            });
        }
        self.tell(now, connection, notices, effects).await
    }

    /// `goaway` to every connection, once each: an SDK that hears it twice trips over the second.
    fn farewells(&self, now: Now) -> Vec<Effect> {
        let farewell = |connection| {
            // One SDK opens again the session of the client that the command names.
            let client = self.registry.sessions_on(connection).into_iter().next();
            let envelope = match client {
                Some(id) => Envelope::notification(id.client.as_str(), now.wall, Command::Goaway),
                None => Envelope::new(Command::Goaway),
            };
            let (envelope, gap) = (Box::new(envelope), Gap::None);
            Effect::Send {
                connection,
                envelope,
                gap,
            }
        };
        self.registry
            .connections()
            .into_iter()
            .map(farewell)
            .collect()
    }

    async fn wake(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Err(error) = self.push_again(now, effects).await {
            effects.push(Effect::Report(error.to_string()));
        }
        if now.elapsed >= self.sweep_at {
            let next = self.sweep(now).await.unwrap_or_else(|error| {
                effects.push(Effect::Report(error.to_string()));
                SWEEP_AFTER_FAILURE
            });
            self.sweep_at = now.elapsed.saturating_add(next);
        }
        if let Err(error) = self.forget_old(now).await {
            effects.push(Effect::Report(error.to_string()));
        }
    }
}

/// Replies that clients read the service's time from.
fn server_time_of(command: &Command, now: Now) -> Option<Timestamp> {
    match command {
        Command::Session {
            op: Op::Opened | Op::Refreshed,
            ..
        } => Some(now.wall),
        _ => None,
    }
}

pub(super) fn unsupported(command: &Command) -> Refusal {
    let detail = match command.op() {
        Some(op) => format!(
            "this service does not serve {} {}",
            command.kind().as_str_name(),
            op.as_str_name()
        ),
        None => format!(
            "this service does not serve {}",
            command.kind().as_str_name()
        ),
    };
    Refusal::because(ServiceCode::UNPARSEABLE_RAW_MESSAGE, detail)
}

pub(super) fn unsupported_op(kind: &str, op: Op) -> Refusal {
    let detail = format!("this service does not serve {kind} {}", op.as_str_name());
    Refusal::because(ServiceCode::UNPARSEABLE_RAW_MESSAGE, detail)
}
