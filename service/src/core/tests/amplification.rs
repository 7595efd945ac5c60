//! The writes of a command: every command of the table of operations, each in the form that writes most for its
//! length. The bound is over a round, so a round brings everything that its command uses up.

use std::collections::BTreeSet;

use sampan::model::ClientId;
use sampan::wire::generated::{
    BlacklistCommand, ConvMemberInfo, JsonObjectMessage, LoginCommand, PatchCommand, PatchItem,
    ReadTuple, ReportCommand, RoomCommand,
};

use super::*;
use crate::core::access::{Operation, Who};
use crate::storage::Storage as _;

/// Bytes that may be written for each that came.
const TIMES_MAX: u64 = 64;

/// Bytes that the WebSocket puts before the bytes of a short command.
const FRAME_BYTES: usize = 6;

/// Rounds of each row.
const ROUNDS: usize = 40;

/// Members of the conversation, all of whom signed in once.
const MEMBERS: usize = 480;

/// A round of one row, by its number: the commands of Tom's.
type Round<'a> = Box<dyn Fn(&mut Scene, usize) -> Vec<Command> + 'a>;

struct Scene {
    world: World,
    /// A conversation of many, with as many attributes as it may have.
    cid: String,
    /// A chat room.
    room: String,
    asked: BTreeSet<Operation>,
}

/// A name of two characters: the shortest that are enough.
fn name(number: usize) -> String {
    let digit = |n: usize| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[n % 36]);
    [digit(number / 36), digit(number)].iter().collect()
}

fn update(cid: &str, data: String) -> Command {
    let body = ConvCommand {
        attr: Some(JsonObjectMessage { data }),
        ..about(cid, &[])
    };
    Command::conv(Op::Update, body)
}

fn conv(op: Op, cid: &str, members: &[&str]) -> Command {
    Command::conv(op, about(cid, members))
}

fn block(op: Op, cid: &str, client: &str) -> Command {
    let body = BlacklistCommand {
        src_cid: Some(cid.to_owned()),
        to_pids: vec![client.to_owned()],
        ..BlacklistCommand::default()
    };
    Command::blacklist(op, body)
}

fn group(op: Op, cid: Option<String>, members: &[&str]) -> Command {
    let body = RoomCommand {
        room_id: cid,
        room_peer_ids: members.iter().map(|&it| it.to_owned()).collect(),
        ..RoomCommand::default()
    };
    Command::Room {
        op,
        body: Box::new(body),
    }
}

/// A message; no two of one number.
fn say(cid: &str, mentions: usize, number: usize) -> Command {
    Command::direct(DirectCommand {
        cid: Some(cid.to_owned()),
        msg: Some("h".to_owned()),
        r: Some(true),
        dt: Some(format!("{number:016}")),
        mention_pids: (0..mentions).map(name).collect(),
        ..DirectCommand::default()
    })
}

impl Scene {
    fn new() -> Self {
        let mut world = World::with("{}");
        let names: Vec<String> = (0..MEMBERS).map(name).collect();
        for name in &names {
            world.open(99, name, OfflineMode::Unread);
            world.input(Input::Lost {
                connection: ConnectionId(99),
            });
        }
        world.open(1, "Tom", OfflineMode::Push);
        world.open(2, "aa", OfflineMode::Push);
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["Tom"]).collect();
        let cid = world.start(1, with_members(&names));
        let list: Vec<u32> = (0..1_500).collect();
        let list = serde_json::to_string(&list).unwrap();
        let text = "x".repeat(7_000);
        world.ask(
            1,
            update(
                &cid,
                format!(r#"{{"attr":{{"l":{list},"t":"{text}","n":1}}}}"#),
            ),
        );
        let room = ConvCommand {
            transient: Some(true),
            ..ConvCommand::default()
        };
        let room = world.start(1, room);
        Self {
            world,
            cid,
            room,
            asked: BTreeSet::new(),
        }
    }

    fn written(&self) -> u64 {
        self.world.core.storage().work().written_bytes
    }

    /// Sends a command, and answers how long it was.
    fn send(&mut self, connection: u64, client: &str, command: Command) -> u64 {
        let own = ClientId::new(client).unwrap();
        self.asked.extend(Operation::of(&command, Some(&own)));
        let mut envelope = Envelope::new(command).with_serial(Serial(7));
        if let Command::Session { op: Op::Open, .. } = &envelope.command {
            envelope.app_id = Some("myApp".to_owned());
            envelope = envelope.with_peer(client);
        }
        let bytes = envelope.to_bytes().len() + FRAME_BYTES;
        self.world.at += Duration::from_millis(2);
        self.world.receive(connection, envelope);
        bytes as u64
    }

    /// The id and the time of the message that Tom was acknowledged last.
    fn last_sent(&mut self) -> (String, i64) {
        let sent = self.world.sent.iter().rev();
        let ack = sent.filter_map(|(_, envelope)| match &envelope.command {
            Command::Ack(ack) => Some((ack.uid.clone()?, ack.t?)),
            _ => None,
        });
        ack.into_iter().next().expect("an acknowledgement")
    }
}

