//! A small honest model of the service: what the machines may rely on, and nothing more.

mod change;
mod conversation;
mod files;
mod messages;
mod outside;
mod patch;
mod session;

pub(super) use patch::RECALLED;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::Timestamp;
use crate::wire::generated::{ConvCommand, ErrorCommand, JsonObjectMessage, SessionCommand};
use crate::wire::{Command, Envelope, Op, ServiceCode, iso};

/// The number of a socket at the service.
pub(super) type Socket = u64;

/// Frames that leave, with the socket they leave on, in order.
pub(super) type Outgoing = Vec<(Socket, Envelope)>;

/// Chooses commands.
pub(super) type Chooses = fn(&Command) -> bool;

/// The model.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) conversations: BTreeMap<String, Conversation>,
    pub(super) files: files::Files,
    sessions: BTreeMap<Socket, Session>,
    /// The id and the time of each acknowledged message, by conversation, client and token.
    tokens: BTreeMap<(String, String, String), (String, i64)>,
    session_tokens: BTreeMap<String, String>,
    next: u64,
    /// True if idempotency tokens are forgotten at once.
    pub(super) forgets_tokens: bool,
    /// Messages of the same span of so many milliseconds have the same time; 1 makes all differ.
    pub(super) granularity: i64,
    /// The count at which it stops counting unread messages.
    pub(super) unread_cap: usize,
    /// Of how many conversations one notification tells, the newest first.
    pub(super) unread_told_max: usize,
    /// True if pages of history begin at a time, whatever message is named.
    pub(super) pages_by_time: bool,
    /// True if every message is delivered twice.
    pub(super) delivers_twice: bool,
    /// Commands that are refused: the kind, and the code.
    pub(super) refuses: Option<(crate::wire::generated::CommandType, ServiceCode)>,
    /// The commands that are refused, and the code.
    pub(super) refuses_when: Option<(Chooses, ServiceCode)>,
    /// True if the refused commands are left unanswered instead.
    pub(super) leaves_unanswered: bool,
    /// Words that are masked in messages.
    pub(super) masks: Option<&'static str>,
    /// True if openings without token and creations must be signed.
    pub(super) wants_signatures: bool,
    /// How many of the next messages are left unanswered, and not taken.
    pub(super) ignores: u32,
    /// How many of the next messages are taken and left unanswered.
    pub(super) forgets_answers: u32,
    /// The clients that can be added to nothing.
    pub(super) unwanted: BTreeSet<String>,
    /// The changes of conversations that were made, in words.
    pub(super) changes: Vec<String>,
    /// How many messages a client may send in a minute, and whether what is beyond is refused with a
    /// number or not answered.
    pub(super) allowed_a_minute: Option<(usize, bool)>,
    /// How many messages were beyond that.
    pub(super) refused_a_minute: usize,
    /// When messages came within the last minute.
    sent_at: Vec<i64>,
    /// The wills that were set, in order: whose, and what they say.
    pub(super) wills: Vec<(String, String)>,
    /// The priorities of the messages that had one.
    pub(super) priorities: Vec<i32>,
    /// A message of these words is refused, so often.
    pub(super) refuses_words: Option<(String, ServiceCode, u32)>,
    /// The clients that somebody watches.
    pub(super) watched: BTreeSet<String>,
    /// Commands that are answered once with a command of the test's own.
    pub(super) scripts: Vec<(Chooses, Command)>,
    /// How many edits and recalls came.
    pub(super) patches: usize,
    /// How many queries for conversations came, also those that were left unanswered.
    pub(super) queries: usize,
    /// How many pages of history were asked for.
    pub(super) pages: usize,
    /// When the last of them was made.
    last_patch: i64,
}

/// One conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) members: Vec<String>,
    creator: String,
    pub(super) name: Option<String>,
    pub(super) attributes: Option<Value>,
    /// The token of the entry that made it.
    token: Option<String>,
    unique: bool,
    is_chat_room: bool,
    /// The clients that muted it.
    pub(super) muted: BTreeSet<String>,
    created_at: i64,
    updated_at: i64,
    /// Sorted by time and id.
    pub(super) messages: Vec<Stored>,
    read: BTreeMap<String, i64>,
    /// When the mark was last moved, by the service's clock.
    marked_at: BTreeMap<String, i64>,
}

/// One stored message.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) at: i64,
    pub(super) id: String,
    pub(super) from: String,
    pub(super) text: String,
    pub(super) edited_at: Option<i64>,
    pub(in crate::sync::tests) receipt: bool,
}

#[derive(Debug)]
struct Session {
    client: String,
    device: Option<String>,
    tag: Option<String>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            conversations: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            session_tokens: BTreeMap::new(),
            files: files::Files::default(),
            next: 0,
            forgets_tokens: false,
            granularity: 1,
            unread_cap: 100,
            unread_told_max: 50,
            pages_by_time: false,
            delivers_twice: false,
            refuses: None,
            refuses_when: None,
            leaves_unanswered: false,
            masks: None,
            wants_signatures: false,
            ignores: 0,
            forgets_answers: 0,
            unwanted: BTreeSet::new(),
            changes: Vec::new(),
            allowed_a_minute: None,
            refused_a_minute: 0,
            sent_at: Vec::new(),
            wills: Vec::new(),
            priorities: Vec::new(),
            refuses_words: None,
            watched: BTreeSet::new(),
            scripts: Vec::new(),
            patches: 0,
            queries: 0,
            pages: 0,
            last_patch: 0,
        }
    }
}

