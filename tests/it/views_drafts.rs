//! Drafts, pinned and hidden conversations, all of which stay on this device.

use std::sync::Arc;

use sampan::model::{Draft, Mentions, MessageKey};
use sampan::views::ListState;
use sampan::{
    Client, ConversationFilter, ConversationList, ConversationOrder, ListOptions, LocalData,
    SampanError, UnsentWork,
};

use crate::place::{Device, Place, id, in_time};

/// A list, and the last members of its rows from the top.
struct Rows(Arc<ConversationList>, ListState);

impl Rows {
    async fn open(client: &Client, options: ListOptions) -> Self {
        let list = client.conversation_list(Some(options)).await.unwrap();
        let mut rows = Self(list, ListState::default());
        rows.update().await;
        rows
    }

    async fn update(&mut self) {
        let update = in_time("an update", self.0.next(self.1.version)).await;
        self.1
            .apply(update.unwrap().expect("a view that has not ended"));
    }

    async fn until(&mut self, wanted: &[&str]) {
        let search = async {
            while self.peers() != wanted {
                let update = self.0.next(self.1.version).await.unwrap();
                self.1.apply(update.expect("a view that has not ended"));
            }
        };
        in_time(&format!("{wanted:?}"), search).await;
    }

    fn peers(&self) -> Vec<&str> {
        let peers = self.1.rows.iter().filter_map(|row| row.peer.as_ref());
        peers.map(|peer| peer.as_str()).collect()
    }
}

fn filtered(filter: ConversationFilter) -> ListOptions {
    ListOptions {
        filter: Some(filter),
        ..ListOptions::default()
    }
}

fn whole_draft() -> Draft {
    Draft {
        text: "half a\nsentence".to_owned(),
        reply_to: Some(MessageKey::parse("m:1700000000000:abc").unwrap()),
        edits: Some(MessageKey::parse("l:one").unwrap()),
        mentions: Mentions {
            all: true,
            clients: vec![id("cat")],
        },
    }
}

/// `set_draft` does no work: the store has the draft soon, in one commit for many letters.
#[tokio::test]
async fn a_draft_is_known_at_once_and_comes_into_the_store_and_the_list_by_itself() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let mut rows = Rows::open(&ann.client, ListOptions::default()).await;
    assert_eq!(talk.draft().await, Ok(None));
    for letters in 0..200 {
        talk.set_draft(Some(Draft::text("x".repeat(letters))))
            .unwrap();
    }
    talk.set_draft(Some(whole_draft())).unwrap();
    assert_eq!(talk.draft().await, Ok(Some(whole_draft())), "at once");
    let before = rows.1.version.0;
    let search = async {
        while rows.1.rows[0].draft.as_deref() != Some("half a sentence") {
            rows.update().await;
        }
    };
    in_time("the draft in the list", search).await;
    assert!(
        rows.1.version.0 - before <= 3,
        "many letters are few commits"
    );
    talk.set_draft(None).unwrap();
    assert_eq!(talk.draft().await, Ok(None));
    let search = async {
        while rows.1.rows[0].draft.is_some() {
            rows.update().await;
        }
    };
    in_time("no draft in the list", search).await;
}

