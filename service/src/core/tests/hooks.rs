//! Hooks through the core: the questions to an app's own server, the calls that tell it something, and the
//! results of its answers (the protocol, appendix B).

use sampan::wire::generated::{JsonObjectMessage, PatchCommand, PatchItem};
use serde_json::{Map, Value, json};

use super::*;

/// Settings with these hooks.
fn with_hooks(functions: &[&str], strict: bool) -> String {
    let hooks = json!({ "url": "http://127.0.0.1:1", "functions": functions, "strict": strict });
    json!({ "hooks": hooks, "features": { "roles": false } }).to_string()
}

fn world_with(functions: &[&str]) -> World {
    let mut world = World::with(&with_hooks(functions, false));
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    world.told_hooks.clear();
    world
}

impl World {
    /// Sends a command that a hook is asked about, and answers for the hook; answers the question and the
    /// reply.
    #[track_caller]
    fn asked(
        &mut self,
        connection: u64,
        command: Command,
        answer: Option<Value>,
    ) -> (HookCall, Command) {
        self.sent.clear();
        self.receive(connection, Envelope::new(command).with_serial(Serial(7)));
        let (whose, call) = self.asked.pop().expect("a question");
        assert_eq!(whose, connection);
        assert!(self.core.is_asking(ConnectionId(connection)));
        assert!(self.sent.is_empty(), "nothing happens before the answer");
        self.answer(connection, answer);
        let reply = self
            .sent
            .iter()
            .position(|(to, it)| *to == connection && it.serial == Some(Serial(7)));
        let reply = self.sent.remove(reply.expect("a reply")).1.command;
        (call, reply)
    }

    /// A hook answers.
    fn answer(&mut self, connection: u64, answer: Option<Value>) {
        let result = answer.map(|answer| match answer {
            Value::Object(object) => object,
            _ => Map::new(),
        });
        let connection = ConnectionId(connection);
        self.core.hook_answered(connection, result);
        let wall = Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap());
        let effects = now(self.core.go_on(
            Now {
                elapsed: self.at,
                wall,
            },
            connection,
        ));
        now(self.core.commit()).unwrap();
        self.take(effects);
    }

    /// The text of the message that a connection was sent.
    fn text_for(&self, connection: u64) -> Option<String> {
        self.sent.iter().find_map(|(to, it)| match &it.command {
            Command::Direct(body) if *to == connection => body.msg.clone(),
            _ => None,
        })
    }

    /// How the sender was told that its message was altered: the code and the new text.
    fn alteration(&self, connection: u64) -> Option<(Option<i64>, String)> {
        self.sent.iter().find_map(|(to, it)| match &it.command {
            Command::Patch { body, .. } if *to == connection => {
                let item = body.patches.first()?;
                let text = String::from_utf8(item.data.clone()?).ok()?;
                assert!(item.patch_timestamp > item.timestamp);
                Some((item.patch_code, text))
            }
            _ => None,
        })
    }
}

fn say(cid: &str, text: &str) -> Command {
    Command::direct(DirectCommand {
        cid: Some(cid.to_owned()),
        msg: Some(text.to_owned()),
        ..DirectCommand::default()
    })
}

#[track_caller]
fn ack(reply: Command) -> AckCommand {
    match reply {
        Command::Ack(ack) => *ack,
        other => panic!("no acknowledgement: {other:?}"),
    }
}

