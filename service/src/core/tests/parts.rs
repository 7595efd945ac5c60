//! No command holds the core up: each is handled in parts of a bounded cost, and the whole has a
//! bound too, or is refused. Costs are counted, so these tests say the same on every machine.

use sampan::wire::generated::{JsonObjectMessage, ReadTuple};

use super::*;

/// The most that a part may cost: it ends with the first row behind a few thousand, and one row may cost as
/// much as the steps of a pattern over one text.
const PART_MAX: u64 = 15_000;

/// The most that a part that looks at nothing but rows may cost.
const ROWS_PART_MAX: u64 = 8_000;

impl World {
    /// Handles a command in parts; answers the largest cost of one, their sum, and the reply.
    fn parts(&mut self, connection: u64, command: Command) -> (u64, u64, Option<Command>) {
        let envelope = Envelope::new(command).with_serial(Serial(7));
        let connection_id = ConnectionId(connection);
        let time = Now {
            elapsed: self.at,
            wall: Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap()),
        };
        let input = Input::Received {
            connection: connection_id,
            envelope: Box::new(envelope),
        };
        self.core.take_cost();
        self.sent.clear();
        let effects = now(self.core.begin(time, input));
        self.take(effects);
        let mut largest = self.core.take_cost();
        let mut sum = largest;
        while self.core.is_busy(connection_id) {
            let effects = now(self.core.go_on(time, connection_id));
            self.take(effects);
            let cost = self.core.take_cost();
            largest = largest.max(cost);
            sum += cost;
            assert!(sum < 10_000_000, "it does not end");
        }
        now(self.core.commit()).unwrap();
        let reply = self
            .sent
            .iter()
            .find(|(to, it)| *to == connection && it.serial == Some(Serial(7)));
        (largest, sum, reply.map(|(_, it)| it.command.clone()))
    }

    fn with_attributes(&mut self, count: usize, bytes: usize) {
        for number in 0..count {
            let mut dice = number as u64 + 1;
            let text: String = std::iter::repeat_with(|| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if dice >> 40 & 1 == 0 { 'a' } else { 'b' }
            })
            .take(bytes)
            .collect();
            let data = format!(r#"{{"attr":{{"text":"{text}","n":{number}}}}}"#);
            let body = ConvCommand {
                attr: Some(JsonObjectMessage { data }),
                ..with_members(&["Tom", "Jerry"])
            };
            self.start(1, body);
        }
    }
}

fn query(filter: &str) -> Command {
    let body = ConvCommand {
        r#where: Some(JsonObjectMessage {
            data: filter.to_owned(),
        }),
        ..ConvCommand::default()
    };
    Command::conv(Op::Query, body)
}

fn code(reply: Option<&Command>) -> Option<i32> {
    match reply {
        Some(Command::Error(error)) => Some(error.code),
        _ => None,
    }
}

#[test]
fn a_query_by_patterns_is_taken_in_parts_and_refused_when_it_takes_too_much() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.with_attributes(300, 16_000);
    let cheap = query(r#"{"attr.text":{"$regex":"^a|b"},"attr.n":{"$lt":5}}"#);
    let (largest, _, reply) = world.parts(1, cheap);
    assert!(matches!(reply, Some(Command::Conv { .. })), "{reply:?}");
    assert!(largest <= PART_MAX, "{largest}");
    // Each byte leads a large automaton to a state that was never met.
    let costly = r#"{"attr.text":{"$regex":"(?i)\\w{1,9}(a|b)*a(a|b){14}x"}}"#;
    let (largest, sum, reply) = world.parts(1, query(costly));
    assert_eq!(code(reply.as_ref()), Some(4310));
    assert!(largest <= PART_MAX, "{largest}");
    assert!(sum < 1_000_000, "{sum}");
}

#[test]
fn a_query_that_compares_long_lists_is_taken_in_parts() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.with_attributes(100, 2_000);
    let ids: Vec<String> = (0..900).map(|n| format!("\"{n:04}\"")).collect();
    let lists = format!(
        r#"{{"m":{{"$nin":[{}]}},"attr.n":{{"$gte":0}}}}"#,
        ids.join(",")
    );
    let (largest, _, reply) = world.parts(1, query(&lists));
    assert!(matches!(reply, Some(Command::Conv { .. })), "{reply:?}");
    assert!(largest <= PART_MAX, "{largest}");
}

