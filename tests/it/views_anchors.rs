//! Timelines: where they begin, and how missing history is shown and filled.

use sampan::model::{Count, ItemKey, MessageKey, MessageRef, Timestamp};
use sampan::views::TimelineState;
use sampan::{Anchor, FillState, TimelineEdge, TimelineEdit, TimelineItemKind, TimelineStart};

use crate::place::Place;
use crate::screen::{Ben, Screen, ann, catch_up, from, line, lines, messages, page, with_a_gap};

/// Paging: offline the missing history becomes an item and the next call goes on behind it.
#[tokio::test]
async fn offline_a_gap_becomes_an_item_and_the_next_call_goes_on_behind_it() {
    let place = Place::new().await;
    let (_ben, ann, talk) = with_a_gap(&place).await;
    ann.client.go_offline().unwrap();
    // The newest history may be incomplete again: the window begins below that.
    let mut screen = Screen::open(&talk, page(20)).await;
    screen
        .until("twenty lines", |state| messages(state) == 20)
        .await;
    let loaded = screen.timeline.load_older(10).await.unwrap();
    assert_eq!(loaded.added, Count(0), "no error for being offline");
    screen
        .until("a gap", |state| line(&state.items[0]) == "(gap)")
        .await;
    assert_eq!(screen.state.older, TimelineEdge::More);
    let loaded = screen.timeline.load_older(10).await.unwrap();
    assert_eq!(loaded.added, Count(10), "what is held behind the gap");
    screen
        .until("ten more", |state| messages(state) == 30)
        .await;
    assert_eq!(
        screen.lines()[..11],
        [lines(20..30), vec!["(gap)".to_owned()]].concat()
    );
}

/// Gaps: one that is seen fills by itself and keeps its key while it shrinks.
#[tokio::test]
async fn a_gap_that_is_seen_fills_by_itself_and_keeps_its_key() {
    let place = Place::new().await;
    let (_ben, ann, talk) = with_a_gap(&place).await;
    ann.client.go_offline().unwrap();
    let mut screen = Screen::open(&talk, page(20)).await;
    screen.timeline.load_older(10).await.unwrap();
    screen.timeline.load_older(10).await.unwrap();
    screen
        .until("a gap inside", |state| line(&state.items[10]) == "(gap)")
        .await;
    let (at, key) = screen.gap().unwrap();
    screen.see(at - 1, at + 1);
    let waits = |state: &TimelineState| {
        let gap = state.find(&key).map(|(_, item)| item.kind.clone());
        gap == Some(TimelineItemKind::Gap {
            state: FillState::Waiting,
        })
    };
    screen.until("a gap that waits for a session", waits).await;
    ann.client.go_online(None).unwrap();
    screen.until("no gap", |state| messages(state) == 70).await;
    screen
        .until("a whole", |state| {
            !state.items.iter().any(|it| line(it) == "(gap)")
        })
        .await;
    assert_eq!(screen.lines(), lines(20..90));
}

/// Gaps: filling by hand asks for a page; the gap keeps its key and its place.
#[tokio::test]
async fn a_gap_is_filled_by_hand_page_by_page() {
    let place = Place::new().await;
    let (_ben, ann, talk) = with_a_gap(&place).await;
    ann.client.go_offline().unwrap();
    let mut options = page(20);
    options.fill_visible = false;
    let mut screen = Screen::open(&talk, options).await;
    screen.timeline.load_older(10).await.unwrap();
    screen.timeline.load_older(10).await.unwrap();
    screen
        .until("a gap inside", |state| state.items.len() > 30)
        .await;
    let (_, key) = screen.gap().unwrap();
    let loaded = screen.timeline.fill(key.clone()).await.unwrap();
    let waits = TimelineEdge::Missing {
        state: FillState::Waiting,
    };
    assert_eq!(loaded.edge, waits, "offline it waits");
    catch_up(&ann).await;
    screen.until("no gap", |state| messages(state) == 70).await;
    let gone = screen.timeline.fill(key).await;
    assert!(
        matches!(gone, Err(sampan::SampanError::NotFound { .. })),
        "{gone:?}"
    );
}