fn patch(cid: &str, (id, at): (String, i64), recall: bool) -> Command {
    let item = PatchItem {
        cid: Some(cid.to_owned()),
        mid: Some(id),
        timestamp: Some(at),
        recall: Some(recall),
        data: (!recall).then(|| b"i".to_vec()),
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

/// Every row: its name, and its commands. The commands of `aa` go over its own connection.
#[expect(clippy::too_many_lines, reason = "a table: one row a command")]
fn rows() -> Vec<(&'static str, Round<'static>)> {
    fn row(
        name: &'static str,
        round: impl Fn(&mut Scene, usize) -> Vec<Command> + 'static,
    ) -> (&'static str, Round<'static>) {
        (name, Box::new(round))
    }
    let session =
        |op| move |_: &mut Scene, _| vec![Command::session(op, SessionCommand::default())];
    let asking = |op| move |it: &mut Scene, _| vec![conv(op, &it.cid, &[])];
    vec![
        row("echo", |_, _| vec![Command::Echo]),
        row("login", |_, _| {
            vec![Command::Login(Box::<LoginCommand>::default())]
        }),
        row("report", |_, _| {
            let body = ReportCommand::default();
            vec![Command::Report {
                op: Op::Upload,
                body,
            }]
        }),
        row("session/open", session(Op::Open)),
        row("session/refresh", session(Op::Refresh)),
        row("session/query", session(Op::Query)),
        row("session/close", |_, _| {
            let of = |op| Command::session(op, SessionCommand::default());
            vec![of(Op::Close), of(Op::Open)]
        }),
        row("conv/start of many", |_, n| {
            let names: Vec<String> = (n..n + 499).map(|n| name(n % 1_296)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            vec![Command::conv(Op::Start, with_members(&names))]
        }),
        row("conv/start alone", |_, _| {
            vec![Command::conv(Op::Start, with_members(&["Tom"]))]
        }),
        row("conv/query", |_, _| {
            vec![Command::conv(Op::Query, ConvCommand::default())]
        }),
        row("conv/is_member", |it, _| {
            let body = ConvCommand {
                cids: vec![it.cid.clone()],
                ..ConvCommand::default()
            };
            vec![Command::conv(Op::IsMember, body)]
        }),
        row("conv/update of a text", |it, n| {
            vec![update(&it.cid, format!(r#"{{"attr.n":{n}}}"#))]
        }),
        row("conv/update of a list", |it, n| {
            let op = if n % 2 == 0 { "Add" } else { "Remove" };
            let data = format!(r#"{{"attr.l":{{"__op":"{op}","objects":[7]}}}}"#);
            vec![update(&it.cid, data)]
        }),
        row("conv/update of all", |it, n| {
            let text = (n % 10).to_string().repeat(7_000);
            vec![update(&it.cid, format!(r#"{{"attr.t":"{text}"}}"#))]
        }),
        row("conv/add and remove one", |it, _| {
            vec![
                conv(Op::Add, &it.cid, &["zz"]),
                conv(Op::Remove, &it.cid, &["zz"]),
            ]
        }),
        row("conv/remove and add many", |it, _| {
            let names: Vec<String> = (1..MEMBERS).map(name).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            vec![
                conv(Op::Remove, &it.cid, &names),
                conv(Op::Add, &it.cid, &names),
            ]
        }),
        row("conv/add and remove oneself", |it, _| {
            vec![
                conv(Op::Remove, &it.room, &["Tom"]),
                conv(Op::Add, &it.room, &["Tom"]),
            ]
        }),
        row("conv/mute", |it, n| {
            vec![conv([Op::Mute, Op::Unmute][n % 2], &it.cid, &[])]
        }),
        row("conv/count", asking(Op::Count)),
        row("conv/members", asking(Op::Members)),
        row("conv/max_read", asking(Op::MaxRead)),
        row("conv/member_info_update", |it, n| {
            let info = ConvMemberInfo {
                pid: Some("ab".to_owned()),
                role: Some(["Manager", "Member"][n % 2].to_owned()),
                ..ConvMemberInfo::default()
            };
            let body = ConvCommand {
                info: Some(info),
                target_client_id: Some("ab".to_owned()),
                ..about(&it.cid, &[])
            };
            vec![Command::conv(Op::MemberInfoUpdate, body)]
        }),
        row("conv/shutup", |it, n| {
            vec![conv(
                [Op::AddShutup, Op::RemoveShutup][n % 2],
                &it.cid,
                &["ab"],
            )]
        }),
        row("conv/query_shutup", asking(Op::QueryShutup)),
        row("conv/check_shutup", |it, _| {
            vec![
                conv(Op::CheckShutup, &it.cid, &["ab"]),
                conv(Op::CheckShutup, &it.cid, &["Tom"]),
            ]
        }),
        row("blacklist", |it, n| {
            vec![block([Op::Block, Op::Unblock][n % 2], &it.cid, "zy")]
        }),
        row("blacklist/query", |it, _| {
            let mut own = block(Op::CheckBlock, &it.cid, "Tom");
            if let Command::Blacklist { body, .. } = &mut own {
                body.to_pids = vec!["Tom".to_owned()];
            }
            vec![block(Op::Query, &it.cid, "ab"), own]
        }),
        row("direct", |it, n| vec![say(&it.cid, 0, n)]),
        row("direct to a room", |it, n| vec![say(&it.room, 0, n)]),
        row("session/add and direct to peers", |_, n| {
            let peers: Vec<String> = (n..n + 20).map(name).collect();
            let watch = SessionCommand {
                session_peer_ids: peers.clone(),
                ..SessionCommand::default()
            };
            let say = DirectCommand {
                to_peer_ids: peers,
                msg: Some("h".to_owned()),
                ..DirectCommand::default()
            };
            vec![Command::session(Op::Add, watch), Command::direct(say)]
        }),
        row("room/join of a new group", |_, _| {
            vec![group(Op::Join, None, &[])]
        }),
        row("room/invite and kick", |it, _| {
            let cid = Some(it.cid.clone());
            vec![
                group(Op::Invite, cid.clone(), &["zz"]),
                group(Op::Kick, cid, &["zz"]),
            ]
        }),
        row("every command without a body", |it, n| {
            it.send(
                1,
                "Tom",
                Command::session(Op::Open, SessionCommand::default()),
            );
            let all = commands::every_command();
            all.into_iter().skip(n).step_by(ROUNDS).collect()
        }),
        row("logs", |it, _| {
            vec![Command::logs(LogsCommand {
                cid: Some(it.cid.clone()),
                ..LogsCommand::default()
            })]
        }),
        row("patch", |it, n| {
            if n == 0 {
                it.world.sent.clear();
                it.send(1, "Tom", say(&it.cid.clone(), 400, 0));
            }
            let last = it.last_sent();
            it.world
                .sent
                .retain(|(_, sent)| matches!(sent.command, Command::Ack(_)));
            vec![patch(&it.cid, last, n + 1 == ROUNDS)]
        }),
    ]
}

/// The answers of members to messages: each message is acknowledged and read once.
fn reading(is_ack: bool) -> impl Fn(&Scene) -> Command {
    move |it| {
        let at = i64::try_from(it.world.at.as_millis()).unwrap() + 60_000;
        if is_ack {
            return Command::ack(AckCommand {
                cid: Some(it.cid.clone()),
                tots: Some(at),
                ..AckCommand::default()
            });
        }
        let tuple = ReadTuple {
            cid: it.cid.clone(),
            timestamp: Some(at),
            ..ReadTuple::default()
        };
        Command::Read(ReadCommand {
            convs: vec![tuple],
            ..ReadCommand::default()
        })
    }
}

#[test]
fn no_command_writes_more_than_64_bytes_for_each_that_came() {
    let mut asked = BTreeSet::new();
    let mut told = Vec::new();
    for (name, round) in rows() {
        let mut scene = Scene::new();
        let (mut received, before) = (0, scene.written());
        for number in 0..ROUNDS {
            for command in round(&mut scene, number) {
                received += scene.send(1, "Tom", command);
            }
        }
        let times = (scene.written() - before).div_ceil(received);
        told.push(format!("{times:>4} {name}"));
        asked.extend(scene.asked);
    }
    for (name, is_ack) in [("ack", true), ("read", false)] {
        let mut scene = Scene::new();
        let (mut received, before) = (0, scene.written());
        for round in 0..ROUNDS {
            for number in 0..5 {
                let said = say(&scene.cid.clone(), 0, 5 * round + number);
                received += scene.send(1, "Tom", said);
            }
            for _ in 0..3 {
                let command = reading(is_ack)(&scene);
                received += scene.send(2, "aa", command);
            }
        }
        let times = (scene.written() - before).div_ceil(received);
        told.push(format!("{times:>4} {name}"));
        asked.extend(scene.asked);
    }
    let on_connections = |it: &&Operation| {
        use Operation::{DeliverWill, FindUnique, ListRoles, PushAgain, ReturnToRoom};
        // Decided on the way of others, or asked over HTTP.
        let by_itself = matches!(
            it,
            DeliverWill | FindUnique | ListRoles | PushAgain | ReturnToRoom
        );
        let is_command = matches!(it.who(), Who::Anyone | Who::SignedIn | Who::Within(_));
        is_command && !by_itself && **it != Operation::Discover
    };
    let all = Operation::ALL.iter().filter(on_connections).copied();
    let left: Vec<_> = all.filter(|it| !asked.contains(it)).collect();
    assert_eq!(left, [], "operations without a row");
    let table = told.join("\n");
    println!("{table}");
    let most = told
        .iter()
        .map(|row| row.get(..4).unwrap().trim().parse::<u64>().unwrap());
    assert!(
        most.max() <= Some(TIMES_MAX),
        "bytes written for each byte:\n{table}"
    );
}
