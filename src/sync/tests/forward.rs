//! History forward in time: from the older edge of what is missing towards the present.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::ConversationId;
use crate::sync::{FetchNewer, HistoryFetched, RequestError};

/// Ann has "first", missed so many messages, and has the newest three of them.
fn ann_with_a_gap(seed: u64, missed: u32, granularity: i64) -> (World, Device, ConversationId) {
    let limits = Limits {
        catch_up_max: 3,
        ..Limits::default()
    };
    let mut world = World::with_limits(seed, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.post(&room, "ben", "first");
    world.moment();
    world.partition(ann);
    world.pass(Duration::from_secs(90));
    world.service.granularity = granularity;
    for n in 0..missed {
        world.pass(Duration::from_secs(4));
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    world.settle();
    (world, ann, room)
}

/// Asks for a page forward from the older edge of the gap; none where there is no gap.
fn forward(
    world: &mut World,
    ann: Device,
    room: &ConversationId,
    limit: u32,
) -> Option<Result<HistoryFetched, RequestError>> {
    let after = world.gap(ann, room)?.older?;
    let call = FetchNewer {
        conversation: room.clone(),
        after,
        limit,
    };
    let caller = world.call(ann, call);
    world.pass(Duration::from_secs(10));
    world.answer(ann, caller)
}

#[test]
fn pages_forward_begin_beside_what_is_held_and_close_the_gap() {
    let (mut world, ann, room) = ann_with_a_gap(601, 30, 1);
    let page = forward(&mut world, ann, &room, 5).unwrap().unwrap();
    assert_eq!((page.added, page.start_reached), (5, false));
    let shown = world.timeline(ann, &room);
    let expected: Vec<String> = ["first", "0", "1", "2", "3", "4"]
        .map(|it| format!("ben: {it}"))
        .into();
    assert_eq!(shown[..6], expected, "{shown:?}");
    assert_eq!(shown[6], "~", "the gap shrank from its older side");
    while forward(&mut world, ann, &room, 5).is_some() {}
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn pages_forward_neither_skip_nor_repeat_messages_of_the_same_time() {
    for by_time in [false, true] {
        // A minute holds fifteen messages, and they all have its time.
        let (mut world, ann, room) = ann_with_a_gap(602, 60, 60_000);
        world.service.pages_by_time = by_time;
        for _ in 0..40 {
            if forward(&mut world, ann, &room, 20).is_none() {
                break;
            }
        }
        assert_eq!(world.timeline(ann, &room), world.truth(&room), "{by_time}");
    }
}

#[test]
fn what_the_service_forgot_in_between_is_no_gap() {
    let (mut world, ann, room) = ann_with_a_gap(603, 30, 1);
    let stored = world.service.conversations.get_mut(room.as_str()).unwrap();
    stored.messages.truncate(1);
    forward(&mut world, ann, &room, 5).unwrap().unwrap();
    let said = ["first", "27", "28", "29"].map(|it| format!("ben: {it}"));
    assert_eq!(world.timeline(ann, &room), said);
    assert!(world.gap(ann, &room).is_none());
}