/// Anchors: the first unread message, the mark before it, and the mark stays when it is read.
#[tokio::test]
async fn a_timeline_from_the_first_unread_message_begins_there_and_its_mark_stays() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..20).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    talk.mark_read(None).await.unwrap();
    let nothing = Screen::open(&talk, from(TimelineStart::FirstUnread, 10)).await;
    assert_eq!(nothing.state.anchor, Anchor::None, "nothing is unread");
    let unread = ben.say(20..40).await;
    ann.until("40 lines", || async {
        (ann.lines(&ben.talk).await.ok()?.len() == 40).then_some(())
    })
    .await;
    let mut screen = Screen::open(&talk, from(TimelineStart::FirstUnread, 10)).await;
    let first = MessageKey::service(unread[0].sent_at, unread[0].id.clone());
    let expected = Anchor::At {
        key: first.into(),
        jump: Count(1),
    };
    assert_eq!(screen.state.anchor, expected);
    let around = [lines(15..20), vec!["(20 new)".to_owned()], lines(20..26)].concat();
    assert_eq!(screen.lines(), around);
    assert_eq!(screen.state.newer, TimelineEdge::More);
    talk.mark_read(None).await.unwrap();
    ben.say(40..41).await;
    screen
        .until("what is behind", |state| state.below >= Count(15))
        .await;
    assert_eq!(
        screen.lines(),
        around,
        "neither the mark nor the window moved"
    );
    screen.timeline.jump(TimelineStart::Newest).await.unwrap();
    let update = screen.update().await;
    assert!(matches!(
        update.edits.as_slice(),
        [TimelineEdit::Reset { .. }]
    ));
    assert_eq!(screen.lines(), lines(31..41));
    assert_eq!(screen.state.newer, TimelineEdge::End);
}

/// Anchors: a message that is not on this device is searched for, then found, or absent.
#[tokio::test]
async fn a_message_that_is_not_held_is_searched_for_and_found_or_absent() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..100).await;
    let ann = ann(&place, "phone", 20).await;
    catch_up(&ann).await;
    ann.client.go_offline().unwrap();
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let reference = said[30].clone();
    let start = TimelineStart::Reference {
        reference: reference.clone(),
    };
    let mut screen = Screen::open(&talk, from(start.clone(), 10)).await;
    assert_eq!(screen.state.anchor, Anchor::Searching);
    let waits = TimelineItemKind::Gap {
        state: FillState::Waiting,
    };
    screen
        .until("a search that waits", |state| {
            state.items.iter().all(|it| it.kind == waits)
        })
        .await;
    ann.client.go_online(None).unwrap();
    let found = |state: &TimelineState| matches!(state.anchor, Anchor::At { .. });
    screen.until("the message", found).await;
    let key: ItemKey = MessageKey::service(reference.sent_at, reference.id.clone()).into();
    let (at, item) = screen.state.find(&key).unwrap();
    assert_eq!(line(item), "line 30");
    assert!(at > 0, "with what was said before it: {:?}", screen.lines());
    let absent = MessageRef {
        sent_at: Timestamp::from_millis(reference.sent_at.as_millis() - 1),
        id: sampan::model::MessageId::new("nothing").unwrap(),
        ..reference
    };
    let absent = TimelineStart::Reference { reference: absent };
    screen.timeline.jump(absent).await.unwrap();
    screen
        .until("absence", |state| state.anchor == Anchor::Absent)
        .await;
    screen.timeline.jump(start).await.unwrap();
    screen.until("the message again", found).await;
    let Anchor::At { jump, .. } = screen.state.anchor else {
        panic!("it is there");
    };
    assert_eq!(jump, Count(2), "another jump is another scroll");
}

/// Anchors: the first message of a time or later.
#[tokio::test]
async fn a_timeline_from_a_time_begins_at_the_first_message_of_that_time_or_later() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..30).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let at = said[12].sent_at;
    let expected = said.iter().find(|it| it.sent_at >= at).unwrap();
    let mut screen = Screen::open(&talk, from(TimelineStart::Time { at }, 10)).await;
    let key = MessageKey::service(expected.sent_at, expected.id.clone());
    let expected = Anchor::At {
        key: key.clone().into(),
        jump: Count(1),
    };
    assert_eq!(screen.state.anchor, expected);
    // And by its key: the window is the same.
    let lines = screen.lines();
    let start = TimelineStart::Message { message: key };
    screen.timeline.jump(start).await.unwrap();
    screen.update().await;
    assert_eq!(screen.lines(), lines);
}

