//! The rights of every caller, tried out: every operation by every kind of client in every kind of
//! conversation, through the core. The tables here say again what `access.rs` says, by its effect.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId};
use sampan::wire::generated::{
    BlacklistCommand, ConvMemberInfo, JsonObjectMessage, PatchCommand, PatchItem,
};

mod ways;

use super::commands::every_command;
use super::*;
use crate::core::access::{Operation, Who};
use crate::storage::{Conversation, Kind, Storage, Write};

/// Asserts the outcome of each operation (rows) for each client (columns): 0, or the refusing code.
#[track_caller]
fn check(kind: Kind, settings: &str, table: &str) -> BTreeSet<Operation> {
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let clients: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let mut tried = BTreeSet::new();
    for line in lines {
        let mut cells = line.split_whitespace();
        let operation = named(cells.next().unwrap());
        tried.insert(operation);
        for client in &clients {
            let expected: i32 = cells.next().unwrap().parse().unwrap();
            let got = Place::new(kind, settings).outcome(operation, client);
            assert_eq!(got, expected, "{operation:?} by {client} in {kind:?}");
        }
    }
    tried
}

fn named(name: &str) -> Operation {
    let found = Operation::ALL.iter().find(|it| format!("{it:?}") == name);
    *found.unwrap_or_else(|| panic!("no operation {name}"))
}

const EVERYBODY: [&str; 8] = [
    "owner", "manager", "member", "silenced", "blocked", "left", "other", "stranger",
];

/// A conversation with clients of every standing; each of them has said something, if it could.
struct Place {
    world: World,
    cid: String,
    said: BTreeMap<String, (String, i64)>,
}

impl Place {
    fn new(kind: Kind, settings: &str) -> Self {
        let mut world = World::with(settings);
        for (connection, client) in (1..).zip(EVERYBODY) {
            world.open(connection, client, OfflineMode::Unread);
        }
        let cid = match kind {
            Kind::Normal => world.start(1, with_members(&EVERYBODY[..7])),
            Kind::Temporary => {
                let temp_conv = Some(true);
                let members = with_members(&["owner", "member", "other"]);
                world.start(
                    1,
                    ConvCommand {
                        temp_conv,
                        ..members
                    },
                )
            }
            Kind::Room => {
                let transient = Some(true);
                world.start(
                    1,
                    ConvCommand {
                        transient,
                        ..ConvCommand::default()
                    },
                )
            }
            Kind::System => service_conversation(&mut world),
        };
        let mut place = Self {
            world,
            cid,
            said: BTreeMap::new(),
        };
        place.settle(kind);
        place
    }

    /// Everybody comes in and speaks; then the owner keeps order.
    fn settle(&mut self, kind: Kind) {
        for client in &EVERYBODY[..7] {
            if matches!(kind, Kind::Room | Kind::System) {
                self.ask(client, Command::conv(Op::Add, about(&self.cid, &[client])));
            }
            self.speak(client);
        }
        let roles = self
            .world
            .core
            .apps
            .iter()
            .all(|app| app.settings.features.roles);
        if kind == Kind::Normal && roles {
            let promoted = self.ask("owner", self.promotion("manager"));
            assert_eq!(code(&promoted), 0);
        }
        if matches!(kind, Kind::Normal | Kind::Room) {
            let silence = Command::conv(Op::AddShutup, about(&self.cid, &["silenced"]));
            assert_eq!(code(&self.ask("owner", silence)), 0);
            let block = BlacklistCommand {
                src_cid: Some(self.cid.clone()),
                to_pids: vec!["blocked".to_owned()],
                ..BlacklistCommand::default()
            };
            assert_eq!(
                code(&self.ask("owner", Command::blacklist(Op::Block, block))),
                0
            );
        }
        if kind != Kind::Temporary {
            self.ask(
                "left",
                Command::conv(Op::Remove, about(&self.cid, &["left"])),
            );
        }
        self.world.sent.clear();
    }

    fn speak(&mut self, client: &str) {
        let (cid, msg) = (Some(self.cid.clone()), Some("hello".to_owned()));
        let body = DirectCommand {
            cid,
            msg,
            ..DirectCommand::default()
        };
        if let Command::Ack(ack) = self.ask(client, Command::direct(body))
            && ack.code.is_none()
        {
            self.said
                .insert(client.to_owned(), (ack.uid.unwrap(), ack.t.unwrap()));
        }
    }

