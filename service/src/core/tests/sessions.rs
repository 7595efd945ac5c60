//! Signing in, by name, signature and token; how tokens and sessions end.

use sampan::model::{AppId, ClientId, ConversationId};
use sampan::wire::signature::{SignedAction, SignedOperation};

use super::*;

const SIGNED: &str = r#"{"signatures":{"login":true,"conversation":true}}"#;

/// A signature as it travels: time, nonce, and the signature itself.
type Signature = (Option<i64>, Option<String>, Option<String>);

fn client(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

impl World {
    /// The answer of the app's own server.
    fn sign(&self, by: &str, action: SignedAction<'_>, nonce: &str) -> Signature {
        let timestamp = i64::try_from(self.at.as_millis()).unwrap();
        let operation = SignedOperation {
            app_id: &AppId::new("myApp").unwrap(),
            client_id: &client(by),
            action,
            timestamp,
            nonce,
        };
        let signature = operation.sign("master");
        (Some(timestamp), Some(nonce.to_owned()), Some(signature))
    }

    /// Opens a session on a new or a standing connection; 0, or the refusing code.
    fn enter(&mut self, connection: u64, client: &str, body: SessionCommand) -> i32 {
        if self.core.registry.link(ConnectionId(connection)).is_none() {
            self.input(Input::Connected {
                connection: ConnectionId(connection),
                mode: OfflineMode::Unread,
            });
        }
        let mut envelope = Envelope::new(Command::session(Op::Open, body)).with_peer(client);
        envelope.app_id = Some("myApp".to_owned());
        self.sent.clear();
        self.receive(connection, envelope.with_serial(Serial(1)));
        let reply = self
            .sent
            .iter()
            .find(|(to, it)| *to == connection && it.serial.is_some());
        match &reply.unwrap().1.command {
            Command::Session { op: Op::Opened, .. } => 0,
            Command::Error(error) => error.code,
            other => panic!("not an answer: {other:?}"),
        }
    }

    fn enter_signed(&mut self, connection: u64, client: &str, nonce: &str) -> i32 {
        let (t, n, s) = self.sign(client, SignedAction::Login, nonce);
        self.enter(
            connection,
            client,
            SessionCommand {
                t,
                n,
                s,
                ..SessionCommand::default()
            },
        )
    }

    fn enter_by_token(&mut self, connection: u64, client: &str, token: &str) -> i32 {
        let (st, r) = (Some(token.to_owned()), Some(true));
        self.enter(
            connection,
            client,
            SessionCommand {
                st,
                r,
                ..SessionCommand::default()
            },
        )
    }

    fn token(&self, client: &str) -> String {
        self.tokens[client].clone()
    }

    /// The status of a request that needs a live session token.
    fn reads_notifications(&mut self, client: &str, token: &str) -> u16 {
        let call = RestCall::Notifications {
            client: client.to_owned(),
            token: Some(token.to_owned()),
            since: Timestamp::ZERO,
            dialect: Dialect::Hyphens,
        };
        self.http(call).status
    }

    #[track_caller]
    fn assert_dead(&mut self, client: &str, token: &str) {
        assert_eq!(self.reads_notifications(client, token), 401, "over HTTP");
        assert_eq!(
            self.enter_by_token(90, client, token),
            4112,
            "on a connection"
        );
    }

    fn refresh(&mut self, connection: u64, signature: Signature) -> i32 {
        let (t, n, s) = signature;
        let body = SessionCommand {
            t,
            n,
            s,
            ..SessionCommand::default()
        };
        match self.ask(connection, Command::session(Op::Refresh, body)) {
            Command::Session {
                op: Op::Refreshed,
                body,
            } => {
                let session = self.core.registry.sessions_on(ConnectionId(connection));
                let client = session.first().unwrap().client.to_string();
                self.tokens.insert(client, body.st.unwrap());
                0
            }
            Command::Error(error) => error.code,
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// The same data under other settings, as after a restart.
    fn restarted(self, settings: &str) -> Self {
        let storage = self.core.into_storage();
        let core = Core::new(storage, apps(settings), Box::new(Counting(100)));
        Self {
            core,
            ..World::with("{}").at(self.at)
        }
    }

    fn at(mut self, at: Duration) -> Self {
        self.at = at;
        self
    }

    /// Revokes over HTTP as a call says, with the master key.
    fn revoke(&mut self, call: RestCall) -> RestAnswer {
        let app = AppId::new("myApp").unwrap();
        let (ticket, request) = (Ticket(2), Box::new(RestRequest { app, call }));
        let effects = self.input(Input::Asked { ticket, request });
        let mut answered = None;
        let mut others = Vec::new();
        for effect in effects {
            match effect {
                Effect::Answer { answer, .. } => answered = Some(*answer),
                other => others.push(other),
            }
        }
        self.take(others);
        answered.expect("an answer")
    }

    /// The codes with which sessions on a connection were taken away.
    fn taken_away(&self, connection: u64) -> Vec<i32> {
        let sent = self.sent.iter().filter(|(to, _)| *to == connection);
        let closed = sent.filter_map(|(_, it)| match &it.command {
            Command::Session {
                op: Op::Closed,
                body,
            } => body.code,
            _ => None,
        });
        closed.collect()
    }
}

#[test]
fn a_token_opens_and_reads_until_its_time_is_over() {
    let mut world = World::with(r#"{"limits":{"session_token_ttl_secs":100}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let token = world.token("Tom");
    world.wait(Duration::from_secs(99));
    assert_eq!(world.reads_notifications("Tom", &token), 200);
    assert_eq!(
        world.reads_notifications("Jerry", &token),
        401,
        "of another client"
    );
    world.wait(Duration::from_secs(2));
    world.assert_dead("Tom", &token);
}

#[test]
fn a_token_ends_with_the_session_that_is_closed() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let token = world.token("Tom");
    world.ask(1, Command::session(Op::Close, SessionCommand::default()));
    world.assert_dead("Tom", &token);
}

#[test]
fn a_token_outlives_a_broken_connection() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let token = world.token("Tom");
    world.input(Input::Lost {
        connection: ConnectionId(1),
    });
    assert_eq!(world.enter_by_token(2, "Tom", &token), 0);
}

#[test]
fn a_token_ends_when_the_session_gets_another_one() {
    let mut world = World::with(r#"{"limits":{"session_token_ttl_secs":100}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let first = world.token("Tom");
    assert_eq!(world.refresh(1, (None, None, None)), 0);
    let second = world.token("Tom");
    world.assert_dead("Tom", &first);
    assert_eq!(world.reads_notifications("Tom", &second), 200);
    // Half of its life is over: the reopening brings a third.
    world.wait(Duration::from_secs(60));
    assert_eq!(world.enter_by_token(2, "Tom", &second), 0);
    assert_ne!(world.token("Tom"), second);
    world.assert_dead("Tom", &second);
}

#[test]
fn a_token_given_without_a_signature_ends_when_signatures_are_switched_on() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let token = world.token("Tom");
    let mut world = world.restarted(SIGNED);
    world.assert_dead("Tom", &token);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    let token = world.token("Tom");
    let mut world = world.restarted(SIGNED);
    assert_eq!(world.enter_by_token(1, "Tom", &token), 0);
}

#[test]
fn tokens_are_not_renewed_for_ever_without_a_signature() {
    let settings = r#"{"signatures":{"login":true},
        "limits":{"session_token_ttl_secs":1000,"session_max_secs":2500}}"#;
    let mut world = World::with(settings);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    for _ in 0..2 {
        world.wait(Duration::from_secs(900));
        assert_eq!(world.refresh(1, (None, None, None)), 0);
    }
    let last = world.token("Tom");
    world.wait(Duration::from_secs(699));
    assert_eq!(world.reads_notifications("Tom", &last), 200);
    world.wait(Duration::from_secs(2));
    world.assert_dead("Tom", &last);
    assert_eq!(world.refresh(1, (None, None, None)), 4112);
    let forged = (Some(1), Some("n".to_owned()), Some("00".to_owned()));
    assert_eq!(world.refresh(1, forged), 4102);
    let again = world.sign("Tom", SignedAction::Login, "n2");
    assert_eq!(world.refresh(1, again), 0);
    let token = world.token("Tom");
    assert_eq!(world.reads_notifications("Tom", &token), 200);
}

#[test]
fn reopening_by_token_does_not_renew_for_ever_either() {
    let settings = r#"{"signatures":{"login":true},
        "limits":{"session_token_ttl_secs":1000,"session_max_secs":2500}}"#;
    let mut world = World::with(settings);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    for connection in 2..4 {
        world.wait(Duration::from_secs(900));
        let token = world.token("Tom");
        assert_eq!(world.enter_by_token(connection, "Tom", &token), 0);
    }
    world.wait(Duration::from_secs(701));
    let token = world.token("Tom");
    world.assert_dead("Tom", &token);
}