/// The live end: an anchored window goes on to it by loading newer messages.
#[tokio::test]
async fn loading_newer_leads_to_the_live_end() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..60).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let start = TimelineStart::Time {
        at: said[10].sent_at,
    };
    let mut screen = Screen::open(&talk, from(start, 10)).await;
    assert_eq!(screen.state.newer, TimelineEdge::More);
    while screen.timeline.load_newer(20).await.unwrap().edge != TimelineEdge::End {}
    screen
        .until("the live end", |state| state.newer == TimelineEdge::End)
        .await;
    assert_eq!(screen.lines().last().unwrap(), "line 59");
    ben.say(60..61).await;
    screen
        .until("a new line", |state| {
            state.items.last().is_some_and(|it| line(it) == "line 60")
        })
        .await;
    let nothing = screen.timeline.load_newer(20).await.unwrap();
    assert_eq!((nothing.added, nothing.edge), (Count(0), TimelineEdge::End));
}

/// Reading: seen messages are marked read, once a second at most.
#[tokio::test]
async fn what_is_seen_is_marked_read() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..10).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    assert_eq!(ann.client.state().unread.all.messages, 10);
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::newest(&talk).await;
    screen.see(0, 4);
    ann.until("five unread", || async {
        (ann.client.state().unread.all.messages == 5).then_some(())
    })
    .await;
    screen
        .until("five below", |state| state.below == Count(5))
        .await;
    screen.see(5, 9);
    ann.until("nothing unread", || async {
        (ann.client.state().unread.all.messages == 0).then_some(())
    })
    .await;
    screen
        .until("nothing below", |state| state.below == Count(0))
        .await;
}

/// §5.1 Paging: `load_newer` is the mirror of `load_older`: from a message that was searched for it goes through the
/// missing history, page by page, without a hole, to the live end.
#[tokio::test]
async fn loading_newer_goes_through_missing_history_without_a_hole() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..100).await;
    let ann = ann(&place, "phone", 20).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let start = TimelineStart::Reference {
        reference: said[30].clone(),
    };
    let mut screen = Screen::open(&talk, from(start, 10)).await;
    screen
        .until("what followed the message", |state| {
            messages(state) > 0 && line(state.items.last().unwrap()) == "line 35"
        })
        .await;
    let first: u32 = screen.lines()[0]
        .trim_start_matches("line ")
        .parse()
        .unwrap();
    assert_eq!(screen.lines(), lines(first..36));
    let mut last = 35;
    loop {
        let loaded = screen.timeline.load_newer(10).await.unwrap();
        screen
            .until("the page", |state| {
                line(state.items.last().unwrap()) != format!("line {last}")
            })
            .await;
        let shown = screen.lines();
        last = shown
            .last()
            .unwrap()
            .trim_start_matches("line ")
            .parse()
            .unwrap();
        assert_eq!(shown, lines(first..last + 1), "no hole");
        if loaded.edge == TimelineEdge::End {
            break;
        }
    }
    assert_eq!(last, 99);
}

/// §5.5: a conversation that only a push named has a handle at once; its timeline asks for it, and says so.
#[tokio::test]
async fn a_conversation_that_is_not_on_this_device_is_asked_for_by_its_timeline() {
    let place = Place::new().await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    ann.client.go_offline().unwrap();
    let ben = Ben::of(&place).await;
    ben.say(0..5).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::newest(&talk).await;
    assert_eq!(screen.state.anchor, Anchor::Searching);
    let waits = TimelineEdge::Missing {
        state: FillState::Waiting,
    };
    screen
        .until("a question that waits", |state| state.older == waits)
        .await;
    ann.client.go_online(None).unwrap();
    screen
        .until("the newest line", |state| {
            state.items.last().map(line) == lines(4..5).pop()
        })
        .await;
    // A catch-up may bring the newest message before the others: they are older than the window.
    while screen.state.items.len() < 5 {
        screen.timeline.load_older(20).await.unwrap();
        screen.update().await;
    }
    assert!(screen.state.items.iter().map(line).eq(lines(0..5)));
    assert_eq!(screen.state.anchor, Anchor::None);
    let nowhere = sampan::model::ConversationId::new("5a0000000000000000000000").unwrap();
    let nothing = ann.client.conversation(nowhere).unwrap();
    let mut screen = Screen::newest(&nothing).await;
    screen
        .until("absence", |state| state.anchor == Anchor::Absent)
        .await;
    assert_eq!(
        (screen.state.items.len(), &screen.state.older),
        (0, &TimelineEdge::End)
    );
}
