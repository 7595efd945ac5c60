//! Timelines: windows that follow the store, page, and end.

use std::sync::Arc;

use sampan::model::{Count, ItemKey, MessageKey};
use sampan::views::TimelineState;
use sampan::{
    Anchor, Blocker, Delivery, FillState, Timeline, TimelineEdge, TimelineEdit, TimelineOptions,
};
use tokio::time::timeout;

use crate::place::{PATIENCE, Place, id};
use crate::screen::{Ben, Screen, ann, catch_up, line, lines, messages, page};

/// Resets: the first update is one; the window is there before the call returns.
#[tokio::test]
async fn the_first_update_is_a_reset_with_the_newest_page() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..15).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let timeline = talk.timeline(Some(page(10))).await.unwrap();
    let first = timeline.next(sampan::Version::NONE).await.unwrap().unwrap();
    assert!(matches!(first.edits.as_slice(), [TimelineEdit::Reset { items }] if items.len() == 10));
    assert_eq!(
        (&first.older, &first.newer),
        (&TimelineEdge::More, &TimelineEdge::End)
    );
    assert_eq!(first.anchor, Anchor::None);
}

/// Echo becomes sent: one update with one edit, and the key of before.
#[tokio::test]
async fn an_echo_that_is_sent_keeps_its_key_and_is_never_removed() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("first".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    ann.client.go_offline().unwrap();
    let mut screen = Screen::newest(&talk).await;
    let sent = talk.send_text("hello".into(), None).await.unwrap();
    screen
        .until("echo", |state| {
            state.items.iter().any(|item| line(item) == "hello")
        })
        .await;
    let key = ItemKey::Message(MessageKey::local(sent.local_id));
    let (_, item) = screen
        .state
        .find(&key)
        .expect("its key is that of its local id");
    let waits = Delivery::Waiting {
        blocker: Blocker::Offline,
    };
    assert_eq!(item.message().unwrap().delivery, Some(waits));
    ann.client.go_online(None).unwrap();
    let is_sent = |state: &TimelineState| {
        let message = state
            .find(&key)
            .and_then(|(_, item)| item.message().cloned());
        message.is_some_and(|message| message.delivery == Some(Delivery::Sent))
    };
    while !is_sent(&screen.state) {
        let update = screen.update().await;
        let is_reset = |edit: &TimelineEdit| matches!(edit, TimelineEdit::Reset { .. });
        assert!(!update.edits.iter().any(is_reset), "{:?}", update.edits);
        let inserts = |edit: &TimelineEdit| match edit {
            TimelineEdit::Insert { items, .. } => items.iter().any(|item| item.key == key),
            _ => false,
        };
        assert!(!update.edits.iter().any(inserts), "{:?}", update.edits);
        assert!(screen.state.find(&key).is_some(), "it never goes");
    }
}

/// Keys: they are the same after a restart, for own messages and for those of others.
#[tokio::test]
async fn keys_of_messages_are_the_same_after_a_restart() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let theirs = ben.say(0..3).await;
    let phone = ann(&place, "phone", 100).await;
    catch_up(&phone).await;
    let talk = phone.client.conversation(ben.talk.clone()).unwrap();
    let own = talk.send_text("mine".into(), None).await.unwrap();
    phone.has_sent_everything().await;
    let mut screen = Screen::newest(&talk).await;
    screen
        .until("four items", |state| state.items.len() == 4)
        .await;
    let keys = screen.keys();
    let first = &theirs[0];
    let expected = MessageKey::service(first.sent_at, first.id.clone());
    assert_eq!(keys[0], ItemKey::Message(expected));
    assert_eq!(keys[3], ItemKey::Message(MessageKey::local(own.local_id)));
    phone.engine.shutdown().await.unwrap();
    let phone = ann(&place, "phone", 100).await;
    let talk = phone.client.conversation(ben.talk.clone()).unwrap();
    let again = Screen::newest(&talk).await;
    let messages = again
        .keys()
        .into_iter()
        .filter(|key| key.message().is_some());
    assert_eq!(messages.collect::<Vec<_>>(), keys);
}

