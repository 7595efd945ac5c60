//! Tries of an entry: one that a break cut off before its answer counts for none, however many there are.

use std::time::Duration;

use super::world::{Device, World};
use crate::model::{ClientId, ConversationId, OutboxState};
use crate::store::MembersChange;
use crate::sync::FetchReceipts;
use crate::sync::request::{ChangeMembers, Disconnect, SetName};
use crate::wire::generated::{CommandType, SessionCommand};
use crate::wire::{Command, Op, ServiceCode};

/// More than the tries of any entry.
const BREAKS: usize = 30;

/// Longer than an entry waits for its answer, and shorter than two such times.
const ONE_TIME_OUT: Duration = Duration::from_secs(30);

struct Scene {
    world: World,
    ann: Device,
    room: ConversationId,
    elsewhere: ConversationId,
}

/// A kind of write, and the command that carries it.
struct Case {
    kind: &'static str,
    carries: fn(&Command) -> bool,
    write: fn(&mut Scene),
}

const CASES: &[Case] = &[
    Case {
        kind: "Create",
        carries: |command| matches!(command, Command::Conv { op: Op::Start, .. }),
        write: |scene| {
            scene.world.create(scene.ann, &["ben"]);
        },
    },
    Case {
        kind: "Send",
        carries: |command| matches!(command, Command::Direct(body) if body.msg.as_deref() == Some("one")),
        write: |scene| {
            scene.world.say(scene.ann, &scene.room, "one");
        },
    },
    Case {
        kind: "Edit",
        carries: |command| command.kind() == CommandType::Patch,
        write: |scene| {
            let (_, tow) = scene.world.say(scene.ann, &scene.room, "tow");
            scene.world.moment();
            let edited = scene.world.rewrite(scene.ann, &scene.room, &tow, "two");
            edited.unwrap();
        },
    },
    Case {
        kind: "Recall",
        carries: |command| command.kind() == CommandType::Patch,
        write: |scene| {
            let (_, oops) = scene.world.say(scene.ann, &scene.room, "oops");
            scene.world.moment();
            let recalled = scene.world.take_back(scene.ann, &scene.room, &oops);
            recalled.unwrap();
        },
    },
    Case {
        kind: "AddMembers",
        carries: |command| matches!(command, Command::Conv { op: Op::Add, .. }),
        write: |scene| {
            let call = ChangeMembers {
                conversation: scene.room.clone(),
                change: MembersChange::Add,
                members: vec![ClientId::new("cat").unwrap()],
            };
            scene.world.ask(scene.ann, call).unwrap();
        },
    },
    Case {
        kind: "Details",
        carries: |command| matches!(command, Command::Conv { op: Op::Update, .. }),
        write: |scene| {
            let conversation = scene.room.clone();
            let name = "Tea".to_owned();
            let call = SetName { conversation, name };
            scene.world.ask(scene.ann, call).unwrap();
        },
    },
];

/// An end of a connection, a session or a process, and the way back.
struct Break {
    name: &'static str,
    happens: fn(&mut Scene),
}

const BREAKS_OF: &[Break] = &[
    Break {
        name: "the connection breaks",
        happens: |scene| scene.world.cut(scene.ann),
    },
    Break {
        name: "the service closes the session",
        happens: |scene| {
            let body = SessionCommand {
                code: Some(ServiceCode::INTERNAL_ERROR.number()),
                ..SessionCommand::default()
            };
            let closed = Command::session(Op::Closed, body);
            scene.world.tell("ann", &closed);
            scene.world.service.lose_sessions();
        },
    },
    Break {
        name: "the service has forgotten the session",
        happens: |scene| {
            scene.world.service.lose_sessions();
            // The answer to a question tells the client of it.
            let conversation = scene.elsewhere.clone();
            let question = FetchReceipts { conversation };
            scene.world.call(scene.ann, question);
        },
    },
    Break {
        name: "the app goes offline and comes back",
        happens: |scene| {
            scene.world.ask(scene.ann, Disconnect).unwrap();
            scene.world.moment();
            scene.world.connect(scene.ann);
        },
    },
    Break {
        name: "the app is killed",
        happens: |scene| {
            scene.world.crash(scene.ann);
            scene.world.connect(scene.ann);
        },
    },
];

/// Ann has written something that the service leaves without an answer.
fn scene(seed: u64, case: &Case) -> Scene {
    let mut world = World::seeded(seed);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    let elsewhere = world.create(ann, &["dan"]);
    world.settle();
    let mut scene = Scene {
        world,
        ann,
        room,
        elsewhere,
    };
    scene.world.service.refuses_when = Some((case.carries, ServiceCode::INTERNAL_ERROR));
    scene.world.service.leaves_unanswered = true;
    (case.write)(&mut scene);
    scene
}

impl Scene {
    fn tries(&self, case: &Case) -> Option<(OutboxState, u32)> {
        let entries = self.world.store(self.ann).snapshot().outbox();
        let mut entries = entries.iter();
        let found = entries.find(|it| format!("{:?}", it.intent.kind()) == case.kind);
        found.map(|entry| (entry.state.clone(), entry.tries))
    }

    /// Waits until the entry is on its way again.
    fn wait_for_flight(&mut self, case: &Case, what: &str) {
        let until = self.world.elapsed() + Duration::from_secs(300);
        while !matches!(self.tries(case), Some((OutboxState::InFlight, _))) {
            let left = self.world.elapsed() < until;
            assert!(left && self.world.step(), "{what}: {:?}", self.tries(case));
        }
    }
}

#[test]
fn an_entry_that_breaks_cut_off_again_and_again_is_as_far_from_its_last_try_as_a_new_one() {
    for (seed, case) in CASES.iter().enumerate() {
        for trouble in BREAKS_OF {
            let what = format!("{}, and {}", case.kind, trouble.name);
            let mut scene = scene(seed as u64, case);
            for _ in 0..BREAKS {
                scene.wait_for_flight(case, &what);
                (trouble.happens)(&mut scene);
                scene.world.moment();
            }
            scene.wait_for_flight(case, &what);
            assert_eq!(
                scene.tries(case),
                Some((OutboxState::InFlight, 1)),
                "{what}"
            );
            scene.world.pass(ONE_TIME_OUT);
            let after = scene.tries(case);
            let waits = matches!(
                after,
                Some((OutboxState::Queued | OutboxState::InFlight, 1 | 2))
            );
            assert!(waits, "{what}: {after:?}");
            scene.world.service.refuses_when = None;
            scene.world.settle();
            let left = scene.world.outbox(scene.ann);
            assert!(left.is_empty(), "{what}: {left:?}");
        }
    }
}
