//! Service conversations over HTTP: their subscribers, messages to some of them, and broadcasts.

use sampan::wire::generated::JsonObjectMessage;
use serde_json::{Value, json};

use super::servers::{request, text};
use super::*;
use crate::storage::Kind;

#[test]
fn s010_s070_subscribers_of_a_service_get_its_messages_and_others_do_not() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let id = world.create(Kind::System, json!({ "name": "News" }));
    let subscribe = Command::conv(Op::Add, about(&id, &["Tom"]));
    assert!(matches!(
        world.ask(1, subscribe),
        Command::Conv { op: Op::Added, .. }
    ));
    world.done(
        request(ServerCall::Subscribe)
            .of(&id)
            .body(json!({ "client_id": "Spike" }))
            .by_app_key(),
    );
    let count = world.done(request(ServerCall::CountSubscribers).of(&id));
    assert_eq!(count, json!({ "count": 2 }));
    let rows = world.done(
        request(ServerCall::ListSubscribers)
            .of(&id)
            .query("limit", 1),
    );
    assert_eq!(
        (
            rows.as_array().unwrap().len(),
            &rows[0]["subscriber"],
            &rows[0]["conv_id"]
        ),
        (1, &json!("Spike"), &json!(id))
    );
    let rows = world.done(
        request(ServerCall::ListSubscribers)
            .of(&id)
            .query("client_id", "Spike"),
    );
    assert_eq!(rows[0]["subscriber"], json!("Tom"));

    let to_all = request(ServerCall::SendToSubscribers)
        .of(&id)
        .body(text("editor", "news"));
    world.done(to_all);
    assert_eq!(world.heard(1), [(id.clone(), "news".to_owned())]);
    assert_eq!(world.heard(2), []);
    assert_eq!(world.sign_in(3, "Spike").0, [(id.clone(), 1)]);

    let unsubscribe = request(ServerCall::Unsubscribe)
        .of(&id)
        .part("client", "Spike")
        .by_app_key();
    world.done(unsubscribe);
    let to_all = request(ServerCall::SendToSubscribers)
        .of(&id)
        .body(text("editor", "more"));
    world.done(to_all);
    assert_eq!(world.heard(3), []);
    let subscriptions = |world: &mut World, client| {
        let rows = world.done(request(ServerCall::ListSubscriptions).of(client));
        rows.as_array().unwrap().len()
    };
    assert_eq!(
        (
            subscriptions(&mut world, "Tom"),
            subscriptions(&mut world, "Spike")
        ),
        (1, 0)
    );
}

#[test]
fn s274_a_message_to_given_clients_is_theirs_alone_whether_they_subscribed_or_not() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let id = world.create(Kind::System, json!({}));
    world.ask(1, Command::conv(Op::Add, about(&id, &["Tom"])));
    let send = |clients: &[&str], message: &str| {
        let mut body = text("support", message);
        body["to_clients"] = json!(clients);
        request(ServerCall::Send(Kind::System)).of(&id).body(body)
    };
    let sent = world.done(send(&["Jerry", "Spike"], "for you"));
    assert_eq!((world.heard(1).len(), world.heard(2).len()), (0, 1));
    assert_eq!(world.history(1, &id), Vec::<String>::new());
    assert_eq!(world.history(2, &id), ["for you"]);
    assert_eq!(
        world.sign_in(3, "Spike").0,
        [(id.clone(), 1)],
        "who was away"
    );
    // Being sent something is no subscription.
    let count = world.done(request(ServerCall::CountSubscribers).of(&id));
    assert_eq!(count, json!({ "count": 1 }));
    world.done(
        request(ServerCall::SendToSubscribers)
            .of(&id)
            .body(text("editor", "for all")),
    );
    assert_eq!((world.heard(1).len(), world.heard(2).len()), (1, 0));
    // A query tells a client neither that it is subscribed nor the messages for others.
    let data = json!({ "objectId": id }).to_string();
    let query = ConvCommand {
        r#where: Some(JsonObjectMessage { data }),
        flag: Some(2),
        ..ConvCommand::default()
    };
    world.done(send(&["Spike"], "secret"));
    let Command::Conv { body, .. } = world.ask(2, Command::conv(Op::Query, query)) else {
        panic!("no results")
    };
    let rows: Value = serde_json::from_str(&body.results.unwrap().data).unwrap();
    assert_eq!(
        (&rows[0]["joined"], &rows[0]["msg"]),
        (&json!(false), &json!("for all"))
    );

    // Its own server sees the messages of each client, and can take them away.
    let list = |world: &mut World, client: &str| -> Vec<Value> {
        let rows = world.done(request(ServerCall::ListFor).of(&id).part("client", client));
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["data"].clone())
            .collect()
    };
    assert_eq!(list(&mut world, "Jerry"), ["for all", "for you"]);
    let mid = sent["msg-id"].as_str().unwrap();
    let delete = |client: &str| {
        request(ServerCall::DeleteFor)
            .of(&id)
            .part("client", client)
            .part("message", mid)
    };
    world.done(delete("Jerry"));
    assert_eq!(world.history(2, &id), ["for all"]);
    assert_eq!(list(&mut world, "Spike"), ["secret", "for all", "for you"]);
    assert_eq!(world.refused(delete("Jerry")), 4404);
    let too_many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    assert_eq!(world.refused(send(&too_many, "x")), 1);
}