#[track_caller]
fn refusal(reply: &Command) -> (i32, Option<i32>, Option<String>) {
    match reply {
        Command::Error(error) => (error.code, error.app_code, error.app_msg.clone()),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_hook_is_asked_before_a_message_and_hears_what_is_documented() {
    let mut world = world_with(&["_messageReceived"]);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    let (call, reply) = world.asked(1, say(&cid, "hi"), Some(json!({})));
    assert_eq!(ack(reply).code, None);
    assert_eq!(world.text_for(2).as_deref(), Some("hi"));
    assert_eq!(call.hook.as_str(), "_messageReceived");
    let told = call.parameters;
    assert_eq!(told["fromPeer"], "Tom");
    assert_eq!(told["convId"], json!(cid));
    assert_eq!(told["toPeers"], json!(["Jerry"]));
    assert_eq!(
        (&told["content"], &told["bin"]),
        (&json!("hi"), &json!(false))
    );
    for key in ["transient", "receipt", "timestamp", "system", "sourceIP"] {
        assert!(!told[key].is_null(), "{key}");
    }
}

#[test]
fn a_message_that_a_hook_drops_is_refused_with_the_apps_code_and_reaches_nobody() {
    let mut world = world_with(&["_messageReceived"]);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    let answer = json!({ "drop": true, "code": 4711, "detail": "not here" });
    let (_, reply) = world.asked(1, say(&cid, "hi"), Some(answer));
    let ack = ack(reply);
    assert_eq!(
        (ack.code, ack.app_code, ack.app_msg.as_deref()),
        (Some(4402), Some(4711), Some("not here"))
    );
    assert!(ack.uid.is_some());
    assert_eq!(world.text_for(2), None);
}

#[test]
fn a_hook_changes_what_a_message_says_and_who_gets_it() {
    let mut world = world_with(&["_messageReceived"]);
    world.open(3, "Spike", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry", "Spike"]));
    let answer = json!({ "content": "hello", "code": 7, "toPeers": ["Jerry", "stranger"] });
    let (_, reply) = world.asked(1, say(&cid, "hi"), Some(answer));
    assert_eq!(ack(reply).code, None);
    assert_eq!(world.text_for(2).as_deref(), Some("hello"));
    assert_eq!(world.text_for(3), None);
    assert_eq!(world.alteration(1), Some((Some(7), "hello".to_owned())));
    let logs = |world: &mut World, connection| {
        let cid = Some(cid.clone());
        match world.ask(
            connection,
            Command::logs(LogsCommand {
                cid,
                ..LogsCommand::default()
            }),
        ) {
            Command::Logs(body) => body.logs.len(),
            other => panic!("no history: {other:?}"),
        }
    };
    assert_eq!(
        (
            logs(&mut world, 1),
            logs(&mut world, 2),
            logs(&mut world, 3)
        ),
        (1, 1, 0)
    );
}

#[test]
fn a_message_is_pushed_to_those_only_whom_the_hook_lets_it_go_to() {
    let hooks = json!({ "url": "http://127.0.0.1:1", "functions": ["_messageReceived"] });
    let push = json!({ "enabled": true, "template": { "alert": "x" } });
    let mut world = World::with(&json!({ "hooks": hooks, "push": push }).to_string());
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Jerry", "Spike"]));
    let said = Envelope::new(say(&cid, "hi")).with_serial(Serial(7));
    world.receive(1, said);
    let connection = ConnectionId(1);
    let answer = json!({ "toPeers": ["Spike"] }).as_object().cloned();
    world.core.hook_answered(connection, answer);
    let time = Now {
        elapsed: world.at,
        wall: Timestamp::from_millis(i64::try_from(world.at.as_millis()).unwrap()),
    };
    let effects = now(world.core.go_on(time, connection)).into_iter();
    let pushed = effects.filter_map(|effect| match effect {
        Effect::Push(order) => Some(order.offline),
        _ => None,
    });
    let spike = sampan::model::ClientId::new("Spike").unwrap();
    assert_eq!(pushed.collect::<Vec<_>>(), [[spike]]);
}

#[test]
fn a_hook_that_fails_is_passed_over_unless_the_app_is_strict() {
    for (strict, code) in [(false, None), (true, Some(4402))] {
        let mut world = World::with(&with_hooks(
            &["_messageReceived", "_conversationStart"],
            strict,
        ));
        world.open(1, "Tom", OfflineMode::Unread);
        let start = Command::conv(Op::Start, with_members(&["Tom", "Jerry"]));
        let (_, reply) = world.asked(1, start, Some(json!({})));
        let Command::Conv { body, .. } = reply else {
            panic!("not started: {reply:?}")
        };
        let cid = body.cid.unwrap();
        let (_, reply) = world.asked(1, say(&cid, "hi"), None);
        assert_eq!(ack(reply).code, code, "strict: {strict}");
    }
}

#[test]
fn what_a_hook_rejects_does_not_happen() {
    #![expect(
        clippy::too_many_lines,
        reason = "one hook behind the other, each refused once"
    )]
    let mut world = world_with(&[
        "_conversationStart",
        "_conversationAdd",
        "_conversationRemove",
        "_conversationUpdate",
        "_messageUpdate",
    ]);
    let no = || Some(json!({ "reject": true, "code": 1, "detail": "no" }));
    let rejected = (4305, Some(1), Some("no".to_owned()));
    let start = || Command::conv(Op::Start, with_members(&["Tom", "Jerry"]));
    let (call, reply) = world.asked(1, start(), no());
    assert_eq!(
        (call.hook.as_str(), refusal(&reply)),
        ("_conversationStart", rejected.clone())
    );
    assert_eq!(
        (&call.parameters["initBy"], &call.parameters["members"]),
        (&json!("Tom"), &json!(["Jerry", "Tom"]))
    );
    assert!(world.sent.is_empty(), "nobody is invited");
    let (_, reply) = world.asked(1, start(), Some(json!({})));
    let Command::Conv { body, .. } = reply else {
        panic!("not started")
    };
    let cid = body.cid.unwrap();

    let (call, reply) = world.asked(1, Command::conv(Op::Add, about(&cid, &["Spike"])), no());
    assert_eq!(
        (call.hook.as_str(), refusal(&reply)),
        ("_conversationAdd", rejected.clone())
    );
    let (call, reply) = world.asked(1, Command::conv(Op::Remove, about(&cid, &["Jerry"])), no());
    assert_eq!(
        (call.hook.as_str(), refusal(&reply)),
        ("_conversationRemove", rejected.clone())
    );
    let update = |data: &str| {
        let attr = Some(JsonObjectMessage {
            data: data.to_owned(),
        });
        Command::conv(
            Op::Update,
            ConvCommand {
                attr,
                ..about(&cid, &[])
            },
        )
    };
    let (call, reply) = world.asked(1, update(r#"{"name":"x"}"#), no());
    assert_eq!(
        (call.hook.as_str(), refusal(&reply)),
        ("_conversationUpdate", rejected.clone())
    );
    assert_eq!(call.parameters["attr"], json!({ "name": "x" }));
    let (call, reply) = world.asked(1, Command::conv(Op::Mute, about(&cid, &[])), no());
    assert_eq!(
        (&call.parameters["mute"], refusal(&reply)),
        (&json!(true), rejected)
    );
    // The hook may change the change.
    let (_, reply) = world.asked(
        1,
        update(r#"{"name":"x"}"#),
        Some(json!({ "attr": { "name": "y" } })),
    );
    let Command::Conv { body, .. } = reply else {
        panic!("not updated")
    };
    assert_eq!(body.attr_modified.unwrap().data, r#"{"name":"y"}"#);

    // Quitting is nobody's to refuse.
    assert!(matches!(
        world.ask(2, Command::conv(Op::Remove, about(&cid, &["Jerry"]))),
        Command::Conv { .. }
    ));
    let sent = ack(world.ask(1, say(&cid, "hi")));
    let edit = |recall: bool| {
        let item = PatchItem {
            cid: Some(cid.clone()),
            mid: sent.uid.clone(),
            timestamp: sent.t,
            recall: Some(recall),
            data: (!recall).then(|| b"ho".to_vec()),
            ..PatchItem::default()
        };
        Command::patch(
            Op::Modify,
            PatchCommand {
                patches: vec![item],
                ..PatchCommand::default()
            },
        )
    };
    let (call, reply) = world.asked(1, edit(false), Some(json!({ "drop": true, "code": 2 })));
    assert_eq!(
        (call.hook.as_str(), refusal(&reply)),
        ("_messageUpdate", (4405, Some(2), None))
    );
    assert_eq!(
        (&call.parameters["recall"], &call.parameters["content"]),
        (&json!(false), &json!("ho"))
    );
    let (call, reply) = world.asked(1, edit(true), Some(json!({})));
    assert_eq!(call.parameters["recall"], true);
    assert!(
        matches!(
            reply,
            Command::Patch {
                op: Op::Modified,
                ..
            }
        ),
        "{reply:?}"
    );
}

/// Each item of a command is asked about; the command is done once all answers are there.
#[test]
fn a_command_with_two_questions_asks_both_and_then_does_all() {
    let mut world = world_with(&["_messageUpdate"]);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    let items: Vec<PatchItem> = ["one", "two"]
        .into_iter()
        .map(|text| {
            let sent = ack(world.ask(1, say(&cid, text)));
            PatchItem {
                cid: Some(cid.clone()),
                mid: sent.uid,
                timestamp: sent.t,
                data: Some(format!("{text}!").into_bytes()),
                ..PatchItem::default()
            }
        })
        .collect();
    let patch = Command::patch(
        Op::Modify,
        PatchCommand {
            patches: items,
            ..PatchCommand::default()
        },
    );
    world.sent.clear();
    world.receive(1, Envelope::new(patch).with_serial(Serial(7)));
    world.answer(1, Some(json!({})));
    assert!(world.sent.is_empty(), "the second question is open");
    assert!(world.core.is_asking(ConnectionId(1)));
    world.answer(1, Some(json!({})));
    let changed = world
        .sent
        .iter()
        .filter(|(to, it)| *to == 2 && matches!(it.command, Command::Patch { .. }));
    assert_eq!((changed.count(), world.asked.len()), (2, 2));
}

#[test]
fn a_signature_is_used_once_by_a_command_that_is_decided_twice() {
    use sampan::model::{AppId, ClientId};
    use sampan::wire::signature::{SignedAction, SignedOperation};

    let hooks = json!({ "url": "http://127.0.0.1:1", "functions": ["_conversationStart"] });
    let settings = json!({ "hooks": hooks, "signatures": { "conversation": true } });
    let mut world = World::with(&settings.to_string());
    world.open(1, "Tom", OfflineMode::Unread);
    let members = [ClientId::new("Tom").unwrap()];
    let operation = SignedOperation {
        app_id: &AppId::new("myApp").unwrap(),
        client_id: &members[0],
        action: SignedAction::Start { members: &members },
        timestamp: 1_700_000_000_000,
        nonce: "once",
    };
    let start = ConvCommand {
        t: Some(operation.timestamp),
        n: Some("once".to_owned()),
        s: Some(operation.sign("master")),
        ..with_members(&["Tom"])
    };
    let (_, reply) = world.asked(1, Command::conv(Op::Start, start.clone()), Some(json!({})));
    assert!(matches!(reply, Command::Conv { .. }), "{reply:?}");
    assert_eq!(
        refusal(&world.ask(1, Command::conv(Op::Start, start))).0,
        4302
    );
}

#[test]
fn hooks_are_told_what_happened() {
    let mut world = World::with(&with_hooks(
        &[
            "_clientOnline",
            "_clientOffline",
            "_messageSent",
            "_receiversOffline",
            "_conversationStarted",
            "_conversationAdded",
            "_conversationRemoved",
        ],
        false,
    ));
    let told = |world: &mut World| -> Vec<(&'static str, Value)> {
        let told = std::mem::take(&mut world.told_hooks);
        told.into_iter()
            .map(|call| (call.hook.as_str(), call.parameters))
            .collect()
    };
    world.open(1, "Tom", OfflineMode::Unread);
    let online = told(&mut world);
    assert_eq!(
        (
            online[0].0,
            &online[0].1["peerId"],
            &online[0].1["reconnect"]
        ),
        ("_clientOnline", &json!("Tom"), &json!(0))
    );
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    assert_eq!(
        told(&mut world),
        [("_conversationStarted", json!({ "convId": cid }))]
    );
    world.ask(1, say(&cid, "hi"));
    let sent = told(&mut world);
    assert_eq!(
        (sent[0].0, sent[1].0),
        ("_messageSent", "_receiversOffline")
    );
    assert_eq!(
        (&sent[0].1["onlinePeers"], &sent[0].1["offlinePeers"]),
        (&json!([]), &json!(["Jerry"]))
    );
    assert_eq!(
        (&sent[1].1["offlinePeers"], &sent[1].1["content"]),
        (&json!(["Jerry"]), &json!("hi"))
    );
    world.ask(1, Command::conv(Op::Add, about(&cid, &["Spike"])));
    let added = json!({ "initBy": "Tom", "convId": cid, "members": ["Spike"] });
    assert_eq!(told(&mut world), [("_conversationAdded", added)]);
    world.ask(1, Command::conv(Op::Remove, about(&cid, &["Spike"])));
    assert_eq!(told(&mut world)[0].0, "_conversationRemoved");
    world.open(2, "Jerry", OfflineMode::Unread);
    world.ask(1, say(&cid, "again"));
    let names: Vec<&str> = told(&mut world).into_iter().map(|it| it.0).collect();
    assert_eq!(
        names,
        ["_clientOnline", "_messageSent"],
        "nobody is offline"
    );
    world.ask(2, Command::session(Op::Close, SessionCommand::default()));
    world.lose(1);
    let offline: Vec<(Value, Value)> = told(&mut world)
        .into_iter()
        .map(|it| (it.1["peerId"].clone(), it.1["closeCode"].clone()))
        .collect();
    assert_eq!(
        offline,
        [(json!("Jerry"), json!(1)), (json!("Tom"), json!(2))]
    );
}

#[test]
fn a_connection_that_is_lost_at_a_question_leaves_nothing_and_a_late_answer_is_nothing() {
    let mut world = world_with(&["_messageReceived"]);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    world.receive(1, Envelope::new(say(&cid, "hi")).with_serial(Serial(7)));
    world.lose(1);
    world.sent.clear();
    world.answer(1, Some(json!({})));
    assert_eq!(world.text_for(2), None);
    world.answer(2, Some(json!({})));
}

/// A client that asks for nothing that a hook is asked about does not wait, and neither does anybody else.
#[test]
fn others_go_on_while_a_hook_is_asked() {
    let mut world = world_with(&["_conversationStart"]);
    world.receive(
        1,
        Envelope::new(Command::conv(Op::Start, with_members(&["Tom"]))).with_serial(Serial(7)),
    );
    assert!(world.core.is_asking(ConnectionId(1)));
    assert_eq!(world.ask(2, Command::Echo), Command::Echo);
}

#[test]
fn s343_masked_words_are_masked_for_everybody_and_the_sender_is_told_4408() {
    let mut world = World::with(r#"{"masked_words":["gold"]}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    for (text, masked) in [
        ("free GOLD!", "free ****!"),
        (
            r#"{"_lcattrs":{"tag":"gold"},"_lctext":"gold","_lctype":-1,"gold":1}"#,
            r#"{"_lcattrs":{"tag":"****"},"_lctext":"****","_lctype":-1,"gold":1}"#,
        ),
    ] {
        world.sent.clear();
        let sent = ack(world.ask(1, say(&cid, text)));
        assert_eq!(sent.code, None);
        assert_eq!(world.text_for(2).as_deref(), Some(masked));
        assert_eq!(world.alteration(1), Some((Some(-4408), masked.to_owned())));
        let item = PatchItem {
            cid: Some(cid.clone()),
            mid: sent.uid,
            timestamp: sent.t,
            data: Some(b"pure gold".to_vec()),
            ..PatchItem::default()
        };
        world.sent.clear();
        let patch = PatchCommand {
            patches: vec![item],
            ..PatchCommand::default()
        };
        world.ask(1, Command::patch(Op::Modify, patch));
        assert_eq!(
            world.alteration(1),
            Some((Some(-4408), "pure ****".to_owned()))
        );
        assert_eq!(world.alteration(2), Some((None, "pure ****".to_owned())));
    }
    world.sent.clear();
    world.ask(1, say(&cid, "silver"));
    assert_eq!(
        (world.text_for(2).as_deref(), world.alteration(1)),
        (Some("silver"), None)
    );
}
