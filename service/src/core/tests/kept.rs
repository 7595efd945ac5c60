//! How long history is kept: for ever, unless the app's operator limits it.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many messages the history of a conversation has.
fn history(world: &mut World, connection: u64, cid: &str) -> usize {
    let ask = Command::logs(LogsCommand {
        cid: Some(cid.to_owned()),
        l: Some(1000),
        ..LogsCommand::default()
    });
    match world.ask(connection, ask) {
        Command::Logs(body) => body.logs.len(),
        other => panic!("no history: {other:?}"),
    }
}

/// Lets a pass over old messages come to its end: it takes steps.
fn pass(world: &mut World) {
    for _ in 0..5 {
        world.wait(Duration::from_secs(3601));
    }
}

/// S259, S353: an operator limits history to the 180 days of the hosted service; by default all is kept.
#[test]
fn s259_s353_history_is_kept_for_180_days_where_the_app_wants_that_and_else_for_ever() {
    for (settings, left) in [
        ("{}", [1, 1]),
        (r#"{"retention":{"messages_days":180}}"#, [1, 0]),
    ] {
        let mut world = World::with(settings);
        world.open(1, "Tom", OfflineMode::Unread);
        let cid = world.start(1, with_members(&["Tom"]));
        assert_eq!(world.say(1, &cid), None);
        world.wait(DAY * 179);
        pass(&mut world);
        assert_eq!(history(&mut world, 1, &cid), left[0], "{settings}");
        world.wait(DAY);
        pass(&mut world);
        assert_eq!(history(&mut world, 1, &cid), left[1], "{settings}");
    }
}

/// S116, S357: the messages of a chat room are in its history after 24 hours, and longer.
#[test]
fn s116_s357_a_chat_room_has_history_of_24_hours_and_more() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let room = ConvCommand {
        transient: Some(true),
        ..ConvCommand::default()
    };
    let cid = world.start(1, room);
    world.ask(1, Command::conv(Op::Add, about(&cid, &["Tom"])));
    assert_eq!(world.say(1, &cid), None);
    world.wait(DAY);
    assert_eq!(world.say(1, &cid), None);
    pass(&mut world);
    assert_eq!(history(&mut world, 1, &cid), 2);
}

/// S219, S349: of the messages that a client missed, more than 50 are there after more than 7 days: they are counted,
/// and in the history.
#[test]
fn s219_s349_more_than_fifty_missed_messages_are_there_after_more_than_seven_days() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Tom", "Jerry"]));
    for _ in 0..60 {
        assert_eq!(world.say(1, &cid), None);
        world.wait(Duration::from_secs(1));
    }
    world.wait(DAY * 8);
    pass(&mut world);
    world.sent.clear();
    world.open(2, "Jerry", OfflineMode::Unread);
    let unread = world.sent.iter().find_map(|(_, it)| match &it.command {
        Command::Unread(body) => body.convs.first().map(|it| it.unread),
        _ => None,
    });
    assert_eq!(unread, Some(60));
    assert_eq!(history(&mut world, 2, &cid), 60);
}