#[test]
fn the_operator_revokes_the_tokens_of_a_client_and_ends_its_sessions() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let (tom, jerry) = (world.token("Tom"), world.token("Jerry"));
    world.wait(Duration::from_secs(1));
    let (client, reason) = ("Tom".to_owned(), "spam".to_owned());
    let answer = world.revoke(RestCall::Kick { client, reason });
    assert_eq!((answer.status, answer.body), (200, serde_json::json!({})));
    assert_eq!(world.taken_away(1), [4115]);
    assert!(world.taken_away(2).is_empty());
    let refused = world.ask(1, Command::conv(Op::Query, ConvCommand::default()));
    assert!(matches!(refused, Command::Error(error) if error.code == 4105));
    world.assert_dead("Tom", &tom);
    assert_eq!(world.reads_notifications("Jerry", &jerry), 200);
    // By his name he may come back, as the app wants no signatures.
    world.wait(Duration::from_secs(1));
    world.open(3, "Tom", OfflineMode::Unread);
    let again = world.token("Tom");
    assert_eq!(world.reads_notifications("Tom", &again), 200);
}

#[test]
fn the_operator_revokes_the_tokens_of_an_app_up_to_a_time() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let tom = world.token("Tom");
    world.wait(Duration::from_secs(10));
    let between = Timestamp::from_millis(i64::try_from(world.at.as_millis()).unwrap());
    world.wait(Duration::from_secs(10));
    world.open(2, "Jerry", OfflineMode::Unread);
    let jerry = world.token("Jerry");
    let (client, until) = (None, Some(between));
    let answer = world.revoke(RestCall::Revoke { client, until });
    assert_eq!(answer.body, serde_json::json!({ "sessions": 1 }));
    assert_eq!(
        (world.taken_away(1), world.taken_away(2)),
        (vec![4115], vec![])
    );
    world.assert_dead("Tom", &tom);
    assert_eq!(world.reads_notifications("Jerry", &jerry), 200);
    // An earlier time takes nothing back, and a time to come keeps nobody out.
    let early = Some(Timestamp::ZERO);
    world.revoke(RestCall::Revoke {
        client: None,
        until: early,
    });
    world.assert_dead("Tom", &tom);
    let late = Some(Timestamp::from_millis(i64::MAX));
    world.revoke(RestCall::Revoke {
        client: None,
        until: late,
    });
    world.assert_dead("Jerry", &jerry);
    world.wait(Duration::from_secs(1));
    world.open(3, "Jerry", OfflineMode::Unread);
    let again = world.token("Jerry");
    assert_eq!(world.reads_notifications("Jerry", &again), 200);
}

