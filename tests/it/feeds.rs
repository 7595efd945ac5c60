//! Feeds: events of one sort, of one conversation, of a whole client.

use std::sync::Arc;

use sampan::EventFeed;
use sampan::model::{ConversationId, Event, EventKind};
use tokio::time::timeout;

use crate::place::{PATIENCE, Place};

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
