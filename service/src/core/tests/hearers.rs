//! Those who hear of a message: every member who is online and nobody else, at a cost that does not grow with the
//! members who are away.

use super::*;
use crate::storage::Storage as _;

/// A conversation of Tom, the numbered members, and these.
fn world(settings: &str, away: usize, others: &[&str]) -> (World, String) {
    let mut world = World::with(settings);
    world.open(1, "Tom", OfflineMode::Unread);
    let names: Vec<String> = (0..away).map(|number| format!("away{number}")).collect();
    let names = names.iter().map(String::as_str);
    let members: Vec<&str> = names.chain(["Tom"]).chain(others.iter().copied()).collect();
    let cid = world.start(1, with_members(&members));
    (world, cid)
}

/// The connections to which a message went.
fn heard(world: &mut World) -> Vec<u64> {
    let is_message = |(_, it): &&(u64, Envelope)| {
        matches!(it.command, Command::Direct(_) | Command::Patch { .. })
    };
    let to = world.sent.iter().filter(is_message).map(|(to, _)| *to);
    let mut to: Vec<u64> = to.collect();
    to.sort_unstable();
    world.sent.clear();
    to
}

#[test]
fn members_who_are_online_hear_a_message_however_many_are_away() {
    for away in [0, 1, 2, 3, 4, 5, 20] {
        let (mut world, cid) = world("{}", away, &["Jerry", "Spike"]);
        world.open(2, "Jerry", OfflineMode::Unread);
        world.open(3, "Jerry", OfflineMode::Unread);
        world.open(4, "Stranger", OfflineMode::Unread);
        world.open(5, "Spike", OfflineMode::Unread);
        world.sent.clear();
        assert_eq!(world.say(1, &cid), None);
        assert_eq!(heard(&mut world), [2, 3, 5], "{away} away");
        let lost = world.input(Input::Lost {
            connection: ConnectionId(5),
        });
        world.take(lost);
        assert_eq!(world.say(2, &cid), None);
        assert_eq!(heard(&mut world), [1, 3], "{away} away");
    }
}

#[test]
fn a_message_to_many_who_are_away_reads_few_rows() {
    let rows = |away| {
        let (mut world, cid) = world("{}", away, &["Jerry"]);
        world.open(2, "Jerry", OfflineMode::Unread);
        world.say(1, &cid);
        let before = world.core.storage().work().rows;
        assert_eq!(world.say(1, &cid), None);
        world.core.storage().work().rows - before
    };
    let few = rows(3);
    assert_eq!(rows(400), few);
    assert!(few < 24, "{few} rows");
}

#[test]
fn an_app_that_asks_for_the_names_is_told_all_who_are_away() {
    let hooks = r#"{"hooks":{"url":"http://127.0.0.1:1","functions":["_receiversOffline"]}}"#;
    let (mut world, cid) = world(hooks, 30, &["Jerry"]);
    world.open(2, "Jerry", OfflineMode::Unread);
    assert_eq!(world.say(1, &cid), None);
    let told = world.told_hooks.last().expect("the hook is told");
    let away = told.parameters["offlinePeers"].as_array().unwrap();
    assert_eq!(away.len(), 30);
}
