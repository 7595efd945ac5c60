//! A device whose tree was damaged: the service is asked again for all that was lost.

use super::world::{Device, World};
use crate::Limits;
use crate::model::ConversationId;

/// The name of a tree in memory.
const TREE: &str = "tree.log";

/// Fills the gaps that a timeline shows, as an app does that pages back, until none is left.
fn fill(world: &mut World, ann: Device, room: &ConversationId) {
    for _ in 0..60 {
        if !world.timeline(ann, room).contains(&"~".to_owned()) {
            return;
        }
        let edge = world.newer_edge_of_gap(ann, room);
        world.fetch(ann, room, edge, 20).unwrap();
    }
}

#[test]
fn after_damage_history_and_counts_come_back_and_unsent_work_arrives_once() {
    let limits = Limits {
        catch_up_max: 10,
        ..Limits::default()
    };
    let mut world = World::with_limits(91, limits);
    let [ann] = world.devices(["ann"]);
    let rooms = [(); 3].map(|()| world.found(&["ann", "ben"]));
    world.settle();
    for n in 0..25 {
        for room in &rooms {
            world.post(room, "ben", &n.to_string());
        }
        world.moment();
    }
    world.mark_read(ann, &rooms[0]);
    world.settle();
    world.post(&rooms[0], "ben", "unread");
    world.settle();
    for room in &rooms {
        fill(&mut world, ann, room);
    }
    world.partition(ann);
    for room in &rooms {
        world.say(ann, room, "unsent");
    }
    let whole = world.copy_of_disk(ann);
    let files = whole.files();
    let length = files.iter().find(|(name, _)| name == TREE).unwrap().1;
    for case in 0..24 {
        let damaged = whole.duplicate();
        assert!(damaged.damage(TREE, length * case / 24 + 7));
        world.restore(ann, &damaged);
        let outbox = world.outbox(ann);
        assert_eq!(outbox.len(), rooms.len(), "case {case}: {outbox:?}");
        world.repair(ann);
        world.connect(ann);
        world.settle();
        assert_eq!(world.outbox(ann), [""; 0], "case {case}");
        for (index, room) in rooms.iter().enumerate() {
            fill(&mut world, ann, room);
            let truth = world.truth(room);
            assert_eq!(
                world.timeline(ann, room),
                truth,
                "case {case}, room {index}"
            );
            let sent = truth.iter().filter(|line| *line == "ann: unsent").count();
            assert_eq!(sent, 1, "case {case}, room {index}");
            let unread = if index == 0 { 1 } else { 25 };
            assert_eq!(
                world.unread(ann, room).0,
                unread,
                "case {case}, room {index}"
            );
        }
        world.partition(ann);
    }
}