/// S150. The live end: new messages come into the window, and an update is nothing but what changed.
#[tokio::test]
async fn a_new_message_at_the_live_end_is_one_insertion() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..5).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::newest(&talk).await;
    assert!(screen.is_settled().await, "nothing happens");
    ben.say(5..6).await;
    let update = screen.update().await;
    assert!(
        matches!(update.edits.as_slice(), [TimelineEdit::Insert { at: 5, items }] if items.len() == 1),
        "{:?}",
        update.edits
    );
    assert_eq!(screen.lines(), lines(0..6));
}

/// D08. Any number of collectors, each at its own pace; the slow one gets one update, a very slow one a
/// reset, and a cancelled call loses nothing.
#[tokio::test]
async fn collectors_have_their_own_pace_and_a_very_slow_one_is_given_everything_anew() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..2).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut quick = Screen::newest(&talk).await;
    let mut slow = Screen {
        timeline: Arc::clone(&quick.timeline),
        state: quick.state.clone(),
    };
    assert!(quick.is_settled().await, "this call was cancelled");
    for number in 2..9 {
        ben.say(number..number + 1).await;
        let wanted = number as usize + 1;
        quick
            .until("new line", |state| state.items.len() == wanted)
            .await;
    }
    let update = slow.update().await;
    assert!(
        matches!(update.edits.as_slice(), [TimelineEdit::Reset { .. }]),
        "{:?}",
        update.edits
    );
    assert_eq!(slow.state, quick.state);
    assert!(slow.is_settled().await, "one update told it all");
}

/// Paging: the messages of the store come at once, then those of the service, down to the start.
#[tokio::test]
async fn loading_older_goes_through_the_store_and_then_asks_the_service_until_the_start() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..100).await;
    let ann = ann(&place, "phone", 40).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::open(&talk, page(20)).await;
    assert_eq!(screen.state.older, TimelineEdge::More);
    let loaded = screen.timeline.load_older(30).await.unwrap();
    assert_eq!(loaded.added, Count(20), "what was held");
    assert_eq!(
        loaded.edge,
        TimelineEdge::Missing {
            state: FillState::Idle
        }
    );
    let loaded = screen.timeline.load_older(30).await.unwrap();
    assert_eq!(loaded.added, Count(30), "what the service has");
    while screen.timeline.load_older(50).await.unwrap().edge != TimelineEdge::End {}
    screen
        .until("all lines", |state| state.items.len() == 100)
        .await;
    assert_eq!(screen.lines(), lines(0..100));
    assert_eq!(screen.state.older, TimelineEdge::End);
    let nothing = screen.timeline.load_older(50).await.unwrap();
    assert_eq!((nothing.added, nothing.edge), (Count(0), TimelineEdge::End));
}

/// Cut: a window that grows beyond its limit loses the end that is further from what is seen.
#[tokio::test]
async fn a_window_is_cut_at_the_end_that_is_further_from_what_is_seen() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..80).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut options = page(10);
    options.window_max = 40;
    let mut screen = Screen::open(&talk, options).await;
    for _ in 0..6 {
        screen.see(0, 3);
        screen.timeline.load_older(10).await.unwrap();
        screen.update().await;
        assert!(
            screen.state.items.len() <= 40,
            "{}",
            screen.state.items.len()
        );
    }
    assert_eq!(
        screen.state.newer,
        TimelineEdge::More,
        "the newer end was cut"
    );
    let last = screen.lines().last().cloned().unwrap();
    assert_ne!(last, "line 79");
    screen.timeline.load_newer(10).await.unwrap();
    screen.update().await;
    assert!(
        screen.lines().contains(&last),
        "what was cut comes back by paging"
    );
}

/// Paging: a page that holds nothing visible goes on to the next.
#[tokio::test]
async fn a_page_that_holds_nothing_visible_goes_on_to_the_next() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..40).await;
    for message in &said[5..35] {
        ben.raw.recall(&id("ben"), message).await.unwrap();
    }
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut options = page(5);
    options.hide_recalled = true;
    let mut screen = Screen::open(&talk, options).await;
    assert_eq!(screen.lines(), lines(35..40));
    let loaded = screen.timeline.load_older(5).await.unwrap();
    assert_eq!(loaded.added, Count(5));
    screen
        .until("the first five", |state| state.items.len() == 10)
        .await;
    assert_eq!(screen.lines(), [lines(0..5), lines(35..40)].concat());
}

