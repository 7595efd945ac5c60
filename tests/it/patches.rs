//! Edits and recalls by others are shown, live and after an absence.

use crate::place::{Place, id};

/// S162, S227, S228: an edit and a recall that happen while the device looks on.
#[tokio::test]
async fn an_edit_and_a_recall_change_what_is_shown() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let ann = place.online("phone", "ann").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    let first = raw.say(&ben, &talk, "helo").await.unwrap();
    let second = raw.say(&ben, &talk, "never mind").await.unwrap();
    ann.sees(&talk, &["ben: helo", "ben: never mind"]).await;
    raw.edit(&ben, &first, "hello").await.unwrap();
    raw.recall(&ben, &second).await.unwrap();
    ann.sees(&talk, &["ben: hello", "ben: recalled"]).await;
}

/// S227, S228: the same while the device was away: catch-up brings it.
#[tokio::test]
async fn an_edit_and_a_recall_during_an_absence_are_shown_afterwards() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let ann = place.online("phone", "ann").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    let first = raw.say(&ben, &talk, "helo").await.unwrap();
    let second = raw.say(&ben, &talk, "never mind").await.unwrap();
    ann.sees(&talk, &["ben: helo", "ben: never mind"]).await;
    ann.client.disconnect().await.unwrap();
    raw.edit(&ben, &first, "hello").await.unwrap();
    raw.recall(&ben, &second).await.unwrap();
    ann.go_online().await;
    ann.sees(&talk, &["ben: hello", "ben: recalled"]).await;
}
