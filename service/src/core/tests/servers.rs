//! An app's own servers act over HTTP, and clients see it (the protocol, section 10.4).

use sampan::model::AppId;
use sampan::wire::signature::KeyKind;
use serde_json::{Value, json};

use super::*;
use crate::storage::Kind;

/// Unread counts by conversation.
pub(super) type Counts = Vec<(String, i32)>;

/// Messages as conversation and text.
pub(super) type Texts = Vec<(String, String)>;

/// A request under construction.
pub(super) struct Request(ServerRequest);

pub(super) fn request(call: ServerCall) -> Request {
    Request(ServerRequest {
        call,
        path: BTreeMap::new(),
        query: BTreeMap::new(),
        body: Value::Null,
        key: KeyKind::Master,
    })
}

impl Request {
    pub(super) fn of(mut self, id: &str) -> Self {
        self.0.path.insert("id".to_owned(), id.to_owned());
        self
    }

    pub(super) fn part(mut self, key: &str, value: &str) -> Self {
        self.0.path.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn query(mut self, key: &str, value: impl ToString) -> Self {
        self.0.query.insert(key.to_owned(), value.to_string());
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.0.body = body;
        self
    }

    pub(super) fn by_app_key(mut self) -> Self {
        self.0.key = KeyKind::App;
        self
    }
}

impl World {
    /// Asks as the app's own server; commands that clients are told stay in `sent`.
    pub(super) fn server(&mut self, request: Request) -> RestAnswer {
        self.sent.clear();
        let app = AppId::new("myApp").unwrap();
        let call = RestCall::Server(Box::new(request.0));
        let request = Box::new(RestRequest { app, call });
        let mut answer = None;
        let mut rest = Vec::new();
        for effect in self.input(Input::Asked {
            ticket: Ticket(1),
            request,
        }) {
            match effect {
                Effect::Answer { answer: came, .. } => answer = Some(*came),
                other => rest.push(other),
            }
        }
        self.take(rest);
        answer.expect("an answer")
    }

