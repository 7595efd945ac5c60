//! An entry that is refused for ever, of each kind and with each number: it ends as failed, and nothing else
//! waits for it, neither in its lane nor in another.

use std::time::Duration;

use super::world::{Device, World};
use crate::model::{ClientId, ConversationId};
use crate::store::MembersChange;
use crate::sync::request::{ChangeMembers, SetMuted, SetName};
use crate::wire::code::CODES;
use crate::wire::generated::ConvCommand;
use crate::wire::{Command, Op, ServiceCode};

/// After these the client waits for the user to sign in again: nothing of it is sent.
const ENDS: &[i32] = &[4100, 4103, 4106, 4110, 4111, 4115];

/// Long enough for the entry that is slowed down most.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// A device with conversations of all sorts, and a write that the service refuses.
struct Scene {
    world: World,
    ann: Device,
    /// Where the refused write is.
    tea: ConversationId,
    /// Where the others are.
    other: ConversationId,
    club: ConversationId,
}

/// A kind of write, and the command that is refused for it.
struct Case {
    kind: &'static str,
    refused: fn(&Command) -> bool,
    write: fn(&mut Scene),
}

const CASES: &[Case] = &[
    Case {
        kind: "Create",
        refused: |command| matches!(command, Command::Conv { op: Op::Start, .. }),
        write: |scene| {
            let made = scene.world.create(scene.ann, &["ben"]);
            scene.world.say(scene.ann, &made, "never");
        },
    },
    Case {
        kind: "Send",
        refused: |command| matches!(command, Command::Direct(body) if body.msg.as_deref() == Some("first")),
        write: |scene| {
            scene.world.say(scene.ann, &scene.tea, "first");
        },
    },
    Case {
        kind: "Edit",
        refused: |command| is_patch(command, None),
        write: |scene| {
            let (_, tow) = scene.world.say(scene.ann, &scene.tea, "tow");
            scene.world.moment();
            let edited = scene.world.rewrite(scene.ann, &scene.tea, &tow, "two");
            edited.unwrap();
        },
    },
    Case {
        kind: "Recall",
        refused: |command| is_patch(command, Some(true)),
        write: |scene| {
            let (_, oops) = scene.world.say(scene.ann, &scene.tea, "oops");
            scene.world.moment();
            let recalled = scene.world.take_back(scene.ann, &scene.tea, &oops);
            recalled.unwrap();
        },
    },
    Case {
        kind: "Join",
        refused: |command| changes_members(command, Op::Add, "ann"),
        write: |scene| members(scene, &scene.club.clone(), MembersChange::Join, &[]),
    },
    Case {
        kind: "Quit",
        refused: |command| changes_members(command, Op::Remove, "ann"),
        write: |scene| {
            let gone = scene.world.create(scene.ann, &["ben"]);
            scene.world.moment();
            members(scene, &gone, MembersChange::Quit, &[]);
        },
    },
    Case {
        kind: "AddMembers",
        refused: |command| changes_members(command, Op::Add, "cat"),
        write: |scene| members(scene, &scene.tea.clone(), MembersChange::Add, &["cat"]),
    },
    Case {
        kind: "RemoveMembers",
        refused: |command| changes_members(command, Op::Remove, "dan"),
        write: |scene| members(scene, &scene.tea.clone(), MembersChange::Remove, &["dan"]),
    },
    Case {
        kind: "Details",
        refused: |command| match command {
            Command::Conv { op, body } => *op == Op::Update && says(body, "Tea"),
            _ => false,
        },
        write: |scene| name(scene, &scene.tea.clone(), "Tea"),
    },
    Case {
        kind: "Mute",
        refused: |command| matches!(command, Command::Conv { op: Op::Mute, .. }),
        write: |scene| {
            let call = SetMuted {
                conversation: scene.tea.clone(),
                muted: true,
            };
            scene.world.ask(scene.ann, call).unwrap();
        },
    },
    Case {
        kind: "Read",
        refused: |command| matches!(command, Command::Echo),
        write: |scene| {
            let id = scene.world.service_id(scene.ann, &scene.tea);
            scene.world.post(&id, "ben", "unread");
            scene.world.moment();
            scene.world.mark_read(scene.ann, &scene.tea);
        },
    },
];

fn is_patch(command: &Command, recalls: Option<bool>) -> bool {
    let Command::Patch { body, .. } = command else {
        return false;
    };
    let mut patches = body.patches.iter();
    patches.any(|it| it.recall.filter(|recalls| *recalls) == recalls)
}

fn changes_members(command: &Command, wanted: Op, member: &str) -> bool {
    match command {
        Command::Conv { op, body } => *op == wanted && body.m == [member],
        _ => false,
    }
}

fn says(body: &ConvCommand, name: &str) -> bool {
    let attributes = body.attr.as_ref();
    attributes.is_some_and(|it| it.data.contains(name))
}

fn members(scene: &mut Scene, room: &ConversationId, change: MembersChange, who: &[&str]) {
    let call = ChangeMembers {
        conversation: room.clone(),
        change,
        members: who.iter().map(|it| ClientId::new(it).unwrap()).collect(),
    };
    scene.world.ask(scene.ann, call).unwrap();
}

