//! The ways around a right: queries, wills, the return to a chat room, pushes, and unique conversations.

use super::*;

#[test]
fn the_last_message_is_told_to_those_only_who_may_read_the_history() {
    for (kind, client, is_told) in [
        (Kind::Normal, "member", true),
        (Kind::Normal, "silenced", true),
        (Kind::Normal, "stranger", false),
        (Kind::Normal, "left", false),
        (Kind::Normal, "blocked", false),
        (Kind::Room, "stranger", true),
        (Kind::Room, "blocked", false),
    ] {
        let mut place = Place::new(kind, "{}");
        let data = format!(r#"{{"objectId":"{}"}}"#, place.cid);
        let query = ConvCommand {
            r#where: Some(JsonObjectMessage { data }),
            flag: Some(2),
            ..ConvCommand::default()
        };
        let Command::Conv { body, .. } = place.ask(client, Command::conv(Op::Query, query)) else {
            panic!("no results")
        };
        let rows = body.results.unwrap().data;
        assert!(rows.contains(&place.cid), "{client} finds the conversation");
        for column in ["\"msg\"", "msg_mid", "msg_from", "msg_timestamp"] {
            assert_eq!(
                rows.contains(column),
                is_told,
                "{client} in {kind:?}: {rows}"
            );
        }
    }
}

#[test]
fn a_temporary_conversation_found_by_its_id_hides_its_last_message_from_strangers() {
    for (client, is_told) in [("member", true), ("stranger", false)] {
        let mut place = Place::new(Kind::Temporary, "{}");
        let query = ConvCommand {
            temp_conv_ids: vec![place.cid.clone()],
            flag: Some(2),
            ..ConvCommand::default()
        };
        let Command::Conv { body, .. } = place.ask(client, Command::conv(Op::Query, query)) else {
            panic!("no results")
        };
        assert_eq!(
            body.results.unwrap().data.contains("msg_mid"),
            is_told,
            "{client}"
        );
    }
}

/// A will of a client that loses its rights before its connection breaks.
fn will_after(change: impl Fn(&mut Place)) -> usize {
    let mut place = Place::new(Kind::Normal, "{}");
    let body = DirectCommand {
        cid: Some(place.cid.clone()),
        msg: Some("gone".to_owned()),
        will: Some(true),
        ..DirectCommand::default()
    };
    assert_eq!(code(&place.ask("member", Command::direct(body))), 0);
    change(&mut place);
    place.world.sent.clear();
    let connection = ConnectionId(connection_of("member"));
    let effects = place.world.input(Input::Lost { connection });
    place.world.take(effects);
    place.world.messages(connection_of("owner"))
}

#[test]
fn a_will_is_sent_for_those_only_who_may_still_send() {
    assert_eq!(will_after(|_| {}), 1);
    assert_eq!(
        will_after(|place| {
            let remove = Command::conv(Op::Remove, about(&place.cid, &["member"]));
            place.ask("owner", remove);
        }),
        0
    );
    assert_eq!(
        will_after(|place| {
            let silence = Command::conv(Op::AddShutup, about(&place.cid, &["member"]));
            place.ask("owner", silence);
        }),
        0
    );
    assert_eq!(
        will_after(|place| {
            let block = BlacklistCommand {
                src_cid: Some(place.cid.clone()),
                to_pids: vec!["member".to_owned()],
                ..BlacklistCommand::default()
            };
            place.ask("owner", Command::blacklist(Op::Block, block));
        }),
        0
    );
}

#[test]
fn who_was_blocked_in_a_chat_room_while_away_is_outside_after_signing_in() {
    for (is_blocked, heard) in [(false, 1), (true, 0)] {
        let mut place = Place::new(Kind::Room, "{}");
        let connection = ConnectionId(connection_of("member"));
        place.world.input(Input::Lost { connection });
        if is_blocked {
            let block = BlacklistCommand {
                src_cid: Some(place.cid.clone()),
                to_pids: vec!["member".to_owned()],
                ..BlacklistCommand::default()
            };
            place.ask("owner", Command::blacklist(Op::Block, block));
        }
        place.world.open(20, "member", OfflineMode::Unread);
        place.world.sent.clear();
        place.speak("owner");
        assert_eq!(place.world.messages(20), heard);
    }
}

#[test]
fn who_is_no_member_any_more_is_pushed_nothing_of_the_conversation() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Push);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    world.say(1, &cid);
    assert_eq!(world.messages(2), 1);
    world.ask(1, Command::conv(Op::Remove, about(&cid, &["Jerry"])));
    world.sent.clear();
    world.wait(Duration::from_secs(31));
    assert_eq!(world.messages(2), 0, "pushed again");
    world.input(Input::Lost {
        connection: ConnectionId(2),
    });
    world.open(3, "Jerry", OfflineMode::Push);
    assert_eq!(world.messages(3), 0, "pushed at sign-in");
}