#[test]
fn a_revocation_is_kept_across_a_restart() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let token = world.token("Tom");
    let client = Some("Tom".to_owned());
    world.revoke(RestCall::Revoke {
        client,
        until: None,
    });
    let mut world = world.restarted("{}");
    world.assert_dead("Tom", &token);
}

#[test]
fn a_login_signature_is_accepted_once_and_again_on_the_connection_that_it_opened() {
    let mut world = World::with(SIGNED);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    assert_eq!(world.enter_signed(2, "Tom", "n1"), 4102);
    world.input(Input::Lost {
        connection: ConnectionId(1),
    });
    assert_eq!(world.enter_signed(3, "Tom", "n1"), 4102);
    assert_eq!(world.enter_signed(4, "Tom", "n2"), 0);
}

#[test]
fn who_was_removed_does_not_come_back_by_the_signature_that_let_him_in() {
    let mut world = World::with(SIGNED);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    assert_eq!(world.enter_signed(2, "Jerry", "n2"), 0);
    let tom = [client("Tom")];
    let (t, n, s) = world.sign("Tom", SignedAction::Start { members: &tom }, "n3");
    let cid = world.start(
        1,
        ConvCommand {
            t,
            n,
            s,
            ..with_members(&["Tom"])
        },
    );
    let conversation = ConversationId::new(&cid).unwrap();
    let jerry = [client("Jerry")];
    let (conversation, members) = (&conversation, jerry.as_slice());
    let invite = SignedAction::Invite {
        conversation,
        members,
    };
    let (t, n, s) = world.sign("Jerry", invite, "n4");
    let join = Command::conv(
        Op::Add,
        ConvCommand {
            t,
            n,
            s,
            ..about(&cid, &["Jerry"])
        },
    );
    assert!(matches!(
        world.ask(2, join.clone()),
        Command::Conv { op: Op::Added, .. }
    ));
    let kick = SignedAction::Kick {
        conversation,
        members,
    };
    let (t, n, s) = world.sign("Tom", kick, "n5");
    world.ask(
        1,
        Command::conv(
            Op::Remove,
            ConvCommand {
                t,
                n,
                s,
                ..about(&cid, &["Jerry"])
            },
        ),
    );
    assert!(matches!(world.ask(2, join), Command::Error(error) if error.code == 4302));
}

