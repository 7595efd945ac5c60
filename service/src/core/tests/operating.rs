//! Rates, clients that are barred, sessions on a list, and the end of everything that a client left.

use serde_json::{Value, json};

use sampan::wire::generated::JsonObjectMessage;

use super::servers::request;
use super::*;

impl World {
    /// Sends a text; answers the code of the refusal.
    fn say_text(&mut self, connection: u64, cid: &str, text: &str) -> Option<i32> {
        let body = DirectCommand {
            cid: Some(cid.to_owned()),
            msg: Some(text.to_owned()),
            ..DirectCommand::default()
        };
        match self.ask(connection, Command::direct(body)) {
            Command::Ack(ack) => ack.code,
            Command::Error(error) => Some(error.code),
            other => panic!("not acknowledged: {other:?}"),
        }
    }

    /// The code of the last refusal on a connection.
    fn last_refusal(&self, connection: u64) -> Option<i32> {
        let mut told = self.sent.iter().rev().filter(|(to, _)| *to == connection);
        told.find_map(|(_, it)| match &it.command {
            Command::Error(error) => Some(error.code),
            _ => None,
        })
    }

    /// The code that an opening on a new connection is refused with.
    fn opening(&mut self, connection: u64, client: &str) -> Option<i32> {
        self.sent.clear();
        self.open(connection, client, OfflineMode::Unread);
        self.last_refusal(connection)
    }
}

