//! Pages of history: how much, in which order, from either end.

use sampan::model::{ConversationId, HistoryQuery, Message, MessageContent, MessageKey};
use sampan::{Conversation, SampanError, TimelinePlace};

use crate::place::{Device, Place, id};

/// More than the 100 that the engine asks for at once.
const SAID: usize = 230;

/// A device that holds a conversation of [`SAID`] lines whole.
async fn scene(place: &Place) -> (Device, ConversationId) {
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "long")
        .await
        .unwrap();
    let mut posted = Vec::new();
    for number in 0..SAID {
        posted.push(
            raw.post_text(&ben, &talk, &format!("{number}"))
                .await
                .unwrap(),
        );
    }
    for said in posted {
        said.acknowledged().await.unwrap();
    }
    let ann = place.online("phone", "ann").await;
    let fetched = ann.client.fetch_conversation(talk.clone()).await.unwrap();
    while !fetched.fetch_older(1000).await.unwrap().start_reached {}
    (ann, talk)
}

fn numbers<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<usize> {
    let words = messages.map(|message| message.content.words().unwrap());
    words.map(|words| words.parse().unwrap()).collect()
}

/// Every line, read page by page, forwards or backwards, and how large each page was.
async fn walked(talk: &Conversation, forwards: bool, limit: u32) -> (Vec<usize>, Vec<usize>) {
    let (mut read, mut sizes) = (Vec::new(), Vec::new());
    let mut place: Option<TimelinePlace> = None;
    loop {
        let page = match forwards {
            true => talk.page_after(place.take(), limit).await.unwrap(),
            false => talk.page(place.take(), limit).await.unwrap(),
        };
        let found = numbers(page.items.iter().filter_map(|item| item.message()));
        assert!(
            found.is_sorted(),
            "a page is in the order of time: {found:?}"
        );
        sizes.push(found.len());
        let edge = if forwards {
            read.extend(found);
            page.items.last()
        } else {
            read.splice(0..0, found);
            page.items.first()
        };
        place = edge.and_then(|item| item.place().cloned());
        if !page.more {
            return (read, sizes);
        }
        assert!(sizes.len() <= SAID, "it goes on for ever");
    }
}

/// S260, S261, S350: all of a long history is had, and read in pages of 1 to 500 from either end; within
/// a page the older stands first.
#[tokio::test]
async fn a_long_history_is_read_in_pages_of_any_size_from_either_end() {
    let place = Place::new().await;
    let (ann, talk) = scene(&place).await;
    let talk = ann.handle(&talk);
    let all: Vec<_> = (0..SAID).collect();
    for forwards in [true, false] {
        for limit in [1_u32, 20, 100, 500] {
            let (read, sizes) = walked(&talk, forwards, limit).await;
            assert_eq!(read, all, "forwards: {forwards}, limit: {limit}");
            let full = usize::try_from(limit).unwrap().min(SAID);
            assert_eq!(sizes.first(), Some(&full), "forwards: {forwards}");
        }
    }
    let newest = talk.page(None, 3).await.unwrap();
    let newest = numbers(newest.items.iter().filter_map(|item| item.message()));
    assert_eq!(newest, [SAID - 3, SAID - 2, SAID - 1]);
    let oldest = talk.page_after(None, 3).await.unwrap();
    assert_eq!(
        numbers(oldest.items.iter().filter_map(|item| item.message())),
        [0, 1, 2]
    );
}

/// The lines of an answer to a question about history.
async fn asked(talk: &Conversation, query: HistoryQuery) -> Vec<usize> {
    let found = talk.query_history(query).await.unwrap();
    numbers(found.iter())
}

/// S260, S264: the service is asked for any part of the history: an interval, one type, from either end, page by
/// page; nothing of it is stored, so no gap comes of it.
#[tokio::test]
async fn history_is_asked_for_by_interval_by_type_and_in_either_direction() {
    let place = Place::new().await;
    let (ann, talk_id) = scene(&place).await;
    let talk = ann.handle(&talk_id);
    let held = ann.messages(&talk_id).await;
    let (from, to) = (held[100].sent_at, held[104].sent_at);
    let interval = HistoryQuery {
        since: Some(from),
        until: Some(to),
        ..HistoryQuery::default()
    };
    let is_within = |message: &&Message| (from..=to).contains(&message.sent_at);
    let within = numbers(held.iter().filter(is_within));
    assert_eq!(asked(&talk, interval.clone()).await, within);
    let first = HistoryQuery {
        oldest_first: true,
        limit: 2,
        ..interval.clone()
    };
    let mut read = asked(&talk, first.clone()).await;
    assert_eq!(read, within[..2]);
    // The next pages begin behind the last message, until one is empty.
    loop {
        let last = &held[*read.last().unwrap()];
        let next = HistoryQuery {
            behind: MessageKey::of(last),
            ..first.clone()
        };
        let page = asked(&talk, next).await;
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, within);
    let all = HistoryQuery {
        limit: 1000,
        ..HistoryQuery::default()
    };
    assert_eq!(asked(&talk, all).await.len(), SAID);
    let place_of = MessageContent::Location {
        latitude: 31.2,
        longitude: 121.5,
        caption: Some("here".to_owned()),
        details: sampan::model::Details::default(),
    };
    let sent = talk.send(sampan::model::NewMessage::new(place_of)).await;
    ann.has_sent_everything().await;
    let places = HistoryQuery {
        content_type: Some(-5),
        ..HistoryQuery::default()
    };
    let found = talk.query_history(places).await.unwrap();
    let local: Vec<_> = found.iter().map(|it| it.local_id.clone()).collect();
    assert_eq!(
        local,
        [Some(sent.unwrap().local_id)],
        "and what the device knows of it"
    );
    for limit in [0, 1001] {
        let wrong = HistoryQuery {
            limit,
            ..HistoryQuery::default()
        };
        let refused = talk.query_history(wrong).await;
        assert!(matches!(refused, Err(SampanError::InvalidArgument { .. })));
    }
    // Another device of the client asks; the answers are not stored on that device.
    let tablet = place.online("tablet", "ann").await;
    let there = tablet.client.fetch_conversation(talk_id.clone()).await;
    let there = there.unwrap();
    // The tablet fetches the newest page by itself.
    let before = tablet
        .until("the newest page and a gap", || async {
            let held = there.page_after(None, 500).await.ok()?.items.len();
            (held > 100).then_some(held)
        })
        .await;
    assert_eq!(asked(&there, interval).await, within);
    assert_eq!(
        there.page_after(None, 500).await.unwrap().items.len(),
        before
    );
    ann.client.go_offline().unwrap();
    let offline = talk.query_history(HistoryQuery::default()).await;
    assert!(matches!(offline, Err(SampanError::NotConnected)));
}
