//! Pages of history: how much, in which order, from either end.

use sampan::model::{ConversationId, Message};
use sampan::{Conversation, TimelinePlace};

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
    let talk = ann.handle(&talk).await;
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
