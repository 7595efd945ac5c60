//! The core without a shell: inputs by hand, time by hand, storage in memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sampan::model::{Now, Timestamp};
use sampan::wire::generated::{
    AckCommand, ConvCommand, DirectCommand, LogsCommand, ReadCommand, SessionCommand,
};
use sampan::wire::{Command, Envelope, OfflineMode, Op, Serial};

mod access;
mod amplification;
mod clock;
mod commands;
mod devices;
mod first_generation;
mod forgetting;
mod hearers;
mod hooks;
mod kept;
mod missed_patches;
mod operating;
mod parts;
mod push;
mod records;
mod servers;
mod service_conversations;
mod sessions;

use super::app::{Apps, Credentials};
use super::settings;
use super::*;
use crate::storage::MemoryStorage;

/// Runs a future of the core over memory, which never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory waits for nobody"),
    }
}

struct Counting(u64);
impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        let number = self.0.to_le_bytes();
        for (byte, digit) in bytes.iter_mut().zip(number.iter().cycle()) {
            *byte = *digit;
        }
    }
}

/// One app with these settings.
fn apps(settings: &str) -> Apps {
    let credentials: Credentials = "myApp:key:master".parse().unwrap();
    let settings = settings::parse_file(&format!(r#"{{"myApp":{settings}}}"#)).unwrap();
    Apps::new([credentials], settings).unwrap()
}

/// A service whose clock stands until it is moved.
struct World {
    core: Core<MemoryStorage>,
    at: Duration,
    /// How far its wall clock was set back.
    behind: Duration,
    /// How far its wall clock was set ahead.
    ahead: Duration,
    /// The commands that were sent, each with its connection.
    sent: Vec<(u64, Envelope)>,
    /// The token that each client was given last.
    tokens: BTreeMap<String, String>,
    /// The connections that were closed.
    closed: Vec<u64>,
    /// The questions to hooks, each with its connection.
    asked: Vec<(u64, HookCall)>,
    /// The calls that told hooks something.
    told_hooks: Vec<HookCall>,
}

impl World {
    fn with(settings: &str) -> Self {
        let core = Core::new(
            MemoryStorage::empty().unwrap(),
            apps(settings),
            Box::new(Counting(0)),
        );
        Self {
            core,
            at: Duration::from_secs(1_700_000_000),
            behind: Duration::ZERO,
            ahead: Duration::ZERO,
            sent: Vec::new(),
            tokens: BTreeMap::new(),
            closed: Vec::new(),
            asked: Vec::new(),
            told_hooks: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        let wall = (self.at + self.ahead).saturating_sub(self.behind);
        let wall = Timestamp::from_millis(i64::try_from(wall.as_millis()).unwrap());
        let effects = now(self.core.handle(
            Now {
                elapsed: self.at,
                wall,
            },
            input,
        ));
        now(self.core.commit()).unwrap();
        effects
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send {
                    connection,
                    envelope,
                    ..
                } => {
                    if let (Command::Session { body, .. }, Some(client)) =
                        (&envelope.command, &envelope.peer_id)
                        && let Some(token) = &body.st
                    {
                        self.tokens.insert(client.clone(), token.clone());
                    }
                    self.sent.push((connection.0, *envelope));
                }
                Effect::Report(text) => panic!("{text}"),
                Effect::Close { connection, .. } => self.closed.push(connection.0),
                Effect::Answer { .. } => {}
                Effect::Ask { connection, call } => self.asked.push((connection.0, *call)),
                Effect::Tell(call) => self.told_hooks.push(*call),
                Effect::Push(_) => {}
            }
        }
    }

    fn wait(&mut self, wait: Duration) {
        self.at += wait;
        let effects = self.input(Input::Woke);
        self.take(effects);
    }

    fn open(&mut self, connection: u64, client: &str, mode: OfflineMode) {
        self.open_in(connection, "myApp", client, mode);
    }

    fn open_in(&mut self, connection: u64, app: &str, client: &str, mode: OfflineMode) {
        self.input(Input::Connected {
            connection: ConnectionId(connection),
            mode,
        });
        let mut envelope = Envelope::new(Command::session(Op::Open, SessionCommand::default()));
        envelope.app_id = Some(app.to_owned());
        let envelope = envelope.with_peer(client).with_serial(Serial(1));
        self.receive(connection, envelope);
    }

    fn receive(&mut self, connection: u64, envelope: Envelope) {
        let connection = ConnectionId(connection);
        let effects = self.input(Input::Received {
            connection,
            envelope: Box::new(envelope),
        });
        self.take(effects);
    }

    fn ask(&mut self, connection: u64, command: Command) -> Command {
        self.receive(connection, Envelope::new(command).with_serial(Serial(7)));
        let reply = self
            .sent
            .iter()
            .rposition(|(to, envelope)| *to == connection && envelope.serial == Some(Serial(7)));
        self.sent.remove(reply.expect("a reply")).1.command
    }

    /// Asks over HTTP.
    fn http(&mut self, call: RestCall) -> RestAnswer {
        let app = sampan::model::AppId::new("myApp").unwrap();
        let request = Box::new(RestRequest { app, call });
        let ticket = Ticket(1);
        let effects = self.input(Input::Asked { ticket, request });
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(*answer),
            _ => None,
        });
        answer.expect("an answer")
    }

    /// Starts a conversation and forgets the notices of it.
    fn start(&mut self, connection: u64, body: ConvCommand) -> String {
        let Command::Conv { body, .. } = self.ask(connection, Command::conv(Op::Start, body))
        else {
            panic!("not started")
        };
        self.sent.clear();
        body.cid.unwrap()
    }

    fn say(&mut self, connection: u64, cid: &str) -> Option<i32> {
        let (cid, msg) = (Some(cid.to_owned()), Some("hi".to_owned()));
        let body = DirectCommand {
            cid,
            msg,
            ..DirectCommand::default()
        };
        match self.ask(connection, Command::direct(body)) {
            Command::Ack(ack) => ack.code,
            other => panic!("not acknowledged: {other:?}"),
        }
    }

    fn messages(&mut self, connection: u64) -> usize {
        let is_message = |(to, envelope): &(u64, Envelope)| {
            *to == connection && matches!(envelope.command, Command::Direct(_))
        };
        let count = self.sent.iter().filter(|sent| is_message(sent)).count();
        self.sent.clear();
        count
    }
}