impl Service {
    pub(super) fn disconnect(&mut self, socket: Socket) {
        self.sessions.remove(&socket);
    }

    /// Forgets all session tokens, as a restart without its database would.
    pub(super) fn forget_sessions(&mut self) {
        self.session_tokens.clear();
    }

    /// Forgets who is signed in on which socket; the sockets stay.
    pub(super) fn lose_sessions(&mut self) {
        self.sessions.clear();
    }

    /// The time of the newest message of a conversation.
    pub(super) fn newest(&self, cid: &str) -> Option<Timestamp> {
        let newest = self.conversations[cid].messages.last();
        newest.map(|message| Timestamp::from_millis(message.at))
    }

    pub(super) fn handle(&mut self, now: i64, socket: Socket, request: Envelope) -> Outgoing {
        if matches!(request.command, Command::Conv { op: Op::Query, .. }) {
            self.queries += 1;
        }
        if let Some((kind, code)) = self.refuses
            && request.command.kind() == kind
        {
            let error = ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            };
            return vec![(socket, request.reply(Command::Error(error)))];
        }
        if let Some((refused, code)) = self.refuses_when
            && refused(&request.command)
        {
            let error = ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            };
            let refusal = (socket, request.reply(Command::Error(error)));
            return if self.leaves_unanswered {
                Vec::new()
            } else {
                vec![refusal]
            };
        }
        let client = match (&request.command, self.sessions.get(&socket)) {
            (Command::Session { op: Op::Open, .. } | Command::Echo, _) => String::new(),
            (_, Some(session)) => session.client.clone(),
            (_, None) => {
                let code = ServiceCode::SESSION_REQUIRED;
                let error = ErrorCommand {
                    code: code.number(),
                    reason: code.name().to_owned(),
                    ..ErrorCommand::default()
                };
                return vec![(socket, request.reply(Command::Error(error)))];
            }
        };
        let reply = |command| (socket, request.reply(command));
        let mut scripts = self.scripts.iter();
        if let Some(index) = scripts.position(|(chosen, _)| chosen(&request.command)) {
            return vec![reply(self.scripts.remove(index).1)];
        }
        match &request.command {
            Command::Echo => vec![reply(Command::Echo)],
            Command::Session { op: Op::Open, body } => self.open(now, socket, &request, body),
            Command::Session { op: Op::Close, .. } => {
                self.sessions.remove(&socket);
                vec![reply(Command::session(
                    Op::Closed,
                    SessionCommand::default(),
                ))]
            }
            Command::Session {
                op: Op::Refresh, ..
            } => {
                let body = self.token(&client);
                vec![reply(Command::session(Op::Refreshed, body))]
            }
            Command::Session { op: Op::Add, body } => {
                self.watched.extend(body.session_peer_ids.iter().cloned());
                let is_online = |id: &&String| self.sessions.values().any(|it| it.client == **id);
                let online = body.session_peer_ids.iter().filter(is_online);
                let body = SessionCommand {
                    session_peer_ids: body.session_peer_ids.clone(),
                    online_session_peer_ids: online.cloned().collect(),
                    ..SessionCommand::default()
                };
                vec![reply(Command::session(Op::Added, body))]
            }
            Command::Session {
                op: Op::Remove,
                body,
            } => {
                self.watched
                    .retain(|id| !body.session_peer_ids.contains(id));
                let body = SessionCommand::default();
                vec![reply(Command::session(Op::Removed, body))]
            }
            Command::Direct(body) => self.direct(now, socket, &client, &request, body),
            Command::Ack(body) => self.received(now, &client, body),
            Command::Read(body) => self.read(now, &client, body),
            Command::Logs(body) => {
                self.pages += 1;
                vec![reply(self.logs(&client, body))]
            }
            Command::Patch { body, .. } => self.patch(now, socket, &client, &request, body),
            Command::Conv { op, body } => self.conv(now, socket, &client, &request, *op, body),
            _ => Vec::new(),
        }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        // Ids are in no order, as the service's are.
        let mixed = self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{prefix}{mixed:016x}")
    }

    fn token(&mut self, client: &str) -> SessionCommand {
        let token = self.fresh("st");
        self.session_tokens.insert(token.clone(), client.to_owned());
        SessionCommand {
            st: Some(token),
            st_ttl: Some(86_400),
            ..SessionCommand::default()
        }
    }

    fn tell(&self, now: i64, members: &[String], command: &Command) -> Outgoing {
        let online = self.sessions.iter();
        online
            .filter(|(_, session)| members.contains(&session.client))
            .map(|(socket, it)| (*socket, notification(&it.client, now, command.clone())))
            .collect()
    }

    fn conv(
        &mut self,
        now: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        op: Op,
        body: &ConvCommand,
    ) -> Outgoing {
        match op {
            Op::Start => self.start(now, socket, client, request, body),
            Op::MaxRead => {
                let cid = body.cid.clone().unwrap();
                let read = self.conversations[&cid].read.iter();
                let others = read.filter(|(member, _)| *member != client);
                let body = ConvCommand {
                    max_read_timestamp: others.map(|(_, at)| *at).min(),
                    cid: Some(cid),
                    ..ConvCommand::default()
                };
                vec![(socket, request.reply(Command::conv(Op::MaxRead, body)))]
            }
            Op::Query => {
                let results = self.query(body);
                let body = ConvCommand {
                    results: Some(JsonObjectMessage { data: results }),
                    ..ConvCommand::default()
                };
                vec![(socket, request.reply(Command::conv(Op::Results, body)))]
            }
            Op::Add | Op::Remove | Op::Update | Op::Mute | Op::Unmute => {
                self.change(now, socket, client, request, op, body)
            }
            _ => Vec::new(),
        }
    }

    fn start(
        &mut self,
        now: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        body: &ConvCommand,
    ) -> Outgoing {
        if self.wants_signatures && body.s.is_none() {
            let code = ServiceCode::CONVERSATION_SIGNATURE_FAILED;
            let error = ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            };
            return vec![(socket, request.reply(Command::Error(error)))];
        }
        let unique = body.unique == Some(true);
        let existing = self.conversations.iter();
        let found = existing.filter(|(_, it)| unique && it.unique && it.is_of(&body.m));
        let found = found.map(|(cid, it)| (cid.clone(), it.created_at)).next();
        let started = |cid: &str, at: i64, existing: bool| {
            let body = ConvCommand {
                cid: Some(cid.to_owned()),
                cdate: Some(iso::format(Timestamp::from_millis(at))),
                existing: existing.then_some(true),
                ..ConvCommand::default()
            };
            (socket, request.reply(Command::conv(Op::Started, body)))
        };
        if let Some((cid, at)) = found {
            return vec![started(&cid, at, true)];
        }
        let is_temporary = body.temp_conv == Some(true);
        let cid = self.fresh(if is_temporary { "_tmp:c" } else { "c" });
        let data = body.attr.as_ref().map(|attr| attr.data.as_str());
        let data: Value = data.map_or(Value::Null, |it| serde_json::from_str(it).unwrap());
        let is_chat_room = body.transient == Some(true);
        let mut members = body.m.clone();
        if is_chat_room {
            members.push(client.to_owned());
        }
        let conversation = Conversation {
            members,
            creator: client.to_owned(),
            name: data["name"].as_str().map(ToOwned::to_owned),
            attributes: data.get("attr").cloned(),
            token: data["sampan_token"].as_str().map(ToOwned::to_owned),
            unique,
            is_chat_room,
            created_at: now,
            updated_at: now,
            ..Conversation::default()
        };
        self.conversations.insert(cid.clone(), conversation);
        let mut out = vec![started(&cid, now, false)];
        out.extend(self.tell_members(now, &cid, client, Op::Joined, &body.m));
        out
    }

    fn tell_members(&self, now: i64, cid: &str, by: &str, op: Op, members: &[String]) -> Outgoing {
        let body = ConvCommand {
            cid: Some(cid.to_owned()),
            init_by: Some(by.to_owned()),
            udate: Some(iso::format(Timestamp::from_millis(now))),
            ..ConvCommand::default()
        };
        self.tell(now, members, &Command::conv(op, body))
    }

    fn query(&self, body: &ConvCommand) -> String {
        let data = body.r#where.as_ref().map_or("{}", |it| it.data.as_str());
        let condition: Value = serde_json::from_str(data).unwrap();
        let matching = self.conversations.iter();
        // Temporary conversations are found by their ids alone, and no others by this field.
        let mut found: Vec<(&String, &Conversation)> = matching
            .filter(|(cid, it)| match cid.starts_with("_tmp:") {
                true => body.temp_conv_ids.contains(cid),
                false => body.temp_conv_ids.is_empty() && it.matches(cid, &condition),
            })
            .collect();
        let key = body.sort.clone().unwrap_or_default();
        found.sort_by_key(|(cid, it)| {
            let by = match key.as_str() {
                "-updatedAt" => it.updated_at,
                "-createdAt" => it.created_at,
                _ => it.messages.last().map_or(0, |message| message.at),
            };
            (std::cmp::Reverse(by), (*cid).clone())
        });
        let skip = usize::try_from(body.skip.unwrap_or(0)).unwrap();
        let limit = usize::try_from(body.limit.unwrap_or(10)).unwrap();
        let rows = found.into_iter().skip(skip).take(limit);
        Value::Array(rows.map(|(cid, it)| it.row(cid)).collect()).to_string()
    }
}

fn notification(client: &str, now: i64, command: Command) -> Envelope {
    Envelope::notification(client, Timestamp::from_millis(now), command)
}
