//! News that comes late, twice or out of turn changes nothing that is newer, and nothing that belongs elsewhere.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ConversationId, MessageId, Timestamp};
use crate::store::TimelineItem;
use crate::sync::{FetchReceipts, MarkRead};
use crate::wire::ServiceCode;
use crate::wire::generated::{CommandType, UnreadTuple};

/// Words and service ids of what a device shows.
fn shown(world: &World, device: Device, room: &ConversationId) -> Vec<(String, Option<MessageId>)> {
    let items = world.items(device, room);
    let messages = items.iter().filter_map(TimelineItem::message);
    messages
        .map(|it| {
            let words = it.content.words().unwrap_or_default();
            (words.to_owned(), it.id.clone())
        })
        .collect()
}

/// The same, at the service.
fn held(world: &World, room: &ConversationId) -> Vec<(String, Option<MessageId>)> {
    let messages = world.service.conversations[room.as_str()].messages.iter();
    messages
        .map(|it| (it.text.clone(), MessageId::new(&it.id).ok()))
        .collect()
}

#[test]
fn late_acknowledgements_settle_the_entries_that_they_belong_to_in_whatever_order_they_come() {
    let mut world = World::seeded(501);
    let [ann] = world.devices(["ann"]);
    let rooms = [(); 2].map(|()| world.found(&["ann", "ben"]));
    world.settle();
    // The repeated sendings are not answered: only the late acknowledgements settle.
    for room in &rooms {
        world.say(ann, room, &format!("in {room}"));
    }
    let mut late = Vec::new();
    for _ in 0..200 {
        world.pass(Duration::from_millis(1));
        late.extend(world.hold_back_frames(ann));
        if late.len() == 2 {
            break;
        }
    }
    assert_eq!(late.len(), 2, "both acknowledgements are on their way");
    world.service.ignores = u32::MAX;
    world.pass(Duration::from_secs(22));
    assert_eq!(world.outbox(ann).len(), 2);
    late.reverse();
    world.release_frames(late);
    world.pass(Duration::from_millis(100));
    assert!(world.outbox(ann).is_empty());
    for room in &rooms {
        assert_eq!(shown(&world, ann, room), held(&world, room));
    }
}

#[test]
fn read_marks_do_not_go_back_whatever_the_app_or_the_service_says_later() {
    let mut world = World::seeded(502);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.post(&room, "ben", "one");
    let one = world.wall();
    world.pass(Duration::from_secs(5));
    world.post(&room, "ben", "two");
    world.settle();
    world.partition(ann);
    world.mark_read(ann, &room);
    let furthest = world.row(ann, &room).read_until_self;
    let request = MarkRead {
        conversation: room.clone(),
        until: Some(Timestamp::from_millis(one)),
    };
    world.ask(ann, request).unwrap();
    assert_eq!(world.row(ann, &room).read_until_self, furthest);
    assert_eq!(world.unread(ann, &room), (0, false));
    world.repair(ann);
    world.settle();
    assert_eq!(world.unread(ann, &room), (0, false));
    assert_eq!(world.service.conversations[room.as_str()].unread("ann"), 0);
    assert_eq!(world.row(ann, &room).read_until_self, furthest);
}

#[test]
fn an_unread_count_that_was_told_before_another_one_is_not_taken_and_moves_no_cursor_back() {
    let mut world = World::seeded(503);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.post(&room, "ben", "one");
    world.settle();
    let told_at = world.wall();
    let tuple = |unread, newest| UnreadTuple {
        cid: room.as_str().to_owned(),
        unread,
        timestamp: Some(newest),
        ..UnreadTuple::default()
    };
    let newest = world.service.conversations[room.as_str()].messages[0].at;
    world.tell_unread("ann", tuple(1, newest), told_at);
    world.moment();
    let cursor = world.store(ann).snapshot().session().last_unread_notif_at;
    assert_eq!(cursor, Some(Timestamp::from_millis(told_at)));
    world.tell_unread("ann", tuple(7, newest), told_at - 1000);
    world.settle();
    assert_eq!(world.unread(ann, &room), (1, false));
    let after = world.store(ann).snapshot().session().last_unread_notif_at;
    assert!(after >= cursor, "{after:?} {cursor:?}");
}

