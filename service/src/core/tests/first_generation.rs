//! The first generation API: presence that is watched, messages to peers, groups (the protocol, section
//! 4.11 and appendix C; the guide of that API).

use sampan::model::{AppId, ConversationId};
use sampan::wire::generated::{PresenceCommand, RoomCommand};

use super::*;

mod missed;
mod signed;

/// The MD5 of `Jerry:Tom`.
const JERRY_AND_TOM: &str = "c0a42b25e09d3689a27f346a9b498ea1";

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&it| it.to_owned()).collect()
}

fn watching(peers: &[&str]) -> SessionCommand {
    SessionCommand {
        session_peer_ids: texts(peers),
        ..SessionCommand::default()
    }
}

impl World {
    /// Opens a session that watches these peers; answers who of them is online, or the refusing code.
    pub(super) fn open_watching(
        &mut self,
        connection: u64,
        client: &str,
        request: SessionCommand,
    ) -> Result<Vec<String>, i32> {
        self.input(Input::Connected {
            connection: ConnectionId(connection),
            mode: OfflineMode::Unread,
        });
        let mut open = Envelope::new(Command::session(Op::Open, request));
        open.app_id = Some("myApp".to_owned());
        self.receive(connection, open.with_peer(client).with_serial(Serial(7)));
        let at = self
            .sent
            .iter()
            .position(|(to, it)| *to == connection && it.serial == Some(Serial(7)));
        match self.sent.remove(at.expect("a reply")).1.command {
            Command::Session {
                op: Op::Opened,
                body,
            } => Ok(body.online_session_peer_ids),
            Command::Error(error) => Err(error.code),
            other => panic!("not opened: {other:?}"),
        }
    }

    /// The comings (`+Tom`) and goings (`-Tom`) that a connection was told of.
    fn presence(&mut self, connection: u64) -> Vec<String> {
        let told = std::mem::take(&mut self.sent);
        let told = told.into_iter().filter(|(to, _)| *to == connection);
        let mut seen = Vec::new();
        for (_, envelope) in told {
            if let Command::Presence(PresenceCommand {
                status,
                session_peer_ids,
                ..
            }) = envelope.command
            {
                assert_eq!((envelope.service, envelope.serial), (Some(2), None));
                let sign = if status == Some(1) { '+' } else { '-' };
                seen.extend(session_peer_ids.iter().map(|peer| format!("{sign}{peer}")));
            }
        }
        seen
    }

    pub(super) fn lose(&mut self, connection: u64) {
        let connection = ConnectionId(connection);
        let effects = self.input(Input::Lost { connection });
        self.take(effects);
    }

    /// Sends to peers; answers the conversation and the id that the acknowledgement names, or its code.
    fn say_to(
        &mut self,
        connection: u64,
        peers: &[&str],
        body: DirectCommand,
    ) -> Result<(String, String), i32> {
        let body = DirectCommand {
            to_peer_ids: texts(peers),
            msg: Some("hi".to_owned()),
            ..body
        };
        let Command::Ack(ack) = self.ask(connection, Command::direct(body)) else {
            panic!("not acknowledged")
        };
        match ack.code {
            Some(code) => Err(code),
            None => Ok((ack.cid.unwrap(), ack.uid.unwrap())),
        }
    }

    /// Asks about a group; answers the operation and the body of the reply, or the refusing code.
    fn group(
        &mut self,
        connection: u64,
        op: Op,
        body: RoomCommand,
    ) -> Result<(Op, RoomCommand), i32> {
        self.sent.clear();
        match self.ask(
            connection,
            Command::Room {
                op,
                body: Box::new(body),
            },
        ) {
            Command::Room { op, body } => Ok((op, *body)),
            Command::Error(error) => Err(error.code),
            other => panic!("not about a group: {other:?}"),
        }
    }

    /// The group events that a connection was told of: the operation, the clients it is about, and the client
    /// that did it.
    fn group_events(&self, connection: u64) -> Vec<(Op, Vec<String>, Option<String>)> {
        let told = self
            .sent
            .iter()
            .filter(|(to, it)| *to == connection && it.serial.is_none());
        told.filter_map(|(_, it)| match &it.command {
            Command::Room { op, body } => {
                Some((*op, body.room_peer_ids.clone(), body.by_peer_id.clone()))
            }
            _ => None,
        })
        .collect()
    }
}

fn room(id: &str, peers: &[&str]) -> RoomCommand {
    RoomCommand {
        room_id: (!id.is_empty()).then(|| id.to_owned()),
        room_peer_ids: texts(peers),
        ..RoomCommand::default()
    }
}