fn with_members(members: &[&str]) -> ConvCommand {
    let m = members.iter().map(|&member| member.to_owned()).collect();
    ConvCommand {
        m,
        ..ConvCommand::default()
    }
}

fn about(cid: &str, members: &[&str]) -> ConvCommand {
    ConvCommand {
        cid: Some(cid.to_owned()),
        ..with_members(members)
    }
}

#[test]
fn a_message_is_pushed_again_until_it_is_acknowledged() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Push);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    assert_eq!(world.say(1, &cid), None);
    assert_eq!(world.messages(2), 1);
    world.wait(Duration::from_secs(30));
    assert_eq!(world.messages(2), 1);
    let tots = i64::try_from(world.at.as_millis()).ok();
    let ack = AckCommand {
        cid: Some(cid),
        tots,
        ..AckCommand::default()
    };
    world.receive(2, Envelope::new(Command::ack(ack)));
    world.wait(Duration::from_secs(3600));
    assert_eq!(world.messages(2), 0);
}

#[test]
fn nobody_is_pushed_the_same_message_for_ever() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Push);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    world.say(1, &cid);
    for _ in 0..50 {
        world.wait(Duration::from_secs(30));
    }
    assert_eq!(world.messages(2), 1 + 5);
}

#[test]
fn messages_past_their_retention_are_forgotten_with_their_tokens() {
    let mut world = World::with(r#"{"retention":{"messages_days":1}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom"]));
    world.say(1, &cid);
    let ask = || {
        Command::logs(LogsCommand {
            cid: Some(cid.clone()),
            ..LogsCommand::default()
        })
    };
    let count = |command| match command {
        Command::Logs(body) => body.logs.len(),
        other => panic!("no history: {other:?}"),
    };
    world.wait(Duration::from_secs(3600));
    assert_eq!(count(world.ask(1, ask())), 1);
    world.wait(Duration::from_secs(24 * 3600));
    // A pass takes steps, and rests an hour before the next.
    for _ in 0..3 {
        world.wait(Duration::from_secs(3601));
    }
    assert_eq!(count(world.ask(1, ask())), 0);
}

#[test]
fn messages_of_chat_rooms_have_a_retention_of_their_own() {
    let mut world = World::with(r#"{"retention":{"room_messages_hours":24}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let talk = world.start(1, with_members(&["Tom"]));
    let room = ConvCommand {
        transient: Some(true),
        ..ConvCommand::default()
    };
    let room = world.start(1, room);
    let count = |world: &mut World, cid: &str| {
        let ask = LogsCommand {
            cid: Some(cid.to_owned()),
            ..LogsCommand::default()
        };
        match world.ask(1, Command::logs(ask)) {
            Command::Logs(body) => body.logs.len(),
            other => panic!("no history: {other:?}"),
        }
    };
    world.say(1, &talk);
    world.say(1, &room);
    world.wait(Duration::from_secs(23 * 3600));
    world.wait(Duration::from_secs(1));
    assert_eq!(count(&mut world, &room), 1);
    for _ in 0..3 {
        world.wait(Duration::from_secs(3601));
    }
    assert_eq!((count(&mut world, &room), count(&mut world, &talk)), (0, 1));
}

#[test]
fn a_temporary_conversation_ends_and_says_so() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let temporary = ConvCommand {
        temp_conv: Some(true),
        temp_conv_ttl: Some(60),
        ..with_members(&["Tom", "Jerry"])
    };
    let cid = world.start(1, temporary);
    assert!(cid.starts_with("_tmp:"));
    assert_eq!(world.say(1, &cid), None);
    world.wait(Duration::from_secs(61));
    assert_eq!(world.say(1, &cid), Some(4303));
}

#[test]
fn a_chat_room_is_heard_by_those_inside_and_kept_for_a_broken_connection() {
    let mut world = World::with("{}");
    for (connection, client) in [(1, "Tom"), (2, "Jerry"), (3, "Bob")] {
        world.open(connection, client, OfflineMode::Unread);
    }
    let room = ConvCommand {
        transient: Some(true),
        ..ConvCommand::default()
    };
    let cid = world.start(1, room);
    world.ask(2, Command::conv(Op::Add, about(&cid, &["Jerry"])));
    world.say(3, &cid);
    let heard = [1, 2, 3].map(|connection| {
        world
            .sent
            .iter()
            .filter(|(to, _)| *to == connection)
            .count()
    });
    assert_eq!(heard, [1, 1, 0]);
    let effects = world.input(Input::Lost {
        connection: ConnectionId(2),
    });
    world.take(effects);
    world.open(4, "Jerry", OfflineMode::Unread);
    world.sent.clear();
    world.say(1, &cid);
    assert_eq!(world.messages(4), 1);
    let count = world.ask(1, Command::conv(Op::Count, about(&cid, &[])));
    let Command::Conv { body, .. } = count else {
        panic!("no count")
    };
    assert_eq!(body.count, Some(2));
}

// S355
#[test]
fn a_place_in_a_chat_room_is_kept_for_half_an_hour() {
    for (minutes, heard) in [(29, 1), (31, 0)] {
        let mut world = World::with("{}");
        world.open(1, "Tom", OfflineMode::Unread);
        world.open(2, "Jerry", OfflineMode::Unread);
        let room = ConvCommand {
            transient: Some(true),
            ..ConvCommand::default()
        };
        let cid = world.start(1, room);
        world.ask(2, Command::conv(Op::Add, about(&cid, &["Jerry"])));
        let effects = world.input(Input::Lost {
            connection: ConnectionId(2),
        });
        world.take(effects);
        world.wait(Duration::from_secs(minutes * 60));
        world.open(3, "Jerry", OfflineMode::Unread);
        world.sent.clear();
        world.say(1, &cid);
        assert_eq!(world.messages(3), heard, "away for {minutes} minutes");
    }
}

#[test]
fn a_blocked_member_is_gone_and_cannot_come_back() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    let block = sampan::wire::generated::BlacklistCommand {
        src_cid: Some(cid.clone()),
        to_pids: vec!["Jerry".to_owned()],
        ..Default::default()
    };
    let Command::Blacklist {
        op: Op::Blocked,
        body,
    } = world.ask(1, Command::blacklist(Op::Block, block.clone()))
    else {
        panic!("not blocked")
    };
    assert_eq!(body.allowed_pids, ["Jerry"]);
    let told = world
        .sent
        .iter()
        .filter(|(to, _)| *to == 2)
        .filter_map(|(_, it)| it.command.op());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [Op::Blocked, Op::MembersBlocked, Op::Left]
    );
    assert_eq!(world.say(2, &cid), Some(4548));
    let join = world.ask(2, Command::conv(Op::Add, about(&cid, &["Jerry"])));
    let Command::Conv { body, .. } = join else {
        panic!("no reply")
    };
    assert_eq!(body.failed_pids[0].code, 4548);
    let by_member = world.ask(2, Command::blacklist(Op::Block, block));
    assert!(matches!(by_member, Command::Error(error) if error.code == 4320));
}