#[test]
fn a_start_without_members_has_the_text_of_a_login_and_makes_chat_rooms_only() {
    let mut world = World::with(SIGNED);
    assert_eq!(world.enter_signed(1, "Tom", "n1"), 0);
    let (t, n, s) = world.sign("Tom", SignedAction::Login, "n2");
    let start = ConvCommand {
        t,
        n,
        s,
        ..ConvCommand::default()
    };
    let refused = world.ask(1, Command::conv(Op::Start, start.clone()));
    assert!(matches!(refused, Command::Error(error) if error.code == 4302));
    let transient = Some(true);
    let room = ConvCommand { transient, ..start };
    assert!(matches!(
        world.ask(1, Command::conv(Op::Start, room)),
        Command::Conv { .. }
    ));
}

#[test]
fn s340_pages_of_other_web_origins_are_refused_and_other_programs_are_not_asked() {
    let mut world = World::with(r#"{"origins":["https://chat.example.org/"]}"#);
    let mut enter_from = |connection: u64, origin: Option<&str>| {
        let number = ConnectionId(connection);
        world.input(Input::Connected {
            connection: number,
            mode: OfflineMode::Unread,
        });
        if let Some(origin) = origin {
            world.input(Input::CameFrom {
                connection: number,
                origin: origin.to_owned(),
            });
        }
        world.enter(connection, "Tom", SessionCommand::default())
    };
    assert_eq!(enter_from(1, Some("https://chat.example.org")), 0);
    assert_eq!(enter_from(2, Some("HTTPS://Chat.Example.org")), 0);
    assert_eq!(enter_from(3, None), 0);
    for (connection, other) in [
        (4, "https://evil.example.org"),
        (5, "http://chat.example.org"),
        (6, "https://chat.example.org.evil.example"),
        (7, "null"),
        (8, ""),
    ] {
        assert_eq!(enter_from(connection, Some(other)), 4110, "{other}");
    }
}

/// The answer of `/1.1/rtm/sign`.
fn signed_for(world: &mut World, session_token: &str) -> RestAnswer {
    let session_token = session_token.to_owned();
    world.http(RestCall::Sign(Vouched::ByNobody(session_token)))
}

#[test]
fn nothing_that_is_signed_for_who_has_the_apps_key_opens_anything() {
    let mut world = World::with("{}");
    assert_eq!(signed_for(&mut world, "Tom:Jerry").status, 400);
    let answer = signed_for(&mut world, "Tom");
    assert_eq!(answer.status, 200);
    let text = |key: &str| answer.body[key].as_str().map(str::to_owned);
    let (t, n, s) = (
        answer.body["timestamp"].as_i64(),
        text("nonce"),
        text("signature"),
    );
    assert_eq!(s.as_ref().map(String::len), Some(40));
    // It looks like a signature, and is none when the app wants signatures from now on.
    let at = world.at;
    let mut world = World::with(SIGNED).at(at);
    let body = SessionCommand {
        t,
        n,
        s,
        ..SessionCommand::default()
    };
    assert_eq!(world.enter(1, "Tom", body), 4102);
    let answer = signed_for(&mut world, "Tom");
    assert_eq!(answer.status, 403);
    assert!(answer.body.get("signature").is_none(), "{}", answer.body);
}

#[test]
fn a_log_in_that_the_apps_server_vouched_for_is_signed_for_that_client_alone() {
    let mut world = World::with(SIGNED);
    let tom = || Vouched::ByApp(client("Tom"));
    let signed = |world: &mut World| {
        let answer = world.http(RestCall::Sign(tom()));
        assert_eq!(
            (answer.status, answer.body["client_id"].as_str()),
            (200, Some("Tom"))
        );
        let text = |key: &str| answer.body[key].as_str().map(str::to_owned);
        SessionCommand {
            t: answer.body["timestamp"].as_i64(),
            n: text("nonce"),
            s: text("signature"),
            ..SessionCommand::default()
        }
    };
    let body = signed(&mut world);
    assert_eq!(world.enter(1, "Jerry", body.clone()), 4102);
    assert_eq!(world.enter(2, "Tom", body), 0);
    let odd = RestCall::Sign(Vouched::ByApp(client("Tom:Jerry")));
    assert_eq!(world.http(odd).status, 400);
}

/// Tom opens a session with a device on a connection.
fn open_on(world: &mut World, connection: u64, name: &str, device: &str) {
    let device_id = Some(device.to_owned());
    let body = SessionCommand {
        device_id,
        ..SessionCommand::default()
    };
    assert_eq!(world.enter(connection, name, body), 0);
}

#[test]
fn a_session_that_moves_leaves_the_connection_to_those_who_share_it() {
    let mut world = World::with("{}");
    open_on(&mut world, 1, "Tom", "phone");
    open_on(&mut world, 1, "Jerry", "phone");
    open_on(&mut world, 2, "Tom", "phone");
    assert!(
        world.closed.is_empty(),
        "Jerry is still on the first connection"
    );
    let cid = world.start(1, with_members(&["Jerry"]));
    assert_eq!(world.say(1, &cid), None);
    open_on(&mut world, 2, "Jerry", "phone");
    assert_eq!(world.closed, [1], "nobody is left on it");
}

#[test]
fn the_token_of_a_session_that_moved_ends() {
    let mut world = World::with("{}");
    open_on(&mut world, 1, "Tom", "phone");
    let token = world.token("Tom");
    open_on(&mut world, 2, "Tom", "phone");
    world.assert_dead("Tom", &token);
}

#[test]
fn keys_are_compared_in_constant_time_and_nowhere_else() {
    let app = include_str!("../apps/app.rs");
    let code = app.split("#[cfg(test)]").next().unwrap();
    let compare = code.split("fn same_secret").nth(1).unwrap();
    assert!(
        compare.contains("ct_eq") && !compare.contains("=="),
        "{compare}"
    );
    let is = code.split("pub fn is(").nth(1).unwrap();
    assert!(is.split('}').next().unwrap().contains("same_secret"));
    assert!(!code.contains("PartialEq, Eq)]\npub struct Secret"));
    // Everywhere else a key is something to compute with, and never something to compare.
    for file in [
        include_str!("../apps/signature.rs"),
        include_str!("../apps/token.rs"),
        include_str!("../http/answer.rs"),
    ] {
        let code = file.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| line.contains("expose()")) {
            assert!(!line.contains("==") && !line.contains("!="), "{line}");
        }
    }
}