    /// Asks, and expects it to work.
    #[track_caller]
    pub(super) fn done(&mut self, request: Request) -> Value {
        let answer = self.server(request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Asks, and expects a refusal; answers its code.
    #[track_caller]
    pub(super) fn refused(&mut self, request: Request) -> i64 {
        let answer = self.server(request);
        assert!((400..500).contains(&answer.status), "{answer:?}");
        answer.body["code"].as_i64().unwrap()
    }

    /// The messages that a connection was sent last, as conversation and text.
    pub(super) fn heard(&self, connection: u64) -> Vec<(String, String)> {
        let told = self.sent.iter().filter(|(to, _)| *to == connection);
        told.filter_map(|(_, it)| match &it.command {
            Command::Direct(body) => Some((body.cid.clone().unwrap(), body.msg.clone().unwrap())),
            _ => None,
        })
        .collect()
    }

    /// The texts that a client reads in a conversation's history.
    pub(super) fn history(&mut self, connection: u64, cid: &str) -> Vec<String> {
        let logs = LogsCommand {
            cid: Some(cid.to_owned()),
            ..LogsCommand::default()
        };
        match self.ask(connection, Command::logs(logs)) {
            Command::Logs(body) => body.logs.into_iter().map(|it| it.data.unwrap()).collect(),
            other => panic!("no history: {other:?}"),
        }
    }

    /// The operations that a connection was told of conversations.
    pub(super) fn told(&self, connection: u64) -> Vec<Op> {
        let told = self.sent.iter().filter(|(to, _)| *to == connection);
        told.filter_map(|(_, it)| match &it.command {
            Command::Conv { op, .. } => Some(*op),
            _ => None,
        })
        .collect()
    }

    pub(super) fn create(&mut self, kind: Kind, body: Value) -> String {
        let made = self.done(request(ServerCall::Create(kind)).body(body));
        made["objectId"].as_str().unwrap().to_owned()
    }

    /// The unread counts that a fresh sign-in is told, and the messages that it is sent.
    pub(super) fn sign_in(&mut self, connection: u64, client: &str) -> (Counts, Texts) {
        self.sent.clear();
        self.open(connection, client, OfflineMode::Unread);
        let counts = self.sent.iter().filter_map(|(_, it)| match &it.command {
            Command::Unread(body) => Some(body.convs.iter().map(|it| (it.cid.clone(), it.unread))),
            _ => None,
        });
        (counts.flatten().collect(), self.heard(connection))
    }
}

pub(super) fn text(from: &str, message: &str) -> Value {
    json!({ "from_client": from, "message": message })
}

#[test]
fn conversations_of_all_kinds_are_made_found_changed_and_deleted() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    for (kind, id) in [
        (Kind::Normal, "a".repeat(24)),
        (Kind::Room, "b".repeat(24)),
        (Kind::System, "c".repeat(24)),
    ] {
        let body =
            json!({ "objectId": id, "name": "Tea", "m": ["Tom"], "attr": { "topic": "leaves" } });
        assert_eq!(world.create(kind, body.clone()), id, "with a given id");
        let twice = request(ServerCall::Create(kind)).body(body);
        assert_eq!(world.refused(twice), 1, "the id is taken");
        let generated = world.create(kind, json!({ "name": "other" }));
        assert_eq!(generated.len(), 24);

        let found = |world: &mut World, call, conditions: Value| -> Vec<String> {
            let rows = world.done(request(call).query("where", conditions));
            let rows = rows["results"].as_array().unwrap().iter();
            rows.map(|row| row["objectId"].as_str().unwrap().to_owned())
                .collect()
        };
        let tea = json!({ "name": "Tea" });
        assert_eq!(
            found(&mut world, ServerCall::Find(Some(kind)), tea.clone()),
            std::slice::from_ref(&id)
        );
        assert!(found(&mut world, ServerCall::Find(None), tea).contains(&id));

        let change = request(ServerCall::Change(kind))
            .of(&id)
            .body(json!({ "name": "Coffee", "attr.topic": "beans" }));
        let changed = world.done(change);
        assert_eq!(changed["objectId"], json!(id));
        assert!(changed["updatedAt"].as_str().unwrap().ends_with('Z'));
        assert_eq!(world.told(1).contains(&Op::Updated), kind == Kind::Normal);
        let beans = json!({ "attr.topic": "beans" });
        assert_eq!(
            found(&mut world, ServerCall::Find(Some(kind)), beans),
            std::slice::from_ref(&id)
        );
        let reserved = request(ServerCall::Change(kind))
            .of(&id)
            .body(json!({ "m": ["Spike"] }));
        assert_eq!(world.refused(reserved), 4307);

        let of_another_kind = request(ServerCall::Delete(match kind {
            Kind::Normal => Kind::Room,
            _ => Kind::Normal,
        }));
        assert_eq!(world.refused(of_another_kind.of(&id)), 4303);
        assert_eq!(
            world.done(request(ServerCall::Delete(kind)).of(&id)),
            json!({})
        );
        assert_eq!(
            world.refused(request(ServerCall::Delete(kind)).of(&id)),
            4303
        );
        assert_eq!(world.say(1, &id), Some(4401));
    }
    for odd in [
        "A".repeat(24),
        "a".repeat(23),
        "_tmp:1".to_owned(),
        "0".repeat(32),
    ] {
        let body = json!({ "objectId": odd });
        let create = request(ServerCall::Create(Kind::Normal)).body(body);
        assert_eq!(world.refused(create), 1, "{odd}");
    }
}

#[test]
fn a_unique_conversation_is_made_once_and_its_members_are_told() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let body = json!({ "m": ["Tom", "Jerry"], "unique": true, "name": "both" });
    let first = world.done(request(ServerCall::Create(Kind::Normal)).body(body.clone()));
    assert_eq!(world.told(1), [Op::Joined, Op::MembersJoined]);
    let again = world.done(request(ServerCall::Create(Kind::Normal)).body(body));
    assert_eq!(world.told(1), []);
    assert_eq!(again, first);
    for key in ["unique", "uniqueId", "updatedAt", "m", "name", "createdAt"] {
        assert!(!first[key].is_null(), "{key}: {first}");
    }
    // It is the one that a client finds, too.
    let unique = Some(true);
    let found = world.start(
        1,
        ConvCommand {
            unique,
            ..with_members(&["Jerry"])
        },
    );
    assert_eq!(json!(found), first["objectId"]);
}

#[test]
fn members_are_added_listed_muted_and_removed() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let id = world.create(Kind::Normal, json!({ "m": ["Tom"] }));
    let clients = |names: &[&str]| json!({ "client_ids": names });
    let add = request(ServerCall::AddMembers)
        .of(&id)
        .body(clients(&["Jerry"]));
    assert!(world.done(add)["updatedAt"].is_string());
    assert_eq!(world.told(1), [Op::MembersJoined]);
    assert_eq!(world.told(2), [Op::Joined, Op::MembersJoined]);
    let list = |world: &mut World, call| world.done(request(call).of(&id))["result"].clone();
    assert_eq!(
        list(&mut world, ServerCall::ListMembers(Kind::Normal)),
        json!(["Jerry", "Tom"])
    );

