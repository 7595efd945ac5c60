//! Answers that are older than what is known, notices that come twice, and lists that come in pages.

use serde_json::json;

use super::world::{Device, World};
use crate::model::{
    AttributeChange, ClientId, ConversationId, ConversationKind, ConversationState, Json, Timestamp,
};
use crate::store::MembersChange;
use crate::sync::request::{ChangeAttribute, ChangeMembers, Done, MemberBan, RefreshBan};
use crate::wire::generated::{BlacklistCommand, ConvCommand, JsonObjectMessage};
use crate::wire::{Command, Op, iso};

fn quit(world: &mut World, device: Device, room: &ConversationId) {
    let request = ChangeMembers {
        conversation: room.clone(),
        change: MembersChange::Quit,
        members: Vec::new(),
    };
    world.ask(device, request).unwrap();
    world.moment();
}

/// The service's answer to whether a client is inside.
fn inside(room: &ConversationId, is_inside: bool) -> Command {
    let results = json!({ room.as_str(): is_inside });
    let body = ConvCommand {
        results: Some(JsonObjectMessage {
            data: results.to_string(),
        }),
        ..ConvCommand::default()
    };
    Command::conv(Op::Results, body)
}

const fn asks_for_the_room(command: &Command) -> bool {
    matches!(
        command,
        Command::Conv {
            op: Op::IsMember,
            ..
        }
    )
}

/// Brings a device into a chat room and through a broken connection, up to the moment when the service has said
/// whether it is still inside and the answer is on its way.
fn back_with_an_answer_on_its_way(
    world: &mut World,
    device: Device,
    is_inside: bool,
) -> ConversationId {
    let room = world.make_kind(device, ConversationKind::ChatRoom, &[]);
    assert_eq!(world.row(device, &room).state, ConversationState::Live);
    world.partition(device);
    world.moment();
    let answer = inside(&room, is_inside);
    world.service.scripts.push((asks_for_the_room, answer));
    world.repair(device);
    while !world.service.scripts.is_empty() {
        assert!(world.step(), "the room is asked for after a sign-in");
    }
    room
}

#[test]
fn an_answer_about_a_chat_room_that_was_left_meanwhile_does_not_bring_the_client_back_in() {
    let mut world = World::seeded(701);
    let [ann] = world.devices(["ann"]);
    let room = back_with_an_answer_on_its_way(&mut world, ann, true);
    let held = world.hold_back_frames(ann);
    quit(&mut world, ann, &room);
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    world.release_frames(held);
    world.moment();
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    // Nor does an answer about the room before put the client out of the one it entered since.
    let second = world.make_kind(ann, ConversationKind::ChatRoom, &[]);
    assert_eq!(world.row(ann, &second).state, ConversationState::Live);
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
}

#[test]
fn an_answer_about_the_chat_room_before_leaves_the_one_that_was_entered_meanwhile() {
    let mut world = World::seeded(702);
    let [ann] = world.devices(["ann"]);
    let first = back_with_an_answer_on_its_way(&mut world, ann, true);
    let held = world.hold_back_frames(ann);
    let second = world.make_kind(ann, ConversationKind::ChatRoom, &[]);
    world.release_frames(held);
    world.moment();
    assert_eq!(world.row(ann, &first).state, ConversationState::Left);
    assert_eq!(world.row(ann, &second).state, ConversationState::Live);
}

#[test]
fn a_chat_room_whose_place_was_lost_is_shown_as_left_and_is_not_asked_for_again() {
    let mut world = World::seeded(703);
    let [ann] = world.devices(["ann"]);
    let room = back_with_an_answer_on_its_way(&mut world, ann, false);
    world.moment();
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    let answer = inside(&room, true);
    world.service.scripts.push((asks_for_the_room, answer));
    world.cut(ann);
    world.settle();
    assert_eq!(world.service.scripts.len(), 1, "nobody asked");
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
}