#[test]
fn pages_of_history_are_read_in_parts() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    for _ in 0..3_000 {
        world.say(1, &cid);
        world.sent.clear();
    }
    for of_type in [None, Some(-1)] {
        let page = LogsCommand {
            cid: Some(cid.clone()),
            l: Some(1_000),
            lctype: of_type,
            ..LogsCommand::default()
        };
        let (largest, _, reply) = world.parts(1, Command::logs(page));
        let Some(Command::Logs(body)) = reply else {
            panic!("no history: {reply:?}")
        };
        assert_eq!(body.logs.len(), if of_type.is_none() { 1_000 } else { 0 });
        assert!(largest <= ROWS_PART_MAX, "{of_type:?}: {largest}");
    }
}

#[test]
fn read_marks_and_logins_of_many_conversations_are_handled_in_parts() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let mut cids = Vec::new();
    for _ in 0..400 {
        let cid = world.start(1, with_members(&["Tom", "Jerry"]));
        for _ in 0..5 {
            world.say(1, &cid);
        }
        world.sent.clear();
        cids.push(cid);
    }
    world.input(Input::Connected {
        connection: ConnectionId(2),
        mode: OfflineMode::Unread,
    });
    let open = Command::session(Op::Open, SessionCommand::default());
    let mut envelope = Envelope::new(open)
        .with_peer("Jerry")
        .with_serial(Serial(7));
    envelope.app_id = Some("myApp".to_owned());
    let time = Now {
        elapsed: world.at,
        wall: Timestamp::from_millis(i64::try_from(world.at.as_millis()).unwrap()),
    };
    let connection = ConnectionId(2);
    world.core.take_cost();
    let input = Input::Received {
        connection,
        envelope: Box::new(envelope),
    };
    let effects = now(world.core.begin(time, input));
    world.take(effects);
    let mut parts = 1;
    assert!(world.core.take_cost() <= ROWS_PART_MAX);
    while world.core.is_busy(connection) {
        let effects = now(world.core.go_on(time, connection));
        world.take(effects);
        parts += 1;
        assert!(world.core.take_cost() <= ROWS_PART_MAX);
    }
    assert!(parts > 1);
    let told = world.sent.iter().find_map(|(to, it)| match &it.command {
        Command::Unread(body) if *to == 2 => Some(body.convs.len()),
        _ => None,
    });
    assert_eq!(told, Some(50));
    let convs = cids.iter().map(|cid| ReadTuple {
        cid: cid.clone(),
        ..ReadTuple::default()
    });
    let read = ReadCommand {
        convs: convs.collect(),
        ..ReadCommand::default()
    };
    let (largest, _, _) = world.parts(2, Command::Read(read));
    assert!(largest <= ROWS_PART_MAX, "{largest}");
    let counted = world.sent.iter().filter_map(|(_, it)| match &it.command {
        Command::Unread(body) => Some(body.convs.iter().filter(|it| it.unread == 0).count()),
        _ => None,
    });
    assert_eq!(counted.sum::<usize>(), 400);
}

#[test]
fn a_message_that_comes_during_a_long_login_is_counted_or_told_and_never_lost() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let mut cids = Vec::new();
    for _ in 0..300 {
        let cid = world.start(1, with_members(&["Tom", "Jerry"]));
        world.say(1, &cid);
        cids.push(cid);
    }
    world.input(Input::Connected {
        connection: ConnectionId(2),
        mode: OfflineMode::Unread,
    });
    let open = Command::session(Op::Open, SessionCommand::default());
    let mut envelope = Envelope::new(open)
        .with_peer("Jerry")
        .with_serial(Serial(7));
    envelope.app_id = Some("myApp".to_owned());
    let time = Now {
        elapsed: world.at,
        wall: Timestamp::from_millis(i64::try_from(world.at.as_millis()).unwrap()),
    };
    let input = Input::Received {
        connection: ConnectionId(2),
        envelope: Box::new(envelope),
    };
    world.sent.clear();
    let effects = now(world.core.begin(time, input));
    world.take(effects);
    assert!(world.core.is_busy(ConnectionId(2)));
    let newest = cids.last().unwrap().clone();
    assert_eq!(world.say(1, &newest), None);
    while world.core.is_busy(ConnectionId(2)) {
        let effects = now(world.core.go_on(time, ConnectionId(2)));
        world.take(effects);
    }
    let mut counts = world.sent.iter().filter_map(|(to, it)| match &it.command {
        Command::Unread(body) if *to == 2 => body
            .convs
            .iter()
            .find(|tuple| tuple.cid == newest)
            .map(|tuple| tuple.unread),
        _ => None,
    });
    // The count comes behind the message that was told, and has it.
    assert_eq!(counts.next_back(), Some(2));
}

