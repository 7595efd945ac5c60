//! The data of clients that never come for them are bounded, and forgotten in time.

use sampan::model::{AppId, ClientId};

use super::*;
use crate::storage::{NOTICES_KEPT_MAX, Storage as _};

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
        .notifications
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
}

/// True if a client that was there when the world began is told to ask for everything anew.
fn is_told_to_ask_anew(world: &mut World, client: &str) -> bool {
    world.open(99, client, OfflineMode::Unread);
    let call = RestCall::Notifications {
        client: client.to_owned(),
        token: world.tokens.get(client).cloned(),
        since: Timestamp::from_millis(1_699_999_999_999),
        dialect: Dialect::Hyphens,
    };
    let answer = world.http(call);
    world.sent.clear();
    answer.body["droppable"]["invalidLocalConvCache"] == serde_json::json!(true)
}

#[test]
fn the_notices_of_a_conversation_are_bounded_and_who_missed_more_asks_anew() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.visit("ghost");
    let cid = world.start(1, with_members(&["Tom", "ghost"]));
    assert!(!is_told_to_ask_anew(&mut world, "ghost"));
    for n in 0..NOTICES_KEPT_MAX + 200 {
        world.ask(1, rename(&cid, &n.to_string()));
        world.sent.clear();
    }
    assert!(kept(&world, "ghost") > NOTICES_KEPT_MAX);
    world.wait(Duration::from_secs(60));
    assert_eq!(kept(&world, "ghost"), NOTICES_KEPT_MAX);
    assert!(is_told_to_ask_anew(&mut world, "ghost"));
}

#[test]
fn an_operation_that_changes_much_more_than_it_says_is_not_kept_but_noticed() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.visit("ghost");
    let cid = world.start(1, with_members(&["Tom", "ghost"]));
    let list: Vec<u32> = (0..2_000).collect();
    let update = |data: String| {
        let body = ConvCommand {
            attr: Some(sampan::wire::generated::JsonObjectMessage { data }),
            ..about(&cid, &[])
        };
        Command::conv(Op::Update, body)
    };
    let all = serde_json::to_string(&list).unwrap();
    world.ask(1, update(format!(r#"{{"attr.list":{all}}}"#)));
    assert_eq!(kept(&world, "ghost"), 3);
    assert!(!is_told_to_ask_anew(&mut world, "ghost"));
    world.ask(
        1,
        update(r#"{"attr.list":{"__op":"Add","objects":[7]}}"#.to_owned()),
    );
    assert_eq!(kept(&world, "ghost"), 3);
    assert!(is_told_to_ask_anew(&mut world, "ghost"));
}

#[test]
fn who_was_removed_while_away_learns_it_and_who_was_added_learns_what_came_since() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    for client in ["out", "in"] {
        world.visit(client);
    }
    let cid = world.start(1, with_members(&["Tom", "out"]));
    world.ask(1, rename(&cid, "before"));
    world.ask(1, Command::conv(Op::Remove, about(&cid, &["out"])));
    world.ask(1, Command::conv(Op::Add, about(&cid, &["in"])));
    world.ask(1, rename(&cid, "after"));
    let told = |client| -> Vec<String> {
        let (app, client) = (AppId::new("myApp").unwrap(), ClientId::new(client).unwrap());
        let storage = world.core.storage();
        let missed = now(storage.notifications(&app, &client, Timestamp::ZERO, 99)).unwrap();
        let ops = missed.notifications.iter();
        ops.map(|one| one.item["op"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(told("out"), ["left"]);
    let mut told_in = told("in");
    // The world's clock stands: changes in the millisecond of the joining count as since.
    told_in.retain(|op| op == "joined" || op == "updated");
    assert_eq!(told_in.last().map(String::as_str), Some("updated"));
    assert!(told_in.contains(&"joined".to_owned()));
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
    let settings =
        r#"{"brief":{"retention":{"messages_days":1}},"long":{"retention":{"messages_days":30}}}"#;
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

/// The behaviour of a hosted service: a token is good for a while, and then a repeated send is another message.
#[test]
fn a_repeated_send_is_one_message_for_as_long_as_the_app_has_tokens_remembered() {
    for (settings, ids) in [
        ("{}", 1),
        (r#"{"retention":{"message_tokens_secs":60}}"#, 2),
    ] {
        let mut world = World::with(settings);
        world.open(1, "Tom", OfflineMode::Unread);
        let cid = world.start(1, with_members(&["Tom"]));
        let mut sent = std::collections::BTreeSet::new();
        let mut send = |world: &mut World| {
            let body = DirectCommand {
                cid: Some(cid.clone()),
                msg: Some("hi".to_owned()),
                dt: Some("token".to_owned()),
                ..DirectCommand::default()
            };
            match world.ask(1, Command::direct(body)) {
                Command::Ack(ack) => sent.insert(ack.uid),
                other => panic!("no acknowledgement: {other:?}"),
            }
        };
        assert!(send(&mut world));
        world.wait(Duration::from_secs(59));
        assert!(!send(&mut world), "it is remembered");
        world.wait(Duration::from_secs(2));
        send(&mut world);
        // The last of them is remembered from then on.
        assert!(!send(&mut world));
        assert_eq!(sent.len(), ids, "{settings}");
    }
}