#[test]
fn a_page_that_was_asked_for_in_an_earlier_session_does_not_reach_the_present() {
    let mut world = World::seeded(504);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.post(&room, "ben", "before");
    world.settle();
    let request = world.history_request(&room, 20);
    world.call(ann, request);
    world.pass(Duration::from_millis(46));
    let late = world.hold_back_frames(ann);
    assert_eq!(late.len(), 1);
    // The service loses the session, and the connection stays.
    world.service.lose_sessions();
    world.post(&room, "ben", "unheard");
    world.refuse(CommandType::Logs, ServiceCode::INTERNAL_ERROR);
    let request = FetchReceipts {
        conversation: room.clone(),
    };
    world.call(ann, request);
    world.moment();
    world.post(&room, "ben", "live");
    world.moment();
    world.release_frames(late);
    world.moment();
    let shown = world.timeline(ann, &room);
    let joined = shown
        .windows(2)
        .any(|it| it == ["ben: before", "ben: live"]);
    assert!(!joined, "{shown:?}");
    world.service.refuses = None;
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_full_page_of_one_single_time_is_gone_past_and_asked_for_once() {
    let mut world = World::seeded(505);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    for n in 0..3 {
        world.pass(Duration::from_secs(1));
        world.post(&room, "ben", &format!("older {n}"));
    }
    world.pass(Duration::from_secs(1));
    world.settle();
    world.partition(ann);
    // Messages of an hour have the same time, and the service knows no place within it.
    world.service.granularity = 3_600_000;
    world.service.pages_by_time = true;
    for n in 0..120 {
        world.post(&room, "ben", &format!("same {n}"));
    }
    let other = world.device("ann", None);
    world.connect(other);
    let before = world.sent_frames(other);
    world.settle();
    for _ in 0..20 {
        if let Some(edge) = world.newer_edge_of_gap(other, &room) {
            world.fetch(other, &room, Some(edge), 50).unwrap();
        }
    }
    let shown = world.timeline(other, &room);
    assert!(
        world.sent_frames(other) - before < 40,
        "no page is asked for again and again"
    );
    for n in 0..3 {
        assert!(shown.contains(&format!("ben: older {n}")), "{shown:?}");
    }
    assert!(!shown.contains(&"~".to_owned()));
}

#[test]
fn a_page_of_the_list_that_belongs_to_an_earlier_reading_ends_no_later_one() {
    let mut world = World::seeded(506);
    let [ann] = world.devices(["ann"]);
    let rooms: Vec<_> = (0..60).map(|_| world.found(&["ann", "ben"])).collect();
    for room in &rooms {
        world.pass(Duration::from_millis(10));
        world.post(room, "ben", "old");
    }
    world.settle();
    world.partition(ann);
    world.pass(Duration::from_secs(300));
    // The last five have nothing new: where the list comes to them, it is complete.
    let (new, _) = rooms.split_at(53);
    for room in new.iter().rev() {
        world.pass(Duration::from_millis(10));
        world.post(room, "ben", "new");
    }
    world.repair(ann);
    let newest = new[0].clone();
    while world.row(ann, &newest).last_message_at < world.service.newest(newest.as_str()) {
        world.step();
    }
    // The first page of the list may be on its way: wait for what only the list tells.
    while !world
        .timeline(ann, &newest)
        .contains(&"ben: new".to_owned())
    {
        world.step();
    }
    world.remove_member(&new[2], "ann");
    world.settle();
    for (index, room) in new.iter().enumerate().filter(|(index, _)| *index != 2) {
        assert_eq!(world.timeline(ann, room), world.truth(room), "room {index}");
    }
}

#[test]
fn a_message_that_one_entry_became_is_not_claimed_for_another_one_in_doubt() {
    let limits = Limits {
        token_memory: Some(Duration::from_secs(60)),
        ..Limits::default()
    };
    let mut world = World::with_limits(507, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.say(ann, &room, "the same words");
    world.moment();
    assert!(world.outbox(ann).is_empty());
    world.service.forgets_tokens = true;
    world.service.ignores = 1;
    world.say(ann, &room, "the same words");
    world.moment();
    world.partition(ann);
    world.pass(Duration::from_secs(600));
    world.repair(ann);
    world.settle();
    assert!(world.outbox(ann).is_empty());
    let words = ["ann: the same words", "ann: the same words"];
    assert_eq!(world.truth(&room), words);
    assert_eq!(shown(&world, ann, &room), held(&world, &room));
}

#[test]
fn what_is_acknowledged_to_the_service_is_on_disk_before() {
    let mut world = World::seeded(508);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ben, &["ann"]);
    world.settle();
    let id = world.service_id(ben, &room);
    world.say(ben, &room, "precious");
    for _ in 0..1000 {
        world.step();
        if world.state_of(ben, &room, "precious") == "delivered" {
            break;
        }
    }
    assert_eq!(world.state_of(ben, &room, "precious"), "delivered");
    world.partition(ann);
    world.crash(ann);
    assert_eq!(world.timeline(ann, &id), ["ben: precious"]);
}

#[test]
fn a_receipt_that_raises_no_mark_is_forgotten_all_the_same() {
    let mut world = World::seeded(509);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.say(ann, &room, "one");
    world.moment();
    world.mark_read(ben, &id);
    world.settle();
    assert_eq!(world.state_of(ann, &room, "one"), "read");
    let awaited = world
        .items(ann, &room)
        .into_iter()
        .find_map(|item| match item {
            TimelineItem::Message { position, .. } => Some(position.id),
            _ => None,
        });
    let awaited = awaited.unwrap();
    // The receipt comes again, after the mark stands.
    world.tell_receipt(&id, "ann", "ben", awaited.as_str());
    world.moment();
    world.crash(ann);
    let snapshot = world.store(ann).snapshot();
    assert_eq!(snapshot.awaiting_receipt(&awaited).unwrap(), None);
}

#[test]
fn a_damaged_row_begins_anew_and_neither_the_machine_nor_the_socket_is_dropped() {
    let mut world = World::seeded(510);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.post(&room, "ben", "said");
    world.settle();
    world.partition(ann);
    let whole = world.copy_of_disk(ann);
    let files = whole.files();
    let length = files.iter().find(|(name, _)| name == "tree.log").unwrap().1;
    for case in 0..120 {
        let damaged = whole.duplicate();
        assert!(damaged.damage("tree.log", length * case / 120 + 3));
        world.restore(ann, &damaged);
        world.post(&room, "ben", &case.to_string());
        world.repair(ann);
        world.connect(ann);
        world.settle();
        for _ in 0..20 {
            if let Some(edge) = world.newer_edge_of_gap(ann, &room) {
                world.fetch(ann, &room, Some(edge), 100).unwrap();
            }
        }
        assert_eq!(
            world.timeline(ann, &room),
            world.truth(&room),
            "case {case}"
        );
        world.partition(ann);
    }
}