    fn ask(&mut self, client: &str, command: Command) -> Command {
        self.world.ask(connection_of(client), command)
    }

    fn promotion(&self, client: &str) -> Command {
        let info = ConvMemberInfo {
            pid: Some(client.to_owned()),
            role: Some("Manager".to_owned()),
            info_id: None,
        };
        let target_client_id = Some(client.to_owned());
        let body = ConvCommand {
            target_client_id,
            info: Some(info),
            ..about(&self.cid, &[])
        };
        Command::conv(Op::MemberInfoUpdate, body)
    }

    /// The outcome of an operation: 0, or the code that refuses it.
    fn outcome(&mut self, operation: Operation, client: &str) -> i32 {
        if operation == Operation::ListRoles {
            return self.roles_asked_over_http(client);
        }
        let command = self.command(operation, client);
        let own = ClientId::new(client).unwrap();
        assert_eq!(Operation::of(&command, Some(&own)), Some(operation));
        let reply = self.ask(client, command);
        code(&reply)
    }

    fn command(&self, operation: Operation, client: &str) -> Command {
        let conv = |op, members: &[&str]| Command::conv(op, about(&self.cid, members));
        let list = |op, clients: &[&str]| {
            let body = BlacklistCommand {
                src_cid: Some(self.cid.clone()),
                to_pids: clients.iter().map(|&it| it.to_owned()).collect(),
                ..BlacklistCommand::default()
            };
            Command::blacklist(op, body)
        };
        match operation {
            Operation::Update => {
                let data = r#"{"name":"new"}"#.to_owned();
                let attr = Some(JsonObjectMessage { data });
                Command::conv(
                    Op::Update,
                    ConvCommand {
                        attr,
                        ..about(&self.cid, &[])
                    },
                )
            }
            Operation::Join => conv(Op::Add, &[client]),
            Operation::Invite => conv(Op::Add, &["guest"]),
            Operation::Quit => conv(Op::Remove, &[client]),
            Operation::Remove => conv(Op::Remove, &["other"]),
            Operation::UpdateRole => self.promotion("other"),
            Operation::Mute => conv(Op::Mute, &[]),
            Operation::Count => conv(Op::Count, &[]),
            Operation::ListMembers => conv(Op::Members, &[]),
            Operation::AskMarks => conv(Op::MaxRead, &[]),
            Operation::Silence => conv(Op::AddShutup, &["other"]),
            Operation::Unsilence => conv(Op::RemoveShutup, &["other"]),
            Operation::ListSilenced => conv(Op::QueryShutup, &[]),
            Operation::Block => list(Op::Block, &["other"]),
            Operation::Unblock => list(Op::Unblock, &["other"]),
            Operation::ListBlocked => list(Op::CheckBlock, &["other"]),
            Operation::AskOwnBan => list(Op::CheckBlock, &[client]),
            Operation::Send => {
                let (cid, msg) = (Some(self.cid.clone()), Some("again".to_owned()));
                Command::direct(DirectCommand {
                    cid,
                    msg,
                    ..DirectCommand::default()
                })
            }
            Operation::Change => self.recall(client),
            Operation::ReadHistory => {
                let cid = Some(self.cid.clone());
                Command::logs(LogsCommand {
                    cid,
                    ..LogsCommand::default()
                })
            }
            other => panic!("{other:?} is tried out elsewhere"),
        }
    }

    /// Recalls the client's own message; a client that could never speak tries it with another's message.
    fn recall(&self, client: &str) -> Command {
        let said = self.said.get(client).or_else(|| self.said.get("owner"));
        let (mid, at) = said.unwrap().clone();
        let item = PatchItem {
            cid: Some(self.cid.clone()),
            mid: Some(mid),
            timestamp: Some(at),
            recall: Some(true),
            ..PatchItem::default()
        };
        let patches = vec![item];
        Command::patch(
            Op::Modify,
            PatchCommand {
                patches,
                ..PatchCommand::default()
            },
        )
    }