fn name(scene: &mut Scene, room: &ConversationId, name: &str) {
    let (conversation, name) = (room.clone(), name.to_owned());
    let call = SetName { conversation, name };
    scene.world.ask(scene.ann, call).unwrap();
}

/// Ann has written something that is refused for ever, and then other things.
fn scene(seed: u64, case: &Case, code: ServiceCode) -> Scene {
    let mut world = World::seeded(seed);
    let [ann, eve] = world.devices(["ann", "eve"]);
    let tea = world.create(ann, &["ben", "dan"]);
    let other = world.create(ann, &["ben"]);
    let club = world.create(eve, &["ben"]);
    world.settle();
    let club = world.service_id(eve, &club);
    let mut scene = Scene {
        world,
        ann,
        tea,
        other,
        club,
    };
    scene.world.service.refuses_when = Some((case.refused, code));
    (case.write)(&mut scene);
    scene.world.say(ann, &scene.tea, "behind it");
    scene.world.say(ann, &scene.other, "elsewhere");
    let other = scene.other.clone();
    name(&mut scene, &other, "Other");
    scene
}

fn check(scene: &Scene, what: &str) {
    let (world, ann) = (&scene.world, scene.ann);
    let said = |room: &ConversationId, line: &str| {
        let id = world.service_id(ann, room);
        world.truth(&id).iter().any(|it| it == line)
    };
    assert!(said(&scene.tea, "ann: behind it"), "{what}: in its lane");
    assert!(said(&scene.other, "ann: elsewhere"), "{what}: in another");
    let other = world.service_id(ann, &scene.other);
    let other = &world.service.conversations[other.as_str()];
    assert_eq!(other.name.as_deref(), Some("Other"), "{what}: a state lane");
}

#[test]
fn an_entry_of_any_kind_that_is_refused_for_ever_fails_and_nothing_waits_for_it() {
    for case in CASES {
        for (seed, entry) in CODES.iter().enumerate() {
            if ENDS.contains(&entry.code.number()) {
                continue;
            }
            let what = format!("{} refused with {}", case.kind, entry.name);
            let mut scene = scene(seed as u64, case, entry.code);
            scene.world.pass(PATIENCE);
            check(&scene, &what);
            let mut left = scene.world.outbox(scene.ann);
            // Messages of a conversation that could not be made wait for the app.
            left.retain(|line| case.kind != "Create" || line != "Send queued");
            let [failed] = left.as_slice() else {
                panic!("{what}: {left:?}");
            };
            let expected = format!("{} failed: ", case.kind);
            assert!(failed.starts_with(&expected), "{what}: {failed}");
            assert!(
                failed.contains(&entry.code.number().to_string()),
                "{failed}"
            );
            assert!(scene.world.is_asleep(scene.ann), "{what}: it rests");
        }
    }
}

#[test]
fn an_entry_of_any_kind_that_is_never_answered_fails_and_nothing_waits_for_it() {
    for (seed, case) in CASES.iter().enumerate() {
        let mut scene = scene(seed as u64, case, ServiceCode::new(0));
        scene.world.service.leaves_unanswered = true;
        scene.world.pass(PATIENCE);
        check(&scene, case.kind);
        let left = scene.world.outbox(scene.ann);
        let failed = left.iter().filter(|line| line.contains("TriesExhausted"));
        assert_eq!(failed.count(), 1, "{}: {left:?}", case.kind);
    }
}

#[test]
fn after_a_number_that_ends_the_session_everything_is_kept_and_goes_out_when_the_user_signs_in() {
    for case in CASES {
        for (seed, number) in ENDS.iter().enumerate() {
            let what = format!("{} refused with {number}", case.kind);
            let mut scene = scene(seed as u64, case, ServiceCode::new(*number));
            scene.world.settle();
            let kept = scene.world.outbox(scene.ann);
            let is_kept = |line: &String| line == &format!("{} queued", case.kind);
            assert!(kept.iter().any(is_kept), "{what}: {kept:?}");
            scene.world.service.refuses_when = None;
            scene.world.connect(scene.ann);
            scene.world.settle();
            let left = scene.world.outbox(scene.ann);
            assert!(left.is_empty(), "{what}: {left:?}");
            check(&scene, &what);
        }
    }
}

#[test]
fn a_failed_read_mark_is_tried_again_or_given_up_and_a_later_one_takes_its_place() {
    let case = CASES.iter().find(|case| case.kind == "Read").unwrap();
    let mut scene = scene(1, case, ServiceCode::INTERNAL_ERROR);
    scene.world.pass(PATIENCE);
    let (world, ann, tea) = (&mut scene.world, scene.ann, scene.tea.clone());
    assert_eq!(world.outbox(ann).len(), 1);
    world.service.refuses_when = None;
    let id = world.service_id(ann, &tea);
    world.post(&id, "ben", "more");
    world.moment();
    world.mark_read(ann, &tea);
    world.settle();
    assert!(world.outbox(ann).is_empty(), "{:?}", world.outbox(ann));
    assert_eq!(world.service.conversations[id.as_str()].unread("ann"), 0);
}
