//! Timelines: rules of order, of loads that nobody waits for, and of an app in the background.

use std::collections::BTreeSet;
use std::time::Duration;

use sampan::model::{Count, Event, ItemKey, MessageKey};
use sampan::views::TimelineState;
use sampan::{Anchor, Delivery, LinkState, ServerAddress, TimelineStart};
use tokio::time::{Instant, timeout};

use crate::cable::Cable;
use crate::pause::open_files;
use crate::place::{Device, Place, config, id};
use crate::screen::{Ben, Screen, ann, catch_up, from, line, lines, messages, page};

/// §5.1 Order: messages stand by the service's time, echoes last, in the order of the outbox.
#[tokio::test]
async fn messages_stand_in_the_services_order_and_echoes_come_last_in_theirs() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..2).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    ann.client.go_offline().unwrap();
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    for words in ["one", "two"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    ben.say(2..4).await;
    let mut screen = Screen::newest(&talk).await;
    screen
        .until("the echoes", |state| messages(state) == 4)
        .await;
    let shown = screen.lines().into_iter().filter(|it| it != "(gap)");
    assert!(shown.eq(["line 0", "line 1", "one", "two"]));
    ann.client.go_online(None).unwrap();
    let all = ["line 0", "line 1", "line 2", "line 3", "one", "two"];
    screen
        .until("the service's order", |state| {
            state.items.iter().map(line).eq(all)
        })
        .await;
}

/// §5.1 Paging: loads in one direction at the same time are one, and a call that is dropped goes on.
#[tokio::test]
async fn loads_at_the_same_time_are_one_and_a_dropped_one_goes_on() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..60).await;
    let ann = ann(&place, "phone", 10).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::open(&talk, page(10)).await;
    let (one, other) = tokio::join!(
        screen.timeline.load_older(10),
        screen.timeline.load_older(10)
    );
    assert_eq!(one.unwrap(), other.unwrap());
    screen
        .until("one page", |state| messages(state) >= 20)
        .await;
    assert_eq!(messages(&screen.state), 20, "not two");
    let dropped = timeout(Duration::ZERO, screen.timeline.load_older(10)).await;
    assert!(dropped.is_err(), "it waits for the service");
    screen
        .until("the next page", |state| messages(state) == 30)
        .await;
    assert_eq!(screen.lines(), lines(30..60));
}

/// §5.1 Anchors: a message that was recalled is found all the same.
#[tokio::test]
async fn a_recalled_message_is_found() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..60).await;
    ben.raw.recall(&id("ben"), &said[20]).await.unwrap();
    let ann = ann(&place, "phone", 10).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let reference = said[20].clone();
    let key: ItemKey = MessageKey::service(reference.sent_at, reference.id.clone()).into();
    let start = TimelineStart::Reference { reference };
    let mut screen = Screen::open(&talk, from(start, 10)).await;
    let found = |state: &TimelineState| matches!(state.anchor, Anchor::At { .. });
    screen.until("the message", found).await;
    let (_, item) = screen
        .state
        .find(&key)
        .expect("the anchor is in the window");
    assert!(item.message().unwrap().content.is_recalled());
}

/// §5.1 Reading, Lifetime: while the app is in the background nothing is marked read, `next` waits, and no file is
/// open; afterwards all goes on.
#[tokio::test]
async fn in_the_background_a_timeline_reads_nothing_and_holds_no_file_open() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..5).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::newest(&talk).await;
    assert!(screen.is_settled().await);
    ann.engine.pause().await.unwrap();
    screen.see(0, 4);
    assert!(screen.is_settled().await, "`next` waits");
    let root = place.folder.path().join("phone");
    assert_eq!(open_files(&root), Vec::<std::path::PathBuf>::new());
    assert_eq!(ann.client.state().link, LinkState::Background);
    assert_eq!(
        ann.client.state().unread.all.messages,
        5,
        "nothing was marked"
    );
    ann.engine.resume().await.unwrap();
    ann.until("nothing unread", || async {
        (ann.client.state().unread.all.messages == 0).then_some(())
    })
    .await;
    screen
        .until("nothing below", |state| state.below == Count(0))
        .await;
    ben.say(5..6).await;
    screen
        .until("a new line", |state| {
            state.items.last().is_some_and(|it| line(it) == "line 5")
        })
        .await;
}

/// §5.1 Reading: what is seen while somebody scrolls is marked read once a second, up to the newest of it.
#[tokio::test]
async fn what_is_seen_while_scrolling_is_marked_read_once_a_second() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..12).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let screen = Screen::newest(&talk).await;
    let mut events = ann.client.events();
    let began = Instant::now();
    for last in 0..12 {
        screen.see(0, last);
        // A write that is durable on return: a mark that was asked for before it has been made.
        talk.set_pinned(last % 2 == 0).await.unwrap();
    }
    let mut counts = BTreeSet::new();
    Device::is_told(&mut events, "nothing unread", |event| {
        let Event::ConversationChanged { conversation, .. } = event else {
            return None;
        };
        counts.insert(conversation.unread.count);
        (conversation.unread.count == 0).then_some(())
    })
    .await;
    // The count before, the first mark, and one for each second that began.
    let most = 3 + began.elapsed().as_secs();
    assert!(counts.len() as u64 <= most, "{counts:?} of {most}");
}

/// §5.1 Keys: an own message whose answer was lost may come back as history before it is known as the echo's: no
/// update shows both once it is sent, and the echo's key stays.
#[tokio::test]
async fn an_own_message_whose_answer_was_lost_is_never_shown_twice_once_it_is_sent() {
    let place = Place::new().await;
    let cable = Cable::lay(None).await;
    cable.plug_into(place.service.addr());
    let url = format!("http://{}", cable.addr);
    let store = place.folder.path().join("phone");
    let ann = Device::open(config(ServerAddress::Router { url }, &store), "ann").await;
    ann.go_online().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("before".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let ben = place.online("laptop", "ben").await;
    cable.deafen();
    let sent = talk.send_text("hello".into(), None).await.unwrap();
    ben.sees(&service_id, &["ann: before", "ann: hello"]).await;
    ann.engine.shutdown().await.unwrap();
    let ann = place.device("phone", "ann").await;
    let mut screen = Screen::newest(&ann.handle(&service_id)).await;
    let key = ItemKey::Message(MessageKey::local(sent.local_id));
    let is_sent = |state: &TimelineState| {
        let found = state.find(&key).expect("the echo's key stays");
        let delivery = found.1.message().unwrap().delivery.clone();
        !matches!(
            delivery,
            Some(Delivery::Waiting { .. } | Delivery::Sending { .. })
        )
    };
    assert!(!is_sent(&screen.state));
    catch_up(&ann).await;
    while !is_sent(&screen.state) {
        screen.update().await;
    }
    let shown = || {
        let lines = screen.lines().into_iter();
        lines.filter(|it| it == "hello").count()
    };
    assert_eq!(shown(), 1, "{:?}", screen.lines());
}