/// Resets: a conversation that was merged into an existing one is shown anew.
#[tokio::test]
async fn a_conversation_that_is_merged_into_an_existing_one_is_shown_anew() {
    let place = Place::new().await;
    let phone = place.online("phone", "ann").await;
    let talk = phone.talk_to("ben").await;
    talk.send_text("from my phone".into(), None).await.unwrap();
    phone.has_sent_everything().await;
    let tablet = place.device("tablet", "ann").await;
    let again = tablet.talk_to("ben").await;
    let sent = again
        .send_text("from my tablet".into(), None)
        .await
        .unwrap();
    let mut screen = Screen::newest(&again).await;
    assert_eq!(screen.lines(), ["from my tablet"]);
    tablet.go_online().await;
    let all = ["from my phone", "from my tablet"];
    screen
        .until("both", |state| state.items.iter().map(line).eq(all))
        .await;
    let key = ItemKey::Message(MessageKey::local(sent.local_id));
    assert!(
        screen.state.find(&key).is_some(),
        "the key is that of before"
    );
}

/// Lifetime: `end`, the last handle and the engine's end give those who wait none.
#[tokio::test]
async fn a_view_that_ends_tells_those_who_wait() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let waiting = async |timeline: &Arc<Timeline>| {
        let first = timeline.next(sampan::Version::NONE).await.unwrap().unwrap();
        let timeline = Arc::clone(timeline);
        let next = async move { timeline.next(first.version).await.unwrap() };
        vec![tokio::spawn(next)]
    };
    let timeline = talk.timeline(None).await.unwrap();
    let mut all = waiting(&timeline).await;
    all.extend(waiting(&timeline).await);
    timeline.end();
    for one in all {
        let told = timeout(PATIENCE, one).await.expect("it ends").unwrap();
        assert_eq!(told, None);
    }
    assert_eq!(
        timeline.load_older(5).await,
        Err(sampan::SampanError::ViewEnded),
        "nothing is loaded into it any more"
    );
    let other = talk.timeline(None).await.unwrap();
    let last = waiting(&other).await.remove(0);
    ann.engine.shutdown().await.unwrap();
    let told = timeout(PATIENCE, last).await.expect("it ends").unwrap();
    assert_eq!(told, None);
}

/// Lifetime: a view keeps no engine alive, and while the app is in the background no file is open.
#[tokio::test]
async fn a_view_keeps_no_engine_alive() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let timeline = talk.timeline(None).await.unwrap();
    let first = timeline.next(sampan::Version::NONE).await.unwrap().unwrap();
    drop(talk);
    drop(ann);
    let told = timeout(PATIENCE, timeline.next(first.version)).await;
    assert_eq!(told.expect("it ends").unwrap(), None);
}

/// The window shows what is stored, whatever happened in between.
#[tokio::test]
async fn at_rest_a_timeline_equals_one_that_is_read_anew() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..10).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::newest(&talk).await;
    let mut next = 10;
    for round in 0..6 {
        let said = ben.say(next..next + 4).await;
        next += 4;
        talk.send_text(format!("mine {round}"), None).await.unwrap();
        ben.raw.recall(&id("ben"), &said[1]).await.unwrap();
        ben.raw.edit(&id("ben"), &said[2], "edited").await.unwrap();
        if round % 2 == 0 {
            ann.client.go_offline().unwrap();
        } else {
            catch_up(&ann).await;
        }
        screen.update().await;
    }
    catch_up(&ann).await;
    ann.has_sent_everything().await;
    let wanted = 10 + 6 * 5;
    screen
        .until("all of it", |state| messages(state) == wanted)
        .await;
    // Where they differ, an update is on its way: waiting for one that never comes fails.
    loop {
        let options = TimelineOptions {
            page: 100,
            ..TimelineOptions::default()
        };
        let fresh = Screen::open(&talk, options).await;
        if screen.state.items == fresh.state.items {
            break;
        }
        screen.update().await;
    }
}