#[test]
fn acknowledgements_and_read_marks_of_strangers_change_nothing() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    world.open(3, "Spike", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    let (to, msg) = (Some(cid.clone()), Some("hi".to_owned()));
    let body = DirectCommand {
        cid: to,
        msg,
        r: Some(true),
        ..DirectCommand::default()
    };
    let Command::Ack(ack) = world.ask(1, Command::direct(body)) else {
        panic!("not sent")
    };
    let arrived = AckCommand {
        cid: Some(cid.clone()),
        mid: ack.uid,
        ..AckCommand::default()
    };
    let read = ReadCommand {
        cid: Some(cid),
        ..ReadCommand::default()
    };
    for (connection, receipts) in [(3, 0), (2, 2)] {
        world.sent.clear();
        world.receive(connection, Envelope::new(Command::ack(arrived.clone())));
        world.receive(connection, Envelope::new(Command::Read(read.clone())));
        let told = world.sent.iter();
        let told = told.filter(|(_, it)| matches!(it.command, Command::Rcp(_)));
        assert_eq!(told.count(), receipts, "connection {connection}");
    }
}

#[test]
fn quitting_one_chat_room_does_not_leave_another() {
    let mut place = Place::new(Kind::Room, "{}");
    let transient = Some(true);
    let room = ConvCommand {
        transient,
        ..ConvCommand::default()
    };
    let other = place.world.start(connection_of("stranger"), room);
    place.ask(
        "member",
        Command::conv(Op::Remove, about(&other, &["member"])),
    );
    place.world.sent.clear();
    place.speak("owner");
    assert_eq!(place.world.messages(connection_of("member")), 1);
}

/// Starts, or finds, the unique conversation of these clients.
fn unique(world: &mut World, connection: u64, members: &[&str]) -> String {
    let unique = Some(true);
    world.start(
        connection,
        ConvCommand {
            unique,
            ..with_members(members)
        },
    )
}

#[test]
fn nobody_prepares_the_unique_conversation_of_two_others() {
    let mut world = World::with(r#"{"features":{"roles":false}}"#);
    for (connection, client) in [(1, "Tom"), (2, "Jerry"), (3, "Spike")] {
        world.open(connection, client, OfflineMode::Unread);
    }
    let prepared = unique(&mut world, 3, &["Tom", "Jerry"]);
    world.ask(3, Command::conv(Op::Remove, about(&prepared, &["Spike"])));
    let theirs = unique(&mut world, 1, &["Tom", "Jerry"]);
    assert_ne!(theirs, prepared);
    assert_eq!(unique(&mut world, 2, &["Jerry", "Tom"]), theirs);
}

#[test]
fn who_left_a_unique_conversation_does_not_find_it_again() {
    for leaving in ["quits", "is removed", "is blocked"] {
        let mut world = World::with(r#"{"features":{"roles":false}}"#);
        world.open(1, "Tom", OfflineMode::Unread);
        world.open(2, "Jerry", OfflineMode::Unread);
        let first = unique(&mut world, 1, &["Tom", "Jerry"]);
        match leaving {
            "quits" => world.ask(2, Command::conv(Op::Remove, about(&first, &["Jerry"]))),
            "is removed" => world.ask(1, Command::conv(Op::Remove, about(&first, &["Jerry"]))),
            _ => {
                let block = BlacklistCommand {
                    src_cid: Some(first.clone()),
                    to_pids: vec!["Jerry".to_owned()],
                    ..BlacklistCommand::default()
                };
                world.ask(1, Command::blacklist(Op::Block, block))
            }
        };
        let second = unique(&mut world, 2, &["Tom", "Jerry"]);
        assert_ne!(first, second, "Jerry {leaving}");
        let cid = Some(first.clone());
        let ask = Command::logs(LogsCommand {
            cid,
            ..LogsCommand::default()
        });
        assert_eq!(code(&world.ask(2, ask)), 4312);
    }
}

#[test]
fn a_stored_unique_conversation_without_the_asking_client_is_not_handed_out() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let kept = unique(&mut world, 1, &["Tom", "Jerry"]);
    // Data of an older build may have such a row.
    let app = AppId::new("myApp").unwrap();
    let id = ConversationId::new(&kept).unwrap();
    let tom = ClientId::new("Tom").unwrap();
    let dropped = vec![Write::DropMember(app, id, tom)];
    now(world.core.storage.apply(dropped)).unwrap();
    assert_ne!(unique(&mut world, 1, &["Tom", "Jerry"]), kept);
}
