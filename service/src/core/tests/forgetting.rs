//! What is kept for clients that never come for it.

use sampan::model::{AppId, ClientId};

use super::*;
use crate::core::upkeep::sweep::NOTIFICATIONS_KEPT_MAX;
use crate::storage::Storage as _;

/// A change of attributes: one notification for every member.
fn rename(cid: &str, name: &str) -> Command {
    let data = format!(r#"{{"name":"{name}"}}"#);
    let attr = sampan::wire::generated::JsonObjectMessage { data };
    let body = ConvCommand {
        cid: Some(cid.to_owned()),
        attr: Some(attr),
        ..ConvCommand::default()
    };
    Command::conv(Op::Update, body)
}

/// How many notifications are kept for a client.
fn kept(world: &World, client: &str) -> usize {
    let app = AppId::new("myApp").unwrap();
    let client = ClientId::new(client).unwrap();
    let storage = world.core.storage();
    now(storage.notifications(&app, &client, Timestamp::ZERO, usize::MAX))
        .unwrap()
        .len()
}

impl World {
    /// Signs a client in once, and out again.
    fn visit(&mut self, client: &str) {
        self.open(99, client, OfflineMode::Unread);
        self.input(Input::Lost {
            connection: ConnectionId(99),
        });
        self.sent.clear();
    }

    /// What a command writes for each byte of it, rounded up.
    fn amplification(&mut self, connection: u64, command: Command) -> u64 {
        let envelope = Envelope::new(command.clone()).with_serial(Serial(7));
        let received = envelope.to_bytes().len() as u64;
        let before = self.core.storage().work().written_bytes;
        self.ask(connection, command);
        self.sent.clear();
        let written = self.core.storage().work().written_bytes - before;
        written.div_ceil(received)
    }
}

#[test]
fn members_that_somebody_invented_cost_the_disk_little() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let names: Vec<String> = (0..499).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let start = Command::conv(Op::Start, with_members(&names));
    let times = world.amplification(1, start);
    assert!(times <= 64, "starting writes {times} bytes for each");
    let cid = world.start(1, with_members(&names));
    for name in ["a", "b", "c"] {
        let times = world.amplification(1, rename(&cid, name));
        assert!(times <= 64, "renaming writes {times} bytes for each");
    }
    let times = world.amplification(1, Command::conv(Op::Mute, about(&cid, &[])));
    assert!(times <= 64, "muting writes {times} bytes for each");
    let say = DirectCommand {
        cid: Some(cid.clone()),
        msg: Some("hi".to_owned()),
        ..DirectCommand::default()
    };
    let times = world.amplification(1, Command::direct(say));
    assert!(times <= 64, "sending writes {times} bytes for each");
    let times = world.amplification(1, Command::conv(Op::Remove, about(&cid, &["c1"])));
    assert!(times <= 64, "removing writes {times} bytes for each");
}

#[test]
fn the_notifications_of_who_does_not_come_back_are_bounded() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.visit("ghost");
    let cid = world.start(1, with_members(&["Tom", "ghost"]));
    for n in 0..NOTIFICATIONS_KEPT_MAX + 200 {
        world.ask(1, rename(&cid, &n.to_string()));
        world.sent.clear();
    }
    assert!(kept(&world, "ghost") > NOTIFICATIONS_KEPT_MAX);
    world.wait(Duration::from_secs(60));
    assert_eq!(kept(&world, "ghost"), NOTIFICATIONS_KEPT_MAX);
}

#[test]
fn the_notifications_of_who_does_not_come_back_are_forgotten_when_they_are_old() {
    let mut world = World::with(r#"{"retention":{"notifications_days":1}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let ghosts: Vec<String> = (0..200).map(|n| format!("ghost-{n}")).collect();
    for ghost in &ghosts {
        world.visit(ghost);
    }
    let names: Vec<&str> = ghosts.iter().map(String::as_str).chain(["Tom"]).collect();
    world.start(1, with_members(&names));
    assert_eq!(kept(&world, "ghost-199"), 2);
    world.at += Duration::from_secs(25 * 3600);
    for _ in 0..4 {
        world.wait(Duration::from_secs(60));
    }
    let left: usize = ghosts.iter().map(|ghost| kept(&world, ghost)).sum();
    assert_eq!(left, 0);
}

#[test]
fn a_unique_conversation_that_grew_is_no_longer_that_of_the_pair() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let unique = |members: &[&str]| ConvCommand {
        unique: Some(true),
        ..with_members(members)
    };
    let pair = world.start(1, unique(&["Tom", "Jerry"]));
    world.ask(1, Command::conv(Op::Add, about(&pair, &["Bob"])));
    assert_eq!(world.start(1, unique(&["Tom", "Jerry", "Bob"])), pair);
    assert_ne!(world.start(1, unique(&["Tom", "Jerry"])), pair);
}

#[test]
fn each_app_forgets_messages_by_its_own_retention() {
    let settings = r#"{"brief":{"retention":{"messages_days":1}},"long":{}}"#;
    let credentials = ["brief:k:m", "long:k2:m2"].map(|app| app.parse::<Credentials>().unwrap());
    let apps = Apps::new(credentials, settings::parse_file(settings).unwrap()).unwrap();
    let core = Core::new(MemoryStorage::empty().unwrap(), apps, Box::new(Counting(0)));
    let mut world = World {
        core,
        ..World::with("{}")
    };
    let mut kept = Vec::new();
    for (connection, app) in [(1, "brief"), (2, "long")] {
        world.open_in(connection, app, "Tom", OfflineMode::Unread);
        let cid = world.start(connection, with_members(&["Tom"]));
        assert_eq!(world.say(connection, &cid), None);
        kept.push((connection, cid));
    }
    for _ in 0..30 {
        world.wait(Duration::from_secs(3601));
    }
    let left: Vec<usize> = kept
        .into_iter()
        .map(|(connection, cid)| {
            let cid = Some(cid);
            let ask = Command::logs(LogsCommand {
                cid,
                ..LogsCommand::default()
            });
            match world.ask(connection, ask) {
                Command::Logs(body) => body.logs.len(),
                other => panic!("no history: {other:?}"),
            }
        })
        .collect();
    assert_eq!(left, [0, 1]);
}

#[test]
fn tokens_that_ended_are_forgotten_as_fast_as_a_socket_makes_them() {
    let mut world = World::with(r#"{"limits":{"session_token_ttl_secs":60}}"#);
    for number in 0..3_000 {
        world.open(number + 1, &format!("c{number}"), OfflineMode::Unread);
        world.sent.clear();
    }
    world.wait(Duration::from_secs(3_600));
    // Woken when it wants to be, it needs less than a second.
    for _ in 0..20 {
        world.wait(Duration::from_millis(20));
    }
    let storage = world.core.storage();
    let ended = now(storage.ended_tokens(Timestamp::from_millis(i64::MAX), 10)).unwrap();
    assert!(ended.is_empty(), "{} are left", ended.len());
}
