//! Every kind of write, made offline, over a restart and over answers that are lost one after the other:
//! each effect once and in order, or told as ambiguous where the service forgets tokens.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ClientId, ConversationId, ConversationState, Json};
use crate::store::MembersChange;
use crate::sync::request::{ChangeMembers, SetAttributes, SetMuted, SetName};

struct Scene {
    world: World,
    ann: Device,
    tea: ConversationId,
    gone: ConversationId,
    club: ConversationId,
    made: Option<ConversationId>,
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

/// Ann, offline, has written everything there is to write, and was killed.
fn scene(seed: u64, limits: Limits) -> Scene {
    let mut world = World::with_limits(seed, limits);
    let [ann, cat] = world.devices(["ann", "cat"]);
    let tea = world.create(ann, &["ben", "dan"]);
    let gone = world.create(ann, &["ben"]);
    let (_, tow) = world.say(ann, &tea, "tow");
    let (_, oops) = world.say(ann, &tea, "oops");
    world.settle();
    let club = world.create(cat, &["eve"]);
    world.settle();
    let club = world.service_id(cat, &club);
    let id = world.service_id(ann, &tea);
    world.post(&id, "ben", "hello");
    world.settle();
    world.service.changes.clear();
    world.partition(ann);
    world.moment();
    let mut scene = Scene {
        world,
        ann,
        tea: tea.clone(),
        gone: gone.clone(),
        club: club.clone(),
        made: None,
    };
    scene.world.say(ann, &tea, "three");
    scene.world.rewrite(ann, &tea, &tow, "two").unwrap();
    scene.world.take_back(ann, &tea, &oops).unwrap();
    scene.world.mark_read(ann, &tea);
    name(&mut scene, &tea, "Tea");
    let call = SetAttributes {
        conversation: tea.clone(),
        changes: Json::parse(r#"{"kettle": "on"}"#).unwrap(),
    };
    scene.world.ask(ann, call).unwrap();
    let call = SetMuted {
        conversation: tea.clone(),
        muted: true,
    };
    scene.world.ask(ann, call).unwrap();
    members(&mut scene, &tea, MembersChange::Add, &["cat"]);
    members(&mut scene, &tea, MembersChange::Remove, &["dan"]);
    scene.world.say(ann, &tea, "four");
    members(&mut scene, &gone, MembersChange::Quit, &[]);
    members(&mut scene, &club, MembersChange::Join, &[]);
    scene.world.say(ann, &club, "hello, club");
    let made = scene.world.create(ann, &["ben"]);
    scene.world.say(ann, &made, "first");
    members(&mut scene, &made, MembersChange::Add, &["cat"]);
    name(&mut scene, &made, "New");
    scene.world.say(ann, &made, "second");
    scene.made = Some(made);
    scene.world.crash(ann);
    scene.world.connect(ann);
    scene
}

/// Each effect is at the service once and in order, and the device shows it.
fn check(scene: &mut Scene) {
    let (world, ann) = (&mut scene.world, scene.ann);
    let left = world.outbox(ann);
    assert!(left.is_empty(), "{left:?}");
    let tea = world.service_id(ann, &scene.tea);
    let said = [
        "ann: two",
        "ann: ?",
        "ben: hello",
        "ann: three",
        "ann: four",
    ];
    assert_eq!(world.truth(&tea), said);
    assert_eq!(world.truth(&scene.club), ["ann: hello, club"]);
    let made = world.service_id(ann, scene.made.as_ref().unwrap());
    assert!(!made.is_local());
    assert_eq!(world.truth(&made), ["ann: first", "ann: second"]);
    assert_eq!(world.service.conversations.len(), 4, "made once");
    let conversation = &world.service.conversations[tea.as_str()];
    assert_eq!(conversation.name.as_deref(), Some("Tea"));
    assert_eq!(
        conversation.attributes,
        Some(serde_json::json!({"kettle": "on"}))
    );
    assert!(conversation.muted.contains("ann"));
    assert_eq!(conversation.unread("ann"), 0);
    assert_eq!(conversation.members, ["ann", "ben", "cat"]);
    let gone = world.service_id(ann, &scene.gone);
    assert_eq!(world.service.conversations[gone.as_str()].members, ["ben"]);
    let removed = |who: &str| {
        let changes = world.service.changes.iter();
        changes
            .filter(|it| it.ends_with(&format!("removed {who}")))
            .count()
    };
    assert_eq!((removed("dan"), removed("ann")), (1, 1));
    assert_eq!(world.info(ann, &gone).state, ConversationState::Left);
    assert_eq!(world.info(ann, &tea).name.as_deref(), Some("Tea"));
    assert_eq!(world.timeline(ann, &tea), world.truth(&tea));
    let shown = world.info(ann, &made);
    assert_eq!(shown.name.as_deref(), Some("New"));
    assert!(shown.members.contains(&ClientId::new("cat").unwrap()));
}

#[test]
fn every_kind_of_write_made_offline_is_done_once_and_in_order() {
    let mut scene = scene(1, Limits::default());
    scene.world.repair(scene.ann);
    scene.world.settle();
    check(&mut scene);
}

#[test]
fn every_kind_of_write_is_done_once_though_answers_are_lost_one_after_the_other() {
    for seed in 0..24 {
        let mut scene = scene(seed, Limits::default());
        scene.world.repair(scene.ann);
        for _ in 0..seed {
            scene.world.lose_next_answer(scene.ann);
            scene.world.pass(Duration::from_secs(4));
        }
        scene.world.settle();
        scene.world.settle();
        check(&mut scene);
    }
}

#[test]
fn where_the_service_forgets_tokens_after_a_minute_every_kind_of_write_is_done_once_all_the_same() {
    let limits = Limits {
        token_memory: Some(Duration::from_secs(60)),
        ..Limits::default()
    };
    for seed in 0..24 {
        let mut scene = scene(seed, limits.clone());
        scene.world.service.forgets_tokens = true;
        scene.world.repair(scene.ann);
        for _ in 0..seed {
            scene.world.lose_next_answer(scene.ann);
            scene.world.pass(Duration::from_millis(400));
            scene.world.partition(scene.ann);
            scene.world.pass(Duration::from_secs(90));
            scene.world.repair(scene.ann);
        }
        scene.world.settle();
        scene.world.settle();
        check(&mut scene);
    }
}