    fn roles_asked_over_http(&mut self, client: &str) -> i32 {
        let call = RestCall::MemberInfo {
            client: client.to_owned(),
            token: Some(self.world.tokens[client].clone()),
            conversation: Some(self.cid.clone()),
        };
        let answer = self.world.http(call);
        match answer.status {
            200 => 0,
            status => {
                assert_eq!(status, 403, "{:?}", answer.body);
                i32::try_from(answer.body["code"].as_i64().unwrap()).unwrap()
            }
        }
    }
}

fn connection_of(client: &str) -> u64 {
    let found = EVERYBODY.iter().position(|it| *it == client);
    u64::try_from(found.unwrap()).unwrap() + 1
}

/// A service conversation, as only its operator makes one.
fn service_conversation(world: &mut World) -> String {
    let app = AppId::new("myApp").unwrap();
    let id = ConversationId::new("5".repeat(24)).unwrap();
    let creator = ClientId::new("operator").unwrap();
    let conversation = Conversation {
        id: id.clone(),
        kind: Kind::System,
        creator,
        columns: serde_json::Map::new(),
        unique_id: None,
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
        expires_at: None,
    };
    let put = Write::PutConversation(app, conversation);
    now(world.core.storage.apply(vec![put])).unwrap();
    id.to_string()
}

/// The code of a reply: of the whole, or of its first failure; 0 if there is none.
fn code(reply: &Command) -> i32 {
    match reply {
        Command::Error(error) => error.code,
        Command::Ack(ack) => ack.code.unwrap_or(0),
        Command::Conv { body, .. } => body.failed_pids.first().map_or(0, |it| it.code),
        Command::Blacklist { body, .. } => body.failed_pids.first().map_or(0, |it| it.code),
        Command::Logs(_) | Command::Patch { .. } => 0,
        other => panic!("what a reply: {other:?}"),
    }
}

const NORMAL: &str = "
                stranger left member manager owner silenced blocked
  Update        4309     4309 0      0       0     0        4309
  Join          0        0    0      0       0     0        4548
  Invite        4317     4317 0      0       0     0        4317
  Quit          0        0    0      0       4324  0        0
  Remove        4317     4317 4320   0       0     4320     4317
  UpdateRole    4320     4320 4320   4320    0     4320     4320
  Mute          4309     4309 0      0       0     0        4309
  Count         4317     4317 0      0       0     0        4548
  ListMembers   4317     4317 0      0       0     0        4548
  ListRoles     4317     4317 0      0       0     0        4548
  AskMarks      4317     4317 0      0       0     0        4317
  Silence       4320     4320 4320   0       0     4320     4320
  Unsilence     4320     4320 4320   0       0     4320     4320
  ListSilenced  4317     4317 0      0       0     0        4317
  Block         4320     4320 4320   0       0     4320     4320
  Unblock       4320     4320 4320   0       0     4320     4320
  ListBlocked   4317     4317 0      0       0     0        4317
  AskOwnBan     0        0    0      0       0     0        0
  Send          4401     4401 0      0       0     4563     4548
  Change        4401     4401 0      0       0     4563     4548
  ReadHistory   4312     4312 0      0       0     0        4312
";

/// Without roles members do what managers do, and nobody gives roles.
const WITHOUT_ROLES: &str = "
                stranger left member owner silenced blocked
  Invite        4317     4317 0      0     0        4317
  Quit          0        0    0      0     0        0
  Remove        4317     4317 0      0     0        4317
  UpdateRole    4325     4325 4325   4325  4325     4325
  Silence       4320     4320 0      0     0        4320
  Unsilence     4320     4320 0      0     0        4320
  Block         4320     4320 0      0     0        4320
  Unblock       4320     4320 0      0     0        4320
  Send          4401     4401 0      0     4563     4548
";

const TEMPORARY: &str = "
                stranger member owner
  Update        4314     4314   4314
  Join          4314     4314   4314
  Invite        4314     4314   4314
  Quit          4314     4314   4314
  Remove        4314     4314   4314
  UpdateRole    4314     4314   4314
  Mute          4314     4314   4314
  Count         4317     0      0
  ListMembers   4317     0      0
  ListRoles     4317     0      0
  AskMarks      4317     0      0
  Silence       4314     4314   4314
  Unsilence     4314     4314   4314
  Block         4314     4314   4314
  Unblock       4314     4314   4314
  Send          4401     0      0
  Change        4401     0      0
  ReadHistory   4312     0      0