const fn asks_for_the_silenced(command: &Command) -> bool {
    matches!(
        command,
        Command::Conv {
            op: Op::QueryShutup,
            ..
        }
    )
}

const fn asks_for_the_blocked(command: &Command) -> bool {
    matches!(command, Command::Blacklist { op: Op::Query, .. })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn silenced(members: &[&str], next: Option<&str>) -> Command {
    let body = ConvCommand {
        m: names(members),
        next: next.map(ToOwned::to_owned),
        ..ConvCommand::default()
    };
    Command::conv(Op::ShutupResult, body)
}

fn blocked(members: &[&str], next: Option<&str>) -> Command {
    let body = BlacklistCommand {
        blocked_pids: names(members),
        next: next.map(ToOwned::to_owned),
        ..BlacklistCommand::default()
    };
    Command::blacklist(Op::QueryResult, body)
}

fn refresh(world: &mut World, device: Device, room: &ConversationId, list: MemberBan) {
    let conversation = room.clone();
    let call = world.call(device, RefreshBan { conversation, list });
    world.moment();
    assert_eq!(world.answer(device, call), Some(Ok(Done)));
}

#[test]
fn a_list_of_members_that_comes_in_pages_is_shown_whole() {
    let mut world = World::seeded(704);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    for (next, page) in [
        (Some("2"), ["ben", "cat"]),
        (Some("3"), ["dan", "eve"]),
        (None, ["flo", "gil"]),
    ] {
        world
            .service
            .scripts
            .push((asks_for_the_silenced, silenced(&page, next)));
        world
            .service
            .scripts
            .push((asks_for_the_blocked, blocked(&page, next)));
    }
    refresh(&mut world, ann, &room, MemberBan::Silenced);
    refresh(&mut world, ann, &room, MemberBan::Blocked);
    let lists = world.row(ann, &room).lists;
    let all = ["ben", "cat", "dan", "eve", "flo", "gil"];
    assert!(lists.silenced.iter().map(ClientId::as_str).eq(all));
    assert!(lists.blocked.iter().map(ClientId::as_str).eq(all));
    // A shorter list takes the place of the longer one.
    world
        .service
        .scripts
        .push((asks_for_the_silenced, silenced(&["cat"], Some(""))));
    refresh(&mut world, ann, &room, MemberBan::Silenced);
    let lists = world.row(ann, &room).lists;
    assert!(lists.silenced.iter().map(ClientId::as_str).eq(["cat"]));
}

#[test]
fn a_list_of_members_that_goes_in_circles_ends() {
    let mut world = World::seeded(705);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    for _ in 0..3 {
        let page = silenced(&["ben"], Some("again"));
        world.service.scripts.push((asks_for_the_silenced, page));
    }
    refresh(&mut world, ann, &room, MemberBan::Silenced);
    assert_eq!(
        world.service.scripts.len(),
        1,
        "the second page told nothing new"
    );
    let lists = world.row(ann, &room).lists;
    assert!(lists.silenced.iter().map(ClientId::as_str).eq(["ben"]));
}

/// A notification about members of a room, at a time of the service's clock.
fn of_members(room: &ConversationId, op: Op, by: &str, members: &[&str], at: i64) -> Command {
    let body = ConvCommand {
        cid: Some(room.as_str().to_owned()),
        init_by: Some(by.to_owned()),
        m: names(members),
        udate: Some(iso::format(Timestamp::from_millis(at))),
        ..ConvCommand::default()
    };
    Command::conv(op, body)
}

#[test]
fn who_left_by_itself_is_told_as_left_and_who_was_removed_as_removed() {
    for (by, told) in [("ann", "Left by ann: ann"), ("ben", "Removed by ben: ann")] {
        let mut world = World::seeded(706);
        let [ann] = world.devices(["ann"]);
        let room = world.found(&["ann", "ben"]);
        world.settle();
        world.notices(ann);
        let at = world.wall();
        world.tell("ann", &of_members(&room, Op::Left, by, &[], at));
        world.moment();
        assert_eq!(world.notices(ann), [told]);
        assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    }
}

#[test]
fn a_notice_that_comes_twice_is_told_once_and_a_later_one_again() {
    let mut world = World::seeded(707);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.notices(ann);
    let at = world.wall();
    let joined = of_members(&room, Op::MembersJoined, "ben", &["cat"], at);
    for _ in 0..2 {
        world.tell("ann", &joined);
        world.moment();
    }
    assert_eq!(world.notices(ann), ["Joined by ben: cat"]);
    // Another event of the same time, and the same event of another time, are told.
    let both = [
        of_members(&room, Op::MembersLeft, "ben", &["cat"], at),
        of_members(&room, Op::MembersJoined, "ben", &["cat"], at + 1),
    ];
    for notice in both {
        world.tell("ann", &notice);
        world.moment();
    }
    assert_eq!(
        world.notices(ann),
        ["Left by ben: cat", "Joined by ben: cat"]
    );
}

const fn changes_details(command: &Command) -> bool {
    matches!(command, Command::Conv { op: Op::Update, .. })
}

/// The service's answer to a change of an attribute, made at this time.
fn kettles(value: i64, at: i64) -> Command {
    let told = json!({ "attr": { "kettles": value } });
    let body = ConvCommand {
        udate: Some(iso::format(Timestamp::from_millis(at))),
        attr_modified: Some(JsonObjectMessage {
            data: told.to_string(),
        }),
        ..ConvCommand::default()
    };
    Command::conv(Op::Updated, body)
}

#[test]
fn an_older_answer_about_an_attribute_does_not_override_a_newer_one() {
    let mut world = World::seeded(708);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    let change = |world: &mut World, value: i64, at: i64| {
        world
            .service
            .scripts
            .push((changes_details, kettles(value, at)));
        let request = ChangeAttribute {
            conversation: room.clone(),
            key: "kettles".to_owned(),
            change: AttributeChange::Increment { amount: 1 },
        };
        let call = world.call(ann, request);
        world.moment();
        let answer = world.answer(ann, call).unwrap().unwrap();
        assert_eq!(answer.value, Some(Json::from_value(&json!(value))));
        world.info(ann, &room).attributes.unwrap().to_value()
    };
    let at = world.wall();
    assert_eq!(change(&mut world, 3, at), json!({ "kettles": 3 }));
    // This one was made before, and its answer comes after: the app hears it, and the row keeps the newer value.
    assert_eq!(change(&mut world, 2, at - 1), json!({ "kettles": 3 }));
    assert_eq!(change(&mut world, 4, at + 1), json!({ "kettles": 4 }));
}

/// The service tells a silenced client alone first, and then all members.
#[test]
fn a_client_hears_of_its_own_silence_once() {
    let mut world = World::seeded(212);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben", "cat"]);
    world.settle();
    world.notices(ann);
    let silence = |op, members: &[&str]| {
        let body = ConvCommand {
            cid: Some(room.as_str().to_owned()),
            init_by: Some("ben".to_owned()),
            m: members.iter().map(|it| (*it).to_owned()).collect(),
            ..ConvCommand::default()
        };
        Command::conv(op, body)
    };
    world.tell("ann", &silence(Op::Shutuped, &[]));
    world.tell("ann", &silence(Op::MembersShutuped, &["ann", "cat"]));
    world.moment();
    assert_eq!(
        world.notices(ann),
        ["Silenced by ben: ann", "Silenced by ben: cat"]
    );
    // The next change is told again.
    world.tell("ann", &silence(Op::MembersShutuped, &["ann"]));
    world.moment();
    assert_eq!(world.notices(ann), ["Silenced by ben: ann"]);
}

#[test]
fn the_column_by_which_a_creation_is_found_again_is_no_affair_of_the_apps() {
    let mut world = World::seeded(213);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.info(ben, &id).columns, None);
    assert_eq!(world.info(ann, &room).columns, None);
}