#[test]
fn a_silenced_member_reads_and_does_not_speak() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    world.ask(1, Command::conv(Op::AddShutup, about(&cid, &["Jerry"])));
    assert_eq!(world.say(2, &cid), Some(4563));
    world.say(1, &cid);
    assert_eq!(world.messages(2), 1);
    world.ask(1, Command::conv(Op::RemoveShutup, about(&cid, &["Jerry"])));
    assert_eq!(world.say(2, &cid), None);
}

#[test]
fn a_manager_removes_members_and_not_the_owner() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry", "Bob"]));
    let promote = ConvCommand {
        target_client_id: Some("Jerry".to_owned()),
        info: Some(sampan::wire::generated::ConvMemberInfo {
            pid: Some("Jerry".to_owned()),
            role: Some("Manager".to_owned()),
            info_id: None,
        }),
        ..about(&cid, &[])
    };
    world.ask(1, Command::conv(Op::MemberInfoUpdate, promote));
    let removed = world.ask(2, Command::conv(Op::Remove, about(&cid, &["Bob", "Tom"])));
    let Command::Conv { body, .. } = removed else {
        panic!("no reply: {removed:?}")
    };
    assert_eq!(body.allowed_pids, ["Bob"]);
    assert_eq!(
        (body.failed_pids[0].code, body.failed_pids[0].pids.len()),
        (4324, 1)
    );
}

#[test]
fn without_roles_any_member_removes_any_other() {
    let mut world = World::with(r#"{"features":{"roles":false}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry", "Bob"]));
    let removed = world.ask(2, Command::conv(Op::Remove, about(&cid, &["Tom", "Bob"])));
    let Command::Conv { body, .. } = removed else {
        panic!("no reply")
    };
    assert_eq!(body.allowed_pids, ["Bob", "Tom"]);
}

#[test]
fn an_app_that_wants_signatures_is_not_entered_without() {
    let mut world = World::with(r#"{"signatures":{"login":true}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let (_, refused) = world.sent.remove(0);
    assert!(matches!(refused.command, Command::Error(error) if error.code == 4102));
}

#[test]
fn a_failed_batch_ends_every_connection_and_keeps_nothing() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let closed = world.core.abandon();
    assert!(matches!(
        closed.as_slice(),
        [Effect::Close {
            connection: ConnectionId(1),
            ..
        }]
    ));
    let refused = world.ask(1, Command::conv(Op::Query, ConvCommand::default()));
    assert!(matches!(refused, Command::Error(error) if error.code == 4105));
}