#[test]
fn a_page_of_a_thousand_long_messages_is_whole() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom"]));
    for _ in 0..1_000 {
        let body = DirectCommand {
            cid: Some(cid.clone()),
            msg: Some("x".repeat(5_000)),
            ..DirectCommand::default()
        };
        world.ask(1, Command::direct(body));
        world.sent.clear();
    }
    let ask = |connection: u64, world: &mut World| {
        let logs = LogsCommand {
            cid: Some(cid.clone()),
            l: Some(1_000),
            ..LogsCommand::default()
        };
        world.parts(connection, Command::logs(logs))
    };
    let (largest, _, reply) = ask(1, &mut world);
    let Some(Command::Logs(page)) = reply else {
        panic!("no history")
    };
    assert_eq!(page.logs.len(), 1_000);
    assert!(largest <= PART_MAX, "a part cost {largest}");
}

#[test]
fn large_pages_are_read_a_few_at_a_time_and_every_one_is_answered() {
    const READERS: u64 = 12;
    let mut world = World::with("{}");
    for connection in 1..=READERS {
        world.open(connection, &format!("c{connection}"), OfflineMode::Unread);
    }
    let names: Vec<String> = (1..=READERS).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let cid = world.start(1, with_members(&names));
    for _ in 0..300 {
        let body = DirectCommand {
            cid: Some(cid.clone()),
            msg: Some("x".repeat(5_000)),
            ..DirectCommand::default()
        };
        world.ask(1, Command::direct(body));
        world.sent.clear();
    }
    let time = Now {
        elapsed: world.at,
        wall: Timestamp::from_millis(i64::try_from(world.at.as_millis()).unwrap()),
    };
    for connection in 1..=READERS {
        let logs = LogsCommand {
            cid: Some(cid.clone()),
            l: Some(1_000),
            ..LogsCommand::default()
        };
        let envelope = Box::new(Envelope::new(Command::logs(logs)).with_serial(Serial(7)));
        let connection = ConnectionId(connection);
        let effects = now(world.core.begin(
            time,
            Input::Received {
                connection,
                envelope,
            },
        ));
        world.take(effects);
    }
    let mut most = 0;
    while (1..=READERS).any(|connection| world.core.is_busy(ConnectionId(connection))) {
        for connection in 1..=READERS {
            let effects = now(world.core.go_on(time, ConnectionId(connection)));
            world.take(effects);
        }
        most = most.max(world.core.bytes_begun());
    }
    let answers = world
        .sent
        .iter()
        .filter(|(_, it)| it.serial == Some(Serial(7)));
    assert_eq!(answers.count() as u64, READERS);
    assert!(
        most > 0 && most <= 32 * 1024 * 1024,
        "{most} bytes were half read"
    );
}

/// Keeps messages of a type, the newest last; answers the time behind the last.
fn keep_typed(world: &mut World, cid: &str, from: i64, count: i64, of_type: i32) -> i64 {
    let app = sampan::model::AppId::new("myApp").unwrap();
    let cid = sampan::model::ConversationId::new(cid).unwrap();
    let writes = (from..from + count).map(|at| {
        let message = crate::storage::Message {
            id: sampan::model::MessageId::new(format!("m{at}")).unwrap(),
            sent_at: Timestamp::from_millis(at),
            from: sampan::model::ClientId::new("Tom").unwrap(),
            body: crate::storage::Body::Text(format!(r#"{{"_lctype":{of_type}}}"#)),
            wants_receipt: false,
            mention_all: false,
            mentions: Vec::new(),
            patched_at: None,
            recalled: false,
            delivered_at: None,
            read_at: None,
            token: None,
            only_for: Vec::new(),
        };
        crate::storage::Write::PutMessage(app.clone(), cid.clone(), message)
    });
    let writes: Vec<_> = writes.collect();
    now(crate::storage::Storage::apply(
        &mut world.core.storage,
        writes,
    ))
    .unwrap();
    now(world.core.commit()).unwrap();
    from + count
}

#[test]
fn history_by_type_goes_on_behind_many_messages_of_other_types() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Jerry"]));
    let at = keep_typed(&mut world, &cid, 1_000, 2, -2);
    keep_typed(&mut world, &cid, at, 12_000, -1);
    // The storage's work of keeping them is counted with the next command.
    world.parts(1, query("{}"));
    let logs = LogsCommand {
        cid: Some(cid),
        lctype: Some(-2),
        l: Some(2),
        ..LogsCommand::default()
    };
    let (largest, _, reply) = world.parts(1, Command::logs(logs));
    let Some(Command::Logs(page)) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(page.logs.len(), 2);
    assert!(largest <= ROWS_PART_MAX, "{largest}");
}