#[test]
fn what_clients_say_to_a_service_is_kept_for_its_operator_and_for_them() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let id = world.create(Kind::System, json!({}));
    for (connection, client) in [(1, "Tom"), (2, "Jerry")] {
        world.ask(connection, Command::conv(Op::Add, about(&id, &[client])));
    }
    assert_eq!(world.say(1, &id), None);
    assert_eq!(world.messages(2), 0);
    assert_eq!(world.history(1, &id), ["hi"]);
    assert_eq!(world.history(2, &id), Vec::<String>::new());
    let query = BTreeMap::new();
    let all = world.http(RestCall::Records(RecordsCall::OfConversation {
        id: id.clone(),
        query,
    }));
    assert_eq!(all.body.as_array().unwrap().len(), 1);
    assert_eq!(
        (&all.body[0]["from"], &all.body[0]["conv-id"]),
        (&json!("Tom"), &json!(id))
    );
    assert_eq!(world.sign_in(3, "Jerry").0, []);
}

#[test]
fn a_broadcast_reaches_who_is_online_and_who_signs_in_while_it_is_good_each_once() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let id = world.create(Kind::System, json!({}));
    let now_ms = i64::try_from(world.at.as_millis()).unwrap();
    let day = 86_400_000;
    let broadcast = |message: &str, valid_till: i64| {
        let mut body = text("operator", message);
        body["conv_id"] = id.clone().into();
        body["valid_till"] = valid_till.into();
        request(ServerCall::Broadcast).body(body)
    };
    let first = world.done(broadcast("to all", now_ms + 10 * day));
    assert_eq!(world.heard(1).len(), 1);
    assert_eq!(world.sign_in(2, "Tom").1, [], "Tom has it");
    let to_all = (id.clone(), "to all".to_owned());
    assert_eq!(world.sign_in(3, "Jerry").1, [to_all]);
    assert_eq!(world.sign_in(4, "Jerry").1, []);
    world.done(broadcast("short", now_ms + day));
    world.wait(Duration::from_secs(2 * 86_400));
    assert_eq!(world.sign_in(5, "Spike").1.len(), 1, "one is good no more");
    let listed = world.done(request(ServerCall::ListBroadcasts).query("conv_id", &id));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["msg-id"], first["msg-id"]);
    let mid = first["msg-id"].as_str().unwrap();
    world.done(request(ServerCall::DeleteBroadcast).part("message", mid));
    assert_eq!(world.sign_in(6, "Butch").1, []);
    let too_long = broadcast("x", now_ms + 40 * day);
    assert_eq!(world.refused(too_long), 1);
    let later = now_ms + 5 * day;
    for _ in 0..30 {
        world.done(broadcast("x", later));
    }
    assert_eq!(world.server(broadcast("x", later)).status, 429);
}
