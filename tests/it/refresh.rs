//! Which messages a refresh in the background names: those of which a user would want a notification.

use std::sync::Arc;

use sampan::model::{ConversationId, MessageContent};
use sampan::{Conversation, Refreshed};

use crate::pause::settled;
use crate::place::{Device, PATIENCE, Place};

/// Another client in the conversation that `settled` made.
async fn other(place: &Place, talk: &ConversationId) -> (Device, Arc<Conversation>) {
    let ben = place.online("tablet", "ben").await;
    let theirs = ben.client.fetch_conversation(talk.clone()).await.unwrap();
    (ben, theirs)
}

/// Sends words, one after the other.
async fn say(ben: &Device, talk: &Conversation, words: &[String]) {
    for words in words {
        talk.send_text(words.clone(), None).await.unwrap();
    }
    ben.has_sent_everything().await;
}

fn words(refreshed: &Refreshed) -> Vec<String> {
    assert!(refreshed.complete, "{refreshed:?}");
    let named = refreshed.arrived.iter();
    named
        .map(|it| it.content.words().unwrap_or("no words").to_owned())
        .collect()
}

/// §5.5 refresh: it names the newest 20, oldest first, of more that came.
#[tokio::test]
async fn a_refresh_names_the_newest_twenty_of_many() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let (ben, theirs) = other(&place, &ann.service_id(&talk).await).await;
    ann.engine.pause().await.unwrap();
    let said: Vec<_> = (0..23).map(|number| format!("line {number}")).collect();
    say(&ben, &theirs, &said).await;
    let refreshed = ann.client.refresh(PATIENCE).await.unwrap();
    assert_eq!(words(&refreshed), said[3..]);
    assert_eq!(refreshed.unread.unmuted.messages, 23);
}

/// §5.5 refresh: it names no message of a muted conversation.
#[tokio::test]
async fn a_refresh_names_nothing_of_muted_conversations() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let (ben, theirs) = other(&place, &ann.service_id(&talk).await).await;
    let loud = ann.talk_to_all(&["ben"]).await;
    loud.send_text("another".into(), None).await.unwrap();
    talk.set_muted(true).await.unwrap();
    ann.has_sent_everything().await;
    let loud = ben.client.fetch_conversation(ann.service_id(&loud).await);
    let loud = loud.await.unwrap();
    ann.engine.pause().await.unwrap();
    say(&ben, &theirs, &["in the muted one".to_owned()]).await;
    say(&ben, &loud, &["in the loud one".to_owned()]).await;
    let refreshed = ann.client.refresh(PATIENCE).await.unwrap();
    assert_eq!(words(&refreshed), ["in the loud one"]);
}

/// §5.5 refresh: it names neither own messages of another device nor ones that were read there.
#[tokio::test]
async fn a_refresh_names_neither_own_messages_nor_read_ones() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let service_id = ann.service_id(&talk).await;
    let (ben, theirs) = other(&place, &service_id).await;
    let second = place.online("watch", "ann").await;
    let own = second.client.fetch_conversation(service_id.clone()).await;
    let own = own.unwrap();
    ann.engine.pause().await.unwrap();
    say(&ben, &theirs, &["read elsewhere".to_owned()]).await;
    second
        .until("the message", || async {
            let lines = second.lines(&service_id).await.ok()?;
            (lines.last()? == "ben: read elsewhere").then_some(())
        })
        .await;
    own.mark_read(None).await.unwrap();
    second.has_sent_everything().await;
    say(&ben, &theirs, &["new".to_owned()]).await;
    own.send_text("from the watch".into(), None).await.unwrap();
    second.has_sent_everything().await;
    let refreshed = ann.client.refresh(PATIENCE).await.unwrap();
    assert_eq!(words(&refreshed), ["new"]);
}

/// §5.5 refresh: it names no message that was recalled meanwhile.
#[tokio::test]
async fn a_refresh_names_no_recalled_message() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let (ben, theirs) = other(&place, &ann.service_id(&talk).await).await;
    ann.engine.pause().await.unwrap();
    let edited = theirs.send_text("wrong".into(), None).await.unwrap();
    let gone = theirs.send_text("gone".into(), None).await.unwrap();
    ben.has_sent_everything().await;
    theirs.recall(gone.message.key).await.unwrap();
    let right = MessageContent::text("right");
    theirs.edit(edited.message.key, right).await.unwrap();
    ben.has_sent_everything().await;
    let refreshed = ann.client.refresh(PATIENCE).await.unwrap();
    assert_eq!(words(&refreshed), ["right"]);
}
