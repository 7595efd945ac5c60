//! The effects of each input, as far as an operator may know them: counted and logged.
//!
//! An effect is recorded when it is decided and reported when it is durable. The log has ids and codes, and
//! never texts of messages, names, attributes or tokens.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use sampan::model::Timestamp;
use sampan::wire::{Command, Envelope, Op, Serial};
use tokio::time::Instant;
use tracing::{debug, trace};

use super::feed::{self, Event, Feed};
use super::metrics::Metrics;
use crate::core::{ConnectionId, Effect, Input};

/// The name of the command that sends a message.
const DIRECT: &str = "direct";

/// The inspector's word for a sign-in.
const OPENED: &str = "session opened";

/// A command that came, for as long as its result is not known or not durable.
#[derive(Debug)]
struct Heard {
    connection: ConnectionId,
    command: Cow<'static, str>,
    serial: Option<Serial>,
    /// The code of the refusal.
    refused: Option<i32>,
    /// The message as the inspector is to show it.
    said: Option<Box<Said>>,
    came_at: Instant,
}

/// A message as the inspector shows it.
#[derive(Debug)]
struct Said {
    client: Option<String>,
    conversation: Option<String>,
    bytes: usize,
    sessions: usize,
    text: Option<String>,
}

impl Said {
    fn of(envelope: &Envelope) -> Option<Box<Self>> {
        let Command::Direct(body) = &envelope.command else {
            return None;
        };
        let binary = body.binary_msg.as_ref().map_or(0, Vec::len);
        Some(Box::new(Self {
            client: envelope.peer_id.clone(),
            conversation: body.cid.clone(),
            bytes: body.msg.as_ref().map_or(binary, String::len),
            sessions: 0,
            text: body.msg.as_deref().map(feed::beginning),
        }))
    }
}

/// Something that happened, told once it is durable.
#[derive(Debug)]
enum Fact {
    /// A command was handled to its end.
    Handled(Heard),
    /// A client signed in.
    Opened(ConnectionId, String),
    /// A session ended, with the code that its client was told.
    Ended(ConnectionId, String, Option<i32>),
    /// A message was acknowledged.
    Accepted,
    /// One message went to so many sessions.
    FannedOut(usize),
    /// Messages were sent again.
    PushedAgain(usize),
}

/// Watches the inputs of the core and its effects.
#[derive(Debug)]
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    /// The inspector's feed, if there is an inspector.
    feed: Option<Arc<Feed>>,
    /// The client that signed in last on each connection, for the inspector.
    named: BTreeMap<ConnectionId, String>,
    /// The commands that are handled in several parts.
    unfinished: BTreeMap<ConnectionId, Heard>,
    facts: Vec<Fact>,
}

