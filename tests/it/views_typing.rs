//! The members who write just now.

use sampan::model::Event;
use sampan::views::{ListState, TimelineState};
use sampan::{Client, Conversation, Version};

use crate::place::{Place, id, in_time};

/// Follows a timeline until the writing members are as wanted.
async fn writers(talk: &Conversation, wanted: &[&str]) {
    let timeline = talk.timeline(None).await.unwrap();
    let mut state = TimelineState::default();
    let search = async {
        loop {
            let update = timeline.next(state.version).await.unwrap();
            state.apply(update.expect("a view that has not ended"));
            let who: Vec<_> = state.typing.iter().map(|client| client.as_str()).collect();
            if who == wanted {
                return;
            }
        }
    };
    in_time("who writes in the timeline", search).await;
}

/// Follows a list of one conversation until the writing members are as wanted.
async fn listed(client: &Client, wanted: &[&str]) {
    let list = client.conversation_list(None).await.unwrap();
    let mut state = ListState::default();
    let search = async {
        loop {
            let update = list.next(state.version).await.unwrap();
            state.apply(update.expect("a view that has not ended"));
            let rows = state.rows.iter().flat_map(|row| &row.typing);
            if rows
                .map(|client| client.as_str())
                .eq(wanted.iter().copied())
            {
                return;
            }
        }
    };
    in_time("who writes in the list", search).await;
}

/// Writing shows in the open conversation and in the list, and ends with the message.
#[tokio::test]
async fn others_see_who_writes_until_it_is_sent() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let id = talk.info().await.unwrap().id;
    ben.sees(&id, &["ann: hello"]).await;
    let heard = ben.handle(&id);
    let feed = ben.client.feed(None);
    talk.set_typing(true);
    tokio::join!(writers(&heard, &["ann"]), listed(&ben.client, &["ann"]));
    talk.send_text("how are you?".into(), None).await.unwrap();
    tokio::join!(writers(&heard, &[]), listed(&ben.client, &[]));
    let told = in_time("events", feed.next(0, 1000))
        .await
        .unwrap()
        .unwrap();
    let is_transient = |event: &Event| matches!(event, Event::TransientMessage { .. });
    assert!(
        !told.events.iter().any(is_transient),
        "it is no message of the app's"
    );
}

/// Nothing is told without a session, and nothing waits for one.
#[tokio::test]
async fn offline_nobody_is_told_that_somebody_writes() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.set_typing(true);
    let list = ann.client.outbox_list().await.unwrap();
    let unsent = list.next(Version::NONE).await.unwrap().unwrap();
    assert_eq!(
        unsent.edits.len(),
        1,
        "the conversation alone: {:?}",
        unsent.edits
    );
    ann.go_online().await;
    ann.has_sent_everything().await;
    let _ = id("ben");
}
