//! Live views as Rust streams.

use futures_util::StreamExt;
use sampan::{LocalData, UnsentWork};

use crate::place::{Place, in_time};

/// D08: each poll has the newest state, and the stream ends with the view.
#[tokio::test]
async fn the_states_of_views_are_streams_that_end_with_them() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let timeline = talk.timeline(None).await.unwrap();
    let list = ann.client.conversation_list(None).await.unwrap();
    let outbox = ann.client.outbox_list().await.unwrap();
    let mut shown = Box::pin(timeline.states());
    let mut rows = Box::pin(list.states());
    let mut unsent = Box::pin(outbox.states());
    let mut states = Box::pin(ann.client.states());
    let members = talk.members(None).await.unwrap();
    let mut people = Box::pin(members.states());
    assert_eq!(
        in_time("a state", people.next()).await.unwrap().rows.len(),
        2
    );
    assert!(
        in_time("a state", shown.next())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    for line in 0..20 {
        talk.send_text(format!("line {line}"), None).await.unwrap();
    }
    // One state for all that was missed.
    let state = in_time("a state", shown.next()).await.unwrap();
    assert_eq!(state.items.len(), 20);
    let state = in_time("a state", rows.next()).await.unwrap();
    let last = state.rows[0].last.as_ref().unwrap();
    assert_eq!(last.words.as_deref(), Some("line 19"));
    assert_eq!(
        in_time("a state", unsent.next()).await.unwrap().rows.len(),
        21
    );
    assert_eq!(
        in_time("a state", states.next())
            .await
            .unwrap()
            .outbox
            .waiting
            .0,
        21
    );
    timeline.end();
    assert_eq!(in_time("the end", shown.next()).await, None);
    ann.client
        .sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    let ends = async {
        while states.next().await.is_some() {}
        while rows.next().await.is_some() {}
        while unsent.next().await.is_some() {}
        while people.next().await.is_some() {}
    };
    in_time("the ends", ends).await;
}
