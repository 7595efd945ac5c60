//! Missed notifications, which the service tells over HTTP: they are older than what comes over the socket meanwhile.

use std::time::Duration;

use super::world::World;
use crate::model::{ClientId, ConversationId, SessionState};
use crate::wire::generated::ConvCommand;
use crate::wire::{Command, Envelope, Op};

/// A notification that ben was silenced, or is not any more.
fn told(room: &ConversationId, op: Op) -> Envelope {
    let body = ConvCommand {
        cid: Some(room.as_str().to_owned()),
        m: vec!["ben".to_owned()],
        init_by: Some("ann".to_owned()),
        ..ConvCommand::default()
    };
    Envelope::new(Command::conv(op, body))
}

/// True if ben is silenced on ben's device after an absence with these missed notifications. One notification comes over
/// the socket before them.
fn is_silenced(missed: &[Op], live: Option<Op>) -> bool {
    let mut world = World::seeded(7);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.partition(ben);
    world.moment();
    let answer = missed.iter().map(|op| told(&id, *op)).collect();
    world.missed = (Duration::from_secs(2), answer);
    world.repair(ben);
    while !world.step_until_open(ben) {}
    if let Some(op) = live {
        world.tell_without_time(&id, "ben", op);
    }
    world.settle();
    let silenced = world.row(ben, &id).lists.silenced;
    silenced.contains(&ClientId::new("ben").unwrap())
}

#[test]
fn of_several_missed_changes_the_last_one_counts_and_one_over_the_socket_is_newer() {
    let (on, off) = (Op::MembersShutuped, Op::MembersUnshutuped);
    assert!(!is_silenced(&[], None));
    assert!(is_silenced(&[on], None));
    assert!(is_silenced(&[on, off, on], None));
    assert!(!is_silenced(&[on, off], None));
    assert!(!is_silenced(&[on], Some(off)));
    assert!(is_silenced(&[on, off], Some(on)));
}

#[test]
fn an_answer_of_an_earlier_connection_says_nothing() {
    let mut world = World::seeded(8);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.partition(ben);
    world.moment();
    world.missed = (
        Duration::from_secs(60),
        vec![told(&id, Op::MembersShutuped)],
    );
    world.repair(ben);
    while !world.step_until_open(ben) {}
    world.cut(ben);
    // The next connection is told nothing, at once.
    let late = std::mem::take(&mut world.missed).1;
    world.pass(Duration::from_secs(20));
    assert_eq!(world.session(ben), SessionState::Open);
    world.missed.1 = late;
    world.settle();
    assert!(world.row(ben, &id).lists.silenced.is_empty());
}

#[test]
fn missed_notifications_are_asked_for_again_where_the_connection_broke_before_their_answer() {
    let mut world = World::seeded(9);
    let [ann, ben] = world.devices(["ann", "ben"]);
    world.create(ann, &["ben"]);
    world.settle();
    let known = |world: &World| world.store(ben).snapshot().session().missed_until;
    let before = known(&world);
    assert!(before.is_some());
    world.partition(ben);
    world.pass(Duration::from_secs(60));
    world.missed = (Duration::from_secs(60), Vec::new());
    world.repair(ben);
    while !world.step_until_open(ben) {}
    world.pass(Duration::from_secs(5));
    assert_eq!(
        known(&world),
        before,
        "the list is complete, and the answer is not here"
    );
    world.cut(ben);
    world.missed = (Duration::ZERO, Vec::new());
    world.settle();
    assert!(known(&world) > before);
}

/// A change of one conversation says nothing about another.
#[test]
fn missed_notifications_tell_who_added_whom_in_which_conversation() {
    let mut world = World::seeded(10);
    let [ann] = world.devices(["ann"]);
    let [first, second] = ["ben", "dan"].map(|other| world.found(&["ann", other]));
    world.settle();
    world.cut(ann);
    world.settle();
    world.notices(ann);
    world.partition(ann);
    world.settle();
    world.add_member_quietly(&first, "cat");
    world.add_member_quietly(&second, "eve");
    let added = |room: &ConversationId, by: &str, member: &str| {
        let body = ConvCommand {
            cid: Some(room.as_str().to_owned()),
            m: vec![member.to_owned()],
            init_by: Some(by.to_owned()),
            ..ConvCommand::default()
        };
        Envelope::new(Command::conv(Op::MembersJoined, body))
    };
    let told = vec![added(&first, "ben", "cat"), added(&second, "dan", "eve")];
    world.missed = (Duration::ZERO, told);
    world.repair(ann);
    world.settle();
    let mut notices = world.notices(ann);
    notices.sort();
    assert_eq!(notices, ["Joined by ben: cat", "Joined by dan: eve"]);
}
