//! Feeds: events of one sort, of one conversation, of a whole client.

use std::sync::Arc;

use sampan::model::{ConversationId, Event, EventKind, Json};
use sampan::{ClientOptions, EventFeed, LocalData, Rooms, SampanError, SessionNotice, UnsentWork};
use tokio::time::timeout;

use crate::notices::hears;
use crate::place::{Device, PATIENCE, Place, id};

/// Takes events until there is one as wanted; answers all that came before it, and it.
async fn taken(
    feed: &Arc<EventFeed>,
    after: &mut u64,
    wanted: impl Fn(&Event) -> bool,
) -> Vec<Event> {
    let mut all = Vec::new();
    let search = async {
        while !all.iter().any(&wanted) {
            let batch = feed.next(*after, 100).await.unwrap();
            let batch = batch.expect("a feed that has not ended");
            *after = batch.last;
            all.extend(batch.events);
        }
    };
    let found = timeout(PATIENCE, search).await;
    assert!(found.is_ok(), "only {all:?}");
    all
}

fn words(event: &Event) -> Option<&str> {
    match event {
        Event::MessageAdded { message, .. } | Event::MessageChanged { message, .. } => {
            message.content.words()
        }
        _ => None,
    }
}

/// S037: a feed of one sort of events tells nothing else, and the others go on hearing all.
#[tokio::test]
async fn a_feed_of_one_sort_tells_nothing_else() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let one = ann.client.feed(Some(vec![EventKind::MessageAdded]));
    let all = ann.client.feed(None);
    for words in ["first", "second"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    ann.has_sent_everything().await;
    let is_last = |event: &Event| words(event) == Some("second");
    let told = taken(&one, &mut 0, is_last).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter()
            .all(|it| matches!(it, Event::MessageAdded { .. })),
        "{told:?}"
    );
    let settled = |event: &Event| matches!(event, Event::OutboxSettled { .. });
    let told = taken(&all, &mut 0, settled).await;
    assert!(
        told.iter()
            .any(|it| matches!(it, Event::OutboxChanged { .. })),
        "{told:?}"
    );
}

/// S088, S151, S196: the messages and receipts of one conversation are had on its own, also one that was made
/// offline, and those of all on the client.
#[tokio::test]
async fn events_and_receipts_are_had_per_conversation_and_for_the_whole_client() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let tea = ann.talk_to("ben").await;
    let local = tea.conversation_id();
    let (of_tea, receipts) = (tea.feed(None), tea.feed(Some(vec![EventKind::Receipt])));
    let all = ann.client.feed(Some(vec![EventKind::Receipt]));
    let boats = ann.talk_to("cat").await;
    let _ben = place.online("laptop", "ben").await;
    let _cat = place.online("tablet", "cat").await;
    ann.go_online().await;
    let (tea_id, boats_id) = (ann.service_id(&tea).await, ann.service_id(&boats).await);
    for (talk, words) in [(&boats, "boats"), (&tea, "tea")] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    let of = |event: &Event, id: &ConversationId| event.conversation() == Some(id);
    let mut last = 0;
    let told = taken(
        &of_tea,
        &mut last,
        |event| matches!(event, Event::MessageChanged { message, .. } if message.state.is_receipt()),
    );
    let told = told.await;
    assert!(
        told.iter().all(|it| of(it, &tea_id) || of(it, &local)),
        "{told:?}"
    );
    let is_assigned = |it: &Event| matches!(it, Event::ConversationIdAssigned { .. });
    assert!(told.iter().any(is_assigned), "{told:?}");
    let told = taken(&receipts, &mut 0, |event| words(event) == Some("tea")).await;
    assert!(told.iter().all(|it| words(it) == Some("tea")), "{told:?}");
    let mut last = 0;
    let mut told = taken(&all, &mut last, |event| of(event, &tea_id)).await;
    if !told.iter().any(|it| of(it, &boats_id)) {
        told.extend(taken(&all, &mut last, |event| of(event, &boats_id)).await);
    }
    assert!(
        told.iter().all(|it| EventKind::Receipt.includes(it)),
        "{told:?}"
    );
}

/// S038: an event of the app's own comes to everybody who follows the client on this device, before the events
/// of later calls and with what was sent along; other clients, other sorts and conversations hear nothing.
#[tokio::test]
async fn an_app_sends_events_of_its_own_to_those_who_follow_its_client() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let other = ann.engine.client(id("cem"), ClientOptions::default());
    let other = other.await.unwrap();
    let talk = ann.talk_to("ben").await;
    let rooms = Rooms::new(Arc::clone(&ann.client));
    let notices = rooms.notices().await.unwrap();
    let (feed, all) = (
        ann.client.feed(Some(vec![EventKind::Emitted])),
        ann.client.feed(None),
    );
    let mut stream = ann.client.events();
    let (strange, within) = (other.feed(None), talk.feed(None));
    let data = Json::parse(r#"{"aaa":"test"}"#).unwrap();
    ann.client
        .emit("LeanCloud123".into(), Some(data.clone()))
        .unwrap();
    talk.send_text("after".into(), None).await.unwrap();
    ann.client.emit("bare".into(), None).unwrap();
    let emitted = |name: &str, data: Option<&Json>| Event::Emitted {
        client: id("ann"),
        name: name.to_owned(),
        data: data.cloned(),
    };
    let (full, bare) = (emitted("LeanCloud123", Some(&data)), emitted("bare", None));
    let told = taken(&feed, &mut 0, |it| *it == bare).await;
    assert_eq!(told, [full.clone(), bare.clone()]);
    let added = |it: &Event| words(it) == Some("after");
    let told = taken(&all, &mut 0, added).await;
    assert!(told.contains(&full), "it comes before: {told:?}");
    let heard = Device::is_told(&mut stream, "the event", |it| (it == full).then_some(()));
    heard.await;
    let notice = SessionNotice::Emitted {
        name: "LeanCloud123".to_owned(),
        data: Some(data),
    };
    hears(&notices, &notice).await;
    // Both hear a later event, and nothing of these before.
    other.emit("theirs".into(), None).unwrap();
    let is_emitted = |it: &Event| matches!(it, Event::Emitted { .. });
    let told = taken(&strange, &mut 0, is_emitted).await;
    assert!(
        matches!(told.last(), Some(Event::Emitted { name, .. }) if name == "theirs"),
        "{told:?}"
    );
    let told = taken(&within, &mut 0, added).await;
    assert!(!told.iter().any(is_emitted), "{told:?}");
    let nameless = ann.client.emit(String::new(), None);
    assert!(
        matches!(nameless, Err(SampanError::InvalidArgument { .. })),
        "{nameless:?}"
    );
    other
        .sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    assert_eq!(other.emit("late".into(), None), Err(SampanError::SignedOut));
    ann.engine.shutdown().await.unwrap();
    assert_eq!(
        ann.client.emit("late".into(), None),
        Err(SampanError::ShutDown)
    );
}