#[test]
fn s050_s056_who_watches_a_peer_is_told_when_it_comes_and_when_it_goes() {
    let mut world = World::with("{}");
    world.open(1, "Jerry", OfflineMode::Unread);
    let online = world.open_watching(2, "Tom", watching(&["Jerry", "Spike"]));
    assert_eq!(online, Ok(texts(&["Jerry"])), "S043");
    // Spike has two devices: the first comes, the last goes.
    world.open(3, "Spike", OfflineMode::Unread);
    world.open(4, "Spike", OfflineMode::Unread);
    assert_eq!(world.presence(2), ["+Spike"]);
    world.lose(3);
    assert_eq!(world.presence(2), Vec::<String>::new());
    world.ask(4, Command::session(Op::Close, SessionCommand::default()));
    assert_eq!(world.presence(2), ["-Spike"]);
    // S051: a client that does not watch any more is told nothing.
    let Command::Session {
        op: Op::Removed,
        body,
    } = world.ask(2, Command::session(Op::Remove, watching(&["Jerry"])))
    else {
        panic!("not removed")
    };
    assert_eq!(body.session_peer_ids, ["Jerry"]);
    world.lose(1);
    assert_eq!(world.presence(2), Vec::<String>::new());
    // S052: a watch that is added is confirmed, with the watched clients that are online.
    world.open(5, "Butch", OfflineMode::Unread);
    let Command::Session {
        op: Op::Added,
        body,
    } = world.ask(2, Command::session(Op::Add, watching(&["Butch", "Jerry"])))
    else {
        panic!("not added")
    };
    assert_eq!(body.session_peer_ids, ["Butch", "Jerry"]);
    assert_eq!(body.online_session_peer_ids, ["Butch"]);
    world.open(6, "Jerry", OfflineMode::Unread);
    assert_eq!(world.presence(2), ["+Jerry"]);
}

#[test]
fn of_more_than_twenty_ids_the_first_twenty_are_looked_at() {
    let mut world = World::with("{}");
    let names: Vec<String> = (10..35).map(|number| format!("p{number}")).collect();
    for (connection, name) in (1..).zip(&names) {
        world.open(connection, name, OfflineMode::Unread);
    }
    let body = SessionCommand {
        session_peer_ids: names.clone(),
        ..SessionCommand::default()
    };
    let Command::Session { body, .. } = world.ask(1, Command::session(Op::Query, body)) else {
        panic!("no answer")
    };
    assert_eq!(body.online_session_peer_ids, names[..20]);
}

#[test]
fn a_session_that_moves_to_another_connection_neither_goes_nor_comes() {
    let mut world = World::with("{}");
    let phone = |r| SessionCommand {
        device_id: Some("phone".to_owned()),
        tag: Some("mobile".to_owned()),
        r: Some(r),
        ..SessionCommand::default()
    };
    world.open_watching(1, "Jerry", phone(false)).unwrap();
    world.open_watching(2, "Tom", watching(&["Jerry"])).unwrap();
    world.open_watching(3, "Jerry", phone(true)).unwrap();
    assert_eq!(world.presence(2), Vec::<String>::new());
    let call = RestCall::Kick {
        client: "Jerry".to_owned(),
        reason: String::new(),
    };
    let app = AppId::new("myApp").unwrap();
    let request = Box::new(RestRequest { app, call });
    let effects = world.input(Input::Asked {
        ticket: Ticket(1),
        request,
    });
    world.take(effects);
    assert_eq!(world.presence(2), ["-Jerry"]);
}

#[test]
fn s054_s274_a_message_to_peers_is_kept_where_their_ids_lead_to() {
    let mut world = World::with("{}");
    world.open_watching(1, "Tom", watching(&["Jerry"])).unwrap();
    // Jerry watches nobody, and is away.
    let sent = world.say_to(1, &["Jerry"], DirectCommand::default());
    let (cid, _) = sent.unwrap();
    assert_eq!(cid, JERRY_AND_TOM);
    world.open(2, "Jerry", OfflineMode::Unread);
    let unread = world.sent.iter().find_map(|(_, it)| match &it.command {
        Command::Unread(body) => body.convs.first().map(|it| (it.cid.clone(), it.unread)),
        _ => None,
    });
    assert_eq!(unread, Some((cid.clone(), 1)));
    // The answer is sent to the same conversation, in the words of the current generation.
    assert_eq!(world.say(2, &cid), None);
    let heard = world
        .sent
        .iter()
        .rev()
        .find_map(|(to, it)| match &it.command {
            Command::Direct(body) if *to == 1 => body.cid.clone(),
            _ => None,
        });
    assert_eq!(heard, Some(cid));
}

