//! Answers that come after their request timed out: each settles its work all the same, and the work is not done
//! twice.

use std::time::Duration;

use super::world::{Device, World};
use crate::model::{ClientId, ConversationId};
use crate::store::MembersChange;
use crate::sync::request::ChangeMembers;
use crate::wire::{Command, ServiceCode};

/// Longer than a request waits for its answer.
const LATE: Duration = Duration::from_secs(23);

type Write = fn(&mut World, Device, &ConversationId);

const WRITES: &[(&str, Write)] = &[
    ("Create", |world, ann, _| {
        world.slow_answers(ann, LATE);
        world.create(ann, &["ben", "cat"]);
    }),
    ("Send", |world, ann, room| {
        world.slow_answers(ann, LATE);
        world.say(ann, room, "hello");
    }),
    ("Edit", |world, ann, room| {
        let (_, tow) = world.say(ann, room, "tow");
        world.moment();
        world.slow_answers(ann, LATE);
        world.rewrite(ann, room, &tow, "two").unwrap();
    }),
    ("Members", |world, ann, room| {
        world.slow_answers(ann, LATE);
        let request = ChangeMembers {
            conversation: room.clone(),
            change: MembersChange::Add,
            members: vec![ClientId::new("cat").unwrap()],
        };
        world.ask(ann, request).unwrap();
    }),
];

#[test]
fn an_answer_that_comes_after_its_request_timed_out_settles_its_work() {
    for (kind, write) in WRITES {
        let mut world = World::seeded(131);
        let [ann] = world.devices(["ann"]);
        let room = world.create(ann, &["ben"]);
        world.settle();
        write(&mut world, ann, &room);
        assert_eq!(world.outbox(ann).len(), 1, "{kind}");
        world.moment();
        // The service does it once, and answers nothing that comes later.
        world.service.leaves_unanswered = true;
        let code = ServiceCode::INTERNAL_ERROR;
        let later: fn(&Command) -> bool = |command| !matches!(command, Command::Echo);
        world.service.refuses_when = Some((later, code));
        world.pass(Duration::from_secs(20));
        assert_eq!(world.outbox(ann).len(), 1, "{kind} is late");
        world.pass(Duration::from_secs(3));
        assert!(world.outbox(ann).is_empty(), "{kind}");
    }
}