    world.done(
        request(ServerCall::Mute)
            .of(&id)
            .body(clients(&["Jerry", "stranger"])),
    );
    assert_eq!(list(&mut world, ServerCall::ListMuted), json!(["Jerry"]));
    world.done(
        request(ServerCall::Unmute)
            .of(&id)
            .body(clients(&["Jerry"])),
    );
    assert_eq!(list(&mut world, ServerCall::ListMuted), json!([]));

    world.done(
        request(ServerCall::RemoveMembers)
            .of(&id)
            .body(clients(&["Jerry"])),
    );
    assert_eq!(world.told(2), [Op::Left]);
    assert_eq!(
        list(&mut world, ServerCall::ListMembers(Kind::Normal)),
        json!(["Tom"])
    );
    let nobody = request(ServerCall::AddMembers).of(&id).body(clients(&[]));
    assert_eq!(world.refused(nobody), 1);
    let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    let many = request(ServerCall::AddMembers)
        .of(&id)
        .body(json!({ "client_ids": many }));
    assert_eq!(world.refused(many), 1);
}

#[test]
fn a_message_in_a_clients_name_reaches_the_members_and_the_clients_own_devices() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    world.open(3, "Tom", OfflineMode::Unread);
    let id = world.create(Kind::Normal, json!({ "m": ["Jerry"] }));
    // Tom is no member: nobody asks.
    let send = |body: Value| request(ServerCall::Send(Kind::Normal)).of(&id).body(body);
    let sent = world.done(send(text("Tom", "hi")));
    let hi = vec![(id.clone(), "hi".to_owned())];
    for connection in [1, 2, 3] {
        assert_eq!(world.heard(connection), hi, "connection {connection}");
    }
    let kept = world.history(2, &id);
    assert_eq!(kept, ["hi"]);
    let mut quiet = text("Tom", "quiet");
    quiet["no_sync"] = true.into();
    quiet["transient"] = true.into();
    world.done(send(quiet));
    assert_eq!((world.heard(1).len(), world.heard(2).len()), (0, 1));
    assert_eq!(world.history(2, &id), ["hi"], "what passes is not kept");

    let mut mention = text("Tom", "you");
    mention["mention_client_ids"] = json!(["Jerry"]);
    world.done(send(mention));
    let body = world.sent.iter().find_map(|(to, it)| match &it.command {
        Command::Direct(body) if *to == 2 => Some(body.mention_pids.clone()),
        _ => None,
    });
    assert_eq!(body, Some(vec!["Jerry".to_owned()]));

    let mid = sent["msg-id"].as_str().unwrap().to_owned();
    let at = sent["timestamp"].as_i64().unwrap();
    let patch = |call, from: &str, message: Option<&str>| {
        let body = json!({ "from_client": from, "message": message, "timestamp": at });
        request(call).of(&id).part("message", &mid).body(body)
    };
    assert_eq!(
        world.refused(patch(ServerCall::Edit(Kind::Normal), "Jerry", Some("no"))),
        4403
    );
    world.done(patch(ServerCall::Edit(Kind::Normal), "Tom", Some("hello")));
    assert!(world.sent.iter().any(|(to, it)| *to == 2 && matches!(it.command, Command::Patch { op: Op::Modify, .. })));
    assert_eq!(world.history(2, &id)[0], "hello");
    world.done(patch(ServerCall::Recall(Kind::Normal), "Tom", None));
    assert_eq!(world.history(2, &id)[0], r#"{"_lctype":-127}"#);
    let delete = || {
        request(ServerCall::DeleteMessage(Kind::Normal))
            .of(&id)
            .part("message", &mid)
            .query("from_client", "Tom")
            .query("timestamp", at)
    };
    world.done(delete());
    assert_eq!(world.sent.len(), 0, "clients hear nothing");
    assert_eq!(world.history(2, &id), ["you"]);
    assert_eq!(world.refused(delete()), 4404);

    for (bad, code) in [
        (json!({ "message": "nobody" }), 1),
        (json!({ "from_client": "Tom" }), 1),
        (text("Tom", &"x".repeat(5 * 1024 + 1)), 4109),
        (text("", "x"), 1),
        (json!("no object"), 1),
    ] {
        assert_eq!(world.refused(send(bad.clone())), code, "{bad}");
    }
}