#[test]
fn s054_a_message_to_a_peer_that_is_not_watched_is_refused() {
    let mut world = World::with("{}");
    world.open_watching(1, "Tom", watching(&["Jerry"])).unwrap();
    world.open(2, "Spike", OfflineMode::Unread);
    for peers in [&["Spike"][..], &["Jerry", "Spike"], &["Jerry:Tom"]] {
        let refused = world.say_to(1, peers, DirectCommand::default());
        assert_eq!(refused, Err(4401), "{peers:?}");
    }
    assert_eq!(world.messages(2), 0);
    assert!(
        world.say_to(1, &["Tom"], DirectCommand::default()).is_ok(),
        "to oneself"
    );
}

#[test]
fn nobody_comes_into_a_conversation_of_peers_whose_id_anybody_can_compute() {
    let mut world = World::with("{}");
    world.open_watching(1, "Tom", watching(&["Jerry"])).unwrap();
    world.open(2, "Jerry", OfflineMode::Unread);
    world.open(3, "Spike", OfflineMode::Unread);
    let (cid, _) = world
        .say_to(1, &["Jerry"], DirectCommand::default())
        .unwrap();
    for (connection, command, code) in [
        (3, Command::conv(Op::Add, about(&cid, &["Spike"])), 4314),
        (1, Command::conv(Op::Add, about(&cid, &["Spike"])), 4314),
        (2, Command::conv(Op::Remove, about(&cid, &["Jerry"])), 4314),
        (
            3,
            Command::Room {
                op: Op::Join,
                body: Box::new(room(&cid, &[])),
            },
            4314,
        ),
        (3, Command::conv(Op::Count, about(&cid, &[])), 4317),
        (
            3,
            Command::logs(LogsCommand {
                cid: Some(cid.clone()),
                ..LogsCommand::default()
            }),
            4312,
        ),
    ] {
        let what = format!("{command:?}");
        match world.ask(connection, command) {
            Command::Error(error) => assert_eq!(error.code, code, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(world.say(3, &cid), Some(4401));
}

#[test]
fn a_repeated_message_to_peers_stays_one_and_a_passing_one_is_not_kept() {
    let mut world = World::with("{}");
    world.open_watching(1, "Tom", watching(&["Jerry"])).unwrap();
    world.open(2, "Jerry", OfflineMode::Unread);
    let token = DirectCommand {
        dt: Some("once".to_owned()),
        ..DirectCommand::default()
    };
    let first = world.say_to(1, &["Jerry"], token.clone());
    assert_eq!(world.say_to(1, &["Jerry"], token), first);
    assert_eq!(world.messages(2), 1);
    let passing = DirectCommand {
        transient: Some(true),
        ..DirectCommand::default()
    };
    let (cid, _) = world.say_to(1, &["Jerry"], passing).unwrap();
    assert_eq!(world.messages(2), 1);
    let logs = LogsCommand {
        cid: Some(cid),
        ..LogsCommand::default()
    };
    let Command::Logs(kept) = world.ask(2, Command::logs(logs)) else {
        panic!("no history")
    };
    assert_eq!(kept.logs.len(), 1);
}

#[test]
fn s193_s195_a_receipt_comes_when_the_receiver_acknowledges_by_the_id_alone() {
    let mut world = World::with("{}");
    world.open_watching(1, "Tom", watching(&["Jerry"])).unwrap();
    world.open_watching(2, "Jerry", watching(&["Tom"])).unwrap();
    let receipt = DirectCommand {
        r: Some(true),
        ..DirectCommand::default()
    };
    let (_, id) = world.say_to(1, &["Jerry"], receipt).unwrap();
    let receipts = |world: &mut World, ids: &[&str]| {
        world.sent.clear();
        let ack = AckCommand {
            ids: texts(ids),
            ..AckCommand::default()
        };
        world.receive(2, Envelope::new(Command::ack(ack)));
        let told = world.sent.iter().filter(|(to, it)| {
            *to == 1 && matches!(&it.command, Command::Rcp(rcp) if rcp.id.as_deref() == Some(&*id))
        });
        told.count()
    };
    assert_eq!(receipts(&mut world, &["somethingThatWasNotSent"]), 0);
    assert_eq!(receipts(&mut world, &[&id]), 1);
    assert_eq!(receipts(&mut world, &[&id]), 0, "once");
}

#[test]
fn s121_s134_a_group_is_made_joined_left_and_its_members_hear_of_each_other() {
    let mut world = World::with(r#"{"features":{"roles":false}}"#);
    for (connection, client) in (1..).zip(["Tom", "Jerry", "Spike"]) {
        world
            .open_watching(connection, client, watching(&["Butch"]))
            .unwrap();
    }
    // A member of the current generation is in the group too.
    world.open(4, "Nibbles", OfflineMode::Unread);
    let (op, made) = world.group(1, Op::Join, RoomCommand::default()).unwrap();
    let group = made.room_id.expect("S130: a group without an id is made");
    assert_eq!(op, Op::Joined);
    let tom = Some("Tom".to_owned());

    let (op, reply) = world
        .group(1, Op::Invite, room(&group, &["Jerry", "Nibbles"]))
        .unwrap();
    assert_eq!(
        (op, reply.room_peer_ids),
        (Op::Invited, texts(&["Jerry", "Nibbles"]))
    );
    let joined = (Op::MembersJoined, texts(&["Jerry", "Nibbles"]), tom.clone());
    assert_eq!(world.group_events(1), std::slice::from_ref(&joined));
    assert_eq!(
        world.group_events(2),
        [(Op::Joined, vec![], tom.clone()), joined]
    );
    assert_eq!(
        world.group_events(4),
        [],
        "the current generation has its own words"
    );
    assert!(
        world
            .sent
            .iter()
            .any(|(to, it)| *to == 4 && matches!(it.command, Command::Conv { op: Op::Joined, .. }))
    );

    let (op, reply) = world.group(3, Op::Join, room(&group, &[])).unwrap();
    assert_eq!((op, reply.room_id), (Op::Joined, Some(group.clone())));
    let came = (
        Op::MembersJoined,
        texts(&["Spike"]),
        Some("Spike".to_owned()),
    );
    assert_eq!(world.group_events(1), [came]);

    // S129, S131: a message to the group is heard by all others, each with the group's id.
    world.sent.clear();
    let body = DirectCommand {
        room_id: Some(group.clone()),
        msg: Some("hello".to_owned()),
        ..DirectCommand::default()
    };
    let Command::Ack(ack) = world.ask(3, Command::direct(body)) else {
        panic!("not acknowledged")
    };
    assert_eq!(ack.code, None);
    let heard = |connection: u64| {
        world.sent.iter().find_map(|(to, it)| match &it.command {
            Command::Direct(body) if *to == connection => {
                Some((body.cid.clone(), body.room_id.clone()))
            }
            _ => None,
        })
    };
    assert_eq!(heard(1), Some((Some(group.clone()), Some(group.clone()))));
    assert_eq!(heard(2), heard(1));
    assert_eq!(heard(4), Some((Some(group.clone()), None)));
    assert_eq!(heard(3), None);

    let (op, reply) = world.group(1, Op::Kick, room(&group, &["Jerry"])).unwrap();
    assert_eq!((op, reply.room_peer_ids), (Op::Kicked, texts(&["Jerry"])));
    assert_eq!(world.group_events(2), [(Op::Left, vec![], tom.clone())]);
    assert_eq!(
        world.group_events(3),
        [(Op::MembersLeft, texts(&["Jerry"]), tom)]
    );

    let (op, _) = world.group(3, Op::Leave, room(&group, &[])).unwrap();
    assert_eq!(op, Op::Left);
    assert_eq!(world.group_events(3), [], "the reply told it");
    let went = (Op::MembersLeft, texts(&["Spike"]), Some("Spike".to_owned()));
    assert_eq!(world.group_events(1), [went]);
}

#[test]
fn a_refused_command_about_a_group_is_answered_with_its_code_and_told_as_a_rejection() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let group = world.start(1, with_members(&["Tom"]));
    for (op, id, code) in [
        (Op::Invite, &*group, 4317),
        (Op::Kick, &*group, 4317),
        (Op::Join, "5f0c0e3a9d1f2b0006a1b2c3", 4303),
        (Op::Leave, "5f0c0e3a9d1f2b0006a1b2c3", 4303),
    ] {
        assert_eq!(
            world.group(2, op, room(id, &["Spike"])),
            Err(code),
            "{op:?}"
        );
        assert_eq!(
            world.group_events(2),
            [(Op::Reject, texts(&["Spike"]), None)],
            "{op:?}"
        );
    }
    // A change that fails for every peer fails as a whole.
    let block = sampan::wire::generated::BlacklistCommand {
        src_cid: Some(group.clone()),
        to_pids: texts(&["Spike"]),
        ..Default::default()
    };
    world.ask(1, Command::blacklist(Op::Block, block));
    assert_eq!(
        world.group(1, Op::Invite, room(&group, &["Spike"])),
        Err(4548)
    );
}

#[test]
fn s345_an_id_that_is_too_long_is_refused_in_a_watch_list_too() {
    let mut world = World::with("{}");
    let long = "x".repeat(65);
    assert_eq!(world.open_watching(1, "Tom", watching(&[&long])), Err(4103));
    assert!(ConversationId::new(JERRY_AND_TOM).is_ok());
}
