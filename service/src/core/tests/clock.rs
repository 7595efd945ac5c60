//! The promises to clients hold although the wall clock of the machine goes back.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// Loses its power and comes back with the committed data.
    fn restart(&mut self) {
        self.restart_with("{}");
    }

    /// The same, with these settings.
    fn restart_with(&mut self, settings: &str) {
        let nothing = Core::new(
            MemoryStorage::empty().unwrap(),
            apps("{}"),
            Box::new(Counting(0)),
        );
        let mut storage = std::mem::replace(&mut self.core, nothing).into_storage();
        crate::storage::Storage::rollback(&mut storage);
        self.core = Core::new(storage, apps(settings), Box::new(Counting(1_000_000)));
    }

    /// Says something; its time.
    fn time_of_message(&mut self, connection: u64, cid: &str) -> i64 {
        let body = DirectCommand {
            cid: Some(cid.to_owned()),
            msg: Some("hi".to_owned()),
            ..DirectCommand::default()
        };
        match self.ask(connection, Command::direct(body)) {
            Command::Ack(ack) => ack.t.unwrap(),
            other => panic!("not acknowledged: {other:?}"),
        }
    }

    /// Signs in with the time of the last notification; the counts told, and their time.
    fn unread_at_opening(
        &mut self,
        connection: u64,
        client: &str,
        since: Option<i64>,
    ) -> (BTreeMap<String, i32>, Option<i64>) {
        self.input(Input::Connected {
            connection: ConnectionId(connection),
            mode: OfflineMode::Unread,
        });
        let body = SessionCommand {
            last_unread_notif_time: since,
            ..SessionCommand::default()
        };
        let mut envelope = Envelope::new(Command::session(Op::Open, body));
        envelope.app_id = Some("myApp".to_owned());
        self.sent.clear();
        self.receive(
            connection,
            envelope.with_peer(client).with_serial(Serial(1)),
        );
        let told = self.sent.iter().find_map(|(_, it)| match &it.command {
            Command::Unread(body) => Some(body.clone()),
            _ => None,
        });
        let opened = self.sent.iter().find_map(|(_, it)| it.server_ts);
        let counts = told.as_ref().map(|body| &body.convs).into_iter().flatten();
        (
            counts.map(|it| (it.cid.clone(), it.unread)).collect(),
            opened
                .map(Timestamp::as_millis)
                .max(told.and_then(|it| it.notif_time)),
        )
    }
}

#[test]
fn what_is_said_after_the_clock_went_back_is_later_and_is_told_as_unread() {
    for restarts in [false, true] {
        let mut world = World::with("{}");
        world.open(1, "Tom", OfflineMode::Unread);
        let first = world.start(1, with_members(&["Tom", "Jerry"]));
        let second = world.start(1, with_members(&["Tom", "Jerry"]));
        let before = world.time_of_message(1, &first);
        let (_, since) = world.unread_at_opening(2, "Jerry", None);
        world.input(Input::Lost {
            connection: ConnectionId(2),
        });
        world.at += Duration::from_secs(10);
        world.behind = HOUR;
        if restarts {
            world.restart();
            world.open(1, "Tom", OfflineMode::Unread);
        }
        let after = world.time_of_message(1, &second);
        assert!(after > before);
        let (told, _) = world.unread_at_opening(3, "Jerry", since);
        assert_eq!(told.get(&second), Some(&1), "restarts: {restarts}");
    }
}

#[test]
fn a_mark_that_another_device_set_after_the_clock_went_back_is_told() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    world.time_of_message(1, &cid);
    let (told, since) = world.unread_at_opening(2, "Jerry", None);
    assert_eq!(told.get(&cid), Some(&1));
    world.input(Input::Lost {
        connection: ConnectionId(2),
    });
    world.behind = HOUR;
    world.restart();
    world.open(3, "Jerry", OfflineMode::Unread);
    let read = ReadCommand {
        cid: Some(cid.clone()),
        ..ReadCommand::default()
    };
    world.receive(3, Envelope::new(Command::Read(read)));
    let (told, _) = world.unread_at_opening(4, "Jerry", since);
    assert_eq!(told.get(&cid), Some(&0));
}

#[test]
fn a_signature_is_judged_by_the_wall_clock_however_far_the_own_one_is_ahead() {
    let mut world = World::with(r#"{"signatures":{"login":true}}"#);
    world.at = Duration::from_secs(1_700_000_000);
    world.input(Input::Connected {
        connection: ConnectionId(9),
        mode: OfflineMode::Unread,
    });
    world.behind = HOUR * 24 * 5;
    world.input(Input::Connected {
        connection: ConnectionId(1),
        mode: OfflineMode::Unread,
    });
    let wall = world.at.saturating_sub(world.behind).as_millis();
    let t = i64::try_from(wall).unwrap();
    let signed = format!("myApp:Tom::{t}:nonce1");
    let body = SessionCommand {
        t: Some(t),
        n: Some("nonce1".to_owned()),
        s: Some(sampan::wire::signature::hmac_sha1_hex("master", &signed)),
        ..SessionCommand::default()
    };
    let mut envelope = Envelope::new(Command::session(Op::Open, body));
    envelope.app_id = Some("myApp".to_owned());
    world.receive(1, envelope.with_peer("Tom").with_serial(Serial(1)));
    let (_, answer) = world.sent.remove(0);
    assert_eq!(answer.command.op(), Some(Op::Opened));
}

#[test]
fn messages_that_are_refused_or_not_kept_move_no_clock() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Spike", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom"]));
    let before = world.time_of_message(1, &cid);
    for _ in 0..5_000 {
        assert!(world.say(2, &cid).is_some(), "a stranger spoke");
        let passing = DirectCommand {
            cid: Some(cid.clone()),
            msg: Some("hi".to_owned()),
            transient: Some(true),
            ..DirectCommand::default()
        };
        world.ask(1, Command::direct(passing));
        world.sent.clear();
    }
    assert_eq!(world.time_of_message(1, &cid), before + 1);
}

#[test]
fn a_start_with_a_clock_years_ahead_deletes_nothing_and_the_right_clock_goes_on() {
    let mut world = World::with(r#"{"retention":{"messages_days":30}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom"]));
    world.say(1, &cid);
    let temporary = ConvCommand {
        temp_conv: Some(true),
        temp_conv_ttl: Some(86_400),
        ..with_members(&["Tom", "Jerry"])
    };
    let ends = world.start(1, temporary);
    let right = world.at;
    world.restart_with(r#"{"retention":{"messages_days":30}}"#);
    // The machine's clock shows a time years ahead; the service runs for some hours.
    world.ahead = HOUR * 24 * 365 * 10;
    for _ in 0..5 {
        world.wait(HOUR);
        world.wait(Duration::from_secs(61));
    }
    world.ahead = Duration::ZERO;
    world.restart_with(r#"{"retention":{"messages_days":30}}"#);
    world.at = right + HOUR * 6;
    world.open(1, "Tom", OfflineMode::Unread);
    let logs = LogsCommand {
        cid: Some(cid),
        ..LogsCommand::default()
    };
    let Command::Logs(body) = world.ask(1, Command::logs(logs)) else {
        panic!("no history")
    };
    assert_eq!(body.logs.len(), 1);
    let app = sampan::model::AppId::new("myApp").unwrap();
    let id = sampan::model::ConversationId::new(ends).unwrap();
    let kept = now(crate::storage::Storage::conversation(
        world.core.storage(),
        &app,
        &id,
    ));
    assert!(
        kept.unwrap().is_some(),
        "the temporary conversation is gone"
    );
}