#[test]
fn a_chat_room_is_served_to_those_inside_it() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let id = world.create(Kind::Room, json!({ "name": "pier" }));
    assert_eq!(world.told(1), [], "S110: nobody is told of a chat room");
    world.ask(1, Command::conv(Op::Add, about(&id, &["Tom"])));
    let count = world.done(request(ServerCall::CountInside).of(&id));
    assert_eq!(count, json!({ "result": 1 }));
    let inside = world.done(request(ServerCall::ListMembers(Kind::Room)).of(&id));
    assert_eq!(inside, json!({ "result": ["Tom"] }));
    let send = request(ServerCall::Send(Kind::Room))
        .of(&id)
        .body(text("Jerry", "ahoy"));
    world.done(send);
    assert_eq!(world.heard(1), [(id.clone(), "ahoy".to_owned())]);
    assert_eq!(world.heard(2), [], "the sender gets no copy");
    world.done(request(ServerCall::Delete(Kind::Room)).of(&id));
    assert_eq!(world.say(1, &id), Some(4401));
}

#[test]
fn clients_are_counted_and_their_unread_messages_too() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let first = world.start(1, with_members(&["Tom", "Jerry"]));
    let second = world.start(1, with_members(&["Tom", "Jerry"]));
    world.say(1, &first);
    world.say(1, &first);
    world.say(1, &second);
    let unread = |world: &mut World, request: Request| world.done(request)["count"].clone();
    let of_all = || request(ServerCall::CountUnread).of("Jerry").by_app_key();
    assert_eq!(unread(&mut world, of_all()), 3);
    assert_eq!(unread(&mut world, of_all().query("conv_id", &first)), 2);
    let ask = request(ServerCall::CheckOnline).body(json!({ "client_ids": ["Tom", "Jerry"] }));
    assert_eq!(world.done(ask), json!({ "results": ["Tom"] }));
    world.open(2, "Jerry", OfflineMode::Unread);
    world.lose(2);
    let figures = world.done(request(ServerCall::Count));
    assert_eq!(
        figures,
        json!({ "result": { "online_user_count": 1, "user_count_today": 2 } })
    );
    world.wait(Duration::from_secs(86_400));
    let figures = world.done(request(ServerCall::Count));
    assert_eq!(figures["result"]["user_count_today"], 0);
}

/// The app's key is in every client: where an app has its logins signed it opens nothing of others.
#[test]
fn the_apps_key_subscribes_nobody_where_logins_are_signed() {
    let mut world = World::with(r#"{"signatures":{"login":true}}"#);
    let id = world.create(Kind::System, json!({}));
    let subscribe = || {
        request(ServerCall::Subscribe)
            .of(&id)
            .body(json!({ "client_id": "Tom" }))
    };
    let unread = || request(ServerCall::CountUnread).of("Tom");
    assert_eq!(world.server(subscribe().by_app_key()).status, 401);
    assert_eq!(world.server(unread().by_app_key()).status, 401);
    world.done(subscribe());
    world.done(unread());
}

#[test]
fn nobody_signs_in_under_the_name_of_the_operator() {
    let mut world = World::with("{}");
    let room = world.create(Kind::Room, json!({}));
    let opened = world.open_watching(1, "_operator", SessionCommand::default());
    assert_eq!(opened, Err(4103));
    assert!(!room.is_empty());
}
