//! Signatures of the first generation: watch lists and groups.

use sampan::model::ClientId;
use sampan::wire::generated::RoomCommand;
use sampan::wire::signature::{SignedAction, SignedOperation};

use super::*;

/// A signature by the app's server, in seconds as the first generation has it.
fn signed(
    client: &str,
    action: SignedAction<'_>,
    at: Duration,
    nonce: &str,
) -> (Option<i64>, Option<String>, Option<String>) {
    let (app, client) = (AppId::new("myApp").unwrap(), ClientId::new(client).unwrap());
    let timestamp = i64::try_from(at.as_secs()).unwrap();
    let operation = SignedOperation {
        app_id: &app,
        client_id: &client,
        action,
        timestamp,
        nonce,
    };
    (
        Some(timestamp),
        Some(nonce.to_owned()),
        Some(operation.sign("master")),
    )
}

#[test]
fn s333_s335_a_watch_list_is_signed_where_logins_are_at_the_opening_and_later() {
    let mut world = World::with(r#"{"signatures":{"login":true}}"#);
    let jerry = [ClientId::new("Jerry").unwrap()];
    let spike = [ClientId::new("Spike").unwrap()];
    let sign = |peers, nonce: &str| {
        signed(
            "Tom",
            SignedAction::Watch { peers },
            Duration::from_secs(1_700_000_000),
            nonce,
        )
    };
    let with =
        |list: &[&str], (t, n, s): (Option<i64>, Option<String>, Option<String>)| SessionCommand {
            t,
            n,
            s,
            ..watching(list)
        };
    let other = with(&["Jerry", "Spike"], sign(&jerry, "a"));
    assert_eq!(
        world.open_watching(1, "Tom", other),
        Err(4102),
        "another list than the signed one"
    );
    let own = with(&["Jerry"], sign(&jerry, "b"));
    assert_eq!(world.open_watching(1, "Tom", own), Ok(vec![]));
    let token = world.tokens["Tom"].clone();
    let mut add = |command| match world.ask(1, Command::session(Op::Add, command)) {
        Command::Session { op: Op::Added, .. } => 0,
        Command::Error(error) => error.code,
        other => panic!("not added: {other:?}"),
    };
    assert_eq!(add(watching(&["Spike"])), 4102);
    assert_eq!(add(with(&["Spike"], sign(&jerry, "c"))), 4102);
    assert_eq!(add(with(&["Spike"], sign(&spike, "d"))), 0);
    // A client that comes back by a token may not watch clients that nobody signed.
    let by_token = SessionCommand {
        st: Some(token),
        r: Some(true),
        ..watching(&["Butch"])
    };
    assert_eq!(world.open_watching(2, "Tom", by_token), Err(4102));
}

#[test]
fn s135_s334_every_action_on_a_group_but_leaving_is_signed_where_conversations_are() {
    let mut world = World::with(r#"{"signatures":{"conversation":true}}"#);
    world.open(1, "Tom", OfflineMode::Unread);
    let mut count = 0;
    let mut signed_room = |group: &str, peers: &[&str], action: &str| {
        count += 1;
        let ids: Vec<ClientId> = peers.iter().map(|it| ClientId::new(it).unwrap()).collect();
        let action = SignedAction::Group {
            group,
            peers: &ids,
            action,
        };
        let (t, n, s) = signed(
            "Tom",
            action,
            Duration::from_secs(1_700_000_000),
            &count.to_string(),
        );
        RoomCommand {
            t,
            n,
            s,
            ..room(group, peers)
        }
    };
    assert_eq!(world.group(1, Op::Join, RoomCommand::default()), Err(4302));
    let made = world.group(1, Op::Join, signed_room("", &[], "join"));
    let group = made.unwrap().1.room_id.unwrap();
    for (op, action) in [(Op::Invite, "invite"), (Op::Kick, "kick")] {
        assert_eq!(world.group(1, op, room(&group, &["Jerry"])), Err(4302));
        assert_eq!(
            world
                .group(1, op, signed_room(&group, &["Spike"], action))
                .map(|it| it.0),
            Ok(match op {
                Op::Invite => Op::Invited,
                _ => Op::Kicked,
            })
        );
    }
    world.open(2, "Jerry", OfflineMode::Unread);
    assert_eq!(world.group(2, Op::Join, room(&group, &[])), Err(4302));
    assert_eq!(
        world.group(2, Op::Leave, room(&group, &[])).map(|it| it.0),
        Ok(Op::Left)
    );
}