#[test]
fn sends_over_the_rate_are_refused_until_the_minute_ends() {
    let mut world = World::with(r#"{"rates":{"sends":2,"app_sends":3}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    let codes: Vec<_> = (0..3).map(|_| world.say_text(1, &cid, "hi")).collect();
    assert_eq!(codes, [None, None, Some(4116)]);
    // Jerry has a rate of his own, and one with Tom together.
    let codes: Vec<_> = (0..2).map(|_| world.say_text(2, &cid, "hi")).collect();
    assert_eq!(codes, [None, Some(4116)]);
    world.wait(Duration::from_secs(60));
    assert_eq!(world.say_text(1, &cid, "hi"), None);
}

#[test]
fn messages_to_peers_count_as_those_to_conversations() {
    let mut world = World::with(r#"{"rates":{"sends":2}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let peers = || vec!["Jerry".to_owned()];
    let watch = SessionCommand {
        session_peer_ids: peers(),
        ..SessionCommand::default()
    };
    world.ask(1, Command::session(Op::Add, watch));
    let mut say = || {
        let body = DirectCommand {
            to_peer_ids: peers(),
            msg: Some("hi".to_owned()),
            ..DirectCommand::default()
        };
        match world.ask(1, Command::direct(body)) {
            Command::Ack(ack) => ack.code,
            other => panic!("not acknowledged: {other:?}"),
        }
    };
    assert_eq!([say(), say(), say()], [None, None, Some(4116)]);
}

#[test]
fn the_preset_has_the_rates_of_the_hosted_service() {
    let mut world = World::with(r#"{"rates":{"preset":"hosted"}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    // The start counts as another operation.
    let cid = world.start(1, with_members(&["Tom"]));
    let mut refused = |command: &dyn Fn() -> Command| {
        let mut count = 0;
        loop {
            let code = match world.ask(1, command()) {
                Command::Error(error) => Some(error.code),
                Command::Ack(ack) => ack.code,
                _ => None,
            };
            match code {
                Some(code) => return (count, code),
                None => count += 1,
            }
            assert!(count < 1000, "it is never refused");
        }
    };
    let direct = DirectCommand {
        cid: Some(cid.clone()),
        msg: Some("hi".to_owned()),
        ..DirectCommand::default()
    };
    let logs = LogsCommand {
        cid: Some(cid.clone()),
        ..LogsCommand::default()
    };
    assert_eq!(refused(&|| Command::direct(direct.clone())), (60, 4116));
    assert_eq!(refused(&|| Command::logs(logs.clone())), (120, 4318));
    assert_eq!(
        refused(&|| Command::conv(Op::Count, about(&cid, &[]))),
        (29, 4318)
    );
    // A heartbeat is not counted.
    assert_eq!(world.ask(1, Command::Echo), Command::Echo);
}

#[test]
fn who_is_barred_hears_it_and_is_kept_out_until_the_time_ends_or_the_operator_lets_it_in() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let until = i64::try_from((world.at + Duration::from_secs(100)).as_millis()).unwrap();
    let bar = request(ServerCall::Bar).of("Tom");
    assert_eq!(
        world.done(bar.body(json!({ "until": until })))["sessions"],
        1
    );
    let told = world.sent.last().map(|(_, it)| it.command.clone());
    assert!(
        matches!(&told, Some(Command::Session { op: Op::Closed, body }) if body.code == Some(4115)),
        "{told:?}"
    );
    assert_eq!(world.opening(2, "Tom"), Some(4106));
    assert_eq!(world.opening(3, "Jerry"), None);
    world.wait(Duration::from_secs(101));
    assert_eq!(world.opening(4, "Tom"), None);
    world.done(request(ServerCall::Bar).of("Tom"));
    world.wait(Duration::from_secs(1_000_000));
    assert_eq!(world.opening(5, "Tom"), Some(4106));
    world.done(request(ServerCall::Unbar).of("Tom"));
    assert_eq!(world.opening(6, "Tom"), None);
    // A token that is revoked later does not let a barred client in.
    world.done(request(ServerCall::Bar).of("Tom"));
    world.http(RestCall::Revoke {
        client: Some("Tom".to_owned()),
        until: None,
    });
    assert_eq!(world.opening(7, "Tom"), Some(4106));
    let past = request(ServerCall::Bar)
        .of("Tom")
        .body(json!({ "until": 5 }));
    assert_eq!(world.refused(past), 1);
}

#[test]
fn the_list_of_sessions_has_each_once_whatever_the_page() {
    let mut world = World::with("{}");
    for (connection, client) in [(1, "b"), (2, "a"), (3, "c"), (4, "b")] {
        world.open(connection, client, OfflineMode::Unread);
    }
    let row = |row: &Value| {
        let client = row["client_id"].as_str().unwrap().to_owned();
        (client, row["connection"].as_u64().unwrap())
    };
    let all = [("a", 2), ("b", 1), ("b", 4), ("c", 3)].map(|(client, on)| (client.to_owned(), on));
    for limit in 1..=5 {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut page = request(ServerCall::ListSessions).query("limit", limit);
            if let Some(cursor) = &cursor {
                page = page.query("cursor", cursor);
            }
            let page = world.done(page);
            found.extend(page["results"].as_array().unwrap().iter().map(row));
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, all, "by {limit}");
    }
    let of_b = world.done(request(ServerCall::ListSessions).query("client_id", "b"));
    assert_eq!(of_b["results"].as_array().unwrap().len(), 2);
}

#[test]
fn an_erased_client_leaves_nothing_and_others_keep_what_is_theirs() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let mut unique = with_members(&["Tom", "Jerry"]);
    unique.unique = Some(true);
    let pair = world.start(2, unique.clone());
    let long = world.start(2, with_members(&["Tom", "Jerry"]));
    for number in 0..1200 {
        let (connection, text) = if number % 3 == 0 {
            (2, "mine")
        } else {
            (1, "yours")
        };
        assert_eq!(world.say_text(connection, &long, text), None);
    }
    assert_eq!(world.say_text(1, &pair, "yours"), None);
    let (mut cursor, mut calls, mut sum) = (None::<String>, 0, [0; 3]);
    loop {
        let mut part = request(ServerCall::Erase).of("Tom");
        if let Some(cursor) = &cursor {
            part = part.query("cursor", cursor);
        }
        let part = world.done(part);
        for (sum, what) in sum.iter_mut().zip(["messages", "memberships", "sessions"]) {
            *sum += part[what].as_u64().unwrap();
        }
        calls += 1;
        cursor = part["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        assert!(calls < 100, "it does not end");
    }
    assert!(calls > 1, "so many messages are no part");
    assert_eq!(sum, [801, 2, 1]);
    let history = world.history(2, &long);
    assert!(
        !history.is_empty() && history.iter().all(|text| text == "mine"),
        "{history:?}"
    );
    assert!(world.history(2, &pair).is_empty());
    // Nobody finds the pair of two by its members any more.
    world.open(3, "Tom", OfflineMode::Unread);
    assert_ne!(world.start(2, unique), pair);
    let of_tom = ConvCommand {
        r#where: Some(JsonObjectMessage {
            data: r#"{"m":"Tom"}"#.to_owned(),
        }),
        ..ConvCommand::default()
    };
    let Command::Conv { body, .. } = world.ask(3, Command::conv(Op::Query, of_tom)) else {
        panic!("no results")
    };
    let rows: Value = serde_json::from_str(&body.results.unwrap().data).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1, "only the new pair");
}