/// An app that pauses, shuts down, or signs out and keeps the data has the drafts on disk.
#[tokio::test]
async fn a_draft_is_on_disk_when_pause_shutdown_or_sign_out_has_returned() {
    let place = Place::new().await;
    let ends: [&str; 3] = ["pause", "shutdown", "sign out"];
    for end in ends {
        let ann = place.device(end, "ann").await;
        let talk = ann.talk_to("ben").await;
        talk.set_draft(Some(whole_draft())).unwrap();
        let id = talk.info().await.unwrap().id;
        match end {
            "pause" => ann.engine.pause().await.unwrap(),
            "shutdown" => ann.engine.shutdown().await.unwrap(),
            _ => ann
                .client
                .sign_out(LocalData::Keep, UnsentWork::KeepIt)
                .await
                .unwrap(),
        }
        // Another engine finds what is on disk.
        let again = Device::open(place.config(end), "ann").await;
        let found = again.handle(&id).draft().await;
        assert_eq!(found, Ok(Some(whole_draft())), "{end}");
        again.engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_draft_that_is_too_long_or_of_a_closed_client_is_refused() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let long = Draft::text("x".repeat(Draft::TEXT_MAX + 1));
    let refused = talk.set_draft(Some(long));
    assert!(
        matches!(refused, Err(SampanError::TooLarge { .. })),
        "{refused:?}"
    );
    let longest = Draft::text("x".repeat(Draft::TEXT_MAX));
    assert_eq!(talk.set_draft(Some(longest)), Ok(()));
    ann.engine.shutdown().await.unwrap();
    assert!(talk.set_draft(None).is_err());
}

/// Pinned ones come first in every order, and a filter finds them.
#[tokio::test]
async fn pinned_conversations_stand_above_the_others_in_every_order() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut talks = Vec::new();
    for other in ["ben", "cat", "dan"] {
        let talk = ann.talk_to(other).await;
        talk.send_text("hello".into(), None).await.unwrap();
        talks.push(talk);
    }
    let mut all = Rows::open(&ann.client, ListOptions::default()).await;
    assert_eq!(all.peers(), ["dan", "cat", "ben"]);
    talks[0].set_pinned(true).await.unwrap();
    all.until(&["ben", "dan", "cat"]).await;
    assert!(all.1.rows[0].pinned && !all.1.rows[1].pinned);
    talks[1]
        .send_text("something newer".into(), None)
        .await
        .unwrap();
    all.until(&["ben", "cat", "dan"]).await;
    for order in [
        ConversationOrder::UnreadFirst,
        ConversationOrder::Name,
        ConversationOrder::Created,
    ] {
        let options = ListOptions {
            order: Some(order),
            ..ListOptions::default()
        };
        let rows = Rows::open(&ann.client, options).await;
        assert_eq!(rows.peers().first(), Some(&"ben"), "{order:?}");
    }
    let pinned = Rows::open(&ann.client, filtered(ConversationFilter::Pinned)).await;
    assert_eq!(pinned.peers(), ["ben"]);
    talks[0].set_pinned(false).await.unwrap();
    all.until(&["cat", "dan", "ben"]).await;
}

/// A hidden conversation is gone from lists, and comes back with the next thing that happens in it.
#[tokio::test]
async fn hidden_conversations_are_left_out_until_something_newer_happens_in_them() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let (ben, cat) = (ann.talk_to("ben").await, ann.talk_to("cat").await);
    for talk in [&ben, &cat] {
        talk.send_text("hello".into(), None).await.unwrap();
    }
    let mut all = Rows::open(&ann.client, ListOptions::default()).await;
    let mut hidden = Rows::open(&ann.client, filtered(ConversationFilter::Hidden)).await;
    assert!(hidden.peers().is_empty());
    cat.set_hidden(true).await.unwrap();
    all.until(&["ben"]).await;
    hidden.until(&["cat"]).await;
    assert_eq!(all.1.total.0, 1);
    // A new engine on this device still hides the conversation.
    let its_id = cat.info().await.unwrap().id;
    ann.engine.shutdown().await.unwrap();
    let ann = place.device("phone", "ann").await;
    let mut all = Rows::open(&ann.client, ListOptions::default()).await;
    assert_eq!(all.peers(), ["ben"]);
    let cat = ann.handle(&its_id);
    cat.send_text("there you are".into(), None).await.unwrap();
    all.until(&["cat", "ben"]).await;
    cat.set_hidden(true).await.unwrap();
    all.until(&["ben"]).await;
    cat.set_hidden(false).await.unwrap();
    all.until(&["cat", "ben"]).await;
}