impl Observer {
    pub(super) fn new(metrics: Arc<Metrics>, feed: Option<Arc<Feed>>) -> Self {
        Self {
            metrics,
            feed,
            named: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            facts: Vec::new(),
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// An input goes into the core.
    pub(super) fn begins(&mut self, input: &Input, came_at: Instant) {
        match input {
            Input::Received {
                connection,
                envelope,
            } => {
                let heard = Heard {
                    connection: *connection,
                    command: name(&envelope.command),
                    serial: envelope.serial,
                    refused: None,
                    said: self.feed.as_ref().and_then(|_| Said::of(envelope)),
                    came_at,
                };
                self.unfinished.insert(*connection, heard);
            }
            Input::Lost { connection } => {
                self.unfinished.remove(connection);
                self.named.remove(connection);
            }
            Input::Connected { .. }
            | Input::CameFrom { .. }
            | Input::Asked { .. }
            | Input::Woke
            | Input::Leaving => {}
        }
    }

    /// These effects come from a command of `connection`, or from the passing of time.
    pub(super) fn follows(&mut self, connection: Option<ConnectionId>, effects: &[Effect]) {
        let mut heard = connection.and_then(|it| self.unfinished.get_mut(&it));
        let mut told = 0;
        for effect in effects {
            let Effect::Send {
                connection: to,
                envelope,
                ..
            } = effect
            else {
                continue;
            };
            if let Some(heard) = heard.as_deref_mut()
                && *to == heard.connection
                && envelope.serial.is_some()
                && envelope.serial == heard.serial
            {
                heard.refused = refusal(&envelope.command).or(heard.refused);
                if matches!(&envelope.command, Command::Ack(ack) if ack.code.is_none()) {
                    self.facts.push(Fact::Accepted);
                }
            }
            told += usize::from(matches!(envelope.command, Command::Direct(_)));
            self.facts.extend(session_fact(*to, envelope));
        }
        let fact = match (connection, heard) {
            (None, _) => Fact::PushedAgain(told),
            (Some(_), Some(heard)) if heard.command == DIRECT => {
                if let Some(said) = &mut heard.said {
                    said.sessions += told;
                }
                Fact::FannedOut(told)
            }
            // A push to a client after its login, or a will.
            (Some(_), _) => return,
        };
        if told > 0 {
            self.facts.push(fact);
        }
    }

    /// The command of a connection was handled to its end.
    pub(super) fn ends(&mut self, connection: ConnectionId) {
        if let Some(heard) = self.unfinished.remove(&connection) {
            self.facts.push(Fact::Handled(heard));
        }
    }

    /// All that was noted is durable and handed on.
    pub(super) fn kept(&mut self, now: Instant, at: Timestamp) {
        for fact in self.facts.drain(..) {
            if let Some(feed) = &self.feed
                && let Some(mut event) = event(&fact)
            {
                event.at = at.as_millis();
                let connection = event.connection.map(ConnectionId);
                match (connection, &event.client) {
                    (Some(connection), Some(client)) if event.what == OPENED => {
                        self.named.insert(connection, client.clone());
                    }
                    (Some(connection), None) => {
                        event.client = self.named.get(&connection).cloned();
                    }
                    _ => {}
                }
                feed.tell(event);
            }
            match fact {
                Fact::Handled(heard) => handled(&self.metrics, &heard, now),
                Fact::Opened(connection, client) => {
                    debug!(connection = connection.0, client, "session opened");
                }
                Fact::Ended(connection, client, code) => {
                    debug!(connection = connection.0, client, code, "session ended");
                }
                Fact::Accepted => {
                    self.metrics.messages_accepted.inc();
                }
                Fact::FannedOut(sessions) => {
                    self.metrics.fanout_sessions.observe(sessions as f64);
                }
                Fact::PushedAgain(messages) => {
                    self.metrics.pushed_again.inc_by(messages as u64);
                }
            }
        }
    }

    /// Nothing that was noted is kept.
    pub(super) fn lost(&mut self, now: Instant) {
        let unfinished = std::mem::take(&mut self.unfinished);
        let handled = self.facts.drain(..).filter_map(|fact| match fact {
            Fact::Handled(heard) => Some(heard),
            _ => None,
        });
        let result = Cow::Borrowed("not_kept");
        for heard in handled.chain(unfinished.into_values()) {
            let took = now.duration_since(heard.came_at);
            let command = heard.command.clone();
            self.metrics.handled(command, result.clone(), took);
        }
    }
}

/// The event that the inspector shows of a fact, if there is one.
fn event(fact: &Fact) -> Option<Event> {
    match fact {
        Fact::Handled(heard) => handled_event(heard),
        Fact::Opened(connection, client) => Some(Event {
            what: OPENED,
            client: Some(client.clone()),
            connection: Some(connection.0),
            ..Event::default()
        }),
        Fact::Ended(connection, client, code) => Some(Event {
            what: "session ended",
            client: Some(client.clone()),
            connection: Some(connection.0),
            details: code.map(|code| format!("code {code}")),
            ..Event::default()
        }),
        Fact::PushedAgain(messages) => Some(Event {
            what: "pushed again",
            details: Some(format!("{messages} messages")),
            ..Event::default()
        }),
        Fact::Accepted | Fact::FannedOut(_) => None,
    }
}

fn handled_event(heard: &Heard) -> Option<Event> {
    if let Some(code) = heard.refused {
        return Some(Event {
            what: "refused",
            connection: Some(heard.connection.0),
            details: Some(format!("{} with {code}", heard.command)),
            ..Event::default()
        });
    }
    let said = heard.said.as_ref()?;
    Some(Event {
        what: "message",
        client: said.client.clone(),
        connection: Some(heard.connection.0),
        conversation: said.conversation.clone(),
        details: Some(format!(
            "{} bytes to {} sessions",
            said.bytes, said.sessions
        )),
        text: said.text.clone(),
        ..Event::default()
    })
}

fn handled(metrics: &Metrics, heard: &Heard, now: Instant) {
    let result = match heard.refused {
        None => Cow::Borrowed("ok"),
        Some(code) => Cow::Owned(code.to_string()),
    };
    let took = now.duration_since(heard.came_at);
    metrics.handled(heard.command.clone(), result, took);
    let (connection, command) = (heard.connection.0, heard.command.as_ref());
    match heard.refused {
        Some(code) => debug!(connection, command, code, "command refused"),
        None => trace!(connection, command, "command handled"),
    }
}

/// The name of a command: its kind, and its operation where it has several.
fn name(command: &Command) -> Cow<'static, str> {
    let kind = command.kind().as_str_name();
    match command.op() {
        Some(op) => Cow::Owned(format!("{kind}/{}", op.as_str_name())),
        None => Cow::Borrowed(kind),
    }
}

/// The code of a reply that refuses.
fn refusal(reply: &Command) -> Option<i32> {
    match reply {
        Command::Error(error) => Some(error.code),
        Command::Ack(ack) => ack.code,
        Command::Session {
            op: Op::Closed,
            body,
        } => body.code,
        _ => None,
    }
}

/// The session that begins or ends with this command, if one does.
fn session_fact(to: ConnectionId, envelope: &Envelope) -> Option<Fact> {
    let Command::Session { op, body } = &envelope.command else {
        return None;
    };
    let client = envelope.peer_id.clone().unwrap_or_default();
    match op {
        Op::Opened => Some(Fact::Opened(to, client)),
        Op::Closed => Some(Fact::Ended(to, client, body.code)),
        _ => None,
    }
}
