//! Why something is not sent, and until when.

use std::time::Duration;

use super::world::World;
use crate::sync::ElapsedHolds;
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

#[test]
fn a_refusal_for_the_time_being_says_until_when_and_what_the_service_said() {
    let mut world = World::seeded(61);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    assert_eq!(world.holds(ann), ElapsedHolds::default());
    let code = ServiceCode::INTERNAL_ERROR;
    world.service.refuses = Some((CommandType::Direct, code));
    world.say(ann, &room, "patience");
    world.pass(Duration::from_secs(1));
    let holds = world.holds(ann);
    assert_eq!((holds.sends, holds.others), (None, None));
    let [lane] = &holds.refused.into_values().collect::<Vec<_>>()[..] else {
        panic!("one conversation is kept back");
    };
    assert_eq!(lane.refusal.code, code.number());
    assert_eq!(lane.refusal.reason, code.name());
    let rest = lane.until.saturating_sub(world.elapsed());
    assert!(
        rest > Duration::ZERO && rest <= Duration::from_secs(2),
        "{rest:?}"
    );
    world.service.refuses = None;
    world.settle();
    assert_eq!(world.holds(ann), ElapsedHolds::default(), "nothing waits");
}

#[test]
fn a_message_that_the_service_left_unanswered_slows_the_rest() {
    let mut world = World::seeded(62);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.ignores = 1;
    world.say(ann, &room, "unlucky");
    world.pass(Duration::from_secs(22));
    let holds = world.holds(ann);
    assert!(holds.sends > Some(world.elapsed()), "{holds:?}");
    assert!(holds.refused.is_empty());
}