";

const ROOM: &str = "
                stranger left member owner silenced blocked
  Update        4309     4309 4309   0     4309     4309
  Join          0        0    0      0     0        4548
  Invite        4314     4314 4314   4314  4314     4314
  Quit          0        0    0      0     0        0
  Remove        4314     4314 4314   4314  4314     4314
  UpdateRole    4314     4314 4314   4314  4314     4314
  Mute          0        0    0      0     0        0
  Count         0        0    0      0     0        4548
  ListMembers   0        0    0      0     0        4548
  ListRoles     0        0    0      0     0        4548
  AskMarks      4314     4314 4314   4314  4314     4314
  Silence       4320     4320 4320   0     4320     4320
  Unsilence     4320     4320 4320   0     4320     4320
  ListSilenced  4317     4317 0      0     0        4317
  Block         4320     4320 4320   0     4320     4320
  Unblock       4320     4320 4320   0     4320     4320
  ListBlocked   4317     4317 0      0     0        4317
  AskOwnBan     0        0    0      0     0        0
  Send          0        0    0      0     4563     4548
  ReadHistory   0        0    0      0     0        4312
";

/// In a chat room everybody speaks, so everybody may take back their own message.
const ROOM_CHANGES: &str = "
                left member owner silenced blocked
  Change        0    0      0     4563     4548
";

const SERVICE: &str = "
                stranger left member
  Update        4309     4309 4309
  Join          0        0    0
  Invite        4314     4314 4314
  Quit          0        0    0
  Remove        4314     4314 4314
  UpdateRole    4314     4314 4314
  Mute          4309     4309 0
  Count         0        0    0
  ListMembers   4316     4316 4316
  ListRoles     0        0    0
  AskMarks      4314     4314 4314
  Silence       4314     4314 4314
  Block         4314     4314 4314
  Send          0        0    0
  ReadHistory   0        0    0
";

#[test]
fn each_client_may_do_what_its_standing_allows_and_nothing_else() {
    let mut tried = check(Kind::Normal, "{}", NORMAL);
    check(
        Kind::Normal,
        r#"{"features":{"roles":false}}"#,
        WITHOUT_ROLES,
    );
    check(Kind::Temporary, "{}", TEMPORARY);
    check(Kind::Room, "{}", ROOM);
    check(Kind::Room, "{}", ROOM_CHANGES);
    check(Kind::System, "{}", SERVICE);
    // Operations that are never answered, or are done for a client that is away, are tried out below by their
    // effect.
    tried.extend([
        Operation::FindUnique,
        Operation::Acknowledge,
        Operation::MarkRead,
        Operation::DeliverWill,
        Operation::ReturnToRoom,
        Operation::PushAgain,
    ]);
    let within = Operation::ALL
        .iter()
        .filter(|it| matches!(it.who(), Who::Within(_)));
    assert_eq!(tried, within.copied().collect());
}

/// True if a command is answered with a refusal of this code.
fn is_refused(world: &mut World, connection: u64, command: &Command, code: i32) -> bool {
    world.sent.clear();
    let envelope = Envelope::new(command.clone()).with_serial(Serial(7));
    world.receive(connection, envelope);
    world.sent.iter().any(
        |(_, envelope)| matches!(&envelope.command, Command::Error(error) if error.code == code),
    )
}

#[test]
fn each_command_of_the_schema_has_an_operation_or_is_not_served() {
    for command in every_command() {
        let operation = Operation::of(&command, None);
        let mut world = World::with("{}");
        world.open(1, "Tom", OfflineMode::Unread);
        let is_unserved = is_refused(&mut world, 1, &command, 4114);
        assert_eq!(is_unserved, operation.is_none(), "{command:?}");
    }
}

#[test]
fn what_needs_a_session_is_refused_without_one() {
    for command in every_command() {
        let mut world = World::with("{}");
        world.input(Input::Connected {
            connection: ConnectionId(1),
            mode: OfflineMode::Unread,
        });
        let needs_one = Operation::of(&command, None).map(Operation::who) != Some(Who::Anyone);
        assert_eq!(
            is_refused(&mut world, 1, &command, 4105),
            needs_one,
            "{command:?}"
        );
    }
}
